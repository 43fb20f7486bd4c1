"""`Keeper`: one thread with an event loop and a hub in it, to which blocking callers hand `Errand`s.

It starts the hub before anything else and closes it at the end, of the program if nobody does it before. It belongs to
the process that made it; in one that is forked off it takes no work, and leaves the parent's connections alone.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import sys
import threading
import time
from asyncio import Task
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from importlib import import_module
from typing import Any, Final, ParamSpec, TypeVar

from dragoman.errors import ConnectionClosed, UsageError
from dragoman.hub.hub import Hub
from dragoman.sync.errand import Errand

__all__ = ["Keeper", "at_once", "closed"]

H = TypeVar("H")
P = ParamSpec("P")
T = TypeVar("T")

#: How long (seconds) closing is waited for: a hub's own bounds are tighter.
_FAREWELL: Final = 20.0
#: How long (seconds) a fork waits for a hub's thread to be between two steps, and holds it there.
_PARKING: Final = 1.0
#: How long (seconds) what is left over when the hub has closed may take to end.
_SWEEP: Final = 2.0

log: Final = logging.getLogger("dragoman")


class Keeper:
    """One thread with an event loop and a hub in it. Made first and launched later, so that all can know it by then."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._process = os.getpid()
        # The hub outlives its first caller, so nothing of it keeps that caller's context.
        self._loop = Context().run(asyncio.new_event_loop)
        self._thread = threading.Thread(target=self._run, name="dragoman hub", daemon=True)
        # All that somebody waits for. Its single steps are atomic, so no lock is needed, and none can be held at a fork
        # or by the code that a signal interrupts.
        self._errands: set[Errand[Any]] = set()
        self._farewell: Task[None] | None = None
        self._may_end = self._ended = False
        self._starting = Context().run(self.begin, Hub.start)

    def launch(self) -> None:
        """Start the thread and the hub; raises what starting the hub raises."""
        try:
            if _ending:
                raise UsageError("the program is ending, and its hubs are closed")
            self._thread.start()
        except BaseException:
            self._end_errands()
            self._loop.close()
            raise
        _keepers.add(self)
        _close_at_exit()
        try:
            self.wait(self._starting)
        except BaseException:
            self.let_go()
            raise

    @property
    def is_ours(self) -> bool:
        """Whether its thread lives in this process: in one that was forked off, it does not."""
        return self._process == os.getpid()

    @property
    def has_ended(self) -> bool:
        """Whether it takes no more work, here or at all."""
        return self._ended or not self.is_ours

    def do(self, work: Callable[[Hub], Coroutine[Any, Any, T]]) -> T:
        """Do some work with the hub in its thread, and wait for it. An interrupt here gives the work up."""
        errand = Errand(work)
        try:
            self._send(errand)
            errand.wait()
        except BaseException:
            self.give_up(errand)
            raise
        return errand.take()

    def begin(self, work: Callable[[Hub], Coroutine[Any, Any, T]]) -> Errand[T]:
        """Begin some work with the hub in its thread, in the context of this one.

        Raises:
            UsageError: the hub is closed, or this is its own thread, which would wait for itself.
        """
        errand = Errand(work)
        self._send(errand)
        return errand

    def _send(self, errand: Errand[Any]) -> None:
        self.refuse_own_thread()
        self._errands.add(errand)
        try:
            self._loop.call_soon_threadsafe(self._take, errand)
        except RuntimeError:
            self._errands.discard(errand)
            raise closed() from None
        if self._ended:  # it may have ended just before the errand could be seen among the others
            errand.fail(closed())

    def wait(self, errand: Errand[T]) -> T:
        """Wait for work that was begun, and give what comes of it."""
        try:
            errand.wait()
        except BaseException:
            self.give_up(errand)
            raise
        return errand.take()

    def give_up(self, errand: Errand[Any]) -> None:
        """Cancel work that was begun. From any thread; does not wait."""
        if self.is_ours and not errand.done:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._cancel, errand)

    def refuse_own_thread(self) -> None:
        """Raise a `UsageError` if this is the hub's own thread."""
        if threading.get_ident() == self._thread.ident:
            raise UsageError(
                "a blocking hub was called in its own thread, which would wait for itself for ever",
                hint="In handlers of progress and of questions, hand the work to another thread.",
            )

    def let_go(self) -> None:
        """Begin to close the hub and to end the thread. From any thread, any number of times; does not wait."""
        if self.is_ours:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._begin_farewell, context=Context())

    def close(self, timeout: float = _FAREWELL) -> None:
        """Close the hub and end the thread; wait for it, at most ``timeout`` seconds."""
        self.refuse_own_thread()
        self.let_go()
        if self.is_ours and self._thread.ident is not None:
            self._thread.join(timeout)

    def park(self) -> Callable[[], None] | None:
        """Hold the thread between two steps of its loop, and give what lets it go on; None if it is at something long.

        A child inherits locks as they are at the fork, and one that this thread held, of an import for instance, would
        never be free there.
        """
        if threading.get_ident() == self._thread.ident:
            return None
        parked, release = threading.Event(), threading.Event()

        def hold() -> None:
            parked.set()
            release.wait(_PARKING)

        try:
            self._loop.call_soon_threadsafe(hold)
        except RuntimeError:
            return None
        if not parked.wait(_PARKING):
            release.set()
        return release.set

    # In the thread.

    def _take(self, errand: Errand[Any]) -> None:
        if not errand.given_up:
            errand.task = self._loop.create_task(self._work(errand))

    async def _work(self, errand: Errand[Any]) -> None:
        errand.begun = True
        try:
            value = await errand.work(self.hub)
        except BaseException as error:  # noqa: BLE001 - it is for the one who waits, and not for the loop
            errand.fail(error)
        else:
            errand.succeed(value)
        self._errands.discard(errand)

    def _cancel(self, errand: Errand[Any]) -> None:
        errand.given_up = True
        if errand.task is not None:
            errand.task.cancel()
        if not errand.begun:  # a task that is cancelled before its first step does nothing at all
            errand.fail(asyncio.CancelledError())
            self._errands.discard(errand)

    def _begin_farewell(self) -> None:
        if self._farewell is None:
            self._farewell = self._loop.create_task(self._close_hub(), name="dragoman closes its hub")

    async def _close_hub(self) -> None:
        try:
            await self.hub.aclose()
        except Exception:
            log.exception("the hub did not close as it should")
        finally:
            self._may_end = True
            self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(_Threads(thread_name_prefix="dragoman hub"))
        try:
            while not self._may_end:
                try:
                    self._loop.run_forever()
                except BaseException:
                    log.exception("a handler wanted to end the program from the hub's thread; the hub goes on")
            self._sweep()
        finally:
            self._end_errands()
            self._loop.close()
            _keepers.discard(self)

    def _sweep(self) -> None:
        if left := asyncio.all_tasks(self._loop):
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(left, timeout=_SWEEP))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._end_errands()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())

    def _end_errands(self) -> None:
        self._ended = True
        for errand in list(self._errands):
            errand.fail(ConnectionClosed("the hub was closed meanwhile"))
        self._errands.clear()


