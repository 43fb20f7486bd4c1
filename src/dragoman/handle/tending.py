"""Tends one standing connection: asks whether the server is there, and sees when nobody needs it.

It ends when the connection is lost, or has been idle for long enough. `handle.Handle` decides what comes then;
`lister` keeps what the server offers up to date.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import Task
from typing import Final

from dragoman.errors import (
    ConnectionLost,
    DragomanError,
    LoginRequired,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    ServerError,
)
from dragoman.events import Listing
from dragoman.handle.keeper import Keeper, Supervised
from dragoman.handle.lister import Lister
from dragoman.server.server import Server

__all__ = ["Tending"]

#: How long a server that is asked whether it is there may take (seconds), if its time-out is not shorter.
_PATIENCE: Final = 5.0
#: The least time between two such questions (seconds), if its time-out is not shorter: a hundred calls that fail ask
#: once.
_PAUSE: Final = 1.0
#: So many unanswered questions in a row mean that the server is gone.
_MOST_UNANSWERED: Final = 2


class Tending:
    """The care of one connection. ``anew``: what the server offers is listed anew, however fresh it is."""

    def __init__(self, handle: Supervised, server: Server, keeper: Keeper, *, anew: bool) -> None:
        self._handle = handle
        self._server = server
        self._lister = Lister(handle, server, keeper, anew=anew)
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._suspected = False
        self._doubted = False
        self._in_vain = False  # the last calls got no answer
        self._unanswered = 0
        self._answered = handle.answered
        self._last_used = self._last_seen = self._loop.time()
        self._next_question = self._last_used
        self._ended: Task[DragomanError | None] | None = None
        self._listing: Task[None] | None = None

    @property
    def at_work(self) -> bool:
        """Whether calls are under way, or failed with the connection, on a server that had listed what it offers."""
        return self._lister.listed and (self._handle.in_flight > 0 or self._doubted)

    def used(self) -> None:
        """Take note that the last call under way ended just now."""
        self._last_used = self._loop.time()
        self._in_vain = not self._look()

    def suspect(self) -> None:
        """Take note that a call failed, and ask the server soon whether it is there."""
        self._doubted = True
        self.check()

    def check(self) -> None:
        """Ask the server soon whether it is there."""
        self._suspected = True
        self._news.set()

    async def refresh(self, *what: Listing) -> None:
        """List these anew; none: everything."""
        await self._lister.refresh(*what)

    async def run(self) -> DragomanError | None:
        """Tend the connection; give why it is lost, or None if it was idle for long enough.

        Whoever calls this must not wait between its return and taking the connection from new calls.
        """
        name = self._handle.name
        self._ended = ended = self._loop.create_task(self._server.wait_ended(), name=f"dragoman sees {name} end")
        self._listing = self._loop.create_task(self._lister.run(), name=f"dragoman lists {name}")
        for task in (self._ended, self._listing):
            task.add_done_callback(lambda _: self._news.set())
        while True:
            if ended.done():
                return ended.result() or ConnectionLost("the connection was closed", server=name)
            if self._listing.done():
                self._listing.result()  # it ends by a fault of ours only
            if self._is_idle():
                return None
            if self._is_question_due():
                lost = await self._ask(ended)
                if lost is not None:
                    return lost
                continue
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._news.wait()

    async def aclose(self) -> None:
        """End all that goes on beside."""
        tasks = {task for task in (self._ended, self._listing) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # Whether it is needed.

    def _is_idle(self) -> bool:
        now, idle = self._loop.time(), self._handle.config.idle_timeout
        if self._handle.in_flight or self._handle.held:
            self._last_used = now
        return idle is not None and now - self._last_used >= idle

    # Whether it is there.

    def _look(self) -> bool:
        """Take answers that came meanwhile for a sign of life, and tell whether some did."""
        seen = self._handle.answered != self._answered
        if seen:
            self._seen()
        return seen

    def _seen(self) -> None:
        self._answered = self._handle.answered
        self._last_seen = self._loop.time()

    def _is_question_due(self) -> bool:
        self._look()
        now, interval = self._loop.time(), self._handle.config.health_interval
        if self._suspected or self._unanswered:
            return now >= self._next_question
        if interval is None or now - self._last_seen < interval:
            return False
        # Who is at work may be too busy to answer: then the calls' own time-outs tell.
        return self._in_vain or not self._handle.in_flight

    def _pause(self) -> float | None:
        """Give how long nothing has to be done (seconds)."""
        config, now = self._handle.config, self._loop.time()
        due: list[float] = []
        if config.idle_timeout is not None:
            due.append(self._last_used + config.idle_timeout)
        if config.health_interval is not None:
            at_work = self._handle.in_flight and not self._in_vain
            due.append((now if at_work else self._last_seen) + config.health_interval)
        if self._suspected or self._unanswered:
            due.append(self._next_question)
        return max(0.001, min(due) - now) if due else None

    async def _ask(self, ended: Task[DragomanError | None]) -> DragomanError | None:
        """Ask the server whether it is there; give why it counts as lost, or None."""
        config, before = self._handle.config, self._handle.answered
        self._suspected = False
        error: DragomanError | None = None
        try:
            await self._server.ping(timeout=min(_PATIENCE, config.timeout))
        except (RateLimited, ServerError):
            pass  # whoever refuses to answer is there
        except DragomanError as failure:
            error = failure
        self._next_question = self._loop.time() + min(_PAUSE, config.timeout)
        if not self._server.is_connected:
            await ended  # it tells more than the question that was lost with it
            return None
        if error is not None and self._handle.answered == before:
            return self._judge(error)
        self._seen()
        self._in_vain = False
        self._unanswered = 0
        self._handle.heal("silence")
        return None

    def _judge(self, error: DragomanError) -> DragomanError | None:
        """Take a question that was not answered; give the error if the server counts as lost by it."""
        if isinstance(error, ConnectionLost | LoginRequired | OutcomeUnknown):
            return error
        self._unanswered += 1
        self._handle.degrade("silence", error.what, error)
        if self._unanswered < _MOST_UNANSWERED:
            return None
        if isinstance(error, RequestTimeout) and self._handle.in_flight:
            # A server that does one thing at a time can't answer before it is through. As long as a call may take by
            # its configuration it is believed to be at work; then its silence counts.
            patient = self._loop.time() - self._last_seen < self._handle.config.timeout
            return None if patient else error
        return error
