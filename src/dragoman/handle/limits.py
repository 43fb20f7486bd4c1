"""How much is asked of one server: so many calls at once, so many in a second; first come, first served.

It knows no server and no call. What waits here has not been sent, and its error says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Final

from dragoman.errors import RequestTimeout

__all__ = ["Limits", "Slot"]

_HINT: Final = "Nothing was sent. Give it more time, or raise concurrency or rate of this server."

_CLOSE: Final = 1e-6
"""The loop's timers may come a moment early; what is so near to a whole token is one."""


class Limits:
    """The bounds of one server's calls. All of it belongs to the loop's thread.

    ``concurrency``: so many calls at once at most. ``rate``: so many in a second; a second's worth, at least one, may
    come at once. None: no bound. ``server`` is named in errors. ``unbounded`` tells that there is nothing to wait for.
    """

    __slots__ = ("_at", "_concurrency", "_queue", "_rate", "_running", "_server", "_timer", "_tokens", "unbounded")

    def __init__(self, concurrency: int | None, rate: float | None, *, server: str | None = None) -> None:
        self.unbounded = concurrency is None and rate is None
        self._concurrency = concurrency
        self._rate = rate
        self._server = server
        self._running = 0
        self._tokens = 0.0 if rate is None else max(1.0, rate)
        self._at: float | None = None
        self._queue: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return sum(not turn.done() for turn in self._queue)

    @property
    def running(self) -> int:
        """How many calls hold a slot."""
        return self._running

    def slot(self, deadline: float | None = None, *, method: str = "") -> Slot:
        """Give a slot to enter with ``async with``; ``deadline`` is a time of the running loop, None: none.

        Entering raises `RequestTimeout` if the deadline passes before there is a place.
        """
        return Slot(self, deadline, method)

    async def take(self, deadline: float | None = None, *, method: str = "") -> None:
        """Take a place, and wait for it if need be. `give` gives it back.

        Raises:
            RequestTimeout: the deadline passed first.
        """
        if self.unbounded:
            return
        loop = asyncio.get_running_loop()
        if not self._queue and self._take_now(loop.time()):
            return
        turn = loop.create_future()
        self._queue.append(turn)
        self._pump()
        began = loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError) and deadline is not None:
                raise self._late(max(0.0, deadline - began), method) from None
            raise

    def give(self) -> None:
        """Give a place back."""
        if not self.unbounded:
            self._running -= 1
            self._pump()

    def _late(self, waited: float, method: str) -> RequestTimeout:
        bounds = (("concurrency", self._concurrency), ("rate", self._rate))
        told = " and ".join(f"{name} {bound:g}" for name, bound in bounds if bound is not None)
        what = f"its limit ({told}) left no place for this call within {waited:.3g} s"
        return RequestTimeout(what, timeout=waited, method=method, server=self._server, hint=_HINT)

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():  # its place came just then; nothing was sent with it
            if self._rate is not None:
                self._tokens += 1
            self._running -= 1
        else:
            turn.cancel()
        self._pump()

    def _take_now(self, now: float) -> bool:
        if self._concurrency is not None and self._running >= self._concurrency:
            return False
        if self._rate is not None:
            self._refill(now, self._rate)
            if self._tokens < 1 - _CLOSE:
                return False
            self._tokens -= 1
        self._running += 1
        return True

    def _refill(self, now: float, rate: float) -> None:
        if self._at is not None:
            self._tokens = min(max(1.0, rate), self._tokens + (now - self._at) * rate)
        self._at = now

    def _pump(self) -> None:
        """Hand out the places that are free, and come back when the next token is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue:
            if self._queue[0].done():
                self._queue.popleft()
            elif self._take_now(loop.time()):
                self._queue.popleft().set_result(None)
            else:
                break
        waits_for_slot = self._concurrency is not None and self._running >= self._concurrency
        if self._queue and self._rate is not None and not waits_for_slot:
            self._timer = loop.call_later(max(0.0, 1 - self._tokens) / self._rate, self._pump)


class Slot:
    """A place within the limits, for as long as the ``async with`` lasts."""

    __slots__ = ("_deadline", "_limits", "_method")

    def __init__(self, limits: Limits, deadline: float | None, method: str) -> None:
        self._limits = limits
        self._deadline = deadline
        self._method = method

    async def __aenter__(self) -> None:
        await self._limits.take(self._deadline, method=self._method)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limits.give()
