"""Streamable HTTP when things go wrong: each fault on a real socket, and the error that tells what to do.

After each test nothing may be left: no task, no descriptor (`tests/conftest.py` sees to it).
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    AccessDenied,
    CannotConnect,
    ConnectionLost,
    HttpError,
    LoginRequired,
    MalformedMessage,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    SessionExpired,
    Unavailable,
)
from dragoman.transports import pool
from dragoman.transports.http import StreamableHttp
from dragoman.transports.network import Address
from dragoman.transports.proxied import ProxiedPool
from tests.servers.http_faults import JSON, Visit, free_port, serving
from tests.transports.exchanges import HANDSHAKE, STATELESS, ExchangeInbox, initialize, notification, request

SECRET = "s3cr3t"


def by_aiohttp(config: ServerConfig, address: Address) -> ProxiedPool:
    """Give a pool of aiohttp's connections, without a proxy."""
    return ProxiedPool(config, address, None)


@pytest.fixture(params=["direct", "aiohttp"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use our own connections, or aiohttp's as where there is a proxy."""
    if request.param == "aiohttp":
        monkeypatch.setattr(pool, "DirectPool", by_aiohttp)
    return request.param


@asynccontextmanager
async def opened(
    url: str, version: str = STATELESS, **settings: Any
) -> AsyncGenerator[tuple[StreamableHttp, ExchangeInbox]]:
    """An open transport, with secrets wherever one can be, and its inbox."""
    settings = {"headers": {"Authorization": f"Bearer {SECRET}"}, "cookies": {"c": SECRET}, **settings}
    config = ServerConfig(name="far", url=f"{url}?key={SECRET}", **settings)
    transport, inbox = StreamableHttp(config), ExchangeInbox()
    await transport.open(inbox)
    try:
        if version:
            transport.negotiated(version)
        yield transport, inbox
    finally:
        await transport.aclose()


async def failing(error: type[Exception], sending: Awaitable[None]) -> Any:
    """The error that sending raises; it names the server and shows no secret."""
    with pytest.raises(error) as caught:
        await asyncio.wait_for(sending, 10)
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert SECRET not in shown
    assert str(caught.value).startswith("far: ")
    return caught.value


async def answer(visit: Visit) -> None:
    """Answer as it should be."""
    await visit.answer(visit.result(ok=True))


def first(fault: Callable[[Visit], Awaitable[None]]) -> Callable[[Visit], Awaitable[None]]:
    """A script that has the fault for request 1 only."""

    async def script(visit: Visit) -> None:
        await (fault(visit) if visit.id == 1 else answer(visit))

    return script


# Nobody answers.


async def test_refused_while_opening_says_that_no_connection_came_about() -> None:
    """Nothing listens there."""
    async with opened(f"http://127.0.0.1:{free_port()}/mcp", version="") as (http, _inbox):
        error = await failing(CannotConnect, http.send(request()))
    assert "Connection refused" in str(error)


async def test_refused_later_says_that_nothing_was_sent() -> None:
    """The server is gone between two calls: to try again is safe."""
    async with serving(answer) as server, opened(server.url) as (http, _inbox):
        await http.send(request(1))
        await server.close()
        error = await failing(ConnectionLost, http.send(request(2)))
    assert "can't be reached" in str(error)


async def test_an_unknown_host_is_told() -> None:
    """A name that resolves to nothing."""
    async with opened("http://nobody.invalid/mcp", version="") as (http, _inbox):
        error = await failing(CannotConnect, http.send(request()))
    assert "nobody.invalid" in str(error)


async def test_a_host_that_takes_no_connections_is_given_up_in_time() -> None:
    """A full backlog: the connection neither comes about nor is refused."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        fillers: list[socket.socket] = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
            fillers.append(filler)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        async with opened(url, version="", connect_timeout=0.2) as (http, _inbox):
            error = await failing(CannotConnect, http.send(request()))
        for filler in fillers:
            filler.close()
    assert "within 0.2 s" in str(error)


# The answer breaks off.


async def _reset_at_once(visit: Visit) -> None:
    visit.reset()


async def _close_at_once(visit: Visit) -> None:
    visit.close()


async def _reset_in_the_head(visit: Visit) -> None:
    await visit.write(b"HTTP/1.1 200 OK\r\nContent-")
    visit.reset()


async def _reset_in_the_body(visit: Visit) -> None:
    await visit.head(headers={"Content-Length": "1000"})
    await visit.write(b'{"jsonrpc"')
    visit.reset()


async def _truncated(visit: Visit) -> None:
    await visit.head(headers={"Content-Length": "1000"})
    await visit.write(visit.result())
    visit.close()


async def _truncated_chunks(visit: Visit) -> None:
    await visit.head(headers={"Transfer-Encoding": "chunked"})
    await visit.write(b"ff\r\n{")
    visit.close()


async def _reset_in_the_stream(visit: Visit) -> None:
    await visit.stream()
    await visit.event(b'{"jsonrpc":"2.0","method":"notifications/x"}')
    await visit.write(b"ff\r\ndata: {")
    visit.reset()


async def _stream_closed(visit: Visit) -> None:
    await visit.stream()
    visit.close()


async def _stream_ended(visit: Visit) -> None:
    await visit.stream()
    await visit.event(b'{"jsonrpc":"2.0","method":"notifications/x"}')
    await visit.chunk(b'data: {"jsonrpc":"2.0","id":1,"result":{}}\n')  # no blank line, no event
    await visit.end()


BREAKS = [
    _reset_at_once,
    _close_at_once,
    _reset_in_the_head,
    _reset_in_the_body,
    _truncated,
    _truncated_chunks,
    _reset_in_the_stream,
    _stream_closed,
    _stream_ended,
]


@pytest.mark.parametrize("fault", BREAKS)
async def test_an_answer_that_breaks_off_leaves_the_outcome_unknown(fault: Callable[[Visit], Awaitable[None]]) -> None:
    """The request was sent once, is not sent again by itself, and the next one goes through."""
    async with serving(first(fault)) as server, opened(server.url) as (http, inbox):
        error = await failing(OutcomeUnknown, http.send(request(1)))
        assert error.method == "tools/call"
        await http.send(request(2))
    assert [visit.id for visit in server.visits] == [1, 2]
    assert inbox.answers().keys() == {2}


@pytest.mark.parametrize("fault", [_reset_at_once, _reset_in_the_stream, _stream_closed, _stream_ended])
async def test_a_lasting_stream_that_breaks_is_lost_and_safe_to_repeat(
    fault: Callable[[Visit], Awaitable[None]],
) -> None:
    """To listen changes nothing at the server."""
    async with serving(fault) as server, opened(server.url) as (http, _inbox):
        await failing(ConnectionLost, http.send(request(1, "subscriptions/listen", lasting=True)))
        assert len(server.visits) == 1


async def test_a_lasting_stream_that_falls_silent_is_lost() -> None:
    """Comments count as life; ``sse_read_timeout`` without a byte does not."""

    async def script(visit: Visit) -> None:
        await visit.stream()
        for _ in range(6):
            await visit.chunk(b": alive\n\n")
            await asyncio.sleep(0.1)
        await visit.hang()

    async with serving(script) as server, opened(server.url, sse_read_timeout=0.3) as (http, _inbox):
        started = time.monotonic()
        error = await failing(ConnectionLost, http.send(request(1, "subscriptions/listen", lasting=True)))
        assert time.monotonic() - started > 0.6
        assert "silent" in str(error)
        await server.until(lambda: server.open == 0)


async def test_what_is_no_http_is_told() -> None:
    """Another protocol answers."""

    async def script(visit: Visit) -> None:
        await visit.write(b"220 mail.example ESMTP ready\r\n\r\n")
        visit.close()

    async with serving(script) as server, opened(server.url) as (http, _inbox):
        error = await failing(MalformedMessage, http.send(request()))
    assert "no HTTP" in str(error)


@pytest.mark.parametrize("fault", ["gzip", "chunks", "length"])
async def test_a_body_that_breaks_http_is_told(fault: str) -> None:
    """Packed or cut in a way that nobody can undo."""

    async def script(visit: Visit) -> None:
        body = visit.result()
        if fault == "gzip":
            await visit.answer(body, headers={"Content-Encoding": "gzip"})
        elif fault == "chunks":
            await visit.head(headers={"Transfer-Encoding": "chunked"})
            await visit.write(b"nonsense\r\n" + body)
        else:
            await visit.head(headers={"Content-Length": "many"})
            await visit.write(body)
        await visit.hang()

    async with serving(first(script)) as server, opened(server.url) as (http, inbox):
        with pytest.raises((OutcomeUnknown, MalformedMessage), match="far: "):
            await asyncio.wait_for(http.send(request(1)), 5)
        await http.send(request(2))
    assert inbox.answers().keys() == {2}


# Time and cancellation.


@pytest.mark.parametrize("kind", ["silence", "json", "event", "head"])
async def test_a_caller_who_gives_up_on_a_trickle_closes_the_stream(kind: str) -> None:
    """A byte now and then keeps nobody waiting longer than he wants; the server sees the end, and others go on."""

    async def fault(visit: Visit) -> None:
        if kind == "json":
            await visit.head(headers={"Content-Length": "100000"})
        elif kind == "event":
            await visit.stream()
        elif kind == "head":
            await visit.write(b"HTTP/1.1 200 OK\r\n")
        else:
            await visit.hang()
        for _ in range(1000):
            await visit.write({"head": b"X: y\r\n", "json": b" ", "event": b"1\r\n:\r\n"}[kind])
            await asyncio.sleep(0.01)

    async with serving(first(fault)) as server, opened(server.url) as (http, inbox):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await http.send(request(1))
        await server.until(lambda: server.open == 0)
        await http.send(request(2))
    assert inbox.answers().keys() == {2}


async def test_a_notification_that_is_not_accepted_in_time_is_given_up() -> None:
    """It has no deadline of its own, so the configuration's ``timeout`` holds."""
    async with serving(Visit.hang) as server, opened(server.url, timeout=0.2) as (http, _inbox):
        error = await failing(RequestTimeout, http.send(notification("notifications/cancelled")))
        assert error.timeout == 0.2
        await server.until(lambda: server.open == 0)


# Statuses.


def status(line: str, body: bytes = b"", kind: str | None = "text/plain", **headers: str) -> Any:
    """A script that answers with that status."""

    async def script(visit: Visit) -> None:
        await visit.answer(body, status=line, kind=kind, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return script


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("400 Bad Request", HttpError),
        ("401 Unauthorized", LoginRequired),
        ("403 Forbidden", AccessDenied),
        ("404 Not Found", HttpError),
        ("405 Method Not Allowed", HttpError),
        ("418 I'm a teapot", HttpError),
        ("429 Too Many Requests", RateLimited),
        ("500 Internal Server Error", HttpError),
        ("502 Bad Gateway", Unavailable),
        ("503 Service Unavailable", Unavailable),
        ("504 Gateway Timeout", Unavailable),
        ("304 Not Modified", HttpError),
    ],
)
async def test_each_status_has_its_error(line: str, error: type[HttpError]) -> None:
    """With the status, and the begin of the body where one came."""
    body = b"" if line.startswith("304") else b"please call 555"
    script = status(line, body, Retry_After="7", WWW_Authenticate='Bearer realm="x"')
    async with serving(script) as server, opened(server.url) as (http, inbox):
        for sent in (request(), notification("notifications/cancelled")):
            caught = await failing(HttpError, http.send(sent))
            assert type(caught) is error
            assert (caught.status, caught.body, caught.retry_after) == (int(line[:3]), body.decode(), 7.0)
            assert caught.challenges == ('Bearer realm="x"',)
            assert line in str(caught)
        assert body.decode() in str(caught)
    assert inbox.received == []


async def test_a_date_to_come_back_at_becomes_seconds() -> None:
    """Retry-After may be a date; one long gone means now."""
    script = status("503 Service Unavailable", Retry_After="Sun, 06 Nov 1994 08:49:37 GMT")
    async with serving(script) as server, opened(server.url) as (http, _inbox):
        assert (await failing(Unavailable, http.send(request()))).retry_after == 0.0


async def test_a_huge_or_endless_error_page_is_cut() -> None:
    """Some of it is kept, the rest is not even read."""

    async def script(visit: Visit) -> None:
        await visit.head(status="500 Oops", kind="text/html", headers={"Transfer-Encoding": "chunked"})
        while True:
            await visit.chunk(b"<p>oops</p>" * 1000)

    async with serving(script) as server, opened(server.url) as (http, _inbox):
        error = await failing(HttpError, http.send(request()))
        await server.until(lambda: server.open == 0)
    assert len(error.body) == 2000
    assert "<p>" not in str(error)


@pytest.mark.parametrize("line", ["400 Bad Request", "404 Not Found", "405 Method Not Allowed", "500 Oops"])
@pytest.mark.parametrize("members", [{}, {"id": None}, {"id": "1"}])
async def test_a_json_rpc_error_in_a_refusal_is_the_answer(line: str, members: dict[str, object]) -> None:
    """The protocol's own error tells more than the status; one without an id belongs to this request."""

    async def script(visit: Visit) -> None:
        await visit.answer(visit.error(-32022, **members), status=line)

    async with serving(script) as server, opened(server.url) as (http, inbox):
        await http.send(request(1))
    assert inbox.received == [(server.visits[0].error(-32022, **members), 1)]


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("401 Unauthorized", b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"log in"}}'),
        ("403 Forbidden", b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}'),
        ("429 Too Many Requests", b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"later"}}'),
        ("503 Service Unavailable", b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"later"}}'),
        ("400 Bad Request", b'{"jsonrpc":"2.0","id":99,"error":{"code":1,"message":"not yours"}}'),
        ("400 Bad Request", b'{"jsonrpc":"2.0","id":1,"result":{}}'),
        ("400 Bad Request", b'{"error":"invalid_request"}'),
        ("400 Bad Request", b"{"),
        ("400 Bad Request", b""),
    ],
)
async def test_a_refusal_that_tells_more_than_its_body_is_an_http_error(line: str, body: bytes) -> None:
    """Who asks and when to ask again are matters of HTTP; and a body must be an error of this very request."""
    async with serving(status(line, body, JSON)) as server, opened(server.url) as (http, inbox):
        error = await failing(HttpError, http.send(request(1)))
    assert error.body == body.decode()
    assert inbox.received == []


