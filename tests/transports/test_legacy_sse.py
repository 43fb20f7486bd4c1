"""The HTTP+SSE transport of 2024-11-05 against real sockets: its opening, its channel, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    CannotConnect,
    ConnectionClosed,
    ConnectionLost,
    HandshakeFailed,
    HttpError,
    LoginRequired,
    MessageTooLarge,
    OutcomeUnknown,
    RequestTimeout,
)
from dragoman.transports.sse import SseTransport
from tests.servers.http_faults import Script, Visit, free_port, serving
from tests.transports.exchanges import ExchangeInbox, notification, request

SECRET = "s3cr3t"


class OldServer:
    """A well-behaved server: GET opens the stream, POST to what it names is accepted and answered on the stream."""

    def __init__(self) -> None:
        self.stream: Visit | None = None
        self.endpoint = f"/messages?session={SECRET}"

    async def script(self, visit: Visit) -> None:
        """Serve one request."""
        if visit.verb == "GET":
            self.stream = visit
            await visit.stream()
            await visit.chunk(f"event: endpoint\r\ndata: {self.endpoint}\r\n\r\n".encode())
            await visit.hang()
        await visit.answer(b"Accepted", status="202 Accepted", kind="text/plain")
        if "id" in visit.message and self.stream is not None:
            await self.stream.event(visit.result(ok=True))


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncGenerator[tuple[SseTransport, ExchangeInbox]]:
    """An open transport with secrets in its settings, and its inbox."""
    config = ServerConfig(
        name="old", url=f"{url}?key={SECRET}", transport="sse", headers={"Authorization": SECRET}, **settings
    )
    transport, inbox = SseTransport(config), ExchangeInbox()
    try:
        await transport.open(inbox)
        yield transport, inbox
    finally:
        await transport.aclose()


async def refused(script: Script, **settings: Any) -> Any:
    """The error that opening raises; it names the server and shows no secret."""
    async with serving(script) as server:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
            async with opened(server.url, **settings):
                pass
        await server.until(lambda: server.open == 0)
    assert SECRET not in f"{caught.value} {vars(caught.value)}"
    assert str(caught.value).startswith("old: ")
    return caught.value


async def test_answers_come_on_the_stream() -> None:
    """A POST for each message to the endpoint that the stream named, with the configured headers."""
    old = OldServer()
    async with serving(old.script) as server, opened(server.url) as (sse, inbox):
        sse.negotiated("2025-06-18")
        await asyncio.gather(*(sse.send(request(number)) for number in range(20)))
        await sse.send(notification())
        await inbox.until(lambda: len(inbox.received) == 20)
        posts = server.of("POST")
    assert inbox.answers().keys() == set(range(20))
    assert {visit.target for visit in posts} == {old.endpoint}
    assert {visit.headers["authorization"] for visit in server.visits} == {SECRET}
    assert {visit.headers["mcp-protocol-version"] for visit in posts} == {"2025-06-18"}
    assert server.visits[0].headers["accept"] == "text/event-stream"
    assert inbox.lost == []


async def test_a_large_answer_comes_through_and_a_larger_one_fails_its_request() -> None:
    """An event of 50 MB, and one over the bound."""
    old = OldServer()
    async with serving(old.script) as server, opened(server.url, max_message_bytes=60_000_000) as (sse, inbox):
        stream = server.visits[0]
        await stream.event(b'{"jsonrpc":"2.0","id":1,"result":{"text":"%b"}}' % (b"x" * 50_000_000))
        await stream.event(b'{"jsonrpc":"2.0","id":2,"result":{"text":"%b"}}' % (b"x" * 70_000_000))
        await sse.send(request(3))
        await inbox.until(lambda: len(inbox.received) == 2)
    assert len(inbox.received[0][0]) > 50_000_000
    ((number, error),) = inbox.rejected
    assert number == 2
    assert isinstance(error, MessageTooLarge)


async def test_a_relative_endpoint_and_a_moved_stream_are_found() -> None:
    """The endpoint is resolved against the stream's own address, after a redirect too."""
    old = OldServer()
    old.endpoint = "post"

    async def script(visit: Visit) -> None:
        if visit.target.startswith("/mcp"):
            await visit.answer(status="308 Permanent Redirect", kind=None, headers={"Location": "/old/sse"})
        else:
            await old.script(visit)

    async with serving(script) as server, opened(server.url) as (sse, inbox):
        await sse.send(request(1))
        await inbox.until(lambda: len(inbox.received) == 1)
        assert server.of("POST")[0].target == "/old/post"


# What goes wrong while it opens.


