"""How a blocking hub begins, closes, and begins anew in a process that was forked off.

`hub.Hub` is this and the calls; `thread` is where the asynchronous hub runs.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from dragoman.config.hub import HubConfig
from dragoman.hub.bus import Subscription as AsyncSubscription
from dragoman.hub.hub import Hub as AsyncHub
from dragoman.sync.subscription import Subscription
from dragoman.sync.thread import Keeper, at_once, closed

__all__ = ["Beginning"]

T = TypeVar("T")

# One for all hubs, as it is held for a moment only. It can be entered again, as a signal's handler may close a hub.
_lock = threading.RLock()


class Beginning:
    """Holds a hub and its thread. ``make`` gives a hub that is not started, and another one after a fork."""

    def __init__(self, make: Callable[[], AsyncHub]) -> None:
        self._make = make
        self._hub = make()  # at once, so that what is wrong shows here and not with the first call
        self._thread: Keeper | None = None
        self._preparations: list[Callable[[AsyncHub], object]] = []
        self._closed = False

    def start(self) -> Self:
        """Start all servers in the background, and return at once. The first call does this, too. Safe to call twice.

        Raises:
            UsageError: the hub is closed.
        """
        _ = self._keeper
        return self

    def close(self) -> None:
        """Close all servers and end the hub's thread. Bounded in time; safe to call twice, and from any thread.

        Calls under way get a little time to end; then they raise `ConnectionClosed` or `OutcomeUnknown`.

        Raises:
            UsageError: this is the hub's own thread.
        """
        keeper = self._thread
        if keeper is not None and keeper.is_ours:
            keeper.refuse_own_thread()
        with _lock:
            self._closed = True
            keeper = self._thread
        if keeper is not None:
            keeper.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def config(self) -> HubConfig:
        """Its settings, as they are now."""
        return self._hub.config

    def __repr__(self) -> str:
        return f"<dragoman.sync.Hub {'closed' if self._closed else 'open'}>"

    @property
    def _keeper(self) -> Keeper:
        """The thread, started if need be."""
        keeper = self._thread
        if keeper is not None and keeper.is_ours and not self._closed:
            return keeper
        return self._begin()

    def _begin(self) -> Keeper:
        with _lock:
            if self._closed:
                raise closed()
            keeper, inherited = self._thread, None
            if keeper is not None:
                if keeper.is_ours:
                    return keeper
                inherited = self._hub.config
                self._hub = self._another()
            self._thread = keeper = Keeper(self._hub)
        try:
            keeper.launch()
            if inherited is not None and inherited != keeper.hub.config:  # servers came and went before the fork
                keeper.do(lambda hub: hub.reload(inherited))
        except BaseException:
            keeper.let_go()
            with _lock:
                self._thread, self._hub = None, self._another()
            raise
        weakref.finalize(self, keeper.let_go).atexit = False
        if self._closed:  # by the handler of a signal, in the midst of this
            keeper.close()
        return keeper

    def _another(self) -> AsyncHub:
        hub = self._make()
        for prepare in self._preparations:
            prepare(hub)
        return hub

    # What is done before the start if there is time, and again in a process that was forked off.

    def _prepare(self, prepare: Callable[[AsyncHub], object]) -> None:
        with _lock:
            if self._closed:
                raise closed()
            self._preparations.append(prepare)
            keeper = self._thread
            if keeper is None:
                prepare(self._hub)
                return
        if keeper.is_ours:
            keeper.do(at_once(prepare))

    def _listen(self, register: Callable[[AsyncHub], AsyncSubscription]) -> Subscription:
        subscription = Subscription(register, self._forget)
        self._prepare(subscription.attach)
        return subscription

    def _forget(self, subscription: Subscription) -> None:
        with _lock:
            if subscription.attach in self._preparations:
                self._preparations.remove(subscription.attach)

    def _begin_with(self, work: Callable[[AsyncHub], T]) -> tuple[Keeper, T]:
        """Do something that needs no loop with the hub, if possible before it starts; then start it."""
        with _lock:
            made = (work(self._hub), self._hub) if self._thread is None and not self._closed else None
        keeper = self._keeper
        if made is not None and made[1] is keeper.hub:
            return keeper, made[0]
        return keeper, keeper.do(at_once(work))


def _renew_lock() -> None:
    """In a process that was forked off: a thread that is not here may hold it."""
    global _lock  # noqa: PLW0603 - it is one for all
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
