"""A fleet on a stage: its events written down, its attempts counted, its servers real or made by the test.

Calls are made here as a hub makes them, but never repeated, so that a test sees what became of each.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from dragoman import connect
from dragoman.catalogue.catalogue import Catalogue
from dragoman.config.model import ServerConfig
from dragoman.config.supervision import Restart
from dragoman.errors import (
    ConnectionLost,
    DragomanError,
    HttpError,
    OutcomeUnknown,
    RequestTimeout,
    ServerError,
)
from dragoman.events import Event, ServerChanged
from dragoman.handle.gate import Gate
from dragoman.handle.handle import Handle
from dragoman.hub.bus import Bus
from dragoman.hub.fleet import Fleet
from dragoman.model import ServerState, ServerStatus
from dragoman.protocol.lifecycle import Verdict
from dragoman.server.connect import Connecting
from dragoman.store.catalogues import KeptCatalogues
from tests.server.http_peer import honest
from tests.server.peer import Peer
from tests.servers import scripted
from tests.servers.http_faults import Script, Visit

E = TypeVar("E", bound=Event)

PATIENCE = 10.0
"""Seconds after which something that a test waits for is taken for missing."""

SOON = Restart(first_delay=0.01, longest_delay=0.05)
LONG = Restart(first_delay=30.0, longest_delay=60.0)

_SUSPICIOUS = (ConnectionLost, OutcomeUnknown, RequestTimeout, HttpError)


def stdio(name: str, *words: str, **settings: Any) -> ServerConfig:
    """Give the settings of a scripted server with little patience; ``words`` are the script's."""
    command, *args = scripted(*words)
    given: dict[str, Any] = {"restart": SOON, "timeout": 5.0, "shutdown_timeout": 0.3} | settings
    return ServerConfig(name=name, command=command, args=tuple(args), **given)


def http(name: str, url: str, **settings: Any) -> ServerConfig:
    """Give the settings of an HTTP server with little patience."""
    given: dict[str, Any] = {"restart": SOON, "timeout": 2.0} | settings
    return ServerConfig(name=name, url=url, **given)


def listing_http(instead: Mapping[str, Script] | None = None, *, tools: tuple[str, ...] = ("echo",)) -> Script:
    """Give an HTTP server of the stateless era that lists tools; it tells of no changes."""

    async def listed(visit: Visit) -> None:
        shown = [{"name": name, "inputSchema": {"type": "object"}} for name in tools]
        await visit.answer(visit.result(resultType="complete", tools=shown))

    return honest(instead={"tools/list": listed, **(instead or {})})


class Recording(Bus):
    """A bus that keeps what is published."""

    def __init__(self) -> None:
        super().__init__()
        self.active = True
        self.seen: list[Event] = []
        self.news = asyncio.Event()

    def publish(self, event: Event) -> None:
        self.seen.append(event)
        self.news.set()
        super().publish(event)


class Stage:
    """A running fleet. ``attempts`` counts the connections that were begun, by server.

    ``peers`` makes servers in this process, by name: each attempt gets a new one, kept in ``made``.
    """

    def __init__(self, folder: Path | None = None, *, gate: Gate | None = None) -> None:
        self.bus = Recording()
        self.catalogue = Catalogue()
        self.attempts: Counter[str] = Counter()
        self.peers: dict[str, Callable[[], Peer]] = {}
        self.made: dict[str, list[Peer]] = {}
        kept = None if folder is None else KeptCatalogues(folder)
        self.fleet = Fleet(self.bus, self.catalogue, self._connecting, kept, gate=gate)

    def _connecting(self, config: ServerConfig, verdict: Verdict | None) -> Connecting:
        self.attempts[config.name] += 1
        make = self.peers.get(config.name)
        if make is None:
            return connect(config, remembered=verdict)
        peer = make()
        self.made.setdefault(config.name, []).append(peer)
        return connect(peer.transport, name=config.name)

    # Looking at it.

    def handle(self, name: str) -> Handle:
        """Give a server's handle."""
        return self.fleet.handles[name]

    def status(self, name: str) -> ServerStatus:
        """Give how a server is."""
        return self.handle(name).status()

    def events(self, kind: type[E], name: str) -> list[E]:
        """Give the events of a kind about a server."""
        found = [event for event in self.bus.seen if isinstance(event, kind)]
        return [event for event in found if getattr(event, "server", "") == name]

    def course(self, name: str) -> list[str]:
        """Give the states that a server came into, in order, and the other events about it by their names."""
        about = [event for event in self.bus.seen if getattr(event, "server", "") == name]
        return [each.status.state if isinstance(each, ServerChanged) else type(each).__name__ for each in about]

    def tools(self, name: str) -> list[str]:
        """Give the names of a server's listed tools."""
        return [entry.key for entry in self.catalogue.all_tools(name)]

    async def until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait until a condition holds; it is looked at with each event, and now and then."""
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    self.bus.news.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await self.bus.news.wait()
        except TimeoutError:
            told = {name: handle.status() for name, handle in self.fleet.handles.items()}
            raise AssertionError(f"it did not come about; {told}; {self.bus.seen[-20:]}") from None

    async def until_state(self, name: str, *states: ServerState) -> ServerStatus:
        """Wait until a server is in one of the states."""
        await self.until(lambda: self.handle(name).state in states)
        return self.status(name)

    async def until_listed(self, name: str) -> None:
        """Wait until all that a server offers is listed."""
        await self.until(lambda: self.catalogue.known(name, "prompts") and self.handle(name).state == "ready")

    # Using it.

    async def call(self, name: str, tool: str = "echo", timeout: float = PATIENCE, **arguments: Any) -> str:
        """Call a tool once, as a hub does, and give its text."""
        handle = self.handle(name)
        deadline = asyncio.get_running_loop().time() + timeout
        handle.enter()
        try:
            server = handle.server or await handle.ready(deadline)
            left = max(0.001, deadline - asyncio.get_running_loop().time())
            result = await server.call_tool(tool, arguments, timeout=left)
        except DragomanError as error:
            if isinstance(error, _SUSPICIOUS):
                handle.suspect()
            handle.answered += isinstance(error, ServerError)
            raise
        else:
            handle.answered += 1
            return result.text
        finally:
            handle.leave()

    async def pid(self, name: str) -> int:
        """Give the process id of a scripted server."""
        handle = self.handle(name)
        server = handle.server or await handle.ready(asyncio.get_running_loop().time() + PATIENCE)
        result = await server.call_tool("about")
        return cast("dict[str, Any]", result.structured)["pid"]

    async def kill(self, name: str, signal: int) -> None:
        """Send a signal to a server's process."""
        os.kill(await self.pid(name), signal)


@contextlib.asynccontextmanager
async def stage(
    *configs: ServerConfig,
    folder: Path | None = None,
    peers: Mapping[str, Callable[[], Peer]] | None = None,
    gate: Gate | None = None,
) -> AsyncGenerator[Stage]:
    """Run a fleet of these servers."""
    made = Stage(folder, gate=gate)
    made.peers.update(peers or {})
    made.fleet.enlist(configs)
    try:
        yield made
    finally:
        await made.fleet.aclose()
        await made.bus.aclose()
