"""`Handle`: one supervised server of a hub. One owner task connects it, tends it, and brings it back.

Whoever wants the server asks `Handle.ready` and waits no longer than his deadline. The handle knows nothing of names,
calls or other servers: it tells its `Keeper` what happens, and shares a `Gate` with its siblings. `condition` holds
the state, `tending` looks after a standing connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import random
import time
from asyncio import Future, Task
from collections.abc import AsyncGenerator, Callable
from typing import Final

from msgspec import Struct

from dragoman.config.model import ServerConfig
from dragoman.errors import ConnectionLost, DragomanError, RequestTimeout
from dragoman.events import Listing
from dragoman.handle.backoff import delay, fate
from dragoman.handle.condition import Condition
from dragoman.handle.gate import Gate, Ticket
from dragoman.handle.keeper import Ailment, Keeper
from dragoman.handle.limits import Limits
from dragoman.handle.tending import Tending
from dragoman.model import ServerState, ServerStatus
from dragoman.protocol.lifecycle import Verdict
from dragoman.server.server import Server

__all__ = ["Handle"]

log: Final = logging.getLogger("dragoman")

#: A connection that stood for so long (seconds), or answered a call, ends a row of failures.
_STOOD: Final = 5.0
#: How long calls that are under way may take to end when their server is taken out (seconds).
_DRAIN: Final = 2.0
#: States in which nothing is attempted by itself, since time alone mends nothing.
_AT_REST: Final = frozenset({"needs_login", "failed"})
_OFF: Final = frozenset({"stopped", "disabled"})
_TURN: Final = "it waits for its turn"


class _Waiter(Struct, eq=False):  # tracked by the collector: its error leads back to it
    """A call that waits for the server until ``deadline`` (the loop's time)."""

    future: Future[Server]
    deadline: float


class Handle:
    """One server under supervision.

    ``server`` is the standing connection, or None while there is none for new calls. ``in_flight`` counts the calls
    under way: who makes one tells so by `enter` and `leave`. ``answered`` counts those that were answered, ``held``
    the listeners that need the connection, ``failures`` the failed attempts in a row.
    """

    def __init__(self, config: ServerConfig, keeper: Keeper, gate: Gate, *, verdict: Verdict | None = None) -> None:
        self.config = config
        self.name = config.name
        self.server: Server | None = None
        self.limits = Limits(config.concurrency, config.rate, server=config.name)
        self.in_flight = 0
        self.held = 0
        self.answered = 0
        self.tools = 0
        self.failures = 0
        self.connections = 0
        self._keeper = keeper
        self._gate = gate
        self._verdict = verdict
        self._loop = asyncio.get_running_loop()
        if config.disabled:
            self._condition = Condition(self.name, "disabled", "it is switched off in the configuration")
        else:
            reason = "it was not needed yet" if config.start == "on_use" else _TURN
            self._condition = Condition(self.name, "configured", reason)
        self._ailments: dict[Ailment, tuple[str, DragomanError]] = {}
        self._connected_at: float | None = None
        self._lost_at: float | None = None
        self._wanted = asyncio.Event()  # somebody needs the server
        self._hurried = asyncio.Event()  # the back-off is over before its time
        self._waiters: set[_Waiter] = set()
        self._ticket: Ticket | None = None
        self._drained = asyncio.Event()
        self._drained.set()
        # The owner task, what it holds, and the task that ends it.
        self._owner: Task[None] | None = None
        self._standing: Server | None = None
        self._tending: Tending | None = None
        self._ending: Task[None] | None = None
        self._starts_again = False

    # What it is.

    @property
    def state(self) -> ServerState:
        """The state it is in."""
        return self._condition.state

    def status(self) -> ServerStatus:
        """Give how it is now."""
        now, server = self._condition, self.server
        return ServerStatus(
            name=self.name,
            state=now.state,
            reason=now.reason,
            code="" if now.error is None else now.error.code,
            since=now.since,
            connected_at=self._connected_at,
            retry_at=None if now.retry_in is None else time.time() + now.retry_in,
            failures=self.failures,
            connections=self.connections,
            in_flight=self.in_flight,
            tools=self.tools,
            transport="" if server is None else server.transport_kind,
            protocol_version="" if server is None else server.protocol_version,
            era="" if server is None else server.era,
        )

    # What the hub does with it.

    def start(self) -> None:
        """Let the owner task run; a server that is ``on_use`` is connected with the first call only.

        One that is just being stopped starts when that is over. Nothing happens if it runs, or is disabled.
        """
        if self.state == "disabled" or (self._ending is None and self._owner is not None):
            return
        if self.state == "stopped":
            self._wanted.clear()
            self.failures = 0
            self._set("configured", _TURN)
        if self._ending is not None:
            self._starts_again = True
            return
        if self.config.start == "eager":
            self._wanted.set()
        self._owner = self._loop.create_task(self._own(), name=f"dragoman supervises {self.name}")

    def wake(self) -> None:
        """Connect now, whatever the back-off says, and forget earlier failures."""
        if self.state in _OFF or self.server is not None:
            return
        self.failures = 0
        self._hurried.set()
        if self.state == "waiting" or self.state in _AT_REST:
            self._set("configured", _TURN)
        self.want()

    def want(self) -> None:
        """Say that the server is needed: one that starts on use is started, one that waits for its turn goes ahead.

        One that failed for good, or wants a login, is tried again only after ``longest_delay``.
        """
        if self.server is not None or self.state in _OFF or (self.state in _AT_REST and not self._has_rested()):
            return
        self._wanted.set()
        if self._ticket is not None:
            self._gate.hurry(self._ticket)

    async def ready(self, deadline: float) -> Server:
        """Give the connected server, starting it and waiting for it until ``deadline`` (the loop's time).

        Raises:
            ServerNotReady: it can't be had before the deadline; nothing was sent.
            RequestTimeout: the deadline passed.
            DragomanError: the attempt that was waited for failed so.
        """
        if self.server is not None:
            return self.server
        if self._is_refused(deadline):
            raise self._condition.refusal()
        waiter = _Waiter(self._loop.create_future(), deadline)
        self._waiters.add(waiter)
        self.want()
        began = self._loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter.future
        except TimeoutError:
            seconds = self._loop.time() - began
            what = f"it was not connected within {seconds:.3g} s (it is {self.state}: {self._condition.reason})"
            raise RequestTimeout(what, timeout=seconds, method="connect", server=self.name) from None
        finally:
            self._waiters.discard(waiter)
            if waiter.future.done() and not waiter.future.cancelled():
                waiter.future.exception()  # whoever was cancelled just then does not look at it

    def enter(self) -> None:
        """Count a call in."""
        self.in_flight += 1
        self._drained.clear()

    def leave(self) -> None:
        """Count a call out."""
        self.in_flight -= 1
        if not self.in_flight:
            self._drained.set()
            if self._tending is not None:
                self._tending.used()

    def suspect(self) -> None:
        """Take note that a call failed as if the server were gone: it is asked whether it is."""
        if self._tending is not None:
            self._tending.suspect()

    def check(self) -> None:
        """Have the server asked whether it is there, for something else than a call went wrong."""
        if self._tending is not None:
            self._tending.check()

    async def refresh(self, *what: Listing) -> None:
        """List these anew (none: all that the server offers), if it is connected. What fails shows in its state."""
        if self._tending is not None:
            await self._tending.refresh(*what)

    async def stop(self, reason: str = "it was stopped") -> None:
        """Close the connection, or give the attempt up, and stay so until `start`.

        New calls are refused from now on; those under way get a little time to end, bounded as all of this is. The end
        goes on if whoever waits for it here is cancelled.
        """
        self._starts_again = False
        self.server = None
        if self.state not in _OFF:
            self._set("stopped", reason)
        self._fail_waiters(self._condition.refusal)
        if self._ending is None:
            if self._owner is None:
                return
            self._ending = self._loop.create_task(self._end(), name=f"dragoman stops {self.name}")
        await asyncio.wait({self._ending})

    async def _end(self) -> None:
        try:
            if self.in_flight and self._standing is not None:
                await self._drain()
            if self._owner is not None:
                self._owner.cancel()
                await asyncio.wait({self._owner})
            if self._standing is not None:  # the owner was closing it when it was cancelled
                await self._standing.aclose()
        finally:
            self._owner = self._standing = self._ending = None
            if self._starts_again:
                self._starts_again = False
                self.start()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(min(_DRAIN, self.config.shutdown_timeout)):
                await self._drained.wait()
        except TimeoutError:
            log.info("%s: calls under way are cut off: %d", self.name, self.in_flight)

    # The owner task.

    async def _own(self) -> None:
        while self._ending is None:
            await self._until_due()
            server = await self._connect()
            if server is not None:
                await self._hold(server)

    async def _until_due(self) -> None:
        """Wait until the next attempt is due: a time for a lost server, a call for one that rests."""
        if self.state == "waiting":
            # A call does not end the back-off: callers make no storm.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._condition.retry_at):
                    await self._hurried.wait()
            if self.config.start == "eager" or self._waiters or self.held:
                return
            if self.state == "waiting":
                now = self._condition
                self._wanted.clear()
                self._set("configured", f"{now.reason}; the next call tries again", now.error)
        await self._wanted.wait()

    async def _connect(self) -> Server | None:
        try:
            async with self._turn():
                self._set("connecting", "an attempt is under way")
                return await self._keeper.connecting(self.config, self._verdict)
        except DragomanError as error:
            self._verdict = None
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - a plug-in's transport may raise anything; it must not end the owner
            self._failed(ConnectionLost(f"the attempt failed ({type(error).__name__}: {error})", server=self.name))
        finally:
            self._ticket = None
            self._wanted.clear()
        return None

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """Wait for a turn to start a process; a server that runs elsewhere needs none of this machine's processors."""
        if self.config.url is not None:
            yield
            return
        self._ticket = ticket = self._gate.ticket(self.config.priority)
        if self._waiters:
            self._gate.hurry(ticket)
        await self._gate.enter(ticket)
        try:
            yield
        finally:
            self._gate.leave(ticket)

    async def _hold(self, server: Server) -> None:
        """Hold the connection until it is lost, idle or given up, and close it."""
        self._standing = server
        tending = Tending(self, server, self._keeper, anew=self._lost_at is not None)
        try:
            self._arrived(server, tending)
            opened, before = self._loop.time(), self.answered
            try:
                error = await tending.run()
            except Exception as bug:
                log.exception("%s: its supervision failed", self.name)
                error = ConnectionLost(f"its supervision failed ({type(bug).__name__}: {bug})", server=self.name)
            # Nothing is awaited between the verdict and the leave: no call may slip in and be cut off.
            stood = self.answered > before or self._loop.time() - opened > _STOOD
            self._left(error, stood=stood, at_work=tending.at_work)
        finally:
            self.server = self._tending = self._connected_at = None
            try:
                await tending.aclose()
            finally:
                await server.aclose()
        self._standing = None

    def _arrived(self, server: Server, tending: Tending) -> None:
        """Give the connection to those who waited for it."""
        self._verdict = server.verdict
        self.connections += 1
        self._connected_at = time.time()
        self._tending = tending
        self._ailments.clear()
        self.server = server
        self._set("ready", "connected")
        for waiter in list(self._waiters):
            if not waiter.future.done():
                waiter.future.set_result(server)

    def _left(self, error: DragomanError | None, *, stood: bool, at_work: bool) -> None:
        """Take note that the connection is over; None: it was idle.

        A row of failures ends with a connection that ``stood``. One that was lost ``at_work``, by what a call asked
        for, is no reason to refuse other calls: the row does not grow so long that the breaker opens.
        """
        self.server = self._tending = self._connected_at = None
        if self._ending is not None:
            return
        if error is None:
            self._set("configured", "it was idle; the next call wakes it")
            return
        if stood:
            self.failures = 0
        elif at_work:
            self.failures = min(self.failures, max(0, self.config.restart.breaker - 2))
        if self._lost_at is None:
            self._lost_at = self._loop.time()
        self._keeper.lost(self, error)
        self._failed(error)

    def _failed(self, error: DragomanError) -> None:
        """Take a failed attempt or a lost connection, and decide what comes next."""
        self.failures += 1
        self._hurried.clear()
        verdict = fate(error)
        if verdict != "again":
            self._set(verdict, error.what, error)
            self._fail_waiters(lambda: _again(error))
            return
        asked: float | None = getattr(error, "retry_after", None)
        pause = delay(self.failures, self.config.restart, random.random, retry_after=asked)
        retry_at = self._loop.time() + pause
        self._set("waiting", error.what, error, retry_at=retry_at)
        self._fail_waiters(lambda: _again(error), later_than=None if self._is_hopeless() else retry_at)

    # Those who wait.

    def _is_hopeless(self) -> bool:
        """Whether a call to a server that is waiting should not wait with it."""
        return not self.connections or self.failures >= self.config.restart.breaker

    def _has_rested(self) -> bool:
        return self._condition.age >= self.config.restart.longest_delay

    def _is_refused(self, deadline: float) -> bool:
        """Whether the server is away, and will not be back before the deadline as far as anyone knows."""
        if self.state == "waiting":
            due = self._condition.retry_at
            return self._is_hopeless() or (due is not None and due > deadline)
        return self.state in _OFF or (self.state in _AT_REST and not self._has_rested())

    def _fail_waiters(self, error: Callable[[], DragomanError], *, later_than: float | None = None) -> None:
        for waiter in list(self._waiters):
            if not waiter.future.done() and (later_than is None or waiter.deadline < later_than):
                waiter.future.set_exception(error())

    # What its tending tells.

    def degrade(self, ailment: Ailment, reason: str, error: DragomanError) -> None:
        """Take note that the server is connected and not well."""
        if self.server is not None:
            self._ailments.pop(ailment, None)
            self._ailments[ailment] = (reason, error)
            self._set("degraded", reason, error)

    def heal(self, ailment: Ailment) -> None:
        """Take note that the server is well again, as far as this ailment goes."""
        if self._ailments.pop(ailment, None) is None or self.server is None:
            return
        if self._ailments:
            self._set("degraded", *next(reversed(self._ailments.values())))
        else:
            self._set("ready", "well again")

    def settled(self) -> None:
        """Take note that all that the server offers was listed on this connection."""
        lost_at, self._lost_at = self._lost_at, None
        if lost_at is not None:
            self._keeper.recovered(self, self._loop.time() - lost_at)

    def _set(
        self, state: ServerState, reason: str, error: DragomanError | None = None, *, retry_at: float | None = None
    ) -> None:
        before = self.state
        if self._condition.become(state, reason, error, retry_at=retry_at):
            self._keeper.changed(self, before)


def _again(error: DragomanError) -> DragomanError:
    """Give an error anew for another caller: one instance raised in many tasks would gather all their frames."""
    twin = copy.copy(error)
    twin.__traceback__ = None
    twin.__cause__ = error.__cause__
    return twin
