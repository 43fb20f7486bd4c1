"""The servers of a hub: their handles, what they offer, and what is kept of it from one start to the next.

It is the handles' `Keeper`. It makes no calls and resolves no names; `hub.Hub` does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import Task
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from msgspec import Struct

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.listings import Offer, listing_of
from dragoman.config.hub import HubConfig
from dragoman.config.model import ServerConfig
from dragoman.errors import ConfigError, DragomanError
from dragoman.events import (
    CacheHit,
    CacheStored,
    CatalogueChanged,
    Event,
    Listing,
    ServerAdded,
    ServerChanged,
    ServerLost,
    ServerRecovered,
    ServerRemoved,
)
from dragoman.handle.gate import Gate
from dragoman.handle.handle import Handle
from dragoman.handle.keeper import Supervised
from dragoman.handle.processors import Processors
from dragoman.hub.bus import Bus
from dragoman.model import ServerState
from dragoman.protocol.lifecycle import Verdict
from dragoman.protocol.types import Page
from dragoman.server.connect import Connecting
from dragoman.server.server import Server
from dragoman.store.catalogues import KeptCatalogues

__all__ = ["Fleet", "Turnover"]

log: Final = logging.getLogger("dragoman")

LISTINGS: Final[tuple[Listing, ...]] = ("tools", "resources", "templates", "prompts")
#: What is to be kept is written so long (seconds) after it came: servers come up side by side.
_SAVING_PAUSE: Final = 0.2

Opener = Callable[[ServerConfig, Verdict | None], Connecting]


class Turnover(Struct, frozen=True):
    """What another configuration changed: names of servers."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Fleet:
    """All servers of a hub. ``opener`` gives a connection in the making; ``kept`` is None if nothing is kept."""

    def __init__(self, bus: Bus, catalogue: Catalogue, opener: Opener, kept: KeptCatalogues | None) -> None:
        self.handles: dict[str, Handle] = {}
        self._bus = bus
        self._catalogue = catalogue
        self._opener = opener
        self._kept = kept
        self._gate = Gate(Processors())
        self._pulse = asyncio.Event()
        self._offers: dict[str, tuple[str, Offer]] = {}
        self._saver: Task[None] | None = None
        self._leaving: set[Handle] = set()

    # Who is in it.

    def enlist(self, configs: Iterable[ServerConfig]) -> None:
        """Take servers in and start them, with what is kept of them."""
        kept = self._load(configs := list(configs))
        for config in configs:
            if config.name in self.handles:
                raise ConfigError(f"there is a server called {config.name!r} already", server=config.name)
            self._take_in(config, kept.get(config.name)).start()
        self._beat()

    async def dismiss(self, name: str) -> None:
        """Take a server out, and close it when its calls have ended, bounded in time."""
        await self._end(self._take_out(name), "it was taken out")

    def turn_to(self, config: HubConfig) -> tuple[Turnover, Coroutine[Any, Any, None]]:
        """Become what another configuration says; servers whose settings did not change are left alone.

        Gives what changed, and the work that remains: ending those that were there, and starting those in their place.
        """
        wanted = {server.name: server for server in config.servers}
        present = {name: handle.config for name, handle in self.handles.items()}
        removed = [name for name in present if name not in wanted]
        added = [name for name in wanted if name not in present]
        changed = [name for name in wanted if name in present and present[name] != wanted[name]]
        leaving = [self._take_out(name) for name in removed]
        replaced = [self._replace(wanted[name]) for name in changed]
        self.enlist(wanted[name] for name in added)

        async def finish() -> None:
            ends = (self._end(handle, "it was taken out") for handle in leaving)
            await asyncio.gather(*ends, *(self._succeed(*pair) for pair in replaced))

        return Turnover(tuple(added), tuple(removed), tuple(changed)), finish()

    async def aclose(self) -> None:
        """Close all servers side by side, bounded in time, and write what is to be kept."""
        present = {*self.handles.values(), *self._leaving}
        await asyncio.gather(*(handle.retire("the hub was closed") for handle in present))
        if self._saver is not None:
            self._saver.cancel()
            await asyncio.wait({self._saver})
        await self._save()

    async def settle(self, is_settled: Callable[[Handle], bool], deadline: float | None) -> bool:
        """Wait until all servers are as told, or the deadline (the loop's time) passes; tell which of it was."""
        try:
            async with asyncio.timeout_at(deadline):
                while not all(is_settled(handle) for handle in self.handles.values()):
                    await self._pulse.wait()
        except TimeoutError:
            return False
        return True

    def _take_in(self, config: ServerConfig, offer: Offer | None) -> Handle:
        self._catalogue.add_server(config.name, hidden=config.disabled_tools)
        handle = Handle(config, self, self._gate, verdict=None if offer is None else offer.verdict)
        self.handles[config.name] = handle
        self._publish(ServerAdded(at=time.time(), server=config.name))
        if offer is not None:
            self._recall(handle, offer)
        return handle

    def _take_out(self, name: str) -> Handle:
        handle = self.handles.pop(name)
        self._leaving.add(handle)
        self._catalogue.remove_server(name)
        self._publish(ServerRemoved(at=time.time(), server=name))
        self._beat()
        return handle

    def _replace(self, config: ServerConfig) -> tuple[Handle, Handle]:
        """Put a server with other settings in the place of one; give both."""
        former = self.handles.pop(config.name)
        self._leaving.add(former)
        if (former.config.command, former.config.args, former.config.url) != (config.command, config.args, config.url):
            self._catalogue.remove_server(config.name)
        return former, self._take_in(config, self._load([config]).get(config.name))

    async def _succeed(self, former: Handle, successor: Handle) -> None:
        """Start a server when the one in whose place it stands has ended."""
        await self._end(former, "it comes with other settings")
        successor.start()

    async def _end(self, handle: Handle, reason: str) -> None:
        await handle.retire(reason)
        self._leaving.discard(handle)  # if this is cancelled, `aclose` waits for its end

    # What is kept from one start to the next.

    def _load(self, configs: Iterable[ServerConfig]) -> dict[str, Offer]:
        if self._kept is None:
            return {}
        offers: dict[str, Offer] = {}
        for config in configs:
            offer = self._kept.load(self._kept.key(config))
            if offer is not None:
                offers[config.name] = offer
        return offers

    def _recall(self, handle: Handle, offer: Offer) -> None:
        now = time.time()
        for what in LISTINGS:
            listing = getattr(offer, what)
            if listing is not None:
                self._catalogue.update(handle.name, what, listing, stale=True)
        handle.tools = self._catalogue.listed(handle.name)
        if offer.tools is not None:
            age, stale = max(0.0, now - offer.tools.fetched_at), not offer.tools.is_fresh(now)
            self._publish(CacheHit(at=now, server=handle.name, age=age, stale=stale))

    def _keep(self, handle: Supervised, server: Server) -> None:
        if self._kept is None:
            return
        listings = {what: self._catalogue.listing(handle.name, what) for what in LISTINGS}
        offer = Offer(
            info=server.info.raw,
            instructions=server.instructions,
            capabilities=server.capabilities.raw,
            verdict=server.verdict,
            **listings,
        )
        self._offers[handle.name] = (self._kept.key(handle.config), offer)
        if self._saver is None or self._saver.done():
            self._saver = asyncio.get_running_loop().create_task(self._save_soon(), name="dragoman keeps its catalogue")

    async def _save_soon(self) -> None:
        await asyncio.sleep(_SAVING_PAUSE)
        await self._save()

    async def _save(self) -> None:
        while self._kept is not None and self._offers:
            name, (key, offer) = self._offers.popitem()
            await asyncio.to_thread(self._kept.save, key, offer)
            self._publish(CacheStored(at=time.time(), server=name))

    # What the handles tell.

    def connecting(self, config: ServerConfig, verdict: Verdict | None) -> Connecting:
        """See `Keeper`."""
        return self._opener(config, verdict)

    def changed(self, handle: Supervised, before: ServerState) -> None:
        """See `Keeper`."""
        if self.handles.get(handle.name) is not handle:
            return
        status = handle.status()
        self._catalogue.mark(handle.name, stale=status.state not in ("ready", "degraded"))
        if self._bus.active:
            self._bus.publish(ServerChanged(at=time.time(), server=handle.name, before=before, status=status))
        self._beat()

    def lost(self, handle: Supervised, error: DragomanError) -> None:
        """See `Keeper`."""
        self._publish(ServerLost(at=time.time(), server=handle.name, code=error.code, reason=error.what))

    def recovered(self, handle: Supervised, away: float) -> None:
        """See `Keeper`."""
        self._publish(ServerRecovered(at=time.time(), server=handle.name, away=away))

    def is_fresh(self, handle: Supervised, what: Listing) -> bool:
        """See `Keeper`."""
        listing = self._catalogue.listing(handle.name, what)
        return listing is not None and listing.ttl_ms is not None and listing.is_fresh(time.time())

    def listed(self, handle: Supervised, what: Listing, page: Page[Any]) -> None:
        """See `Keeper`."""
        if self.handles.get(handle.name) is not handle:
            return
        delta = self._catalogue.update(handle.name, what, listing_of(page, time.time()))
        if what == "tools":
            self.handles[handle.name].tools = delta.total
        if delta and self._bus.active:
            added, removed = (*delta.added, *delta.changed), delta.removed
            self._bus.publish(
                CatalogueChanged(
                    at=time.time(), server=handle.name, what=what, added=added, removed=removed, total=delta.total
                )
            )

    def offered(self, handle: Supervised, server: Server) -> None:
        """See `Keeper`."""
        if self.handles.get(handle.name) is handle:
            self._keep(handle, server)
            self._beat()

    def _publish(self, event: Event) -> None:
        if self._bus.active:
            self._bus.publish(event)

    def _beat(self) -> None:
        """Wake all who wait for servers to be in some state."""
        self._pulse.set()
        self._pulse = asyncio.Event()
