"""Makes requests: waits for the server, keeps to its limits, repeats what may be repeated, and tells of it all.

The way of a request that meets no trouble is short; everything else lies behind its first failure. It resolves no
names: it is given a handle, or several that stand in for one another.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from asyncio import CancelledError, Task
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from msgspec import Struct

from dragoman.errors import (
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    HttpError,
    LoginRequired,
    OutcomeUnknown,
    RequestTimeout,
    ServerError,
    ServerNotReady,
    UsageError,
)
from dragoman.events import CallFailed, CallFinished, CallProgressed, CallRetried, CallStarted
from dragoman.handle.handle import Handle
from dragoman.hub.bus import Bus
from dragoman.hub.excerpts import words
from dragoman.hub.instruments import Instruments
from dragoman.hub.requests import Request
from dragoman.hub.retries import is_safe, read_only, repeat, verdict
from dragoman.protocol.jsonrpc import printable
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import Progress
from dragoman.server.connection import ProgressHandler

__all__ = ["LEAST", "Calls", "Terms", "checked_timeout"]

T = TypeVar("T")

#: What may mean that the server is gone, although its connection does not say so.
_SUSPICIOUS: Final = (ConnectionLost, LoginRequired, OutcomeUnknown, RequestTimeout)
#: A request that has less time left than this (seconds), used up by names and limits, is sent all the same, and told
#: to be quick.
LEAST: Final = 0.001


class Terms(Struct):
    """How a request is to be made: the caller's time-out, handler of progress and metadata."""

    timeout: float | None = None
    on_progress: ProgressHandler | None = None
    meta: Mapping[str, Any] | None = None


_PLAIN: Final = Terms()


class _Course(Struct):
    """One call on its way: the number by which it is told of, and the server that is asked, in the end who answered."""

    number: int
    server: str


