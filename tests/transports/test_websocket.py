"""The WebSocket transport against real sockets: messages both ways, heartbeats, and how its end is told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
from aiohttp import WSMsgType, web

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    AccessDenied,
    CannotConnect,
    ConnectionClosed,
    ConnectionLost,
    HandshakeFailed,
    HttpError,
    LoginRequired,
    Unavailable,
)
from dragoman.transports.websocket import WebSocketTransport
from tests.servers.http_faults import Visit, free_port, serving
from tests.transports.exchanges import ExchangeInbox, notification, request

SECRET = "s3cr3t"

Conversation: TypeAlias = Callable[[web.WebSocketResponse], Awaitable[None]]


class Far:
    """What a server saw: the requests that opened a WebSocket, and how each of them ended."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []
        self.ended = asyncio.Event()
        self.close_code: int | None = None


@asynccontextmanager
async def far(conversation: Conversation) -> AsyncGenerator[Far]:
    """A WebSocket server whose side of each conversation is this."""
    seen = Far()

    async def handle(asked: web.Request) -> web.WebSocketResponse:
        seen.requests.append(asked)
        response = web.WebSocketResponse(protocols=("mcp",), max_msg_size=0)
        await response.prepare(asked)
        try:
            await conversation(response)
        finally:
            seen.close_code = response.close_code
            seen.ended.set()
        return response

    application = web.Application()
    application.router.add_get("/ws", handle)
    runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    seen.url = f"ws://{host}:{port}/ws"
    try:
        yield seen
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncGenerator[tuple[WebSocketTransport, ExchangeInbox]]:
    """An open transport with secrets in its settings, and its inbox."""
    settings = {"headers": {"Authorization": SECRET}, "cookies": {"c": SECRET}, **settings}
    transport = WebSocketTransport(ServerConfig(name="far", url=f"{url}?key={SECRET}", **settings))
    inbox = ExchangeInbox()
    try:
        await transport.open(inbox)
        yield transport, inbox
    finally:
        await transport.aclose()


async def echo(socket: web.WebSocketResponse) -> None:
    """Answer each request with its parameters."""
    async for message in socket:
        asked = json.loads(message.data)
        if "id" in asked:
            await socket.send_json({"jsonrpc": "2.0", "id": asked["id"], "result": asked.get("params", {})})


async def test_messages_go_both_ways_in_text_frames() -> None:
    """With the subprotocol, the configured headers and cookies."""
    async with far(echo) as server, opened(server.url) as (socket, inbox):
        socket.negotiated("2025-11-25")
        await asyncio.gather(*(socket.send(request(number)) for number in range(50)))
        await socket.send(notification())
        await inbox.until(lambda: len(inbox.received) == 50)
        (asked,) = server.requests
        assert asked.headers["Sec-WebSocket-Protocol"] == "mcp"
        assert asked.headers["Authorization"] == SECRET
        assert asked.cookies["c"] == SECRET
        assert asked.headers["User-Agent"].startswith("dragoman/")
    assert inbox.answers().keys() == set(range(50))
    assert all(number is None for _data, number in inbox.received)
    assert inbox.lost == []
    assert socket.last_words() == ""


