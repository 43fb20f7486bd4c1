"""`Errand`: a piece of work that one thread hands to the thread of a hub, and waits for.

Cheaper than a `concurrent.futures.Future`: one lock that is free once the work is done. `thread` does the work.
"""

from __future__ import annotations

import contextlib
import threading
from asyncio import CancelledError, Task
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

from dragoman.errors import ConnectionClosed
from dragoman.hub.hub import Hub

__all__ = ["Errand"]

T = TypeVar("T")


class Errand(Generic[T]):
    """Work with a hub, and what comes of it. ``work`` gives the coroutine that is run in the hub's thread."""

    __slots__ = ("_error", "_lock", "_value", "begun", "done", "given_up", "task", "work")

    def __init__(self, work: Callable[[Hub], Coroutine[Any, Any, T]]) -> None:
        self.work = work
        self.task: Task[None] | None = None
        self.given_up = self.begun = False
        self.done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._lock.acquire()

    def succeed(self, value: T) -> None:
        """Give it this outcome, and wake who waits for it."""
        self._value = value
        self._finish()

    def fail(self, error: BaseException) -> None:
        """Give it this outcome if it has none yet, and wake who waits for it."""
        if not self.done:
            self._error = error
            self._finish()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most ``timeout`` seconds for the outcome; tell whether there is one."""
        if not self._lock.acquire(timeout=-1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)):
            return self.done
        self._release()
        return True

    def take(self) -> T:
        """Give the outcome, or raise it.

        Raises:
            ConnectionClosed: the hub was closed meanwhile.
        """
        error, self._error = self._error, None
        if error is None:
            return cast("T", self._value)
        try:
            if isinstance(error, CancelledError):
                raise ConnectionClosed("the hub was closed meanwhile") from None
            raise error
        finally:
            del error  # its traceback holds this frame

    def _finish(self) -> None:
        self.done = True
        self._release()

    def _release(self) -> None:
        # At the end of a hub, the thread that ends it and the one that waits may both have found this unfinished.
        with contextlib.suppress(RuntimeError):
            self._lock.release()
