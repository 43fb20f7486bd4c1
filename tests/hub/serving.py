"""Servers for the tests of a hub: peers in this process that a hub connects to by name, and programs of a few lines."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dragoman import Group, Hub, HubConfig, ServerConfig
from dragoman.events import Event
from dragoman.hub.bus import Stream
from dragoman.transports.base import Transport
from tests.server.peer import Answer, Json, Peer, PeerTransport, Request, a_tool, always, text
from tests.servers import scripted

READ_ONLY: Json = {"annotations": {"readOnlyHint": True}}
TOOLS_ONLY: Json = {"tools": {"listChanged": True}}
_COUNTING = Path(__file__).with_name("counting_server.py")

_peers: dict[str, Peer] = {}


def peer_transport(config: ServerConfig) -> Transport:
    """Give a new connection to the peer of that name."""
    peer = _peers[config.name]
    peer.transport = PeerTransport(peer, exchanges=False)
    return peer.transport


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Peer]]:
    """Give the peers by name; a hub connects to one by `peer_config`."""
    from dragoman.transports import registry

    built_in: dict[str, tuple[str, str]] = getattr(registry, "_BUILT_IN")  # noqa: B009 - the seam of this fixture
    monkeypatch.setattr(registry, "_BUILT_IN", {**built_in, "peer": (__name__, "peer_transport")})
    _peers.clear()
    yield _peers
    _peers.clear()


def a_peer(name: str, tools: dict[str, Answer] | None = None, *listed: Json, **more: Any) -> ServerConfig:
    """Make a peer with these tools (their answers by name; ``listed`` as they are told) and give its settings."""
    peer = _peers[name] = Peer(capabilities=TOOLS_ONLY)
    peer.tools = tools or {}
    told = {tool["name"]: tool for tool in listed}
    peer.listed = [told.get(each) or a_tool(each) for each in peer.tools]
    return ServerConfig(name=name, transport="peer", **more)


def says(words: str) -> Answer:
    """Answer with a text."""
    return always(text(words))


async def echo(request: Request) -> Json:
    """Answer with the arguments' names and values."""
    return text(repr(request.arguments), structuredContent=request.arguments)


def hub_of(*servers: ServerConfig, groups: dict[str, Group] | None = None, **settings: Any) -> Hub:
    """Give a hub that keeps nothing on disk."""
    return Hub(HubConfig(servers=servers, groups=groups or {}, keep_catalogue=False, **settings))


def a_process(name: str, *words: str, **settings: Any) -> ServerConfig:
    """Give the settings of a scripted server, a process of its own."""
    command, *args = scripted(*words)
    settings.setdefault("shutdown_timeout", 0.5)
    return ServerConfig(name=name, command=command, args=tuple(args), **settings)


def counting(name: str, file: Path, *words: str, **settings: Any) -> ServerConfig:
    """Give the settings of the counting server, which writes each effect into a file."""
    args = ("-I", "-S", str(_COUNTING), str(file), *words)
    return ServerConfig(name=name, command=sys.executable, args=args, shutdown_timeout=0.5, **settings)


def effects(file: Path) -> list[str]:
    """Give what the counting servers did, in order."""
    return file.read_text().split() if file.exists() else []


def heard(stream: Stream[Any]) -> list[Event]:
    """Gather the events of a stream from now on, in a list that grows until the hub is closed."""
    events: list[Event] = []

    async def read() -> None:
        async for event in stream:
            events.append(event)  # noqa: PERF401 - others look at the list while it grows

    task = asyncio.get_running_loop().create_task(read())
    _readers.add(task)
    task.add_done_callback(_readers.discard)
    return events


_readers: set[asyncio.Task[None]] = set()


async def outcome(work: Awaitable[Any]) -> Any:
    """Give the result, or the error that came instead."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - any of them is the outcome
        return error


def never() -> Answer:
    """Never answer."""

    async def answer(_: Request) -> Json:
        return await asyncio.get_running_loop().create_future()

    return answer


Check = Callable[[], object]
