"""Tends one standing connection: lists what it offers, hears of changes, asks whether it is there, sees it idle.

It ends when the connection is lost, or has been idle for long enough. `handle.Handle` decides what comes then.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from dragoman.errors import (
    ConnectionLost,
    DragomanError,
    HttpError,
    OutcomeUnknown,
    RequestTimeout,
    ServerError,
)
from dragoman.events import Listing
from dragoman.handle.keeper import Keeper, Supervised
from dragoman.protocol.changes import Change, PromptsChanged, Relistened, ResourcesChanged, ToolsChanged
from dragoman.protocol.types import Page
from dragoman.server.server import Server

__all__ = ["Tending"]

log: Final = logging.getLogger("dragoman")

_ALL: Final[tuple[Listing, ...]] = ("tools", "resources", "templates", "prompts")
#: How long a server that is asked whether it is there may take (seconds).
_PING_TIMEOUT: Final = 5.0
#: So many unanswered questions in a row mean that the server is gone.
_MOST_UNANSWERED: Final = 2
#: A listing that fails is asked for again after so long (seconds), so often.
_LISTING_PAUSE: Final = 2.0
_LISTING_ATTEMPTS: Final = 3


class Tending:
    """The care of one connection. ``lost_at`` is when an earlier one was lost (the loop's time; None: none was)."""

    def __init__(self, handle: Supervised, server: Server, keeper: Keeper, *, lost_at: float | None) -> None:
        self._handle = handle
        self._server = server
        self._keeper = keeper
        self._lost_at = lost_at
        self._loop = asyncio.get_running_loop()
        self._suspected = asyncio.Event()
        self._last_used = self._loop.time()
        self._last_seen = self._loop.time()
        self._unanswered = 0
        self._listing = asyncio.Lock()

    def used(self) -> None:
        """Take note that a call ended just now."""
        self._last_used = self._loop.time()

    def suspect(self) -> None:
        """Ask the server at once whether it is there."""
        self._suspected.set()

    async def run(self) -> DragomanError | None:
        """Tend the connection; give why it is lost, or None if it was idle for long enough."""
        ended = self._loop.create_task(self._server.wait_ended(), name=f"dragoman sees {self._handle.name} end")
        caring = self._loop.create_task(self._care(), name=f"dragoman lists {self._handle.name}")
        try:
            return await self._watch(ended)
        finally:
            for task in (ended, caring):
                task.cancel()
            await asyncio.wait({ended, caring})

    async def _watch(self, ended: Task[DragomanError | None]) -> DragomanError | None:
        while True:
            suspecting = self._loop.create_task(self._suspected.wait(), name=f"dragoman doubts {self._handle.name}")
            try:
                await asyncio.wait({ended, suspecting}, timeout=self._pause(), return_when=asyncio.FIRST_COMPLETED)
            finally:
                suspecting.cancel()
            if ended.done():
                return ended.result() or ConnectionLost("the connection was closed", server=self._handle.name)
            if self._is_idle():
                return None
            if self._suspected.is_set() or self._is_check_due():
                self._suspected.clear()
                lost = await self._ask(ended)
                if lost is not None:
                    return lost

    # Whether it is there.

    def _pause(self) -> float | None:
        """Give how long nothing has to be done (seconds)."""
        config, now = self._handle.config, self._loop.time()
        due: list[float] = []
        if config.idle_timeout is not None:
            due.append(self._last_used + config.idle_timeout)
        if config.health_interval is not None:
            due.append(self._last_seen + config.health_interval)
        if self._unanswered:
            due.append(now + _PING_TIMEOUT / 5)
        return max(0.01, min(due) - now) if due else None

    def _is_idle(self) -> bool:
        idle = self._handle.config.idle_timeout
        used = self._handle.in_flight or self._handle.held
        if used:
            self._last_used = self._loop.time()
        return idle is not None and not used and self._loop.time() - self._last_used >= idle

    def _is_check_due(self) -> bool:
        interval = self._handle.config.health_interval
        if self._unanswered:
            return True
        if interval is None:
            return False
        self._last_seen = max(self._last_seen, self._last_used if self._handle.answered else 0.0)
        return self._loop.time() - self._last_seen >= interval

    async def _ask(self, ended: Task[DragomanError | None]) -> DragomanError | None:
        """Ask the server whether it is there; give why it counts as lost, or None."""
        patience = min(_PING_TIMEOUT, self._handle.config.timeout)
        asking = self._loop.create_task(self._server.ping(timeout=patience), name=f"dragoman asks {self._handle.name}")
        try:
            await asyncio.wait({ended, asking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.cancel()
            await asyncio.wait({asking})
        if asking.cancelled():
            return None
        self._last_seen = self._loop.time()
        error = asking.exception()
        if error is None or isinstance(error, ServerError):
            self._unanswered = 0
            self._handle.heal()
            return None
        if isinstance(error, ConnectionLost | OutcomeUnknown):
            return error
        if not isinstance(error, DragomanError):
            raise error
        self._unanswered += 1
        self._handle.degrade(error.what, error)
        silent = isinstance(error, RequestTimeout | HttpError) and self._unanswered >= _MOST_UNANSWERED
        return error if silent else None

    # What it offers.

    async def refresh(self) -> None:
        """List everything anew. Whoever comes meanwhile waits for the same listing."""
        if self._listing.locked():
            async with self._listing:
                return
        await self._list(_ALL)

    async def _care(self) -> None:
        """List what is not known well enough, say so, and hear of changes as long as the connection stands."""
        stale: list[Listing] = [
            what for what in _ALL if self._lost_at is not None or not self._keeper.is_fresh(self._handle, what)
        ]
        for attempt in range(1, _LISTING_ATTEMPTS + 1):
            try:
                await self._list(stale)
                break
            except DragomanError as error:
                if not self._server.is_connected:
                    return
                self._handle.degrade(f"it could not be listed ({error.what})", error)
                if attempt == _LISTING_ATTEMPTS:
                    break
                await asyncio.sleep(_LISTING_PAUSE * attempt)
        if self._lost_at is not None:
            self._keeper.recovered(self._handle, self._loop.time() - self._lost_at)
        await self._listen()

    async def _list(self, wanted: Iterable[Listing]) -> None:
        async with self._listing:
            for what in wanted:
                page: Page[Any] = await self._lister(what)()
                self._keeper.listed(self._handle, what, page)
            self._keeper.offered(self._handle, self._server)
            self._handle.heal()

    def _lister(self, what: Listing) -> Callable[[], Awaitable[Page[Any]]]:
        match what:
            case "tools":
                return self._server.tools_page
            case "resources":
                return self._server.resources_page
            case "templates":
                return self._server.templates_page
            case "prompts":
                return self._server.prompts_page

    async def _listen(self) -> None:
        """Hear of changed listings, if the server tells of any."""
        offered = self._server.capabilities
        tools, prompts, resources = (
            bool(capability and capability.get("listChanged") is True)
            for capability in (offered.tools, offered.prompts, offered.resources)
        )
        if not (tools or prompts or resources):
            return
        try:
            async with self._server.listen(tools=tools, prompts=prompts, resources=resources) as changes:
                async for change in changes:
                    await self._follow(change)
        except DragomanError as error:
            log.debug("%s: changes of its listings are not heard (%s)", self._handle.name, error.what)

    async def _follow(self, change: Change) -> None:
        wanted: tuple[Listing, ...]
        match change:
            case ToolsChanged():
                wanted = ("tools",)
            case PromptsChanged():
                wanted = ("prompts",)
            case ResourcesChanged():
                wanted = ("resources", "templates")
            case Relistened():
                wanted = _ALL
            case _:
                return
        try:
            await self._list(wanted)
        except DragomanError as error:
            if self._server.is_connected:
                self._handle.degrade(f"it could not be listed anew ({error.what})", error)