async def test_a_refused_notification_is_an_http_error_whatever_its_body() -> None:
    """There is no request that an error could answer."""
    body = b'{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}'
    async with serving(status("400 Bad Request", body, JSON)) as server, opened(server.url) as (http, inbox):
        await failing(HttpError, http.send(notification("notifications/cancelled")))
    assert inbox.received == []


async def test_a_dropped_session_says_that_nothing_was_done() -> None:
    """404 within a session, whatever the body; without a session it is a plain status."""

    async def script(visit: Visit) -> None:
        if visit.verb == "POST" and visit.method == "initialize":
            await visit.answer(visit.result(), headers={"mcp-session-id": "s"})
        else:
            body = visit.error(-32001) if "mcp-session-id" in visit.headers and visit.body else b"nothing here"
            await visit.answer(body, status="404 Not Found")

    async with serving(script) as server, opened(server.url, HANDSHAKE) as (http, inbox):
        assert (await failing(HttpError, http.send(request()))).status == 404
        await http.send(initialize())
        await failing(SessionExpired, http.send(request()))
        await failing(SessionExpired, http.send(notification("notifications/cancelled")))
        await http.send(initialize())
    assert len(inbox.received) == 2


# Successes that are none.


@pytest.mark.parametrize(
    ("line", "kind", "body", "told"),
    [
        ("200 OK", "text/html; charset=utf-8", b"<html>Sign in</html>", "text/html"),
        ("200 OK", "text/plain", b"pong", "pong"),
        ("200 OK", None, b"{}", "no told type"),
        ("200 OK", None, b"", "nothing"),
        ("202 Accepted", None, b"", "HTTP 202"),
        ("204 No Content", None, b"", "HTTP 204"),
    ],
)
async def test_something_else_than_an_answer_is_named(line: str, kind: str | None, body: bytes, told: str) -> None:
    """The content type, its begin, and the advice to check the address."""

    async def script(visit: Visit) -> None:
        if line.startswith("204"):
            await visit.head(status=line, kind=kind)
        else:
            await visit.answer(body, status=line, kind=kind)

    async with serving(script) as server, opened(server.url) as (http, inbox):
        error = await failing(MalformedMessage, http.send(request()))
    assert told in str(error)
    assert "endpoint" in str(error)
    assert error.excerpt == body.decode()
    assert inbox.received == []


