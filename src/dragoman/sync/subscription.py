"""`Subscription`: the place of one handler of events, kept over the hubs of one process after another."""

from __future__ import annotations

from collections.abc import Callable

from dragoman.hub.bus import Subscription as AsyncSubscription
from dragoman.hub.hub import Hub

__all__ = ["Subscription"]


class Subscription:
    """One handler's place, as `on` gives it. From any thread."""

    def __init__(self, register: Callable[[Hub], AsyncSubscription], forget: Callable[[Subscription], None]) -> None:
        self._register = register
        self._forget = forget
        self._inner: AsyncSubscription | None = None

    @property
    def closed(self) -> bool:
        """Whether no more events come in."""
        return self._inner is None or self._inner.closed

    def close(self) -> None:
        """Take no more events. Those that wait already are still handled."""
        self._forget(self)
        if self._inner is not None:
            self._inner.close()

    def cancel(self) -> None:
        """End it now: what waits is forgotten. A handler may do this to its own subscription."""
        self._forget(self)
        if self._inner is not None:
            self._inner.cancel()

    def attach(self, hub: Hub) -> None:
        """Listen to this hub from now on: the first, or that of a process that was forked off."""
        self._inner = self._register(hub)