async def test_an_endpoint_at_another_origin_gets_nothing() -> None:
    """A server can't send our messages, and credentials, elsewhere."""
    async with serving(Visit.hang) as other:
        old = OldServer()
        old.endpoint = f"{other.origin}/messages"
        error = await refused(old.script)
        assert other.connections == 0
    assert isinstance(error, HandshakeFailed)
    assert other.origin in str(error)


async def test_nobody_there() -> None:
    """Nothing listens."""
    with pytest.raises(CannotConnect, match="Connection refused"):
        async with opened(f"http://127.0.0.1:{free_port()}/sse"):
            pass


@pytest.mark.parametrize(
    ("status", "error"), [("401 Unauthorized", LoginRequired), ("404 Not Found", HttpError), ("500 Oops", HttpError)]
)
async def test_a_status_in_place_of_the_stream_is_told(status: str, error: type[HttpError]) -> None:
    """As the class that belongs to it."""

    async def script(visit: Visit) -> None:
        await visit.answer(b"no", status=status)

    assert type(await refused(script)) is error


async def test_a_page_in_place_of_the_stream_is_told() -> None:
    """With its content type."""

    async def script(visit: Visit) -> None:
        await visit.answer(b"<html>", kind="text/html")

    error = await refused(script)
    assert isinstance(error, HandshakeFailed)
    assert "text/html" in str(error)


@pytest.mark.parametrize("ending", ["silent", "ended", "reset"])
async def test_a_stream_without_an_endpoint_is_given_up(ending: str) -> None:
    """It says nothing, or breaks before it does."""

    async def script(visit: Visit) -> None:
        await visit.stream()
        await visit.chunk(b": hello\n\n")
        if ending == "silent":
            await visit.hang()
        elif ending == "ended":
            await visit.end()
        else:
            visit.reset()

    error = await refused(script, connect_timeout=0.3)
    assert isinstance(error, HandshakeFailed)
    assert "no endpoint" in str(error)


async def test_an_endpoint_longer_than_any_address_is_not_taken() -> None:
    """Eight kibibytes are looked at; with more, the stream has told none."""

    async def script(visit: Visit) -> None:
        await visit.stream()
        await visit.chunk(b"event: endpoint\ndata: /" + b"x" * 8192 + b"\n\n")
        await visit.end()

    error = await refused(script)
    assert isinstance(error, HandshakeFailed)
    assert "no endpoint" in str(error)


# What goes wrong later.


@pytest.mark.parametrize("ending", ["ended", "closed", "reset", "silent"])
async def test_the_end_of_the_stream_is_the_end_of_the_connection(ending: str) -> None:
    """Told once; what is sent afterwards is certainly not sent."""
    old = OldServer()
    silence = 0.3 if ending == "silent" else 60.0
    async with serving(old.script) as server, opened(server.url, sse_read_timeout=silence) as (sse, inbox):
        stream = server.visits[0]
        if ending == "ended":
            await stream.end()
        elif ending == "closed":
            stream.close()
        elif ending == "reset":
            stream.reset()
        assert isinstance(await inbox.loss(), ConnectionLost)
        with pytest.raises(ConnectionLost, match="old: "):
            await sse.send(request())
        assert server.of("POST") == []


@pytest.mark.parametrize("fault", ["refused", "reset", "hang"])
async def test_a_message_that_is_not_accepted_fails_alone(fault: str) -> None:
    """By a status, by a break, or by silence; the stream and other messages go on."""
    old = OldServer()

    async def script(visit: Visit) -> None:
        if visit.verb == "POST" and "id" not in visit.message:
            if fault == "refused":
                await visit.answer(b"no", status="400 Bad Request")
            elif fault == "reset":
                visit.reset()
            else:
                await visit.hang()
        else:
            await old.script(visit)

    errors: dict[str, type[Exception]] = {"refused": HttpError, "reset": OutcomeUnknown, "hang": RequestTimeout}
    async with serving(script) as server, opened(server.url, timeout=0.3) as (sse, inbox):
        with pytest.raises(errors[fault], match="old: "):
            await sse.send(notification())
        await sse.send(request(5))
        assert await inbox.answer(5)


async def test_closing_ends_the_stream_and_refuses_new_messages() -> None:
    """The server sees its end; closing twice is as good as once."""
    old = OldServer()
    async with serving(old.script) as server, opened(server.url) as (sse, inbox):
        await asyncio.gather(sse.aclose(), sse.aclose())
        await server.until(lambda: server.open == 0)
        with pytest.raises(ConnectionClosed):
            await sse.send(request())
        assert inbox.lost == []
    await SseTransport(ServerConfig(url="http://127.0.0.1:1/", transport="sse")).aclose()
