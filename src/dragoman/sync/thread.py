"""One thread with an event loop and a hub in it, and what a blocking caller does with it.

`Keeper` is the thread, `Reader` what comes out of it one by one. They know the hub only as somebody to hand work to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from dragoman.errors import ConnectionClosed, UsageError
from dragoman.hub.hub import Hub

__all__ = ["Keeper", "Reader", "at_once"]

H = TypeVar("H")
T = TypeVar("T")

#: How long (seconds) a program that ends waits for its hubs to close.
_FAREWELL: Final = 10.0


class Keeper:
    """One thread with an event loop and a hub in it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="dragoman hub", daemon=True)
        self._thread.start()
        try:
            self.do(Hub.start)
        except BaseException:
            self.close()
            raise

    @property
    def is_ours(self) -> bool:
        """Whether its thread lives in this process: in one that was forked off, it does not."""
        return self._process == os.getpid()

    @property
    def is_running(self) -> bool:
        """Whether it takes work."""
        return self.is_ours and self._thread.is_alive() and not self._loop.is_closed()

    def do(self, work: Callable[[Hub], Awaitable[T]]) -> T:
        """Do some work with the hub in its thread, and wait for it. An interrupt here gives the work up."""
        return self.wait(self.begin(work), None, give_up=True)

    def begin(self, work: Callable[[Hub], Awaitable[T]]) -> Future[T]:
        """Begin some work with the hub in its thread.

        Raises:
            UsageError: the hub is closed, or this is its own thread, which would wait for itself.
        """
        if threading.get_ident() == self._thread.ident:
            raise UsageError(
                "a blocking hub was called in its own thread, which would wait for itself for ever",
                hint="In handlers of progress and of questions, hand the work to another thread.",
            )
        if not self.is_running:
            raise UsageError("the hub is closed", hint="Make a new one.")

        async def doing() -> T:
            return await work(self.hub)

        coroutine = doing()
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise UsageError("the hub is closed", hint="Make a new one.") from None

    def wait(self, future: Future[T], timeout: float | None, *, give_up: bool = False) -> T:
        """Wait for work that was begun; ``give_up``: if the wait is interrupted, the work is cancelled."""
        try:
            return future.result(timeout)
        except CancelledError:
            raise ConnectionClosed("the hub was closed meanwhile") from None
        except BaseException:
            if give_up and not future.done():
                future.cancel()
            raise

    def close(self) -> None:
        """Close the hub and end the thread."""
        if threading.get_ident() == self._thread.ident or not self.is_running:
            return
        with contextlib.suppress(UsageError, ConnectionClosed):  # another thread may close it just now
            self.do(Hub.aclose)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_FAREWELL)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            self._loop.close()


class Reader(Generic[T]):
    """What comes one by one, for code that blocks: iterate over it, or `get` the next. Leave it by `close`."""

    def __init__(
        self, portal: Keeper, following: Callable[[], Awaitable[T]], close: Callable[[], Awaitable[None]]
    ) -> None:
        self._portal = portal
        self._following = following
        self._close = close
        self._coming: Future[T] | None = None

    def get(self, timeout: float | None = None) -> T | None:
        """Give the next, waiting at most ``timeout`` seconds; None: it did not come in time, or there is no more."""
        try:
            return self._next(timeout)
        except (TimeoutError, StopAsyncIteration):
            return None

    def close(self) -> None:
        """Stop listening."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.cancel()
        if self._portal.is_running:
            self._portal.do(lambda _: self._close())

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return self._next(None)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, timeout: float | None) -> T:
        if self._coming is None:
            self._coming = self._portal.begin(lambda _: self._following())
        # What does not come in time stays under way, or the next reader would miss it.
        value = self._portal.wait(self._coming, timeout)
        self._coming = None
        return value


def at_once(work: Callable[[H], T]) -> Callable[[H], Awaitable[T]]:
    """Give work that needs no waiting in the form of work that does."""

    async def doing(held: H) -> T:
        return work(held)

    return doing
