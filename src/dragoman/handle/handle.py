"""`Handle`: one supervised server of a hub. One owner task connects it, tends it, and brings it back.

Whoever wants the server asks `Handle.ready` and waits no longer than his deadline. The handle knows nothing of names,
calls or other servers: it tells its `Keeper` what happens, and shares a `Gate` with its siblings.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import random
import time
from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from dragoman.config.model import ServerConfig
from dragoman.errors import ConnectionLost, DragomanError, RequestTimeout, ServerNotReady
from dragoman.handle.backoff import delay, fate
from dragoman.handle.gate import Gate, Ticket
from dragoman.handle.keeper import Keeper
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
#: States in which nothing is attempted by itself.
_AT_REST: Final = frozenset({"needs_login", "failed"})
#: States that tell of an outage. Attempts in between are no news.
_AWAY: Final = frozenset({"waiting", "needs_login", "failed"})


class _Waiter(Struct, eq=False, gc=False):
    """A call that waits for the server until ``deadline`` (the loop's time)."""

    future: Future[Server]
    deadline: float


class Handle:
    """One server under supervision.

    ``server`` is the standing connection, or None while there is none. ``in_flight`` counts the calls under way: who
    makes one tells so by `enter` and `leave`.
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
        self.reason = "it was not needed yet" if config.start == "on_use" else "it waits for its turn"
        self.error: DragomanError | None = None
        self.failures = 0
        self.connections = 0
        self._keeper = keeper
        self._gate = gate
        self._verdict = verdict
        self._state: ServerState = "disabled" if config.disabled else "configured"
        if config.disabled:
            self.reason = "it is switched off in the configuration"
        self._loop: AbstractEventLoop = asyncio.get_running_loop()
        self._since = time.time()
        self._entered = self._loop.time()
        self._connected_at: float | None = None
        self._retry_at: float | None = None
        self._lost_at: float | None = None
        self._told: ServerState | None = None
        self._wanted = asyncio.Event()
        self._waiters: set[_Waiter] = set()
        self._ticket: Ticket | None = None
        self._task: Task[None] | None = None
        self._tending: Tending | None = None
        self._standing: Server | None = None
        self._drained = asyncio.Event()
        self._drained.set()
        self._closing = False
        self._ending: Task[None] | None = None
        self._retired = False

    # What it is.

    @property
    def state(self) -> ServerState:
        """The state it is in."""
        return self._state

    def status(self) -> ServerStatus:
        """Give how it is now."""
        server = self.server
        retry_at = None if self._retry_at is None else time.time() + max(0.0, self._retry_at - self._loop.time())
        return ServerStatus(
            name=self.name,
            state=self._state,
            reason=self.reason,
            code="" if self.error is None else self.error.code,
            since=self._since,
            connected_at=self._connected_at,
            retry_at=retry_at,
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

        While it is being stopped, this is put off until it has; once it is retired, this does nothing.
        """
        if self._retired:
            return
        self._closing = False
        if self._ending is not None or self._state == "disabled" or (self._task is not None and not self._task.done()):
            return
        if self._state == "stopped":
            self._set("configured", "it waits for its turn")
        if self.config.start == "eager":
            self._wanted.set()
        self._task = self._loop.create_task(self._own(), name=f"dragoman supervises {self.name}")

    def wake(self) -> None:
        """Connect now, whatever the state or the back-off say."""
        if self._state in ("stopped", "disabled"):
            return
        self.failures = 0
        self._wanted.set()

    async def ready(self, deadline: float) -> Server:
        """Give the connected server, starting it and waiting for it until ``deadline`` (the loop's time).

        Raises:
            ServerNotReady: it can't be had before the deadline; nothing was sent.
            RequestTimeout: the deadline passed.
            DragomanError: the attempt that was waited for failed so.
        """
        if self.server is not None:
            return self.server
        self._refuse(deadline)
        waiter = _Waiter(self._loop.create_future(), deadline)
        self._waiters.add(waiter)
        self.want()
        started = self._loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter.future
        except TimeoutError:
            seconds = self._loop.time() - started
            what = f"it was not connected within {seconds:.3g} s (it is {self._state}: {self.reason})"
            raise RequestTimeout(what, timeout=seconds, method="connect", server=self.name) from None
        finally:
            self._waiters.discard(waiter)

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
        """Take note that a call failed as if the server were gone: it is asked at once whether it is."""
        if self._tending is not None:
            self._tending.suspect()

    async def refresh(self) -> None:
        """List anew what the server offers, if it is connected."""
        if self._tending is not None:
            await self._tending.refresh()

    async def stop(self, reason: str = "it was stopped") -> None:
        """Close the connection, or give the attempt up, and stay so until `start`. Bounded in time.

        It goes on if its caller is cancelled; whoever stops the server meanwhile waits for the same end.
        """
        self._closing = True
        if self._ending is None:
            self._ending = self._loop.create_task(self._end(reason), name=f"dragoman stops {self.name}")
        await asyncio.shield(self._ending)

    async def retire(self, reason: str) -> None:
        """Stop for good: another takes its place, or none is wanted."""
        self._retired = True
        await self.stop(reason)

    async def _end(self, reason: str) -> None:
        try:
            await self._drain()
            task, self._task = self._task, None
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task})
            if self._standing is not None:  # the owner was closing a lost connection when it was cancelled
                await self._standing.aclose()
        finally:
            self._ending = None
        self._set("disabled" if self.config.disabled else "stopped", reason)
        if self._closing:
            self._fail_waiters(self._not_ready)
        else:  # it was wanted again before it had ended
            self.start()

    async def _drain(self) -> None:
        """Wait for the calls under way, if they are with the server."""
        if not self.in_flight or self.server is None:
            return
        try:
            async with asyncio.timeout(min(_DRAIN, self.config.shutdown_timeout)):
                await self._drained.wait()
        except TimeoutError:
            log.info("%s: %d calls are cut off as it is stopped", self.name, self.in_flight)

    # The owner task.

    async def _own(self) -> None:
        while True:
            await self._until_wanted()
            server = await self._connect()
            if server is not None:
                self._standing = server
                try:
                    await self._serve(server)
                finally:
                    await server.aclose()
                    self._standing = None

    async def _until_wanted(self) -> None:
        """Wait until the next attempt is due: a time for a lost server, a call for one at rest."""
        if self._state == "waiting":
            await self._sit_out()
            if self.config.start == "eager" or self._waiters or self.held:
                return
            self._set("configured", f"{self.reason}; the next call tries again")
        await self._wanted.wait()

    async def _sit_out(self) -> None:
        """Wait until the back-off is over. `wake` ends it, a call does not: callers make no storm."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._retry_at):
                while self.failures:
                    self._wanted.clear()
                    await self._wanted.wait()

    async def _connect(self) -> Server | None:
        self._ticket = ticket = self._gate.ticket(self.config.priority)
        if self._waiters:
            self._gate.hurry(ticket)
        try:
            await self._gate.enter(ticket)
            try:
                self._set("connecting", "an attempt is under way")
                server = await self._keeper.connecting(self.config, self._verdict)
            finally:
                self._gate.leave(ticket)
        except DragomanError as error:
            self._failed(error)
            return None
        except Exception as error:  # noqa: BLE001 - a plug-in's transport may raise anything; it must not end the owner
            self._failed(ConnectionLost(f"the attempt failed ({type(error).__name__}: {error})", server=self.name))
            return None
        finally:
            self._ticket = None
            self._wanted.clear()
        return server

    async def _serve(self, server: Server) -> None:
        """Hold the connection until it is lost, idle or given up."""
        self._verdict = server.verdict
        self.connections += 1
        self._connected_at = time.time()
        before = self.answered
        tending = Tending(self, server, self._keeper, lost_at=self._lost_at)
        self._tending = tending
        self._lost_at = None
        self.server = server
        self.error = None
        self._set("ready", "connected")
        for waiter in list(self._waiters):
            if not waiter.future.done():
                waiter.future.set_result(server)
        opened = self._loop.time()
        try:
            error = await tending.run()
            if self.answered > before or self._loop.time() - opened > _STOOD:
                self.failures = 0
        finally:
            self.server = None
            self._tending = None
            self._connected_at = None
        if error is None:
            self._set("configured", "it was idle; the next call wakes it")
        else:
            self._lost_at = self._loop.time()
            self._keeper.lost(self, error)
            self._failed(error)

    def _failed(self, error: DragomanError) -> None:
        """Take a failed attempt or a lost connection, and decide what comes next."""
        self.failures += 1
        self.error = error
        self._verdict = None
        verdict = fate(error)
        asked: float | None = getattr(error, "retry_after", None)
        pause = delay(self.failures, self.config.restart, random.random, retry_after=asked)
        if verdict == "again":
            self._retry_at = self._loop.time() + pause
            self._set("waiting", error.what)
        else:
            self._retry_at = None
            self._set(verdict, error.what)
        if self._is_hopeless():
            self._fail_waiters(lambda: _again(error))
        else:
            self._fail_waiters(lambda: _again(error), later_than=self._retry_at)

    # Those who wait.

    def want(self) -> None:
        """Say that the server is needed: one that starts on use is started, one that waits for its turn goes ahead."""
        self._wanted.set()
        if self._ticket is not None:
            self._gate.hurry(self._ticket)

    def _is_hopeless(self) -> bool:
        """Whether waiting for the next attempt makes no sense."""
        if self._state == "waiting":
            return not self.connections or self.failures >= self.config.restart.breaker
        return self._state in _AT_REST

    def _refuse(self, deadline: float) -> None:
        """Refuse a call that can't be served.

        Raises:
            ServerNotReady: the server is away, and will not be back before the deadline as far as anyone knows.
        """
        if self._state in ("stopped", "disabled") or self._closing:
            raise self._not_ready()
        rested = self._loop.time() - self._entered >= self.config.restart.longest_delay
        if self._state in _AT_REST and not rested:
            raise self._not_ready()
        due = self._retry_at
        if self._state == "waiting" and due is not None and (self._is_hopeless() or due > deadline):
            raise self._not_ready()

    def _not_ready(self) -> ServerNotReady:
        error = self.error
        retry_in = None if self._retry_at is None else max(0.0, self._retry_at - self._loop.time())
        soon = "" if retry_in is None else f"; the next attempt is in {retry_in:.1f} s"
        refusal = ServerNotReady(
            f"it is {self._state.replace('_', ' ')} ({self.reason}){soon}",
            state=self._state,
            retry_in=retry_in,
            server=self.name,
            hint=None if error is None else error.hint,
        )
        refusal.__cause__ = error
        return refusal

    def _fail_waiters(self, error: Callable[[], DragomanError], *, later_than: float | None = None) -> None:
        for waiter in list(self._waiters):
            if not waiter.future.done() and (later_than is None or waiter.deadline < later_than):
                waiter.future.set_exception(error())

    # States.

    def degrade(self, reason: str, error: DragomanError | None = None) -> None:
        """Take note that the server is connected and not well."""
        self.error = error
        if self.server is not None:
            self._set("degraded", reason)

    def heal(self) -> None:
        """Take note that the server is well again."""
        self.error = None
        if self._state == "degraded":
            self._set("ready", "well again")

    def _set(self, state: ServerState, reason: str) -> None:
        before, self._state = self._state, state
        again = before == state and self.reason == reason
        self.reason = reason
        if state != "waiting":
            self._retry_at = None
        if before != state:
            self._since = time.time()
            self._entered = self._loop.time()
        if not again:
            self._tell(state, reason)
            self._keeper.changed(self, before)

    def _tell(self, state: ServerState, reason: str) -> None:
        """Log a change, once: attempts that fail as the last one did are no news."""
        if state in ("connecting", "configured") or state == self._told:
            log.debug("%s: %s (%s)", self.name, state, reason)
            return
        level = logging.WARNING if state in _AWAY or state == "degraded" else logging.INFO
        self._told = state
        log.log(level, "%s: %s (%s)", self.name, state.replace("_", " "), reason)


def _again(error: DragomanError) -> DragomanError:
    """Give an error anew for another caller: one instance raised in many tasks would gather all their frames."""
    twin = copy.copy(error)
    twin.__traceback__ = None
    twin.__cause__ = error.__cause__
    return twin
