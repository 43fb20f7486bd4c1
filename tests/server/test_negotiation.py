"""Opening a conversation with every kind of server: which era it ends in, or which error tells why it did not.

`OPENINGS` and `REFUSALS` are over stdio, with real processes. What depends on the exact order of messages is below,
against a server in this process; HTTP is in `test_negotiation_http.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from dragoman import DragomanError, Server, ServerConfig, connect
from dragoman.errors import (
    CommandNotFound,
    ConnectionLost,
    HandshakeFailed,
    RequestTimeout,
    ServerExited,
    VersionMismatch,
)
from dragoman.protocol.lifecycle import Verdict
from tests.server.conftest import Clock
from tests.server.peer import HANDSHAKE, STATELESS, Json, Peer, Request, RpcError, always, silence
from tests.server.reference import documented
from tests.servers import scripted


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A way in which a server may behave while the conversation opens, and what is agreed nevertheless."""

    name: str
    words: tuple[str, ...]
    agreed: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


OPENINGS = [
    Opening(name="modern", words=("era=stateless",), agreed=STATELESS),
    Opening(name="legacy", words=("era=handshake",), agreed=HANDSHAKE),
    Opening(name="dual", words=(), agreed=STATELESS),
    Opening(name="pinned era", words=(), settings={"era": "handshake"}, agreed=HANDSHAKE),
    Opening(name="pinned old version", words=(), settings={"protocol_version": "2024-11-05"}, agreed="2024-11-05"),
    Opening(name="pinned new version", words=(), settings={"protocol_version": STATELESS}, agreed=STATELESS),
    Opening(name="exits on the probe", words=("era=handshake", "die_on=server/discover"), agreed=HANDSHAKE),
    Opening(
        name="silent on the probe",
        words=("era=handshake", "mute_on=server/discover"),
        settings={"probe_timeout": 0.2},
        agreed=HANDSHAKE,
    ),
    Opening(
        name="pinned new version, slower than the probe waits",
        words=("start_after=0.5", "era=stateless"),
        settings={"protocol_version": STATELESS, "probe_timeout": 0.05},
        agreed=STATELESS,
    ),
    Opening(name="answers the probe with rubbish", words=("garble_on=server/discover",), agreed=HANDSHAKE),
    Opening(name="refuses the version, offers older ones", words=("versions=2025-06-18",), agreed="2025-06-18"),
    Opening(name="prints rubbish first", words=("rubbish",), agreed=STATELESS),
    Opening(name="floods stderr first", words=("flood_stderr=1000000",), agreed=STATELESS),
    Opening(name="starts slowly", words=("start_after=0.5", "era=stateless"), agreed=STATELESS),
    Opening(
        name="starts slower than the probe waits",
        words=("start_after=0.6", "era=handshake"),
        settings={"probe_timeout": 0.2},
        agreed=HANDSHAKE,
    ),
    Opening(
        name="modern and slower than the probe waits",
        words=("start_after=0.6", "era=stateless"),
        settings={"probe_timeout": 0.2},
        agreed=STATELESS,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A way in which no conversation comes about, and the error that tells of it."""

    name: str
    words: tuple[str, ...] = ()
    error: type[DragomanError]
    tells: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


REFUSALS = [
    Refusal(
        name="command not found",
        settings={"command": "no-such-mcp-server", "args": ()},
        error=CommandNotFound,
        tells=("no-such-mcp-server", "PATH", "Install it"),
    ),
    Refusal(
        name="exits at once",
        words=("exit=3", "stderr=Error: DATABASE_URL is not set"),
        error=ServerExited,
        tells=("status 3", "Error: DATABASE_URL is not set", "by hand"),
    ),
    Refusal(
        name="dies mid-handshake",
        words=("era=handshake", "die_on=initialize", "stderr=half way"),
        error=ServerExited,
        tells=("status 7", "half way"),
    ),
    Refusal(
        name="silent for ever",
        words=("mute", "stderr=Loading the model"),
        settings={"probe_timeout": 0.1, "connect_timeout": 0.5},
        error=RequestTimeout,
        tells=("within 0.5 s", "Loading the model"),
    ),
    Refusal(
        name="never reads",
        words=("deaf",),
        settings={"probe_timeout": 0.1, "connect_timeout": 0.5, "shutdown_timeout": 0.1},
        error=RequestTimeout,
        tells=("within 0.5 s",),
    ),
    Refusal(
        name="speaks other versions only",
        words=("versions=2099-01-01", "era=stateless"),
        error=VersionMismatch,
        tells=("2099-01-01", STATELESS, "Update the server"),
    ),
    Refusal(
        name="does not speak the pinned version",
        words=("versions=2099-01-01",),
        settings={"protocol_version": STATELESS},
        error=VersionMismatch,
        tells=("2099-01-01", f"wanted is {STATELESS}", "pin"),
    ),
    Refusal(
        name="does not speak the pinned era",
        words=("era=handshake",),
        settings={"era": "stateless"},
        error=HandshakeFailed,
        tells=("server/discover", "-32601"),
    ),
    Refusal(
        name="answers the handshake with rubbish",
        words=("era=handshake", "garble_on=initialize"),
        error=HandshakeFailed,
        tells=("without method, result or error",),
    ),
]


def config_of(words: tuple[str, ...], settings: Mapping[str, Any]) -> ServerConfig:
    """Give the configuration of a scripted server, called "opened"."""
    command, *args = scripted(*words)
    told: dict[str, Any] = {
        "name": "opened",
        "command": command,
        "args": tuple(args),
        "shutdown_timeout": 1,
        **settings,
    }
    return ServerConfig(**told)


@pytest.mark.parametrize("opening", OPENINGS, ids=lambda opening: opening.name)
async def test_a_conversation_comes_about_however_the_server_behaves(opening: Opening, neighbour: Server) -> None:
    """The version is the best that both speak, and the server answers at it."""
    async with connect(config_of(opening.words, opening.settings)) as server:
        assert server.protocol_version == opening.agreed
        assert server.era == ("stateless" if opening.agreed == STATELESS else "handshake")
        assert server.info.name == "scripted" or server.era == "stateless"
        assert (await server.call_tool("echo", {"message": "hello"})).text == "hello"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
async def test_an_opening_that_fails_says_which_server_what_and_why(refusal: Refusal, neighbour: Server) -> None:
    """The error names the server, tells what was tried, and carries what the server said last."""
    with pytest.raises(DragomanError) as caught:
        await connect(config_of(refusal.words, refusal.settings))
    told = str(caught.value)
    assert type(caught.value) is refusal.error
    assert told.startswith("opened: ")
    assert [words for words in refusal.tells if words not in told] == []
    assert caught.value.hint


def test_the_reference_lists_these_faults() -> None:
    """Whoever reads ``docs/reference/faults.md`` finds each of them, with the error it gives, and no other."""
    table = {refusal.name: refusal.error.__name__ for refusal in REFUSALS}
    assert documented("While the conversation opens") == table


# The order of messages.


def methods(peer: Peer) -> list[str]:
    """Give what was asked or told, in order."""
    return [message["method"] for message in peer.received]


async def test_a_server_silent_on_the_probe_costs_one_short_wait(clock: Clock, neighbour: Server) -> None:
    """After ``probe_timeout`` the handshake is tried as well, on the same connection; then nothing is waited for."""
    peer = Peer(HANDSHAKE)
    peer.answers["server/discover"] = silence
    task = asyncio.create_task(connect(peer.transport).__aenter__())
    await peer.got("server/discover")
    await clock.forward(3.1)
    server = await task
    assert server.era == "handshake"
    assert methods(peer)[:3] == ["server/discover", "initialize", "notifications/initialized"]
    await server.aclose()


async def test_a_remembered_handshake_is_begun_without_a_probe(neighbour: Server) -> None:
    """A verdict from an earlier connection saves the question."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, remembered=Verdict(HANDSHAKE, "peer")) as server:
        verdict = server.verdict
    assert methods(peer) == ["initialize", "notifications/initialized"]
    assert verdict == Verdict(HANDSHAKE, "peer")


async def test_a_remembered_handshake_that_fails_is_asked_anew(neighbour: Server) -> None:
    """The server was updated meanwhile: it is probed after all."""
    peer = Peer(STATELESS)
    async with connect(peer.transport, remembered=Verdict(HANDSHAKE, "peer")) as server:
        assert server.era == "stateless"
    assert methods(peer) == ["initialize", "server/discover"]


async def test_a_server_is_asked_once_and_remembered(neighbour: Server) -> None:
    """The second connection to the same command begins with the handshake; another command is asked for itself."""
    sent: list[str] = []

    def watch(direction: str, data: bytes) -> None:
        if direction == "out":
            sent.append(json.loads(data)["method"])

    legacy = config_of(("era=handshake",), {})
    for config in (legacy, legacy, config_of((), {})):
        async with connect(config, on_message=watch):
            pass
    handshake = ["initialize", "notifications/initialized"]
    assert sent == ["server/discover", *handshake, *handshake, "server/discover"]


async def test_a_transport_of_the_user_is_not_mistaken_for_another(neighbour: Server) -> None:
    """What was agreed over one transport object says nothing of the next."""
    async with connect(Peer(HANDSHAKE).transport):
        pass
    peer = Peer(STATELESS)
    async with connect(peer.transport) as server:
        assert server.era == "stateless"
    assert methods(peer) == ["server/discover"]


async def test_a_slow_discovery_is_taken_when_the_handshake_is_not_answered(clock: Clock, neighbour: Server) -> None:
    """The probe's late answer counts: a modern server that ignores ``initialize`` is reached all the same."""
    peer = Peer(STATELESS)
    gate = asyncio.Event()
    discover = peer.answers["server/discover"]

    async def late(request: Request) -> Json:
        await gate.wait()
        return await discover(request)

    peer.answers["server/discover"] = late
    peer.answers["initialize"] = silence
    task = asyncio.create_task(connect(peer.transport).__aenter__())
    await peer.got("server/discover")
    await clock.forward(3.1)
    await peer.got("initialize")
    gate.set()
    await clock.forward(0.1)
    await clock.forward(3.1)
    server = await task
    assert server.era == "stateless"
    await server.aclose()


@pytest.mark.parametrize("code", [-32601, -32600, -32602, -32000, -32700, 0, 401])
async def test_the_fallback_is_keyed_on_no_error_code(code: int, neighbour: Server) -> None:
    """Servers refuse what they do not know in many ways: each leads to the handshake."""
    peer = Peer(HANDSHAKE)

    async def refuse(_: Request) -> Json:
        raise RpcError(code)

    peer.answers["server/discover"] = refuse
    async with connect(peer.transport) as server:
        assert server.era == "handshake"


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_an_older_handshake_is_taken_as_the_server_answers_it(version: str, neighbour: Server) -> None:
    """The client proposes its newest, the server answers with its own."""
    peer = Peer(version)
    async with connect(peer.transport) as server:
        assert server.protocol_version == version
        assert peer.transport.version == version
    assert peer.params("initialize")[0]["protocolVersion"] == HANDSHAKE


async def test_a_handshake_at_an_unknown_version_is_refused(neighbour: Server) -> None:
    """The server's version is named, and nothing of the conversation is left."""
    peer = Peer("1999-12-31")
    with pytest.raises(VersionMismatch, match="1999-12-31") as caught:
        await connect(peer.transport, name="old")
    assert caught.value.supported == ("1999-12-31",)
    assert peer.transport.closed


async def test_a_refused_version_is_tried_again_at_an_offered_one(neighbour: Server) -> None:
    """-32022 lists what the server speaks; a handshake version among them is taken, and no version is tried twice."""
    peer = Peer("2025-06-18")

    async def refuse(_: Request) -> Json:
        raise RpcError(-32022, "no", {"supported": ["2031-01-01", "2025-06-18"], "requested": STATELESS})

    peer.answers["server/discover"] = refuse
    async with connect(peer.transport) as server:
        assert server.protocol_version == "2025-06-18"
    assert methods(peer) == ["server/discover", "initialize", "notifications/initialized"]
    assert peer.params("initialize")[0]["protocolVersion"] == "2025-06-18"


@pytest.mark.parametrize("result", [{}, {"protocolVersion": 1}, {"protocolVersion": HANDSHAKE, "capabilities": []}])
async def test_a_handshake_that_fits_no_revision_is_refused(result: Json, neighbour: Server) -> None:
    """What is missing is told."""
    peer = Peer(HANDSHAKE)
    peer.answers["initialize"] = always(result)
    with pytest.raises(HandshakeFailed, match="does not fit the specification"):
        await connect(peer.transport)
    assert peer.transport.closed


async def test_a_transport_lost_between_probe_and_handshake_fails_at_once(neighbour: Server) -> None:
    """What can't be started anew is not waited for."""
    peer = Peer(HANDSHAKE)

    async def fall_over(_: Request) -> Json:
        peer.lose(ConnectionLost("it broke"))
        return {}

    peer.answers["server/discover"] = fall_over
    with pytest.raises(HandshakeFailed, match=r"^frail: the handshake failed: it broke"):
        await connect(peer.transport, name="frail")
    assert peer.transport.closed