class Calls:
    """Makes requests, and tells the bus and the instruments of them.

    ``present`` gives the handle that a server of that name has now: another one may have taken its place meanwhile.
    """

    def __init__(self, bus: Bus, instruments: Instruments, present: Callable[[str], Handle | None]) -> None:
        self._bus = bus
        self._instruments = instruments
        self._present = present
        self._numbers = itertools.count(1)
        self._loop = asyncio.get_running_loop()

    async def make(self, handle: Handle, request: Request[T], terms: Terms = _PLAIN) -> T:
        """Make a request on one server.

        Raises:
            DragomanError: as `Server` does; `ServerNotReady` if the server is away.
        """
        patience = handle.config.timeout if terms.timeout is None else checked_timeout(terms.timeout)
        deadline = self._loop.time() + patience
        if not (self._bus.active or self._instruments):
            return await self._settle(handle, request, terms, deadline, _Course(0, handle.name))
        course = _Course(next(self._numbers), handle.name)
        return await self._told(
            course, request, terms, lambda watched: self._settle(handle, request, watched, deadline, course)
        )

    async def make_any(
        self,
        members: Sequence[tuple[Handle, Request[T]]],
        terms: Terms = _PLAIN,
        *,
        hedge_after: float | None = None,
    ) -> T:
        """Make a request on the first of several servers that stand in for one another, or the next if it fails.

        ``members`` are in order of preference. A failure goes on to the next one if nothing was sent, or if repeating
        the request is safe. With ``hedge_after`` (seconds), a read-only request is made on the next one too, and the
        first answer counts.
        """
        ranked = sorted(members, key=lambda member: _rank(member[0]))
        handle, request = ranked[0]
        patience = handle.config.timeout if terms.timeout is None else checked_timeout(terms.timeout)
        deadline = self._loop.time() + patience
        course = _Course(next(self._numbers), handle.name)
        if hedge_after is not None and len(ranked) > 1 and all(_is_read_only(*member) for member in ranked):
            bound = hedge_after
            return await self._told(course, request, terms, lambda t: self._raced(ranked, t, deadline, course, bound))
        return await self._told(course, request, terms, lambda t: self._in_turn(ranked, t, deadline, course))

    # One server.

    async def _settle(self, handle: Handle, request: Request[T], terms: Terms, deadline: float, course: _Course) -> T:
        """Make a request, and again after a failure if that is allowed."""
        handle.enter()
        try:
            return await self._once(handle, request, terms, deadline, terms.timeout)
        except DragomanError as error:
            failure = error
        finally:
            handle.leave()
        heir = self._heir(handle, failure)
        if heir is not None:
            rest = Terms(self._left(deadline), terms.on_progress, terms.meta)
            return await self._settle(heir, request, rest, deadline, course)
        return await self._again(handle, request, terms, deadline, course, _own_closing(handle, failure))

    def _heir(self, handle: Handle, error: DragomanError) -> Handle | None:
        """Give the handle that came in the place of this one, if the request that failed was not sent because of it."""
        if not isinstance(error, ServerNotReady | ConnectionClosed):
            return None
        present = self._present(handle.name)
        return None if present is handle else present

    async def _again(
        self,
        handle: Handle,
        request: Request[T],
        terms: Terms,
        deadline: float,
        course: _Course,
        first: DragomanError,
    ) -> T:
        """Repeat a request that failed, as often as that is allowed."""
        retry = handle.config.retry
        safe = is_safe(request.method, request.annotations(), retry, request.name)
        if retry.attempts == 1 or not verdict(first, safe=safe).again:
            raise first

        def tell(attempt: int, delay: float, error: DragomanError) -> None:
            self._tell_again(course, handle, request, error, attempt=attempt, delay=delay, why="retry")

        async def attempt(_: int) -> T:
            now = self._present(handle.name) or handle
            now.enter()
            try:
                return await self._once(now, request, terms, deadline, self._left(deadline))
            except ConnectionClosed as error:
                raise _own_closing(now, error) from error
            finally:
                now.leave()

        return await repeat(attempt, first, retry=retry, safe=safe, deadline=deadline, on_retry=tell)

    async def _once(
        self, handle: Handle, request: Request[T], terms: Terms, deadline: float, timeout: float | None
    ) -> T:
        """Make a request once, waiting for the server and within its limits."""
        limits = handle.limits
        if not limits.unbounded:
            await limits.take(deadline, method=request.method)
            timeout = self._left(deadline)
        try:
            server = handle.server
            if server is None:
                server = await handle.ready(deadline)
                timeout = self._left(deadline)
            result = await request.send(server, timeout, terms.on_progress, terms.meta)
        except DragomanError as error:
            if isinstance(error, _SUSPICIOUS) or (isinstance(error, HttpError) and error.status >= 500):
                handle.suspect()
            elif isinstance(error, ServerError):
                handle.answered += 1
            raise
        finally:
            if not limits.unbounded:
                limits.give()
        handle.answered += 1
        return result

    def _left(self, deadline: float) -> float:
        return max(LEAST, deadline - self._loop.time())

    # Several that stand in for one another.

    async def _in_turn(
        self, members: Sequence[tuple[Handle, Request[T]]], terms: Terms, deadline: float, course: _Course
    ) -> T:
        if members[0][0].server is None and len(members) > 1:
            members = await self._as_they_come(members, deadline)
        for attempt, (handle, request) in enumerate(members[:-1], 2):
            course.server = handle.name
            handle.enter()
            try:
                return await self._once(handle, request, terms, deadline, self._left(deadline))
            except DragomanError as error:
                safe = is_safe(request.method, request.annotations(), handle.config.retry, request.name)
                failure = _own_closing(handle, error)
                if not verdict(failure, safe=safe, elsewhere=True).again or self._loop.time() >= deadline:
                    raise
                self._tell_again(course, members[attempt - 1][0], request, failure, attempt=attempt, why="failover")
            finally:
                handle.leave()
        handle, request = members[-1]
        course.server = handle.name
        return await self._settle(handle, request, terms, deadline, course)

    async def _as_they_come(
        self, members: Sequence[tuple[Handle, Request[T]]], deadline: float
    ) -> Sequence[tuple[Handle, Request[T]]]:
        """Put that server first which is connected first: none is now, and one that hangs must not hold the others."""
        waiting = {
            self._loop.create_task(member[0].ready(deadline), name=f"dragoman awaits {member[0].name}"): member
            for member in members
        }
        try:
            running = set(waiting)
            while running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if task.exception() is None:
                        first = waiting[task]
                        return [first, *(member for member in members if member is not first)]
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
        return members

    async def _raced(
        self,
        members: Sequence[tuple[Handle, Request[T]]],
        terms: Terms,
        deadline: float,
        course: _Course,
        hedge_after: float,
    ) -> T:
        """Ask one server after the other, each a while after the last, and give the first answer."""
        waiting = list(members)
        asked: dict[Task[T], str] = {}
        running: set[Task[T]] = set()
        failure: DragomanError | None = None
        last: DragomanError | None = None
        try:
            while waiting or running:
                if waiting:
                    handle, request = waiting.pop(0)
                    attempt = len(asked) + 1
                    if failure is not None:
                        self._tell_again(course, handle, request, failure, attempt=attempt, why="failover")
                    elif attempt > 1:
                        late = RequestTimeout(f"no answer within {hedge_after:g} s", timeout=hedge_after)
                        self._tell_again(course, handle, request, late, attempt=attempt, why="hedge")
                    failure = None
                    asking = self._settle(handle, request, terms, deadline, course)
                    task = self._loop.create_task(asking, name=f"dragoman asks {handle.name}")
                    asked[task] = handle.name
                    running.add(task)
                pause = hedge_after if waiting else None
                done, running = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    course.server = asked[task]
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if not isinstance(error, DragomanError) or not verdict(error, safe=True, elsewhere=True).again:
                        raise error
                    last = failure = error
            raise last or RequestTimeout("none of the servers answered")
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)

    # What is told.

    async def _told(
        self,
        course: _Course,
        request: Request[T],
        terms: Terms,
        work: Callable[[Terms], Awaitable[T]],
    ) -> T:
        """Do the work, and tell of its beginning and end."""
        bus, instruments = self._bus, self._instruments
        began = time.perf_counter()
        started = CallStarted(
            at=time.time(),
            call_id=course.number,
            server=course.server,
            method=request.method,
            name=request.name,
            arguments=request.argument_names,
        )
        bus.publish(started)
        context = instruments.begin(started) if instruments else None
        if context or bus.wants(CallProgressed) or (instruments and terms.on_progress is not None):
            terms = self._watched(course, request, terms, context)
        try:
            result = await work(terms)
        except BaseException as error:
            code, reason = _told_of(error)
            rpc_code = error.rpc_code if isinstance(error, ServerError) else None
            failed = CallFailed(**_end_of(course, request, began), code=code, reason=reason, rpc_code=rpc_code)
            bus.publish(failed)
            instruments.end(failed)
            raise
        size, is_error = _measure(result)
        finished = CallFinished(**_end_of(course, request, began), size=size, is_error=is_error)
        bus.publish(finished)
        instruments.end(finished)
        return result

    def _watched(self, course: _Course, request: Request[T], terms: Terms, context: Mapping[str, str] | None) -> Terms:
        """Give terms under which progress is told, and the trace's context is sent along."""
        meta = {**(terms.meta or {}), **context} if context else terms.meta
        theirs = terms.on_progress
        if theirs is None and not self._bus.wants(CallProgressed):
            return Terms(terms.timeout, None, meta)

        def tell(progress: Progress) -> object:
            event = CallProgressed(
                at=time.time(),
                call_id=course.number,
                server=course.server,
                name=request.name,
                progress=progress.progress,
                total=progress.total,
                message=None if progress.message is None else words(progress.message),
            )
            self._bus.publish(event)
            self._instruments.note(event)
            return theirs(progress) if theirs is not None else None

        return Terms(terms.timeout, tell, meta)

    def _tell_again(
        self,
        course: _Course,
        handle: Handle,
        request: Request[Any],
        error: DragomanError,
        *,
        attempt: int,
        delay: float = 0.0,
        why: Literal["retry", "failover", "hedge"],
    ) -> None:
        if not (self._bus.active or self._instruments):
            return
        event = CallRetried(
            at=time.time(),
            call_id=course.number,
            server=handle.name,
            name=request.name,
            attempt=attempt,
            delay=delay,
            code=error.code,
            reason=error.what,
            why=why,
        )
        self._bus.publish(event)
        self._instruments.note(event)


