"""The servers of a hub: their handles, what they offer, and what is kept of it from one start to the next.

It is the handles' `Keeper`. It makes no calls and resolves no names; `hub.Hub` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from asyncio import Task
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from msgspec import Struct

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.listings import Offer, listing_of
from dragoman.config.hub import HubConfig
from dragoman.config.model import ServerConfig
from dragoman.errors import ConfigError, DragomanError, UsageError
from dragoman.events import (
    LISTINGS,
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
from dragoman.hub.excerpts import names
from dragoman.hub.instruments import Instruments
from dragoman.model import ServerState
from dragoman.protocol.lifecycle import Verdict
from dragoman.protocol.types import Page
from dragoman.server.connect import Connecting
from dragoman.server.server import Server
from dragoman.store.catalogues import KeptCatalogues

__all__ = ["Fleet", "Turnover"]

log: Final = logging.getLogger("dragoman")

#: What is to be kept is written so long (seconds) after it came: servers come up side by side.
_SAVING_PAUSE: Final = 0.2
#: Settings that say what a server is and who asks it. If one of them is another, so is what the server offers.
_IDENTITY: Final = (
    *("transport", "command", "args", "env", "cwd", "inherit_env", "url", "headers", "cookies", "proxy", "tls"),
    *("era", "protocol_version"),
)

Opener = Callable[[ServerConfig, Verdict | None], Connecting]


class Turnover(Struct, frozen=True):
    """What another configuration changed: names of servers."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Fleet:
    """All servers of a hub.

    ``opener`` gives a connection in the making; ``kept`` is None if nothing is kept; ``gate`` is the way in for all
    starts (None: one that looks at this machine's processors). What happens is told to the bus and the instruments.
    """

    def __init__(
        self,
        bus: Bus,
        catalogue: Catalogue,
        opener: Opener,
        kept: KeptCatalogues | None,
        *,
        gate: Gate | None = None,
        instruments: Instruments | None = None,
    ) -> None:
        self.handles: dict[str, Handle] = {}
        self._bus = bus
        self._instruments = Instruments() if instruments is None else instruments
        self._catalogue = catalogue
        self._opener = opener
        self._kept = kept
        self._gate = Gate(Processors()) if gate is None else gate
        self._pulse = asyncio.Event()
        self._offers: dict[str, tuple[str, Offer]] = {}
        self._missed: set[str] = set()
        self._saver: Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        # The ends of servers that are in the fleet no more, the last one of each name.
        self._ends: dict[str, Task[None]] = {}
        self._closing: Task[None] | None = None
        self._hurried = asyncio.Event()

    # Who is in it.

    def enlist(self, configs: Iterable[ServerConfig]) -> None:
        """Take servers in and start them, with what is kept of them.

        Raises:
            ConfigError: there is one of that name; none of them was taken in.
            UsageError: the fleet is closed.
        """
        configs = list(configs)
        if self._closing is not None:
            raise UsageError("the hub is closed", hint="Make a new one; a hub is used once.")
        for config in configs:
            if config.name in self.handles:
                raise ConfigError(f"there is a server called {config.name!r} already", server=config.name)
        kept = self._load(configs)
        for config in configs:
            handle = self._take_in(config, kept.get(config.name))
            self._publish(ServerAdded(at=time.time(), server=config.name))
            self._launch(handle)
        self._beat()

    async def dismiss(self, name: str) -> None:
        """Take a server out, and close it when its calls have ended, bounded in time.

        It is out at once; its end goes on if whoever waits for it is cancelled. Nothing happens if it is not there.
        """
        if name in self.handles:
            await asyncio.wait({self._take_out(name)})

    async def turn_to(self, config: HubConfig) -> Turnover:
        """Become what another configuration says; servers whose settings did not change are left alone.

        It is so at once; what remains, and goes on if the caller is cancelled, is the end of those that were there.
        """
        wanted = {server.name: server for server in config.servers}
        present = {name: handle.config for name, handle in self.handles.items()}
        removed = [name for name in present if name not in wanted]
        added = [name for name in wanted if name not in present]
        changed = [name for name in wanted if name in present and present[name] != wanted[name]]
        ends = {self._take_out(name) for name in removed} | {self._replace(wanted[name]) for name in changed}
        self.enlist(wanted[name] for name in added)
        if ends:
            await asyncio.wait(ends)
        return Turnover(tuple(added), tuple(removed), tuple(changed))

    async def aclose(self) -> None:
        """Close all servers side by side, bounded in time, and write what is to be kept.

        Any task may do so, any number of times; it goes on if whoever waits for it is cancelled.
        """
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(), name="dragoman closes its servers")
        await asyncio.wait({self._closing})
        self._closing.result()

    async def _close(self) -> None:
        stops = [handle.stop("the hub was closed") for handle in self.handles.values()]
        for outcome in await asyncio.gather(*stops, *self._ends.values(), return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a server could not be closed", exc_info=outcome)
        self._hurried.set()
        if self._saver is not None:
            await asyncio.wait({self._saver})

    def keep_in(self, kept: KeptCatalogues | None) -> None:
        """Keep there from now on what servers offer; None: nowhere."""
        before, self._kept = self._kept, kept
        if kept is None:
            self._offers.clear()
        elif before is None:
            for handle in self.handles.values():
                if handle.server is not None:
                    self._keep(handle, handle.server)

    async def settle(self, is_settled: Callable[[Handle], bool], deadline: float | None) -> bool:
        """Wait until all servers are as told, or the deadline (the loop's time) passes; tell which of it was."""
        try:
            async with asyncio.timeout_at(deadline):
                while not all(is_settled(handle) for handle in self.handles.values()):
                    await self._pulse.wait()
        except TimeoutError:
            return False
        return True

    def is_missed(self, name: str) -> bool:
        """Whether a server was waited for in vain, now or at an earlier start, and was not listed since."""
        return name in self._missed

    def miss(self, name: str) -> None:
        """Take note that a server was waited for in vain: nobody waits for it again, nor at the next start."""
        handle = self.handles.get(name)
        if handle is None or name in self._missed or self._catalogue.known(name):
            return
        self._missed.add(name)
        if self._kept is not None:
            self._offers[name] = (self._kept.key(handle.config), Offer())
            self._save_soon()

    def _take_in(self, config: ServerConfig, offer: Offer | None) -> Handle:
        self._catalogue.add_server(config.name, hidden=config.disabled_tools)
        handle = Handle(config, self, self._gate, verdict=None if offer is None else offer.verdict)
        self.handles[config.name] = handle
        if offer is not None:
            self._recall(handle, offer)
        handle.tools = self._catalogue.listed(config.name)
        return handle

    def _take_out(self, name: str) -> Task[None]:
        """Take a server out, and give its end."""
        handle = self.handles.pop(name)
        self._catalogue.remove_server(name)
        self._missed.discard(name)
        self._publish(ServerRemoved(at=time.time(), server=name))
        self._beat()
        return self._let_go(handle, "it was taken out")

    def _replace(self, config: ServerConfig) -> Task[None]:
        """Put a server with other settings in the place of one, and give the end of that one."""
        former = self.handles[config.name]
        if _identity(former.config) != _identity(config):
            self._catalogue.remove_server(config.name)
            self._missed.discard(config.name)
        handle = self._take_in(config, self._load([config]).get(config.name))
        end = self._let_go(former, "it comes with other settings")
        self.changed(handle, former.state)
        self._launch(handle)
        return end

    def _let_go(self, handle: Handle, reason: str) -> Task[None]:
        """Stop a server that is in the fleet no more; give the end of it and of those that had its name before."""
        earlier = self._ends.get(handle.name)

        async def end() -> None:
            await handle.stop(reason)
            if earlier is not None:
                await asyncio.wait({earlier})

        task = self._ends[handle.name] = self._loop.create_task(end(), name=f"dragoman lets {handle.name} go")
        task.add_done_callback(partial(self._ended, handle.name))
        return task

    def _ended(self, name: str, task: Task[None]) -> None:
        if self._ends.get(name) is task:
            del self._ends[name]
        present = self.handles.get(name)
        if present is not None and name not in self._ends:
            self._launch(present)

    def _launch(self, handle: Handle) -> None:
        """Start a server, unless one of its name has not ended yet: two might want the same file or port."""
        if handle.name not in self._ends and handle.state == "configured":
            handle.start()

    # What is kept from one start to the next.

    def _load(self, configs: Iterable[ServerConfig]) -> dict[str, Offer]:
        if self._kept is None:
            return {}
        keys = {config.name: self._kept.key(config) for config in configs}
        offers = self._kept.load_many(keys.values())
        return {name: offers[key] for name, key in keys.items() if key in offers}

    def _recall(self, handle: Handle, offer: Offer) -> None:
        now = time.time()
        if offer == Offer():  # what `miss` leaves behind
            self._missed.add(handle.name)
            return
        for what in LISTINGS:
            listing = getattr(offer, what)
            if listing is not None:
                self._catalogue.update(handle.name, what, listing, stale=True)
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
        self._save_soon()

    def _save_soon(self) -> None:
        if self._saver is None and self._offers:
            self._saver = self._loop.create_task(self._save(), name="dragoman keeps its catalogue")
            self._saver.add_done_callback(self._saved)

    async def _save(self) -> None:
        """Write what has come, one after the other: an older offer must not come after a newer one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SAVING_PAUSE):
                await self._hurried.wait()
        while (kept := self._kept) is not None and self._offers:
            name, (key, offer) = self._offers.popitem()
            await asyncio.to_thread(kept.save, key, offer)
            self._publish(CacheStored(at=time.time(), server=name))

    def _saved(self, saver: Task[None]) -> None:
        self._saver = None
        if not saver.cancelled() and saver.exception() is not None:
            log.error("what servers offer could not be kept", exc_info=saver.exception())
        elif not saver.cancelled():
            self._save_soon()

    # What the handles tell.

    def connecting(self, config: ServerConfig, verdict: Verdict | None) -> Connecting:
        """See `Keeper`."""
        return self._opener(config, verdict)

    def changed(self, handle: Supervised, before: ServerState) -> None:
        """See `Keeper`."""
        if self.handles.get(handle.name) is not handle:
            return
        status = handle.status()
        if status.state in ("waiting", "needs_login", "failed"):
            self.miss(handle.name)
        self._catalogue.mark(handle.name, stale=status.state not in ("ready", "degraded"))
        self._publish(ServerChanged(at=time.time(), server=handle.name, before=before, status=status))
        self._beat()

    def lost(self, handle: Supervised, error: DragomanError) -> None:
        """See `Keeper`."""
        if self.handles.get(handle.name) is handle:
            self._publish(ServerLost(at=time.time(), server=handle.name, code=error.code, reason=error.what))

    def recovered(self, handle: Supervised, away: float) -> None:
        """See `Keeper`."""
        if self.handles.get(handle.name) is handle:
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
        self._missed.discard(handle.name)
        if what == "tools":
            self.handles[handle.name].tools = delta.total
        if delta:
            added, removed = names((*delta.added, *delta.changed)), names(delta.removed)
            self._publish(
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
        self._instruments.note(event)

    def _beat(self) -> None:
        """Wake all who wait for servers to be in some state."""
        self._pulse.set()
        self._pulse = asyncio.Event()


def _identity(config: ServerConfig) -> tuple[object, ...]:
    return tuple(getattr(config, key) for key in _IDENTITY)
