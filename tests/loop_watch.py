"""A cheap watch over an event loop: five beats a second, and the longest stretch in which none came.

Time that the thread spent waiting for a processor is taken off, so a busy machine isn't mistaken for blocking code.
Used by `tests/conftest.py`; knows neither Dragoman nor pytest.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

INTERVAL = 0.2
"""Seconds between two beats."""

SCHEDSTAT = Path("/proc/thread-self/schedstat")


class LoopWatch:
    """Measures how long a loop was kept from running its callbacks, between `start` and `stop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.longest = 0.0
        """Seconds of the longest blockage so far."""
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._beat_at = self._waited = 0.0

    def start(self) -> None:
        """Begin to watch; the loop need not run yet."""
        self._beat_at, self._waited = time.monotonic(), _seconds_waiting()
        self._timer = self._loop.call_later(INTERVAL, self._beat)

    def stop(self) -> None:
        """Take the last measure and end; safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._measure()

    def _beat(self) -> None:
        self._measure()
        self._timer = self._loop.call_later(INTERVAL, self._beat)

    def _measure(self) -> None:
        now, waited = time.monotonic(), _seconds_waiting()
        blocked = now - self._beat_at - INTERVAL - (waited - self._waited)
        self.longest = max(self.longest, blocked)
        self._beat_at, self._waited = now, waited


def _seconds_waiting() -> float:
    """How long this thread has waited for a processor in its life; 0 where the system doesn't tell."""
    try:
        return int(SCHEDSTAT.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