def _end_of(course: _Course, request: Request[Any], began: float) -> dict[str, Any]:
    """Give what the events of both ends of a call tell; ``began`` is by the clock of `perf_counter`."""
    return {
        "at": time.time(),
        "call_id": course.number,
        "server": course.server,
        "method": request.method,
        "name": request.name,
        "seconds": time.perf_counter() - began,
    }


def _own_closing(handle: Handle, error: DragomanError) -> DragomanError:
    """Give the error as one that may be repeated, if the connection was closed for a reason of the handle's own.

    A server that was idle, or comes with other settings, is there again at once: that is no business of the caller's.
    """
    if not isinstance(error, ConnectionClosed) or handle.state in ("stopped", "disabled"):
        return error
    lost = ConnectionLost(error.what, server=handle.name)
    lost.__cause__ = error
    return lost


def checked_timeout(timeout: float) -> float:
    """Give a caller's time-out, which must be a number of seconds above 0.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(timeout, int | float) and timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        with contextlib.suppress(OverflowError):  # an integer that no clock counts to
            return float(timeout)
    raise UsageError(f"timeout={printable(repr(timeout))} is no number of seconds above 0")


def _told_of(error: BaseException) -> tuple[str, str]:
    """Give the code and the reason that an event tells of an error. Texts of foreign errors may hold anything."""
    if isinstance(error, DragomanError):
        return error.code, error.what
    if isinstance(error, CancelledError):
        return "call.cancelled", "its caller gave it up"
    return DragomanError.code, f"an unexpected {type(error).__name__}"


def _rank(handle: Handle) -> int:
    """Rank a server by how soon it can answer: connected and well, connected, on its way, away."""
    if handle.server is not None:
        return 0 if handle.state == "ready" else 1
    return 2 if handle.state in ("configured", "connecting") else 3


def _is_read_only(handle: Handle, request: Request[Any]) -> bool:
    if request.method != "tools/call":
        return True
    return read_only(request.annotations(), handle.config.retry, request.name)


def _measure(result: object) -> tuple[int, bool]:
    """Give how many bytes a result has, and whether it tells of a tool's failure."""
    if isinstance(result, ToolResult):
        with contextlib.suppress(DragomanError):
            return len(result.view), result.is_error
        return len(result.view), False
    raw = getattr(result, "raw_json", None)
    return (0 if raw is None else len(raw)), False
