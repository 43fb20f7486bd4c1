"""Opening a conversation over HTTP: which era and transport it ends in, or which error tells why it did not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from dragoman import DragomanError, Server, ServerConfig, connect
from dragoman.errors import (
    AccessDenied,
    CannotConnect,
    HandshakeFailed,
    HttpError,
    LoginRequired,
    RateLimited,
    RequestTimeout,
    Unavailable,
    VersionMismatch,
)
from tests.server.http_peer import honest, initialized, said
from tests.server.peer import HANDSHAKE, STATELESS
from tests.server.reference import documented
from tests.server.test_faults_http import HTML, body, hang, reset_at_once, status
from tests.servers.http_faults import Script, Visit, free_port, serving


class OldServer:
    """A server of the first HTTP transport: GET gives an event stream, POST goes to the address that it names."""

    def __init__(self, refusal: str) -> None:
        self.refusal = refusal
        self.streams: list[Visit] = []

    async def serve(self, visit: Visit) -> None:
        """Answer by the stream whatever is posted to the right place."""
        if visit.verb == "GET":
            self.streams.append(visit)
            await visit.stream()
            await visit.chunk(b"event: endpoint\ndata: /messages?session=1\n\n")
            await visit.hang()
        elif visit.target != "/messages?session=1":
            await visit.answer(status=self.refusal, kind=None)
        else:
            await visit.answer(status="202 Accepted", kind=None)
            if visit.method == "initialize":
                await self.streams[-1].event(initialized(visit))
            elif visit.method == "tools/call":
                await self.streams[-1].event(said(visit))


def modern_refusal(supported: list[str]) -> Script:
    """Refuse a version as the stateless era does, with 400 and the versions that would do."""

    async def script(visit: Visit) -> None:
        data = {"supported": supported, "requested": STATELESS}
        error = {"code": -32022, "message": "no", "data": data}
        await visit.answer(visit.error(0, error=error), status="400 Bad Request")

    return script


def plain(line: str) -> Script:
    """Refuse with a status that is told in words for people."""
    return status(line, b"No valid session id", kind="text/plain")


def legacy(on_probe: Script) -> Script:
    """Give a server of the handshake era that answers the probe in a way of its own."""
    return honest(era="handshake", instead={"server/discover": on_probe})


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a server answers while the conversation opens, and what is agreed nevertheless."""

    name: str
    script: Script
    agreed: str = HANDSHAKE
    kind: str = "streamable_http"
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


