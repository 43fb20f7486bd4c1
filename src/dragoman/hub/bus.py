"""The bus: brings the hub's events to those who listen, and lets no listener hurt a call.

Publishing is a plain call that puts the event into the bounded queue of each listener that wants its kind; nobody's
code runs in it. Readers iterate (`Stream`); handlers run in a task or a thread of their own (`handlers`). The bus knows
events only, neither the hub nor its servers.
"""

from __future__ import annotations

import asyncio
import logging
import reprlib
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Any, Final, Generic, Protocol, TypeVar, cast, overload

from dragoman.errors import UsageError
from dragoman.events import Event, EventsDropped
from dragoman.hub.handlers import TaskHandler, ThreadHandler, is_asynchronous, wind_up

__all__ = ["Bus", "Stream", "Subscription"]

LIMIT: Final = 1024
"""Events that wait for one listener, unless it wants another bound."""

log: Final = logging.getLogger("dragoman")

E = TypeVar("E", bound=Event)
H = TypeVar("H", bound=Callable[..., object])


class Sink(Protocol):
    """Where the events of one listener go."""

    def put(self, event: Event) -> None:
        """Take an event; never raises, never waits."""
        ...

    def close(self) -> None:
        """Take no more; what is queued still counts."""
        ...

    def cancel(self) -> None:
        """Take no more, and forget what is queued."""
        ...


class Subscription:
    """One listener's place on the bus."""

    __slots__ = ("__weakref__", "_bus", "_sink")

    def __init__(self, bus: Bus, sink: Sink) -> None:
        self._bus = bus
        self._sink = sink

    @property
    def closed(self) -> bool:
        """Whether no more events come in."""
        return not self._bus.holds(self._sink)

    def close(self) -> None:
        """Take no more events. Those that wait already are still handled, or can still be read."""
        self._bus.remove(self._sink)
        self._sink.close()

    def cancel(self) -> None:
        """End it now: what waits is forgotten, and an asynchronous handler at work is cancelled.

        A handler may do this to its own subscription; it then ends with the event that it is at.
        """
        self._bus.remove(self._sink)
        self._sink.cancel()

    def __repr__(self) -> str:
        kinds = self._bus.kinds_of(self._sink)
        state = "closed" if not kinds else "of " + ", ".join(kind.__name__ for kind in kinds)
        return f"<{type(self).__name__} {state}>"


class Stream(Subscription, Generic[E]):
    """Events to iterate over: ``async for event in hub.events(): …``.

    It ends when the bus is closed. If its reader falls behind, the oldest events are dropped: `dropped` counts them,
    the log tells it once, and a stream of all kinds, or of `EventsDropped` too, gets one of these next. A stream that
    nobody refers to any more leaves the bus by itself. It is for one reading task, and for the thread of the hub's
    loop.
    """

    __slots__ = ("_queue",)

    def __init__(self, bus: Bus, queue: _Queue) -> None:
        super().__init__(bus, queue)
        self._queue = queue

    @property
    def dropped(self) -> int:
        """How many events its reader was too slow for, so far."""
        return self._queue.lost + self._queue.dropped

    def __aiter__(self) -> Stream[E]:
        return self

    async def __anext__(self) -> E:
        queue = self._queue
        while True:
            if queue.dropped and (gap := queue.gap()) is not None:
                return cast("E", gap)
            if queue.events:
                return cast("E", queue.events.popleft())
            if queue.closed:
                raise StopAsyncIteration
            try:
                await queue.wait()
            except BaseException:
                del self  # or the traceback, which a cancelled task keeps, would keep the stream on the bus
                raise

    async def __aenter__(self) -> Stream[E]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        self._bus.remove(self._sink)