async def test_rubbish_that_claims_to_be_json_fails_its_request() -> None:
    """The inbox sees it as it is; nothing else can come on that answer, so the request fails at once."""
    async with serving(status("200 OK", b"{nonsense", JSON)) as server, opened(server.url) as (http, inbox):
        error = await failing(MalformedMessage, http.send(request(5)))
    assert "not a JSON-RPC message" in error.what
    assert inbox.received == [(b"{nonsense", 5)]


@pytest.mark.parametrize("body", [b'{"jsonrpc":"2.0","id":6,"result":{}}', b"[]"])
async def test_a_message_that_settles_nothing_is_left_to_the_inbox(body: bytes) -> None:
    """An answer to another request, and an empty batch: the transport returns, and the connection draws conclusions."""
    async with serving(status("200 OK", body, JSON)) as server, opened(server.url) as (http, inbox):
        await http.send(request(5))
    assert inbox.received == [(body, 5)]


# Redirects.


def moved(line: str, location: str | None) -> Callable[[Visit], Awaitable[None]]:
    """A script that points elsewhere, and answers there."""

    async def script(visit: Visit) -> None:
        if visit.target.startswith("/mcp"):
            headers = {} if location is None else {"Location": location}
            await visit.answer(b"moved", status=line, kind="text/plain", headers=headers)
        else:
            await answer(visit)

    return script