class _Threads(ThreadPoolExecutor):
    """Threads for a loop that may outlive them: when a program ends, they are gone before its hubs are closed."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn`` in a thread, or, if the program is ending, in this one."""
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError:
            future: Future[T] = Future()
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is for the one who waits
                future.set_exception(error)
            return future


def at_once(work: Callable[[H], T]) -> Callable[[H], Coroutine[Any, Any, T]]:
    """Give work that needs no waiting in the form of work that does."""

    async def doing(held: H) -> T:
        return work(held)

    return doing


def closed() -> UsageError:
    """Give the error for those who use a hub that is closed."""
    return UsageError("the hub is closed", hint="Make a new one.")


#: All that run, kept here because a hub that nobody holds any more must be closed, too.
_keepers: Final[set[Keeper]] = set()
#: Those of the process that this one was forked off, kept as they are: what they would do when they vanish is not ours.
_inherited: Final[list[Keeper]] = []
#: What each thread that forks has parked.
_forking: Final = threading.local()
_ending = False


def _close_all() -> None:
    """Close all hubs of this process side by side, and wait until they are, bounded in time."""
    deadline = time.monotonic() + _FAREWELL
    ours = list(_keepers)
    for keeper in ours:
        keeper.let_go()
    for keeper in ours:
        keeper.close(max(0.0, deadline - time.monotonic()))


def _end() -> None:
    global _ending  # noqa: PLW0603 - a program ends once
    _ending = True
    _close_all()


def _close_at_exit() -> None:
    """Close hubs when a process of `multiprocessing` ends, too: those that it forks off run no ``atexit`` functions."""
    if "multiprocessing.process" in sys.modules:
        from multiprocessing import parent_process, util

        if parent_process() is not None:
            util.Finalize(None, _close_all, exitpriority=0)


def _park_all() -> None:
    """Before a fork: let hubs' threads hold no lock."""
    _forking.releases = [keeper.park() for keeper in list(_keepers)]


def _release_all() -> None:
    """After a fork, in the parent."""
    for release in _forking.__dict__.pop("releases", ()):
        if release is not None:
            release()


def _begin_anew() -> None:
    """In a process that was forked off, leave to the parent what is the parent's."""
    _forking.__dict__.clear()
    _inherited.extend(_keepers)
    _keepers.clear()


# What is registered last runs first. This module registers to clear away servers that nobody closes; if it came
# first, it would take them from under the hubs' feet.
import_module("dragoman.transports.process")
atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_park_all, after_in_parent=_release_all, after_in_child=_begin_anew)
