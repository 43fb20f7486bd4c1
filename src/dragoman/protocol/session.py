"""One conversation's book-keeping: which requests are under way, whose answer this is, and whose time is up.

Pure: the time is an argument and the waiter whatever the driver puts there. ``server/connection.py`` drives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Generic, TypeVar

from dragoman.protocol.jsonrpc import RequestId

__all__ = ["NEVER", "Exchange", "Session"]

W = TypeVar("W")

#: Deadlines this close together (seconds) are handled by one alarm.
_COARSE: Final = 0.05
NEVER: Final = float("inf")


class Exchange(Generic[W]):
    """One request under way. Times are the driver's clock in seconds.

    ``deadline`` moves with progress, up to ``hard_deadline``. ``waiter`` and ``on_progress`` are the driver's own.
    """

    __slots__ = ("deadline", "hard_deadline", "id", "method", "on_progress", "timeout", "waiter")

    def __init__(self, id: int, method: str, waiter: W, deadline: float, hard_deadline: float, timeout: float) -> None:
        self.id = id
        self.method = method
        self.waiter = waiter
        self.deadline = deadline
        self.hard_deadline = hard_deadline
        self.timeout = timeout
        self.on_progress: Any = None


class Session(Generic[W]):
    """The requests under way on one connection."""

    __slots__ = ("_last_id", "_paused_at", "_pauses", "pending")

    def __init__(self) -> None:
        self.pending: dict[int, Exchange[W]] = {}
        self._last_id = 0
        self._pauses = 0
        self._paused_at = 0.0

    def begin(self, method: str, waiter: W, now: float, timeout: float, max_timeout: float) -> Exchange[W]:
        """Enter a new request under a fresh id. ``timeout`` may be infinite."""
        now = self._paused_at if self._pauses else now
        self._last_id = number = self._last_id + 1
        exchange = Exchange(number, method, waiter, now + timeout, now + max(timeout, max_timeout), timeout)
        self.pending[number] = exchange
        return exchange

    def match(self, request_id: RequestId | None) -> Exchange[W] | None:
        """Take out the request that an answer belongs to; None if nobody waits for it.

        An error without an id belongs to the only request under way, if there is just one.
        """
        if type(request_id) is int:
            return self.pending.pop(request_id, None)
        if request_id is None:
            return self.pending.popitem()[1] if len(self.pending) == 1 else None
        # Some servers answer with the id as text.
        number = _number(request_id)
        return self.pending.pop(number, None) if number is not None else None

    def find(self, token: object) -> Exchange[W] | None:
        """Give the request that a progress token or an id names, leaving it under way."""
        number = _number(token)
        return self.pending.get(number) if number is not None else None

    def touch(self, exchange: Exchange[W], now: float) -> None:
        """Take note that progress came: the time-out starts anew, within the hard maximum."""
        now = self._paused_at if self._pauses else now
        exchange.deadline = min(now + exchange.timeout, exchange.hard_deadline)

    def pause(self, now: float) -> None:
        """Stop the clock: a person is being asked. Pauses nest."""
        if not self._pauses:
            self._paused_at = now
        self._pauses += 1

    def resume(self, now: float) -> None:
        """Go on after `pause`; the time between does not count for anyone.

        Raises:
            RuntimeError: there was no pause to end.
        """
        if not self._pauses:
            raise RuntimeError("the clock was resumed without a pause")
        self._pauses -= 1
        if self._pauses:
            return
        waited = now - self._paused_at
        for exchange in self.pending.values():
            exchange.deadline += waited
            exchange.hard_deadline += waited

    @property
    def paused(self) -> bool:
        """Whether the clock stands still."""
        return self._pauses > 0

    def expired(self, now: float) -> list[Exchange[W]]:
        """Take out the requests whose time is up."""
        if self._pauses:
            return []
        late = [exchange for exchange in self.pending.values() if exchange.deadline <= now + _COARSE / 2]
        for exchange in late:
            del self.pending[exchange.id]
        return late

    def next_deadline(self) -> float:
        """Give the earliest deadline; infinite if there is none or the clock stands still."""
        if self._pauses:
            return NEVER
        return min((exchange.deadline for exchange in self.pending.values()), default=NEVER)

    def drain(self) -> Iterable[Exchange[W]]:
        """Take out all requests: the conversation is over."""
        all_pending = list(self.pending.values())
        self.pending.clear()
        return all_pending


def _number(token: object) -> int | None:
    """Give the number that an id or a token stands for; one with more digits than any of ours stands for none."""
    if isinstance(token, str) and token.isdecimal() and len(token) < 20:
        return int(token)
    return token if type(token) is int else None