class Bus:
    """Brings events to listeners.

    ``active`` is False while nobody listens, so that the hub need not even build an event. Publishing is for the thread
    of the loop alone; see `publish_threadsafe`.
    """

    __slots__ = ("__weakref__", "_closed", "_loop", "_routes", "_sinks", "active")

    def __init__(self) -> None:
        self.active = False
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Each sink and the kinds that it wants. Changed in single steps only: a stream may be collected in any thread.
        self._sinks: dict[Sink, tuple[type[Event], ...]] = {}
        self._routes: dict[type[Event], tuple[Callable[[Event], None], ...]] = {}

    def wants(self, kind: type[Event]) -> bool:
        """Tell whether anybody listens to events of this kind."""
        puts = self._routes.get(kind)
        return bool(self._route(kind) if puts is None else puts)

    def publish(self, event: Event) -> None:
        """Bring an event to all who want its kind. Never raises, never waits. Only in the loop's thread."""
        puts = self._routes.get(type(event))
        if puts is None:
            puts = self._route(type(event))
        for put in puts:
            put(event)

    def publish_threadsafe(self, event: Event) -> None:
        """Bring an event from any thread. It is dropped if the loop has ended, or never ran."""
        if (loop := self._loop) is not None:
            try:
                loop.call_soon_threadsafe(self.publish, event)
            except RuntimeError:
                self._loop = None  # the loop is closed: nobody is there to listen

    @overload
    def events(self, *, limit: int = LIMIT) -> Stream[Event]: ...
    @overload
    def events(self, *kinds: type[E], limit: int = LIMIT) -> Stream[E]: ...
    def events(self, *kinds: type[Any], limit: int = LIMIT) -> Stream[Any]:
        """Give a stream of the events of these kinds and those derived from them; of none: all events.

        At most ``limit`` events wait for its reader.

        Raises:
            UsageError: ``limit`` is less than 1, or a kind is no class of events.
        """
        _check_kinds(kinds)
        queue = _Queue(_checked(limit), tells_gaps=not kinds or issubclass(EventsDropped, kinds))
        self._add(queue, kinds)
        return Stream(self, queue)

    @overload
    def on(
        self, kind: type[E] | tuple[type[E], ...], handler: Callable[[E], object], *, limit: int = LIMIT
    ) -> Subscription: ...
    @overload
    def on(self, kind: None, handler: Callable[[Event], object], *, limit: int = LIMIT) -> Subscription: ...
    @overload
    def on(
        self, kind: type[Event] | tuple[type[Event], ...] | None = None, *, limit: int = LIMIT
    ) -> Callable[[H], H]: ...
    def on(
        self,
        kind: type[Any] | tuple[type[Any], ...] | None = None,
        handler: Callable[..., object] | None = None,
        *,
        limit: int = LIMIT,
    ) -> Subscription | Callable[[H], H]:
        """Call ``handler`` with each event of this kind, of these kinds (a tuple) or of all (None); or decorate it.

        An asynchronous handler runs in a task of its own, any other in a thread of its own: one event at a time, in
        order, and whatever it does costs nobody else. One that raises or takes more than a second for an event is
        reported in the log and as `HandlerFailed`. At most ``limit`` events wait for it; more push out the oldest.

        Raises:
            UsageError: ``limit`` is less than 1, a kind is no class of events, or the handler can't be called.
        """
        kinds = kind if isinstance(kind, tuple) else () if kind is None else (kind,)
        _check_kinds(kinds)
        if handler is not None:
            return self._handle(kinds, handler, _checked(limit))

        def register(decorated: H) -> H:
            self._handle(kinds, decorated, _checked(limit))
            return decorated

        return register

    async def aclose(self, timeout: float = 1.0) -> None:
        """Take no more events, let handlers finish what is queued for at most ``timeout`` seconds, then end them.

        Streams end when what they hold is read. A thread that is stuck in its handler is reported and left: it can't
        keep the program from ending.
        """
        sinks = list(self._sinks)
        self._closed = True
        for sink in sinks:
            self.remove(sink)
            sink.close()
        await wind_up([sink for sink in sinks if isinstance(sink, TaskHandler | ThreadHandler)], timeout)

    def holds(self, sink: Sink) -> bool:
        """Tell whether this sink still gets events."""
        return sink in self._sinks

    def kinds_of(self, sink: Sink) -> tuple[type[Event], ...]:
        """Give the kinds that this sink still gets; none if it gets no more."""
        return self._sinks.get(sink, ())

    def remove(self, sink: Sink) -> None:
        """Give this sink no more events. From any thread, as often as you like."""
        if self._sinks.pop(sink, None) is not None:
            self._changed()

    def _handle(self, kinds: tuple[type[Event], ...], handler: Callable[..., object], limit: int) -> Subscription:
        if not callable(handler):
            hint = "Give a function that takes an event."
            raise UsageError(f"a handler of events must be callable, not a {type(handler).__name__}", hint=hint)
        drops = not kinds or issubclass(EventsDropped, kinds)
        publish, context = self.publish_threadsafe, copy_context()
        if is_asynchronous(handler):
            sink = TaskHandler(handler, limit, publish, context=context, wants_drops=drops)
        else:
            sink = ThreadHandler(handler, limit, publish, context=context, wants_drops=drops)
        self._add(sink, kinds)
        return Subscription(self, sink)

    def _add(self, sink: Sink, kinds: tuple[type[Event], ...]) -> None:
        if self._closed:
            sink.close()
            return
        self._sinks[sink] = kinds or (Event,)
        self._changed()

    def _changed(self) -> None:
        self._routes = {}
        # Another thread may do the same in between, so the last look counts.
        while self.active != bool(self._sinks):
            self.active = bool(self._sinks)

    def _route(self, kind: type[Event]) -> tuple[Callable[[Event], None], ...]:
        """Find who wants this kind. `_routes` is taken first: if the sinks change meanwhile, nobody sees this entry."""
        routes = self._routes
        if self._loop is None and self._sinks:
            self._loop = asyncio._get_running_loop()  # noqa: SLF001 - the public one raises where there is none
        puts = tuple(sink.put for sink, kinds in list(self._sinks.items()) if issubclass(kind, kinds))
        routes[kind] = puts
        return puts