async def test_binary_frames_and_large_messages_are_taken() -> None:
    """Some servers send binary; 50 MB each way are no matter."""
    text = "x" * 50_000_000

    async def conversation(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes('{"jsonrpc":"2.0","method":"ü"}'.encode())
        message = await socket.receive()
        assert message.type is WSMsgType.TEXT
        await socket.send_str(message.data)
        await socket.receive()

    async with far(conversation) as server, opened(server.url) as (socket, inbox):
        await socket.send(request(1, params=json.dumps({"text": text}).encode()))
        await inbox.until(lambda: len(inbox.received) == 2)
    assert inbox.received[0][0] == '{"jsonrpc":"2.0","method":"ü"}'.encode()
    assert json.loads(inbox.received[1][0])["params"]["text"] == text


@pytest.mark.parametrize("size", [1024, 1025])
async def test_a_message_over_the_bound_ends_the_connection(size: int) -> None:
    """A WebSocket can't pass over a message; one of just the bound is taken."""

    async def conversation(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x" * size)
        await socket.receive()

    async with far(conversation) as server, opened(server.url, max_message_bytes=1024) as (_socket, inbox):
        if size == 1024:
            await inbox.until(lambda: len(inbox.received) == 1)
        else:
            error = await inbox.loss()
            assert "over the bound of 1,024 bytes" in str(error)
            await server.ended.wait()
            assert server.close_code == 1009


async def test_a_server_that_does_not_read_holds_the_sender_back() -> None:
    """Rather than let messages pile up here; nothing is lost once it reads."""
    reads = asyncio.Event()

    async def conversation(socket: web.WebSocketResponse) -> None:
        await reads.wait()
        await echo(socket)

    async with far(conversation) as server, opened(server.url) as (socket, inbox):
        params = json.dumps({"text": "x" * 500_000}).encode()

        async def send_all() -> None:
            for number in range(40):
                await socket.send(request(number, params=params))

        sending = asyncio.ensure_future(send_all())
        done, _pending = await asyncio.wait({sending}, timeout=0.2)
        assert not done
        reads.set()
        await sending
        await inbox.until(lambda: len(inbox.received) == 40)


# Its end.


async def test_the_servers_close_is_told_with_code_and_reason() -> None:
    """Once; what is sent afterwards is certainly not sent."""

    async def conversation(socket: web.WebSocketResponse) -> None:
        await socket.close(code=1011, message=b"out of memory")

    async with far(conversation) as server, opened(server.url) as (socket, inbox):
        error = await inbox.loss()
        assert isinstance(error, ConnectionLost)
        assert "1011: out of memory" in str(error)
        assert str(error).startswith("far: ")
        with pytest.raises(ConnectionLost, match="1011"):
            await socket.send(request())


async def test_a_break_is_told() -> None:
    """The connection is gone without a close."""

    async def conversation(socket: web.WebSocketResponse) -> None:
        transport = server.requests[0].transport
        assert transport is not None
        transport.abort()
        await socket.receive()

    async with far(conversation) as server, opened(server.url) as (socket, inbox):
        assert "broke (code 1006)" in str(await inbox.loss())
        with pytest.raises(ConnectionLost):
            await socket.send(request())


async def test_a_server_that_answers_no_pings_is_given_up() -> None:
    """After ``sse_read_timeout`` without a byte it is asked, and half that time later it is taken for dead."""

    async def silent(visit: Visit) -> None:
        key = visit.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
        await visit.head(status="101 Switching Protocols", kind=None, headers=headers)
        await visit.hang()

    async with serving(silent) as server:
        url = server.url.replace("http:", "ws:")
        async with opened(url, sse_read_timeout=0.2, shutdown_timeout=0.2) as (_socket, inbox):
            assert "pings" in str(await inbox.loss())


async def test_a_server_that_answers_pings_may_be_silent() -> None:
    """Heartbeats keep a quiet connection."""

    async def conversation(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async with far(conversation) as server, opened(server.url, sse_read_timeout=0.1) as (_socket, inbox):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await inbox.until(lambda: bool(inbox.lost))
        assert not server.ended.is_set()


async def test_closing_says_goodbye_and_is_bounded() -> None:
    """The server sees a normal close; one that does not answer it is left after ``shutdown_timeout``."""
    async with far(echo) as server, opened(server.url) as (socket, inbox):
        await asyncio.gather(socket.aclose(), socket.aclose())
        await server.ended.wait()
        assert server.close_code == 1000
        with pytest.raises(ConnectionClosed):
            await socket.send(request())
        assert inbox.lost == []

    released = asyncio.Event()

    async def deaf(_socket: web.WebSocketResponse) -> None:
        await released.wait()

    async with far(deaf) as server:
        async with asyncio.timeout(2):
            async with opened(server.url, shutdown_timeout=0.1):
                pass
        released.set()
        await server.ended.wait()
    await WebSocketTransport(ServerConfig(url="ws://127.0.0.1:1/")).aclose()


# Its opening.


async def refused(script: Callable[[Visit], Awaitable[None]], **settings: Any) -> Any:
    """The error that opening raises; it names the server and shows no secret."""
    async with serving(script) as server:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
            async with opened(server.url.replace("http:", "ws:"), **settings):
                pass
        await server.until(lambda: server.open == 0)
    assert SECRET not in f"{caught.value} {vars(caught.value)}"
    assert str(caught.value).startswith("far: ")
    return caught.value


async def test_nobody_there() -> None:
    """Nothing listens."""
    with pytest.raises(CannotConnect, match="Connection refused"):
        async with opened(f"ws://127.0.0.1:{free_port()}/ws"):
            pass


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("401 Unauthorized", LoginRequired),
        ("403 Forbidden", AccessDenied),
        ("404 Not Found", HttpError),
        ("503 Service Unavailable", Unavailable),
    ],
)
async def test_a_status_in_place_of_a_websocket_is_told(status: str, error: type[HttpError]) -> None:
    """As the class that belongs to it, with what the headers say."""

    async def script(visit: Visit) -> None:
        await visit.answer(b"no", status=status, headers={"Retry-After": "3", "WWW-Authenticate": "Bearer"})

    caught = await refused(script)
    assert type(caught) is error
    assert (caught.status, caught.retry_after, caught.challenges) == (int(status[:3]), 3.0, ("Bearer",))


async def test_a_page_in_place_of_a_websocket_is_told() -> None:
    """A success that is no upgrade."""

    async def script(visit: Visit) -> None:
        await visit.answer(b"<html>", kind="text/html")

    assert isinstance(await refused(script), HandshakeFailed)


async def test_a_redirect_is_not_followed() -> None:
    """Nothing is sent to where it points."""
    async with serving(Visit.hang) as other:

        async def script(visit: Visit) -> None:
            await visit.answer(status="307 Temporary Redirect", kind=None, headers={"Location": other.url})

        error = await refused(script)
        assert other.connections == 0
    assert isinstance(error, HttpError)
    assert error.status == 307


async def test_a_server_that_says_nothing_is_given_up() -> None:
    """``connect_timeout`` bounds the opening."""
    assert isinstance(await refused(Visit.hang, connect_timeout=0.3), CannotConnect)
