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

    ``deadline`` moves with progress, up to ``hard_deadline``. ``allowance`` is how long its clock may still stand in
    all while people are asked. ``waiter`` and ``on_progress`` are the driver's own.
    """

    __slots__ = (
        "allowance",
        "deadline",
        "hard_deadline",
        "id",
        "method",
        "on_progress",
        "paused_at",
        "pauses",
        "timeout",
        "waiter",
    )

    def __init__(self, id: int, method: str, waiter: W, now: float, timeout: float, max_timeout: float) -> None:
        self.id = id
        self.method = method
        self.waiter = waiter
        self.timeout = timeout
        self.deadline = now + timeout
        self.hard_deadline = now + max(timeout, max_timeout)
        self.allowance = max_timeout
        self.pauses = 0
        self.paused_at = 0.0
        self.on_progress: Any = None

    @property
    def latest(self) -> float:
        """When its time is up if nothing more happens."""
        return self.deadline + self.allowance if self.pauses else self.deadline


class Session(Generic[W]):
    """The requests under way on one connection."""

    __slots__ = ("_last_id", "pending")

    def __init__(self) -> None:
        self.pending: dict[int, Exchange[W]] = {}
        self._last_id = 0

    def begin(self, method: str, waiter: W, now: float, timeout: float, max_timeout: float) -> Exchange[W]:
        """Enter a new request under a fresh id. ``timeout`` may be infinite."""
        self._last_id = number = self._last_id + 1
        exchange = self.pending[number] = Exchange(number, method, waiter, now, timeout, max_timeout)
        return exchange

    def match(self, request_id: RequestId | None) -> Exchange[W] | None:
        """Take out the request that an answer belongs to; None if nobody waits for it."""
        if type(request_id) is int:
            return self.pending.pop(request_id, None)
        # Some servers answer with the id as text.
        number = _number(request_id)
        return self.pending.pop(number, None) if number is not None else None

    def only(self) -> Exchange[W] | None:
        """Take out the one request under way; None if there is none, or more than one."""
        return self.pending.popitem()[1] if len(self.pending) == 1 else None

    def find(self, token: object) -> Exchange[W] | None:
        """Give the request that a progress token or an id names, leaving it under way."""
        number = _number(token)
        return self.pending.get(number) if number is not None else None

    def touch(self, exchange: Exchange[W], now: float) -> None:
        """Take note that progress came: the time-out starts anew, within the hard maximum."""
        if exchange.pauses:
            now = max(exchange.paused_at, now - exchange.allowance)
        exchange.deadline = min(now + exchange.timeout, exchange.hard_deadline)

    def pause(self, exchanges: Iterable[Exchange[W]], now: float) -> None:
        """Stop the clock of some requests: a person is being asked on their behalf. Pauses nest."""
        for exchange in exchanges:
            if not exchange.pauses:
                exchange.paused_at = now
            exchange.pauses += 1

    def resume(self, exchanges: Iterable[Exchange[W]], now: float) -> None:
        """Go on after `pause` with the same requests; the time between does not count, within their allowance.

        Raises:
            RuntimeError: there was no pause to end.
        """
        for exchange in exchanges:
            if not exchange.pauses:
                raise RuntimeError("a clock was resumed without a pause")
            exchange.pauses -= 1
            if not exchange.pauses:
                waited = min(now - exchange.paused_at, exchange.allowance)
                exchange.deadline += waited
                exchange.hard_deadline += waited
                exchange.allowance -= waited

    def expired(self, now: float) -> list[Exchange[W]]:
        """Take out the requests whose time is up."""
        late = [exchange for exchange in self.pending.values() if exchange.latest <= now + _COARSE / 2]
        for exchange in late:
            del self.pending[exchange.id]
        return late

    def next_deadline(self) -> float:
        """Give the earliest time at which one expires; infinite if there is none."""
        return min((exchange.latest for exchange in self.pending.values()), default=NEVER)

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