@pytest.mark.parametrize(
    ("line", "visits"),
    [("301 Moved", 3), ("308 Permanent Redirect", 3), ("302 Found", 4), ("307 Temporary Redirect", 4)],
)
async def test_a_redirect_within_the_origin_is_followed(line: str, visits: int) -> None:
    """The same POST at the other path; a permanent one is remembered."""
    async with serving(moved(line, "/there?x=1")) as server, opened(server.url) as (http, inbox):
        await http.send(request(1))
        await http.send(request(2))
        assert server.connections == 1
    assert len(server.visits) == visits
    assert (server.visits[1].verb, server.visits[1].target) == ("POST", "/there?x=1")
    assert server.visits[1].body == server.visits[0].body
    assert server.visits[1].headers == server.visits[0].headers
    assert inbox.answers().keys() == {1, 2}


async def test_a_redirect_to_another_origin_is_not_followed() -> None:
    """Nothing is sent there, least of all credentials; the error names the origin and nothing else of it."""
    async with serving(answer) as other:
        location = f"{other.origin}/mcp?token={SECRET}"
        async with serving(moved("307 Temporary Redirect", location)) as server, opened(server.url) as (http, _inbox):
            error = await failing(HttpError, http.send(request()))
        assert other.connections == 0
    assert error.status == 307
    assert other.origin in str(error)


@pytest.mark.parametrize(
    ("line", "location"),
    [
        ("303 See Other", "/there"),
        ("307 Temporary Redirect", "/mcp/again"),
        ("307 Temporary Redirect", None),
        ("307 Temporary Redirect", "ftp://127.0.0.1/"),
        ("307 Temporary Redirect", "http://[bad"),
        ("300 Multiple Choices", "/there"),
    ],
)
async def test_a_redirect_that_leads_nowhere_is_an_error(line: str, location: str | None) -> None:
    """In a circle, without or with a wrong address, or to a page that only tells of the result."""
    async with serving(moved(line, location)) as server, opened(server.url) as (http, _inbox):
        error = await failing(HttpError, http.send(request()))
        assert len(server.visits) <= 6
    assert error.status == int(line[:3])
