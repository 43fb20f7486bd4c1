"""`Watch`: what changes in one resource, for as long as somebody wants to know, over any number of connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from asyncio import AbstractEventLoop, Future, Task
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from dragoman.config.model import redact_url
from dragoman.errors import DragomanError, ServerError, UsageError
from dragoman.events import ResourceChanged
from dragoman.handle.handle import Handle
from dragoman.hub.bus import Bus
from dragoman.protocol.changes import Change, Relistened, ResourceUpdated

__all__ = ["Announcer", "Watch"]

#: How long a server that is on its way is waited for (seconds) before it is looked at again.
_PATIENCE: Final = 60.0
#: How long to wait (seconds) before a server that is away is looked at again.
_PAUSE: Final = 0.5
#: So many changes may wait to be taken. Of more, the oldest are dropped, and a `Relistened` says so.
_MOST_QUEUED: Final = 1024

#: Gives the server that has the resource; it is given the name of the one that had it before, empty at first.
Finder = Callable[[str], Awaitable[Handle]]


class Announcer:
    """Tells the bus of changed resources: of each change once, however many watch the resource."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._speakers: dict[tuple[str, str], _Queue] = {}

    def tell(self, watcher: _Queue, server: str, watched: str, changed: str) -> None:
        """Tell of a change that one of the watchers of ``watched`` heard of, if that one speaks for them."""
        if self._bus.active and self._speakers.setdefault((server, watched), watcher) is watcher:
            self._bus.publish(ResourceChanged(at=time.time(), server=server, uri=changed))

    def leave(self, watcher: _Queue, server: str, watched: str) -> None:
        """Let another one speak from now on."""
        if self._speakers.get((server, watched)) is watcher:
            del self._speakers[server, watched]


class Watch:
    """Changes of one resource: ``async with hub.subscribe(uri) as changes: async for change in changes: …``.

    It gives `ResourceUpdated`, and `Relistened` when the connection was lost and is there again: what changed between
    is unknown then. It hears from when it is entered, or first iterated over; and ends when the hub is closed, the
    server taken out, or it is closed itself, by any task. One that nobody holds any more is closed by itself.

    Raises (when entered or iterated over):
        DragomanError: the server can't be had or does not take the subscription, as the hub's other methods raise.
    """

    def __init__(self, uri: str, find: Finder, announcer: Announcer) -> None:
        self.uri = uri
        self._queue = _Queue()
        self._find = find
        self._announcer = announcer
        self._task: Task[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        self._begin()
        return await self._queue.take()

    async def aclose(self) -> None:
        """Stop listening. Safe to repeat."""
        self._queue.end(None)
        task = self._task
        if task is None or task.done():
            return
        if task.get_loop() is not asyncio.get_running_loop():
            _abandoned(task.get_loop(), task)
            return
        task.cancel()
        await asyncio.wait({task})

    async def __aenter__(self) -> Self:
        self._begin()
        try:
            await self._queue.opened()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Watch of {redact_url(self.uri)!r}>"

    def _begin(self) -> None:
        if self._task is None and not self._queue.over:
            loop = asyncio.get_running_loop()
            work = _follow(self.uri, self._find, self._announcer, self._queue)  # it must not hold this object
            self._task = loop.create_task(work, name=f"dragoman watches {self.uri}")
            weakref.finalize(self, _abandoned, loop, self._task).atexit = False


class _Queue:
    """The changes that wait to be taken, and how it ended."""

    def __init__(self) -> None:
        self.over = False
        self.heard = False
        self._changes: deque[Change] = deque()
        self._error: DragomanError | None = None
        self._waiters: set[Future[None]] = set()

    def put(self, change: Change) -> None:
        if len(self._changes) >= _MOST_QUEUED:
            self._changes.clear()
            self._changes.append(Relistened())
        self._changes.append(change)
        self._wake()

    def begin(self) -> None:
        """Take note that the server tells of changes from now on; not for the first time: some may be missed."""
        if self.heard:
            self.put(Relistened())
        self.heard = True
        self._wake()

    def end(self, error: DragomanError | None) -> None:
        if not self.over:
            self.over, self._error = True, error
            self._wake()

    async def opened(self) -> None:
        while not (self.heard or self.over):
            await self._wait()
        if self._error is not None:
            raise self._error

    async def take(self) -> Change:
        while not self._changes:
            if self.over:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            await self._wait()
        return self._changes.popleft()

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


async def _follow(uri: str, find: Finder, announcer: Announcer, queue: _Queue) -> None:
    """Put the changes of a resource into a queue, over one connection after the other."""
    name = ""
    try:
        while not queue.over:
            try:
                handle = await find(name)
            except DragomanError as error:
                queue.end(None if queue.heard else error)  # the hub is closed, or the server was taken out
                return
            name = handle.name
            try:
                await _listen(uri, handle, announcer, queue)
            except DragomanError as error:
                if not queue.heard or isinstance(error, ServerError | UsageError):
                    queue.end(error)
                    return
            await asyncio.sleep(_PAUSE)
    finally:
        queue.end(None)


async def _listen(uri: str, handle: Handle, announcer: Announcer, queue: _Queue) -> None:
    """Put the changes that come over one connection into the queue, until it ends."""
    handle.held += 1
    try:
        server = await handle.ready(asyncio.get_running_loop().time() + _PATIENCE)
        async with server.listen(uris=[uri], on_break=handle.check) as changes:
            queue.begin()
            async for change in changes:
                if isinstance(change, ResourceUpdated):
                    announcer.tell(queue, handle.name, uri, change.uri)
                queue.put(change)
    finally:
        announcer.leave(queue, handle.name, uri)
        handle.held -= 1


def _abandoned(loop: AbstractEventLoop, task: Task[None]) -> None:
    """End what nobody holds any more; objects are collected in any thread."""
    with contextlib.suppress(RuntimeError):  # the loop is closed, and the task with it
        loop.call_soon_threadsafe(task.cancel)
