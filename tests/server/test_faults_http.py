"""Everything that an HTTP server, or what stands before it, can do wrong to a call, and what the caller gets.

Each fault is a row of `FAULTS`; one test takes them all through the same steps, over real sockets. What is left behind
(descriptors, tasks) is looked for after every test by ``tests/conftest.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from dragoman import DragomanError, Server, ServerConfig, connect
from dragoman.errors import (
    AccessDenied,
    ConnectionLost,
    HttpError,
    LoginRequired,
    MalformedMessage,
    MessageTooLarge,
    MethodNotFound,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    SessionExpired,
    Unavailable,
)
from tests.server.http_peer import honest, said
from tests.server.reference import documented
from tests.servers.http_faults import EVENTS, FaultyServer, Script, Visit, serving

HTML = b"<!doctype html><html><body>Welcome to our new portal</body></html>"


def status(line: str, body: bytes = b"", *, kind: str | None = None, **headers: str) -> Script:
    """Answer with a status."""

    async def script(visit: Visit) -> None:
        await visit.answer(body, status=line, kind=kind, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return script


def body(data: bytes, kind: str | None) -> Script:
    """Answer with some content."""

    async def script(visit: Visit) -> None:
        await visit.answer(data, kind=kind)

    return script


async def reset_at_once(visit: Visit) -> None:
    """Read the request, then break the connection."""
    visit.reset()


async def reset_mid_answer(visit: Visit) -> None:
    """Break the connection within the body."""
    await visit.head(headers={"Content-Length": "1000"})
    await visit.write(b'{"jsonrpc":"2.0",')
    visit.reset()


async def truncated(visit: Visit) -> None:
    """Close the connection within the body, in good order."""
    await visit.head(headers={"Content-Length": "1000"})
    await visit.write(b'{"jsonrpc":"2.0",')
    visit.close()


async def truncated_chunks(visit: Visit) -> None:
    """Close the connection within a chunk."""
    await visit.head(headers={"Transfer-Encoding": "chunked"})
    await visit.write(b"3e8\r\n{")
    visit.close()


async def reset_mid_stream(visit: Visit) -> None:
    """Break the connection within an event stream, after an event of another kind."""
    await visit.stream()
    await visit.event(b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}')
    visit.reset()


async def half_an_event(visit: Visit) -> None:
    """End an event stream within an event."""
    await visit.stream()
    await visit.chunk(b'data: {"jsonrpc":"2.0",')
    await visit.end()


async def no_answer_on_the_stream(visit: Visit) -> None:
    """End an event stream in good order, without the answer."""
    await visit.stream()
    await visit.event(b'{"jsonrpc":"2.0","method":"notifications/odd"}')
    await visit.end()


async def trickle(visit: Visit) -> None:
    """Send a long answer byte by byte."""
    await visit.head(headers={"Content-Length": "1000000"})
    while True:
        await visit.write(b" ")
        await asyncio.sleep(0.01)


async def hang(visit: Visit) -> None:
    """Never answer."""
    await visit.hang()


async def large_event(visit: Visit) -> None:
    """Answer with one event of 50 MB, in pieces."""
    await visit.stream()
    whole = b"data: " + said(visit, "x" * 50_000_000) + b"\n\n"
    for start in range(0, len(whole), 1 << 20):
        await visit.chunk(whole[start : start + (1 << 20)])
        await asyncio.sleep(0)
    await visit.end()


async def broken_then_resumed(visit: Visit) -> None:
    """Break a stream of the handshake era after an event, whose id says what the rest is; give it where it is asked."""
    mark = visit.headers.get("last-event-id")
    if visit.verb == "POST":
        await visit.stream()
        await visit.event(b"", id=said(visit, "the rest").decode(), retry=10)
        visit.reset()
    elif mark is not None:
        await visit.stream()
        await visit.event(mark.encode())
        await visit.end()
    else:
        await visit.answer(status="405 Method Not Allowed", kind=None)


async def strange_ids(visit: Visit) -> None:
    """Send answers to nobody on the request's own stream, then its own."""
    await visit.stream()
    for number in (b'"%b"' % (b"1" * 5000), b'"nobody"', b"-1", b"987654321"):
        await visit.event(b'{"jsonrpc":"2.0","id":%b,"result":{}}' % number)
    await visit.event(said(visit, "mine"))
    await visit.end()


