"""`Reader`: what comes one by one out of a hub's thread, events or changes of a resource, for code that blocks."""

from __future__ import annotations

import contextlib
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from dragoman.errors import ConnectionClosed, DragomanError, UsageError
from dragoman.sync.errand import Errand
from dragoman.sync.thread import Keeper

__all__ = ["Reader"]

T = TypeVar("T")

#: How long (seconds) a reader that is closed waits for the one that it interrupts.
_PATIENCE: Final = 5.0


class Reader(Generic[T]):
    """Iterate over it, or `get` the next; leave it by `close` or ``with``. Several threads may share one.

    It ends when the hub is closed and what had come before is read. What comes while nobody reads waits, as for an
    asynchronous reader. A process that is forked off needs readers of its own.
    """

    def __init__(
        self,
        keeper: Keeper,
        following: Callable[[], Coroutine[Any, Any, T]],
        close: Callable[[], Coroutine[Any, Any, None]],
        owner: object,
    ) -> None:
        self._keeper = keeper
        self._following = following
        self._close = close
        self._owner = owner  # a hub that nobody holds is closed, so this holds it
        self._turn = threading.Lock()
        self._coming: Errand[T] | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether there is no more: `get` gives None at once."""
        return self._ended

    def get(self, timeout: float | None = None) -> T | None:
        """Give the next, waiting at most ``timeout`` seconds. None: it did not come in time, or there is no more.

        What comes after the time-out is given to the next reader. `ended` tells the two apart.

        Raises:
            UsageError: this is the hub's own thread, or that of a process that was forked off.
            DragomanError: of a resource's changes, what `dragoman.Hub.subscribe` raises.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._keeper.is_ours:
            raise UsageError("this reader is of the process that this one was forked off", hint="Make a new one.")
        self._keeper.refuse_own_thread()
        if not self._turn.acquire(timeout=-1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)):
            return None
        try:
            return self._next(None if deadline is None else deadline - time.monotonic())
        except StopAsyncIteration:
            self._ended = True
            return None
        finally:
            self._turn.release()

    def close(self) -> None:
        """Stop listening. Whoever waits for the next gets None. From any thread but the hub's own."""
        self._keeper.refuse_own_thread()
        self._ended = True
        if not self._keeper.is_ours:
            return
        coming = self._coming
        if coming is not None:
            self._keeper.give_up(coming)
            if not self._keeper.has_ended:
                coming.wait(_PATIENCE)
        with contextlib.suppress(UsageError, ConnectionClosed):  # the hub is closed
            self._keeper.do(lambda _: self._close())

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        value = self.get()
        if value is None:
            raise StopIteration
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if (coming := getattr(self, "_coming", None)) is not None:
            self._keeper.give_up(coming)

    def _next(self, timeout: float | None) -> T | None:
        if self._ended:
            return None
        try:
            coming = self._coming
            if coming is None:
                coming = self._coming = self._keeper.begin(lambda _: self._following())
            # What does not come in time, or before an interrupt, stays under way: whoever reads next gets it.
            if not coming.wait(timeout):
                return None
            self._coming = None
            return coming.take()
        except (ConnectionClosed, UsageError):
            if self._ended:
                return None
            if self._keeper.has_ended:
                return self._left_over()
            self._ended = True
            raise
        except (DragomanError, StopAsyncIteration):
            self._ended = True
            raise

    def _left_over(self) -> T:
        """Give what came before the hub was closed: it is there, so this needs no loop."""
        step = self._following()
        try:
            step.send(None)
        except StopIteration as given:
            return given.value
        except CancelledError:
            raise StopAsyncIteration from None
        step.close()
        raise StopAsyncIteration
