"""Streamable HTTP when all goes well: what is sent, what is taken, sessions, mirrored headers, many calls at once.

Everything runs twice, over our own connections and over aiohttp's, which serve where there is a proxy. Faults:
`test_http_faults.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from dragoman.config.model import ServerConfig
from dragoman.errors import ConnectionClosed, ConnectionLost, MessageTooLarge
from dragoman.transports import pool
from dragoman.transports.http import StreamableHttp
from dragoman.transports.network import Address
from dragoman.transports.proxied import ProxiedPool
from tests.servers.http_faults import Visit, serving
from tests.transports.exchanges import HANDSHAKE, STATELESS, ExchangeInbox, initialize, notification, request
from tests.transports.started import run_on

#: The first loop of uvloop opens a descriptor that stays.
uvloop.new_event_loop().close()


def by_aiohttp(config: ServerConfig, address: Address) -> ProxiedPool:
    """Give a pool of aiohttp's connections, without a proxy."""
    return ProxiedPool(config, address, None)


@pytest.fixture(params=["direct", "aiohttp"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use our own connections, or aiohttp's as where there is a proxy."""
    if request.param == "aiohttp":
        monkeypatch.setattr(pool, "DirectPool", by_aiohttp)
    return request.param


@asynccontextmanager
async def opened(
    url: str, version: str = STATELESS, **settings: Any
) -> AsyncGenerator[tuple[StreamableHttp, ExchangeInbox]]:
    """An open transport and its inbox; ``version`` is negotiated, unless it is empty."""
    transport, inbox = StreamableHttp(ServerConfig(name="far", url=url, **settings)), ExchangeInbox()
    await transport.open(inbox)
    try:
        if version:
            transport.negotiated(version)
        yield transport, inbox
    finally:
        await transport.aclose()


async def echo(visit: Visit) -> None:
    """Answer with JSON; notifications with 202."""
    if visit.verb != "POST":
        await visit.answer(status="405 Method Not Allowed", kind=None)
    elif "id" in visit.message:
        await visit.answer(visit.result(ok=True))
    else:
        await visit.answer(status="202 Accepted", kind=None)


async def session(visit: Visit) -> None:
    """A server of the handshake era that begins a session and offers no stream."""
    if visit.method == "initialize":
        await visit.answer(visit.result(), headers={"Mcp-Session-Id": "s-1"})
    else:
        await echo(visit)


# What is sent.


async def test_a_request_carries_the_headers_of_the_stateless_era(way: str) -> None:
    """Version, method, name and parameters are mirrored, and what the server answers with is accepted."""
    async with serving(echo) as server, opened(server.url) as (http, inbox):
        await http.send(request(7, name="töol", headers={"Mcp-Param-Region": "eu"}))
    (visit,) = server.visits
    assert {name: visit.headers[name] for name in visit.headers if name.startswith("mcp-")} == {
        "mcp-protocol-version": STATELESS,
        "mcp-method": "tools/call",
        "mcp-name": "=?base64?dMO2b2w=?=",
        "mcp-param-region": "eu",
    }
    assert visit.headers["accept"] == "application/json, text/event-stream"
    assert visit.headers["content-type"] == "application/json"
    assert visit.headers["user-agent"].startswith("dragoman/")
    assert visit.headers["host"] == server.origin.removeprefix("http://")
    assert (visit.verb, visit.target, visit.id) == ("POST", "/mcp", 7)
    assert inbox.received == [(visit.result(ok=True), 7)]


async def test_a_probe_shows_the_version_it_proposes(way: str) -> None:
    """Before anything is agreed, a request's own version goes into the header."""
    async with serving(echo) as server, opened(server.url, version="") as (http, _inbox):
        await http.send(request(1, "server/discover", name=None, version=STATELESS))
        await http.send(request(2, "ping", name=None))
    first, second = server.visits
    assert first.headers["mcp-protocol-version"] == STATELESS
    assert first.headers["mcp-method"] == "server/discover"
    assert "mcp-protocol-version" not in second.headers
    assert "mcp-method" not in second.headers


@pytest.mark.parametrize(
    ("version", "shown"), [("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2025-03-26", None)]
)
async def test_the_version_is_shown_where_the_revision_says_so(way: str, version: str, shown: str | None) -> None:
    """The header came with 2025-06-18; the initialize request never has it, nor the mirrored ones."""
    async with serving(session) as server, opened(server.url, version) as (http, _inbox):
        await http.send(initialize())
        await http.send(request())
    first, second, _end = server.visits
    assert "mcp-protocol-version" not in first.headers
    assert second.headers.get("mcp-protocol-version") == shown
    assert "mcp-method" not in second.headers


async def test_query_and_odd_characters_of_the_address_arrive(way: str) -> None:
    """The target is the configured one, made fit for a request line."""
    async with serving(echo) as server, opened(f"{server.origin}//a b/ü?x=1%202&y=ä#part") as (http, _inbox):
        await http.send(request())
    assert server.visits[0].target == "//a%20b/%C3%BC?x=1%202&y=%C3%A4"


async def test_a_user_in_the_address_becomes_a_header(way: str) -> None:
    """Name and password go into Authorization, unless that is configured."""
    async with serving(echo) as server:
        url = server.url.replace("http://", "http://me:p%40ss@")
        async with opened(url) as (http, _inbox):
            await http.send(request())
        async with opened(url, headers={"authorization": "Bearer x"}) as (http, _inbox):
            await http.send(request())
    assert [visit.headers["authorization"] for visit in server.visits] == ["Basic bWU6cEBzcw==", "Bearer x"]


async def test_configured_headers_and_cookies_are_sent(way: str) -> None:
    """On every request, with the transport's own headers untouched."""
    headers = {"X-Key": "k", "accept": "text/plain", "User-Agent": "mine"}
    settings = {"headers": headers, "cookies": {"a": "1"}}
    async with serving(session) as server, opened(server.url, HANDSHAKE, **settings) as (http, _inbox):
        await http.send(initialize())
    assert [visit.verb for visit in server.visits] == ["POST", "DELETE"]
    for visit in server.visits:
        assert visit.headers["x-key"] == "k"
        assert visit.headers["cookie"] == "a=1"
        assert visit.headers["user-agent"] == "mine"
    assert server.visits[0].headers["accept"] == "application/json, text/event-stream"


async def test_a_cookie_that_the_server_sets_comes_back(way: str) -> None:
    """Load balancers find their server by it; one that has run out is dropped."""

    async def sticky(visit: Visit) -> None:
        cookie = "lb=node7; Path=/; HttpOnly" if visit.id == 1 else "lb=x; Path=/; Max-Age=0"
        await visit.answer(visit.result(), headers={"Set-Cookie": cookie})

    async with serving(sticky) as server, opened(server.url) as (http, _inbox):
        for number in (1, 2, 3):
            await http.send(request(number))
    assert [visit.headers.get("cookie") for visit in server.visits] == [None, "lb=node7", None]


async def test_a_large_request_arrives_whole(way: str) -> None:
    """Several megabytes of arguments, which aiohttp warns of when they are given as bytes."""
    params = json.dumps({"name": "echo", "text": "x" * 3_000_000}).encode()
    async with serving(echo) as server, opened(server.url) as (http, inbox):
        await http.send(request(params=params))
    assert server.visits[0].message["params"]["text"] == "x" * 3_000_000
    assert len(inbox.received) == 1


# What is taken.


async def test_all_messages_of_an_event_stream_reach_the_inbox_in_order(way: str) -> None:
    """Notifications, a server's request and the answer, each with the request on whose stream it came."""
    notes = [b'{"jsonrpc":"2.0","method":"notifications/message","params":{"n":%d}}' % n for n in range(3)]

    async def script(visit: Visit) -> None:
        await visit.stream()
        await visit.chunk(b"\xef\xbb\xbf: keep-alive\r\n\r\nid: 1\ndata:\n\nevent: other\ndata: {}\n\n")
        for note in notes:
            await visit.event(note)
        await visit.event(visit.result(ok=1))
        await visit.end()

    async with serving(script) as server, opened(server.url) as (http, inbox):
        await http.send(request(3))
        await http.send(request(4))
        assert server.connections == 1
    assert inbox.received[:4] == [*((note, 3) for note in notes), (server.visits[0].result(ok=1), 3)]
    assert inbox.received[-1] == (server.visits[1].result(ok=1), 4)


@pytest.mark.parametrize(
    "shape",
    [
        b'{"jsonrpc":"2.0","id":%d,"result":{}}',
        b'{"id":"%d","result":{},"jsonrpc":"2.0"}',
        b'{"result":{"id":5},"jsonrpc":"2.0","id":%d}',
        b' { "error" : {"code":1,"message":""} , "id" : %d } ',
        b'{"result":{},"id":%d,"jsonrpc":"2.0"}',
        b'[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":%d,"result":{}}]',
    ],
)
async def test_an_answer_ends_the_call_though_the_stream_stays_open(shape: bytes) -> None:
    """The caller does not wait for a server that forgets to end its stream, whatever the order of the members."""

    async def script(visit: Visit) -> None:
        await visit.stream()
        await visit.event(b'{"jsonrpc":"2.0","method":"notifications/x","params":{"id":%d}}' % visit.id)
        await visit.event(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}' % visit.id)
        await visit.event(b'{"jsonrpc":"2.0","id":999,"result":{}}')
        await visit.event(shape % visit.id)
        await visit.hang()

    async with serving(script) as server, opened(server.url) as (http, inbox):
        async with asyncio.timeout(5):
            await http.send(request(5))
        assert inbox.received[-1] == (shape % 5, 5)
        await server.until(lambda: server.open == 0)


async def test_a_stream_that_ends_late_gives_its_connection_back(way: str) -> None:
    """The end may come after the answer was taken; the next request then finds the connection."""

    async def script(visit: Visit) -> None:
        await visit.stream()
        await visit.event(visit.result())
        await asyncio.sleep(0.02)
        await visit.end()

    async with serving(script) as server, opened(server.url) as (http, _inbox):
        async with asyncio.timeout(5):
            known = -1
            while known != server.connections:
                known = server.connections
                await http.send(request())
                await asyncio.sleep(0.02)


async def test_packed_and_chunked_bodies_are_read(way: str) -> None:
    """A gzip body, one in chunks, one that ends with the connection."""

    async def script(visit: Visit) -> None:
        body = visit.result()
        match visit.id:
            case 1:
                await visit.answer(gzip.compress(body), headers={"Content-Encoding": "gzip"})
            case 2:
                await visit.head(kind="application/json; charset=utf-8", headers={"Transfer-Encoding": "chunked"})
                for part in (body[:9], body[9:], b""):
                    await visit.chunk(part)
            case _:
                await visit.head(headers={"Connection": "close"})
                await visit.write(body)
                visit.close()

    async with serving(script) as server, opened(server.url) as (http, inbox):
        for number in (1, 2, 3):
            await http.send(request(number))
    assert inbox.received == [(visit.result(), visit.id) for visit in server.visits]


@pytest.mark.parametrize("kind", ["event", "json", "packed"])
async def test_50_mb_come_through(way: str, kind: str) -> None:
    """As one event, as one JSON body, packed into a few kilobytes."""
    text = "x" * 50_000_000

    async def script(visit: Visit) -> None:
        body = visit.result(text=text)
        if kind == "event":
            await visit.stream()
            await visit.event(body)
            await visit.end()
        elif kind == "json":
            await visit.answer(body)
        else:
            await visit.answer(gzip.compress(body, 1), headers={"Content-Encoding": "gzip"})

    async with serving(script) as server, opened(server.url) as (http, inbox):
        await http.send(request())
    assert len(inbox.received[0][0]) > len(text)
    assert json.loads(inbox.received[0][0])["result"] == {"text": text}


@pytest.mark.parametrize("kind", ["event", "json", "packed", "refusal"])
async def test_a_message_over_the_bound_fails_its_request_only(way: str, kind: str) -> None:
    """It is dropped, told of, and the next request goes through."""

    async def script(visit: Visit) -> None:
        body = visit.result(text="x" * (5_000_000 if visit.id == 1 else 10))
        if kind == "event":
            await visit.stream()
            await visit.event(body)
            await visit.end()
        elif kind == "packed":
            await visit.answer(gzip.compress(body), headers={"Content-Encoding": "gzip"})
        else:
            await visit.answer(body)

    async with serving(script) as server, opened(server.url, max_message_bytes=1_000_000) as (http, inbox):
        if kind == "event":
            await http.send(request(1))
            ((number, error),) = inbox.rejected
            assert number == 1
        else:
            with pytest.raises(MessageTooLarge) as caught:
                await http.send(request(1))
            error = caught.value
        assert isinstance(error, MessageTooLarge)
        assert (error.limit, error.server) == (1_000_000, "far")
        await http.send(request(2))
        assert [number for _data, number in inbox.received] == [2]


@pytest.mark.parametrize("status", ["200 OK", "202 Accepted", "204 No Content"])
@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_a_notification_needs_no_answer(way: str, status: str, body: bytes) -> None:
    """Whatever success is shown, with or without a body; the inbox hears nothing."""
    body = b"" if status.startswith("204") else body

    async def script(visit: Visit) -> None:
        headers = {} if status.startswith("204") else {"Content-Length": str(len(body))}
        await visit.head(status=status, kind=None, headers=headers)
        await visit.write(body)

    async with serving(script) as server, opened(server.url) as (http, inbox):
        await http.send(notification("notifications/cancelled"))
        await http.send(notification("notifications/cancelled"))
        assert server.connections == 1
    assert inbox.received == []


# Sessions.


async def test_a_session_is_kept_and_given_back(way: str) -> None:
    """Its id goes with all that follows, and DELETE ends it; a new handshake begins without it."""
    async with serving(session) as server, opened(server.url, HANDSHAKE) as (http, _inbox):
        await http.send(initialize())
        await http.send(request())
        await http.send(initialize())
    assert [(visit.verb, visit.headers.get("mcp-session-id")) for visit in server.visits] == [
        ("POST", None),
        ("POST", "s-1"),
        ("POST", None),
        ("DELETE", "s-1"),
    ]


async def test_a_session_id_that_is_no_header_value_is_not_used() -> None:
    """A server can't smuggle anything into our requests."""

    async def script(visit: Visit) -> None:
        await visit.answer(visit.result(), headers={"Mcp-Session-Id": "a b"})

    async with serving(script) as server, opened(server.url, HANDSHAKE) as (http, _inbox):
        await http.send(initialize())
        await http.send(request())
    assert all("mcp-session-id" not in visit.headers for visit in server.visits)
    assert len(server.visits) == 2


async def test_closing_does_not_wait_for_a_server_that_keeps_the_session() -> None:
    """A DELETE that hangs is given up after ``shutdown_timeout``."""

    async def script(visit: Visit) -> None:
        if visit.verb == "DELETE":
            await visit.hang()
        await session(visit)

    async with serving(script) as server:
        async with opened(server.url, HANDSHAKE, shutdown_timeout=0.2) as (http, _inbox):
            await http.send(initialize())
            started = time.monotonic()
        assert time.monotonic() - started < 2
        assert len(server.of("DELETE")) == 1


# Connections.


async def test_many_calls_at_once_each_get_their_answer(way: str) -> None:
    """Two hundred callers, one transport; connections are used again by the next two hundred."""
    async with serving(echo) as server, opened(server.url) as (http, inbox):
        for _ in range(2):
            await asyncio.gather(*(http.send(request(number)) for number in range(200)))
        assert server.connections <= 200
    answered = [json.loads(data)["id"] for data, _number in inbox.received]
    assert sorted(answered) == sorted([*range(200), *range(200)])
    assert all(json.loads(data)["id"] == number for data, number in inbox.received)


@pytest.mark.may_block
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_connection_that_the_server_closed_meanwhile_is_not_used(new_loop: Any) -> None:
    """Even when the loop was too busy to see it: no request is lost to a connection that is dead already."""
    run_on(new_loop(), meet_closed_connections())


async def meet_closed_connections() -> None:
    """Ask a server that closes after each answer, with a loop that is busy meanwhile."""
    body = b'{"jsonrpc":"2.0","id":1,"result":{}}'

    def serve(listening: socket.socket) -> None:
        for _ in range(3):
            peer, _address = listening.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                peer.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        async with opened(f"http://127.0.0.1:{listening.getsockname()[1]}/") as (http, inbox):
            for _ in range(3):
                await http.send(request())
                time.sleep(0.1)
        server.join()
    assert inbox.received == [(body, 1)] * 3


async def test_closing_ends_calls_under_way_and_refuses_new_ones(way: str) -> None:
    """Their callers hear that the answer is lost; nobody is left waiting."""

    async def script(visit: Visit) -> None:
        if visit.id % 2:
            await visit.stream()
        await visit.hang()

    async with serving(script) as server, opened(server.url) as (http, _inbox):
        calls = [asyncio.ensure_future(http.send(request(number))) for number in range(20)]
        await server.until(lambda: len(server.visits) == 20)
        await asyncio.gather(http.aclose(), http.aclose())
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(type(outcome).__name__ == "OutcomeUnknown" for outcome in outcomes), outcomes
        assert all("closed on this side" in str(outcome) for outcome in outcomes)
        with pytest.raises(ConnectionClosed):
            await http.send(request())
        assert isinstance(ConnectionClosed("x"), ConnectionLost)


async def test_an_unopened_transport_closes() -> None:
    """A connection that never came to open it closes it all the same."""
    await StreamableHttp(ServerConfig(url="http://127.0.0.1:1/mcp")).aclose()