async def rubbish_within(visit: Visit) -> None:
    """Send what is no message on the request's own stream, then its answer."""
    await visit.stream()
    for rubbish in (b"ping", b"{", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","id":[1],"result":{}}'):
        await visit.event(rubbish)
    await visit.event(said(visit, "after all"))
    await visit.end()


async def rubbish_alone(visit: Visit) -> None:
    """Send what is no message on the request's own stream, and nothing more."""
    await visit.stream()
    await visit.event(b"ping")
    await visit.hang()


def elsewhere() -> Script:
    """Answer on the server's own stream, and leave the request's own open."""
    streams: asyncio.Queue[Visit] = asyncio.Queue()

    async def script(visit: Visit) -> None:
        await visit.stream()
        if visit.verb == "GET":
            streams.put_nowait(visit)
        else:
            await (await streams.get()).event(said(visit, "over there"))
        await visit.hang()

    return script


async def endless_refusal(visit: Visit) -> None:
    """Refuse with a status, and never end the body."""
    await visit.head(status="500 Oh No", kind="text/plain", headers={"Content-Length": "1000"})
    await visit.write(b"out of ink")
    await visit.hang()


async def truncated_packing(visit: Visit) -> None:
    """Give all the bytes that were promised, of a packed body whose own end is missing."""
    await visit.answer(gzip.compress(said(visit, "half"))[:-6], headers={"Content-Encoding": "gzip"})


async def surplus(visit: Visit) -> None:
    """Send an answer and the begin of another with it, whose rest comes with the next request."""
    whole = said(visit, "mine")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    await visit.write(head % len(whole) + whole + head % 1000 + b'{"jsonrpc":"2.0",')


def forgetful(*, sessions: int) -> Script:
    """Know no session until so many were given out."""

    async def script(visit: Visit) -> None:
        if int(visit.headers["mcp-session-id"].rpartition("-")[2]) <= sessions:
            await visit.answer(status="404 Not Found", kind=None)
        else:
            await visit.answer(said(visit, "welcome back"))

    return script


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done to the call of one tool, and the error that the caller gets, or the answer in spite of it.

    ``lives``: the server answers other calls. ``stopped``: nobody listens any more when the call is made.
    """

    name: str
    script: Script
    error: type[DragomanError] | None = None
    answer: str = ""
    tells: tuple[str, ...] = ()
    has: Mapping[str, Any] = field(default_factory=dict[str, Any])
    era: str = "stateless"
    stopped: bool = False
    lives: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


FAULTS = [
    Fault(
        name="refused",
        script=hang,
        stopped=True,
        lives=False,
        error=ConnectionLost,
        tells=("can't be reached", "refused", "not sent"),
    ),
    Fault(name="reset before the answer", script=reset_at_once, error=OutcomeUnknown, tells=("tools/call",)),
    Fault(name="reset mid-answer", script=reset_mid_answer, error=OutcomeUnknown, tells=("tools/call",)),
    Fault(name="truncated body", script=truncated, error=OutcomeUnknown, tells=("tools/call",)),
    Fault(name="truncated chunk", script=truncated_chunks, error=OutcomeUnknown, tells=("tools/call",)),
    Fault(name="truncated packing", script=truncated_packing, error=OutcomeUnknown, tells=("tools/call",)),
    Fault(name="reset mid-SSE", script=reset_mid_stream, error=OutcomeUnknown, tells=("tools/call",)),
    Fault(name="half an event", script=half_an_event, error=OutcomeUnknown, tells=("ended without an answer",)),
    Fault(
        name="stream without the answer",
        script=no_answer_on_the_stream,
        error=OutcomeUnknown,
        tells=("ended without an answer",),
    ),
    Fault(
        name="reset mid-SSE with an event id",
        script=broken_then_resumed,
        era="handshake",
        answer="the rest",
    ),
    Fault(
        name="slow trickle",
        script=trickle,
        settings={"timeout": 0.3},
        error=RequestTimeout,
        tells=("tools/call", "0.3 s"),
    ),
    Fault(name="no answer", script=hang, settings={"timeout": 0.2}, error=RequestTimeout, tells=("0.2 s", "timeout=")),
    Fault(
        name="401",
        script=status("401 Unauthorized", WWW_Authenticate='Bearer realm="x"'),
        error=LoginRequired,
        tells=("401", "Log in"),
        has={"status": 401, "challenges": ('Bearer realm="x"',)},
    ),
    Fault(
        name="403",
        script=status("403 Forbidden", b"not for you", kind="text/plain"),
        error=AccessDenied,
        tells=("403", "not for you"),
        has={"status": 403, "body": "not for you"},
    ),
    Fault(name="404", script=status("404 Not Found"), error=HttpError, tells=("404",), has={"status": 404}),
    Fault(
        name="404 with a session",
        script=forgetful(sessions=1),
        era="handshake",
        answer="welcome back",
    ),
    Fault(
        name="404 with every session",
        script=forgetful(sessions=99),
        era="handshake",
        error=SessionExpired,
        tells=("dropped the session",),
    ),
    Fault(name="405", script=status("405 Method Not Allowed"), error=HttpError, tells=("405",), has={"status": 405}),
    Fault(
        name="429",
        script=status("429 Too Many Requests", Retry_After="7"),
        error=RateLimited,
        tells=("429", "Wait"),
        has={"status": 429, "retry_after": 7.0},
    ),
    Fault(name="500", script=status("500 Oh No"), error=HttpError, tells=("500", "Oh No"), has={"status": 500}),
    Fault(
        name="500 without an end",
        script=endless_refusal,
        settings={"timeout": 5},
        error=HttpError,
        tells=("500", "Oh No", "out of ink"),
        has={"status": 500},
    ),
    Fault(
        name="503",
        script=status("503 Service Unavailable", Retry_After="120"),
        error=Unavailable,
        tells=("503", "later"),
        has={"status": 503, "retry_after": 120.0},
    ),
    Fault(
        name="HTML instead of JSON",
        script=body(HTML, "text/html; charset=utf-8"),
        error=MalformedMessage,
        tells=("text/html", "Welcome to our new portal", "endpoint"),
    ),
    Fault(name="wrong content type", script=body(b"pong", "text/plain"), error=MalformedMessage, tells=("text/plain",)),
    Fault(name="empty answer", script=body(b"", None), error=MalformedMessage, tells=("nothing",)),
    Fault(
        name="JSON that is none",
        script=body(b'{"jsonrpc": "2.0", oops}', "application/json"),
        error=MalformedMessage,
        tells=("not a JSON-RPC message",),
    ),
    Fault(
        name="redirect to another origin",
        script=status("307 Temporary Redirect", Location="http://127.0.0.1:1/mcp"),
        error=HttpError,
        tells=("another origin", "http://127.0.0.1:1"),
        has={"status": 307},
    ),
    Fault(name="event of 50 MB", script=large_event, answer="x" * 50_000_000),
    Fault(
        name="event over the limit",
        script=large_event,
        settings={"max_message_bytes": 1_000_000},
        error=MessageTooLarge,
        tells=("1,000,000", "max_message_bytes"),
    ),
    Fault(name="answers to nobody", script=strange_ids, answer="mine"),
    Fault(name="rubbish within an event stream", script=rubbish_within, answer="after all"),
    Fault(
        name="rubbish alone on an event stream",
        script=rubbish_alone,
        settings={"timeout": 0.3},
        error=RequestTimeout,
        tells=("0.3 s",),
    ),
    Fault(name="answer on another stream", script=elsewhere(), era="handshake", answer="over there"),
    Fault(name="answer with a surplus", script=surplus, answer="mine"),
    Fault(
        name="stream that is none",
        script=body(b"pong pong\n\n", EVENTS),
        error=OutcomeUnknown,
        tells=("ended without an answer",),
    ),
    Fault(
        name="404 with an error of the protocol",
        script=status("404 Not Found", b'{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"gone"}}',
                      kind="application/json"),
        error=MethodNotFound,
        tells=("-32601", "gone"),
        has={"rpc_code": -32601},
    ),
]  # fmt: skip


def config_of(fault: Fault, served: FaultyServer) -> ServerConfig:
    """Give the configuration of the server, called "faulty"."""
    told: dict[str, Any] = {"name": "faulty", "url": served.url, "timeout": 10, **fault.settings}
    return ServerConfig(**told)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.may_block  # 50 MB are made and looked at in one piece by the test itself
async def test_a_fault_costs_one_call_and_nobody_else(fault: Fault, neighbour: Server) -> None:
    """The caller gets the row's error or answer; another real server still answers, and this one too if it lives."""
    script = honest(era=fault.era, instead={"faulty": fault.script, "GET": fault.script} if fault.era == "handshake"
                    else {"faulty": fault.script})  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(serving(honest()))
        other = await stack.enter_async_context(connect(elsewhere.url, name="other"))
        faulty = await stack.enter_async_context(contextlib.AsyncExitStack())
        served = await faulty.enter_async_context(serving(script))
        server = await stack.enter_async_context(connect(config_of(fault, served)))
        if fault.stopped:
            await faulty.aclose()
        await meet(fault, server)
        if fault.lives:
            assert (await server.call_tool("echo", {"message": "on it goes"})).text == "on it goes"
        assert (await other.call_tool("echo", {"message": "still here"})).text == "still here"


async def meet(fault: Fault, server: Server) -> None:
    """Make the call and look at what comes of it."""
    if fault.error is None:
        assert (await server.call_tool("faulty")).text == fault.answer
        return
    with pytest.raises(DragomanError) as caught:
        await server.call_tool("faulty")
    told = str(caught.value)
    assert type(caught.value) is fault.error, told
    assert told.startswith("faulty: ")
    assert [words for words in fault.tells if words not in told] == []
    assert {name: getattr(caught.value, name) for name in fault.has} == fault.has
    assert caught.value.hint


def test_the_reference_lists_these_faults() -> None:
    """Whoever reads ``docs/reference/faults.md`` finds each of them, with the error it gives, and no other."""
    table = {fault.name: fault.error.__name__ if fault.error else "" for fault in FAULTS}
    assert documented("An HTTP server") == table
