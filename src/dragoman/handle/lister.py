"""Keeps the listings of one connected server up to date: fetches them, hears of changes, tries again what failed.

One round at a time, whoever asks for it. It tells the `Keeper` what came and its handle what did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from asyncio import Future
from collections.abc import Awaitable, Callable
from typing import Any, Final

from dragoman.errors import DragomanError, MethodNotFound, ProtocolError, ServerError
from dragoman.events import LISTINGS, Listing
from dragoman.handle.backoff import delay, fate
from dragoman.handle.keeper import Keeper, Supervised
from dragoman.protocol.changes import Change, PromptsChanged, Relistened, ResourcesChanged, ToolsChanged
from dragoman.protocol.types import Page
from dragoman.server.server import Server

__all__ = ["Lister"]

log: Final = logging.getLogger("dragoman")

_CHANGED: Final[dict[type[Change], tuple[Listing, ...]]] = {
    ToolsChanged: ("tools",),
    PromptsChanged: ("prompts",),
    ResourcesChanged: ("resources", "templates"),
    Relistened: LISTINGS,
}
#: What the server says changed is fetched no sooner than this (seconds) after the last round, and after this many
#: times its length: some servers tell of a change whenever they are asked.
_PAUSE: Final = 0.1
_REST: Final = 4
#: How long the first round waits (seconds) until changes are heard, so that none falls in between.
_HEARING: Final = 0.5


class Lister:
    """The listings of one connection. ``anew``: all are fetched, however fresh what is known of them is.

    ``listed`` tells whether all that the server offers was listed, or was known and fresh.
    """

    def __init__(self, handle: Supervised, server: Server, keeper: Keeper, *, anew: bool) -> None:
        self._handle = handle
        self._server = server
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._wanted: set[Listing] = {what for what in LISTINGS if anew or not keeper.is_fresh(handle, what)}
        self._fetched: set[Listing] = set()
        self._failed: dict[Listing, DragomanError] = {}
        self._failures = 0
        self._asking: list[tuple[frozenset[Listing], Future[None]]] = []
        self._news = asyncio.Event()
        self._hearing = asyncio.Event()
        self._rested_at = self._retry_at = self._loop.time()
        self.listed = not self._wanted

    async def refresh(self, *what: Listing) -> None:
        """Fetch these anew (none: everything), and wait for it; what fails shows in the server's state."""
        asking = self._loop.create_future()
        self._asking.append((frozenset(what or LISTINGS), asking))
        self._news.set()
        await asking

    async def run(self) -> None:
        """Keep the listings up to date until cancelled."""
        hearing = self._loop.create_task(self._hear(), name=f"dragoman hears {self._handle.name}")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEARING):
                    await self._hearing.wait()
            await self._keep_up()
        finally:
            for _, asking in self._asking:
                if not asking.done():
                    asking.set_result(None)
            hearing.cancel()
            await asyncio.wait({hearing})

    async def _keep_up(self) -> None:
        while True:
            when = self._when()
            if when is not None and when <= self._loop.time():
                await self._round()
                continue
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(when):
                    await self._news.wait()

    def _when(self) -> float | None:
        """Give when the next round is due; None: when somebody asks."""
        due = [self._loop.time()] if self._asking else []
        if self._wanted:
            due.append(self._rested_at)
        if self._failed:
            due.append(self._retry_at)
        return min(due, default=None)

    async def _round(self) -> None:
        """Fetch what is wanted, and once more what failed. One that fails leaves the others alone."""
        asking, self._asking = self._asking, []
        began = self._loop.time()
        wanted = self._wanted.union(*(what for what, _ in asking))
        if not asking or self._retry_at <= began:  # whoever asks for one listing does not hasten another that failed
            wanted |= self._failed.keys()
        untried, self._wanted = wanted.copy(), set()
        try:
            for what in LISTINGS:
                if what in wanted:
                    untried.discard(what)
                    if not await self._fetch(what):
                        break
            self._wanted |= untried  # the server was in trouble before: they are due with what failed
            self._conclude(wanted)
        finally:
            now = self._loop.time()
            self._rested_at = now + max(_PAUSE, _REST * (now - began))
            for _, each in asking:
                if not each.done():
                    each.set_result(None)

    async def _fetch(self, what: Listing) -> bool:
        """Fetch one listing; tell whether to go on, or the server itself is in trouble."""
        try:
            page = await self._page(what)
        except DragomanError as error:
            self._failed[what] = error
            if isinstance(error, ServerError | ProtocolError):
                return True
            self._handle.check()
            return False
        try:
            self._keeper.listed(self._handle, what, page)
        except Exception as bug:
            if what not in self._failed:
                log.exception("%s: its %s could not be taken", self._handle.name, what)
            self._failed[what] = ProtocolError(f"they could not be taken ({type(bug).__name__}: {bug})")
            return True
        self._failed.pop(what, None)
        self._fetched.add(what)
        return True

    async def _page(self, what: Listing) -> Page[Any]:
        server = self._server
        pages: dict[Listing, Callable[[], Awaitable[Page[Any]]]] = {
            "tools": server.tools_page,
            "resources": server.resources_page,
            "templates": server.templates_page,
            "prompts": server.prompts_page,
        }
        try:
            return await pages[what]()
        except MethodNotFound:
            if what != "templates":
                raise
            # One capability stands for resources and templates, and many servers have resources only.
            return Page([], [])

    def _conclude(self, wanted: set[Listing]) -> None:
        if wanted & self._fetched:
            self._keeper.offered(self._handle, self._server)
        if not self._failed:
            self._failures = 0
            self.listed = True
            self._handle.heal("listing")
            self._handle.settled()
            return
        failed = [(what, error) for what, error in self._failed.items() if what in wanted]
        if not failed:
            return
        self._failures += 1
        what, error = failed[0]
        asked: float | None = getattr(error, "retry_after", None)
        self._retry_at = self._loop.time() + delay(
            self._failures, self._handle.config.restart, random.random, retry_after=asked
        )
        self._handle.degrade("listing", f"its {what} could not be listed ({error.what})", error)

    # Changes.

    async def _hear(self) -> None:
        """Hear of changed listings as long as the connection stands, if the server tells of any."""
        offered = self._server.capabilities
        tools, prompts, resources = (
            bool(capability and capability.get("listChanged") is True)
            for capability in (offered.tools, offered.prompts, offered.resources)
        )
        failures = 0
        while (tools or prompts or resources) and self._server.is_connected:
            began = self._loop.time()
            try:
                listening = self._server.listen(
                    tools=tools, prompts=prompts, resources=resources, on_break=self._handle.check
                )
                async with listening as changes:
                    self._hearing.set()
                    self._wish(*self._fetched)  # it may have changed before anybody heard
                    async for change in changes:
                        self._wish(*_CHANGED.get(type(change), ()))
            except DragomanError as error:
                log.debug("%s: changes of its listings are not heard (%s)", self._handle.name, error.what)
                if isinstance(error, ServerError) or fate(error) != "again":
                    break
            restart = self._handle.config.restart
            failures = 1 if self._loop.time() - began > restart.longest_delay else failures + 1
            await asyncio.sleep(delay(failures, restart, random.random))
        self._hearing.set()

    def _wish(self, *what: Listing) -> None:
        if what:
            self._wanted.update(what)
            self._news.set()