OPENINGS = [
    Opening(name="modern", script=honest(), agreed=STATELESS),
    Opening(name="legacy", script=honest(era="handshake")),
    Opening(name="legacy without sessions", script=honest(era="handshake", sessions=False)),
    Opening(name="legacy, 400 on the probe", script=legacy(plain("400 Bad Request"))),
    Opening(name="legacy, 404 on the probe", script=legacy(plain("404 Not Found"))),
    Opening(name="legacy, 406 on the probe", script=legacy(plain("406 Not Acceptable"))),
    Opening(name="legacy, 500 on the probe", script=legacy(plain("500 Internal Server Error"))),
    Opening(name="legacy, a page on the probe", script=legacy(body(HTML, "text/html"))),
    Opening(name="legacy, silent on the probe", script=legacy(hang), settings={"probe_timeout": 0.2}),
    Opening(name="400 with an older version", script=legacy(modern_refusal(["2025-06-18"])), agreed="2025-06-18"),
    Opening(name="pinned era", script=honest(era="handshake"), settings={"era": "handshake"}),
    Opening(name="HTTP+SSE, 404 on POST", script=OldServer("404 Not Found").serve, kind="sse"),
    Opening(name="HTTP+SSE, 405 on POST", script=OldServer("405 Method Not Allowed").serve, kind="sse"),
    Opening(name="HTTP+SSE, 400 on POST", script=OldServer("400 Bad Request").serve, kind="sse"),
    Opening(name="HTTP+SSE, as told", script=OldServer("500 Oh").serve, kind="sse", settings={"transport": "sse"}),
]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How no conversation comes about, and the error that tells of it."""

    name: str
    script: Script | None
    error: type[DragomanError]
    tells: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


REFUSALS = [
    Refusal(name="nobody listens", script=None, error=CannotConnect, tells=("can't be reached", "refused", "Check")),
    Refusal(
        name="resets every connection", script=reset_at_once, error=HandshakeFailed, tells=("server/discover", "lost")
    ),
    Refusal(
        name="says nothing, ever",
        script=hang,
        settings={"probe_timeout": 0.1, "connect_timeout": 0.5},
        error=RequestTimeout,
        tells=("within 0.5 s",),
    ),
    Refusal(name="answers 401", script=status("401 No"), error=LoginRequired, tells=("401", "Log in")),
    Refusal(name="answers 403", script=status("403 No"), error=AccessDenied, tells=("403", "Ask for access")),
    Refusal(name="answers 404", script=status("404 No"), error=HttpError, tells=("404", "address")),
    Refusal(name="answers 429", script=status("429 No"), error=RateLimited, tells=("429", "Wait")),
    Refusal(name="answers 500", script=status("500 No"), error=HttpError, tells=("500", "log")),
    Refusal(name="answers 503", script=status("503 No"), error=Unavailable, tells=("503", "later")),
    Refusal(
        name="is a web page",
        script=body(HTML, "text/html"),
        error=HandshakeFailed,
        tells=("text/html", "Welcome to our new portal"),
    ),
    Refusal(
        name="speaks future versions only",
        script=modern_refusal(["2099-01-01"]),
        error=VersionMismatch,
        tells=("2099-01-01", "Update"),
    ),
    Refusal(
        name="redirects elsewhere",
        script=status("308 Moved", Location="http://127.0.0.1:1/mcp"),
        error=HttpError,
        tells=("another origin", "address"),
    ),
]


@pytest.mark.parametrize("opening", OPENINGS, ids=lambda opening: opening.name)
async def test_a_conversation_comes_about_however_the_server_behaves(opening: Opening, neighbour: Server) -> None:
    """The version is the best that both speak, over the transport that works, and the server answers at it."""
    async with serving(opening.script) as served:
        told: dict[str, Any] = {"name": "opened", "url": served.url, **opening.settings}
        async with connect(ServerConfig(**told)) as server:
            assert server.protocol_version == opening.agreed
            assert server.transport_kind == opening.kind
            assert (await server.call_tool("echo", {"message": "hello"})).text == "hello"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
async def test_an_opening_that_fails_says_which_server_what_and_why(refusal: Refusal, neighbour: Server) -> None:
    """The error names the server, tells what was tried and what to do."""
    async with serving(refusal.script or hang) as served:
        url = served.url if refusal.script else f"http://127.0.0.1:{free_port()}/mcp"
        told: dict[str, Any] = {"name": "opened", "url": url, **refusal.settings}
        with pytest.raises(DragomanError) as caught:
            await connect(ServerConfig(**told))
    words = str(caught.value)
    assert type(caught.value) is refusal.error, words
    assert words.startswith("opened: ")
    assert [word for word in refusal.tells if word not in words] == []
    assert caught.value.hint


def test_the_reference_lists_these_faults() -> None:
    """Whoever reads ``docs/reference/faults.md`` finds each of them, with the error it gives, and no other."""
    table = {refusal.name: refusal.error.__name__ for refusal in REFUSALS}
    assert documented("While a conversation opens over HTTP") == table


async def test_an_old_transport_is_remembered(neighbour: Server) -> None:
    """The second connection begins with the event stream; nothing is posted where nobody listens."""
    old = OldServer("404 Not Found")
    async with serving(old.serve) as served:
        for _ in range(2):
            async with connect(served.url) as server:
                assert server.transport_kind == "sse"
        posts = [visit for visit in served.of("POST") if visit.target == "/mcp"]
        assert [visit.method for visit in posts] == ["server/discover", "initialize"]


async def test_a_remembered_old_transport_that_is_gone_is_asked_anew(neighbour: Server) -> None:
    """The server was updated meanwhile: it is reached all the same, in its new way."""
    old, new = OldServer("404 Not Found"), honest()
    updated = False

    async def script(visit: Visit) -> None:
        await (new(visit) if updated else old.serve(visit))

    async with serving(script) as served:
        async with connect(served.url):
            pass
        updated = True
        async with connect(served.url) as server:
            assert (server.era, server.transport_kind) == ("stateless", "streamable_http")


async def test_the_probe_shows_its_version_and_the_handshake_none(neighbour: Server) -> None:
    """The header tells what is proposed; ``initialize`` tells it in its body, later requests what was agreed."""
    async with serving(honest(era="handshake")) as served, connect(served.url) as server:
        await server.call_tool("echo")
        shown = [(visit.method, visit.headers.get("mcp-protocol-version")) for visit in served.of("POST")]
    assert shown == [
        ("server/discover", STATELESS),
        ("initialize", None),
        ("notifications/initialized", HANDSHAKE),
        ("tools/call", HANDSHAKE),
    ]


async def test_a_connection_given_up_while_it_opens_leaves_no_request(neighbour: Server) -> None:
    """The server sees its connection closed."""
    async with serving(hang) as served:
        opening = asyncio.create_task(_opened(served.url))
        await served.until(lambda: bool(served.visits))
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await served.until(lambda: served.open == 0)


async def _opened(url: str) -> Server:
    return await connect(url)