class _Queue:
    """The events that wait for the reader of a stream."""

    __slots__ = ("closed", "dropped", "events", "limit", "lost", "tells_gaps", "waiter")

    def __init__(self, limit: int, *, tells_gaps: bool) -> None:
        self.tells_gaps = tells_gaps
        self.lost = 0
        self.events: deque[Event] = deque(maxlen=limit)
        self.limit = limit
        self.dropped = 0
        self.closed = False
        self.waiter: asyncio.Future[None] | None = None

    def put(self, event: Event) -> None:
        events = self.events
        if len(events) == self.limit:
            self.dropped += 1
        events.append(event)
        if self.waiter is not None:
            self.wake()

    def gap(self) -> EventsDropped | None:
        """Take note of a gap that the reader comes to; give the event that tells of it, if the reader wants one."""
        if not self.lost:
            log.warning("a stream of events was read too slowly: its oldest %d were dropped", self.dropped)
        count, self.dropped = self.dropped, 0
        self.lost += count
        return EventsDropped(at=time.time(), count=count) if self.tells_gaps else None

    def wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            try:
                waiter.set_result(None)
            except RuntimeError:
                self.closed = True  # its loop is closed: the reader will never run again

    async def wait(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            raise UsageError("another task reads this stream of events", hint="Give each task a stream of its own.")
        self.waiter = asyncio.get_running_loop().create_future()
        try:
            await self.waiter
        finally:
            self.waiter = None

    def close(self) -> None:
        self.closed = True
        self.wake()

    def cancel(self) -> None:
        self.events.clear()
        self.dropped = 0
        self.close()


def _check_kinds(kinds: tuple[object, ...]) -> None:
    for kind in kinds:
        if not _is_kind(kind):
            hint = "Give classes of dragoman.events, such as CallFinished."
            raise UsageError(f"{reprlib.repr(kind)} is no kind of events", hint=hint)


def _is_kind(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Event)


def _checked(limit: int) -> int:
    if limit < 1:
        raise UsageError(f"limit={limit}: at least one event must be able to wait")
    return limit
