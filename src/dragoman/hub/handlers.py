"""Handlers of events: what runs a user's function, in a task or a thread of its own, and reports what it does wrong.

An asynchronous handler runs in a task, any other in a daemon thread, so that one that blocks costs nobody else. Both
begin with the first event. They know neither the bus nor the hub; `bus` makes them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Final, TypeGuard

from dragoman.events import Event, EventsDropped, HandlerFailed, wire_name

__all__ = ["TaskHandler", "ThreadHandler", "is_asynchronous", "wind_up"]

SLOW: Final = 1.0
"""Seconds for one event after which a handler is reported."""

QUIET: Final = 10.0
"""Seconds between two reports of the same kind about one handler."""

LINGER: Final = 0.001
"""Seconds that a handler's thread stays awake for more events: under load, publishing need not wake it."""

KINDS: Final = 32
"""Kinds of failures of one handler that are told apart."""

TURN: Final = 64
"""Events that a task handles before others of its loop get their turn."""

GRACE: Final = 0.5
"""Seconds that a cancelled handler has to end."""

log: Final = logging.getLogger("dragoman")

Function = Callable[..., object]


def is_asynchronous(function: Function) -> TypeGuard[Callable[..., Awaitable[object]]]:
    """Tell whether calling it gives something to await: a coroutine function, or an object with such a ``__call__``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


class Complaints:
    """What is told about one handler: each kind of trouble at most once in `QUIET` seconds, with its traceback once."""

    __slots__ = ("_last", "_publish", "_untold", "name")

    def __init__(self, function: Function, publish: Callable[[Event], None]) -> None:
        self.name = str(getattr(function, "__qualname__", None) or type(function).__qualname__)
        self._publish = publish
        self._last: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def failed(self, event: Event, error: BaseException) -> None:
        """Tell that it raised."""
        kind = type(error).__name__
        text = _text(error)
        self._tell(kind, event, f"raised {kind}: {text}" if text else f"raised {kind}", error)

    def slow(self, event: Event, seconds: float) -> None:
        """Tell that it took its time."""
        self._tell("slow", event, f"is slow: it took {seconds:.1f} s for one event")

    def dropped(self, count: int) -> None:
        """Tell, in the log only, that events were dropped."""
        self._tell("dropped", None, f"does not keep up: its oldest {count} events were dropped")

    def homeless(self, error: RuntimeError) -> None:
        """Tell, in the log only, that no thread could be started for it."""
        self._tell("homeless", None, f"can't run: {error}")

    def stuck(self) -> None:
        """Tell that it did not end when it was told to."""
        log.warning("handler %s of events did not end in time and is left behind", self.name)

    def _tell(self, kind: str, event: Event | None, words: str, error: BaseException | None = None) -> None:
        now = time.monotonic()
        if kind not in self._last and len(self._last) >= KINDS:
            kind = "others"
        last = self._last.get(kind)
        if last is not None and now - last < QUIET:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._last[kind] = now
        if untold := self._untold.pop(kind, 0):
            words += f" (and {untold} times before that)"
        at = f" at {wire_name(event)}" if event is not None else ""
        log.warning("handler %s of events %s%s", self.name, words, at, exc_info=error if last is None else None)
        # What goes wrong with such a report is not reported in the same way: it would go round.
        if event is not None and not isinstance(event, HandlerFailed):
            self._publish(HandlerFailed(at=time.time(), handler=self.name, reason=words))


def _text(error: BaseException) -> str:
    """Give the text of any error without what looks like a secret; it goes to listeners."""
    from dragoman.telemetry.redaction import redacted

    try:
        return str(redacted(str(error)))
    except Exception:  # noqa: BLE001 - it is foreign code that gives the text
        return "(its text can't be given)"


class TaskHandler:
    """An asynchronous function with its queue and its task. All of it happens in the thread of its loop."""

    __slots__ = (
        "_context",
        "_dropped",
        "_events",
        "_function",
        "_limit",
        "_waiter",
        "_wants_drops",
        "closed",
        "complaints",
        "loop",
        "task",
    )

    def __init__(
        self,
        function: Callable[..., Awaitable[object]],
        limit: int,
        publish: Callable[[Event], None],
        *,
        context: Context,
        wants_drops: bool,
    ) -> None:
        self._function = function
        self._limit = limit
        self._context = context
        self._wants_drops = wants_drops
        self._events: deque[Event] = deque(maxlen=limit)
        self._dropped = 0
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False
        self.complaints = Complaints(function, publish)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[None] | None = None

    def put(self, event: Event) -> None:
        """Queue an event, push out the oldest if need be, and wake the task if it sleeps."""
        events = self._events
        if len(events) == self._limit:
            self._dropped += 1
        events.append(event)
        if self._waiter is not None:
            self._wake()
        elif self.task is None:
            self._start()
        elif self.closed:
            events.clear()

    def close(self) -> None:
        """Let the task end when its queue is empty."""
        self.closed = True
        self._in_loop(self._wake)

    def cancel(self) -> None:
        """Let the task end now; if it is the task that asks for it, after this event."""
        self.closed = True
        self._events.clear()
        self._dropped = 0
        self._in_loop(self._cancel_task)

    def join(self) -> None:
        """Nothing is left to wait for: the task is done."""

    def _in_loop(self, act: Callable[[], object]) -> None:
        """Do something in the thread of the loop, now if this is it."""
        if self.loop is None or self.loop.is_closed():
            return
        if asyncio._get_running_loop() is self.loop:  # noqa: SLF001 - the public one raises where there is none
            act()
        else:
            self.loop.call_soon_threadsafe(act)

    def _cancel_task(self) -> None:
        if self.task is not None and asyncio.current_task() is not self.task:
            self.task.cancel()

    def _start(self) -> None:
        self.loop = asyncio._get_running_loop()  # noqa: SLF001 - as above
        if self.loop is not None:
            name = f"dragoman handler {self.complaints.name}"
            self.task = self.loop.create_task(self._run(), name=name, context=self._context)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            try:
                waiter.set_result(None)
            except RuntimeError:
                self.closed = True  # its loop is closed

    async def _run(self) -> None:
        try:
            await self._work()
        finally:
            # Somebody else may end it: whoever cancels all tasks of a loop. Nothing is kept for nobody.
            self.closed = True
            self._events.clear()

    async def _work(self) -> None:
        turn = 0
        while True:
            if self._dropped:
                await self._tell_dropped()
            while self._events:
                await self._handle(self._events.popleft())
                turn += 1
                if turn % TURN == 0:
                    await asyncio.sleep(0)
                if self._dropped:
                    await self._tell_dropped()
            if self.closed:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def _tell_dropped(self) -> None:
        count, self._dropped = self._dropped, 0
        self.complaints.dropped(count)
        if self._wants_drops:
            await self._handle(EventsDropped(at=time.time(), count=count))

    async def _handle(self, event: Event) -> None:
        begun = time.monotonic()
        try:
            await self._function(event)
        except (KeyboardInterrupt, SystemExit):
            raise  # they are meant for the whole program, and the loop hands them on
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.complaints.failed(event, error)  # something that it waited for was cancelled: that is its own affair
        except BaseException as error:  # noqa: BLE001 - a handler may do anything
            self.complaints.failed(event, error)
        if (seconds := time.monotonic() - begun) > SLOW:
            self.complaints.slow(event, seconds)


class ThreadHandler:
    """A plain function with its queue and its daemon thread."""

    __slots__ = (
        "_context",
        "_dropped",
        "_events",
        "_function",
        "_idle",
        "_limit",
        "_lock",
        "_wake",
        "_wants_drops",
        "closed",
        "complaints",
        "ended",
        "thread",
    )

    def __init__(
        self,
        function: Function,
        limit: int,
        publish: Callable[[Event], None],
        *,
        context: Context,
        wants_drops: bool,
    ) -> None:
        self._function = function
        self._limit = limit
        self._context = context
        self._wants_drops = wants_drops
        self._events: deque[Event] = deque(maxlen=limit)
        self._dropped = 0
        self._lock = threading.Lock()
        self._wake = threading.Semaphore(0)
        self._idle = False
        self.closed = False
        self.complaints = Complaints(function, publish)
        self.thread: threading.Thread | None = None
        self.ended: Callable[[], object] | None = None

    def put(self, event: Event) -> None:
        """Queue an event, push out the oldest if need be, and wake the thread if it sleeps."""
        with self._lock:
            if len(self._events) == self._limit:
                self._dropped += 1
            self._events.append(event)
            idle, self._idle = self._idle, False
        if idle:
            self._wake.release()
        elif self.thread is None:
            self._start()

    def close(self) -> None:
        """Let the thread end when its queue is empty."""
        self.closed = True
        with self._lock:
            idle, self._idle = self._idle, False
        if idle:
            self._wake.release()

    def cancel(self) -> None:
        """Let the thread end; if it is at work, after this event."""
        with self._lock:
            self._events.clear()
            self._dropped = 0
        self.close()

    def join(self) -> None:
        """Wait until the thread, which has said that it ends, is gone: a matter of microseconds."""
        if self.thread is not None:
            self.thread.join(GRACE)

    def _start(self) -> None:
        name = f"dragoman handler {self.complaints.name}"
        thread = threading.Thread(target=self._context.run, args=(self._run,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # there are too many, or the interpreter ends; the next event tries again
            self.complaints.homeless(error)
        else:
            self.thread = thread

    def _run(self) -> None:
        lingered = False
        while True:
            event = self._next(sleepy=lingered)
            if event is not None:
                lingered = False
                self._handle(event)
            elif self.closed:
                break
            elif lingered:
                self._wake.acquire()
                lingered = False
            else:
                time.sleep(LINGER)
                lingered = True
        if self.ended is not None:
            self.ended()

    def _next(self, *, sleepy: bool) -> Event | None:
        """Give the next event; if there is none and the thread is about to sleep, say so, or it would not be woken."""
        with self._lock:
            count, self._dropped = self._dropped, 0
            event = self._events.popleft() if self._events else None
            if event is None and sleepy and not self.closed:
                self._idle = True
        if count:
            self.complaints.dropped(count)
            if self._wants_drops:
                self._handle(EventsDropped(at=time.time(), count=count))
        return event

    def _handle(self, event: Event) -> None:
        begun = time.monotonic()
        try:
            made = self._function(event)
            if inspect.iscoroutine(made):
                made.close()
                raise TypeError("it gives a coroutine, and only a function made with async def is awaited")
        except BaseException as error:  # noqa: BLE001 - a handler may do anything; in a thread it ends nothing else
            self.complaints.failed(event, error)
        if (seconds := time.monotonic() - begun) > SLOW:
            self.complaints.slow(event, seconds)


async def wind_up(handlers: Sequence[TaskHandler | ThreadHandler], timeout: float) -> None:
    """Wait until closed handlers have handled what is queued, at most ``timeout`` seconds; then end them."""
    waits: dict[asyncio.Future[None], TaskHandler | ThreadHandler] = {}
    for handler in handlers:
        if isinstance(handler, ThreadHandler):
            waits[_end_of(handler)] = handler
        elif handler.task is asyncio.current_task():
            handler.cancel()
        elif handler.task is not None and handler.task.get_loop() is asyncio.get_running_loop():
            waits[handler.task] = handler
    for patience in (timeout, GRACE):
        if not waits:
            return
        done, _ = await asyncio.wait(waits, timeout=patience)
        for end in done:
            waits.pop(end).join()
        for handler in waits.values():
            handler.cancel()
    for handler in waits.values():
        handler.complaints.stuck()


def _end_of(handler: ThreadHandler) -> asyncio.Future[None]:
    """Give a future that is done when the handler's thread is about to end."""
    loop = asyncio.get_running_loop()
    end: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not end.done():
            end.set_result(None)

    def ended() -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it the one who waited
            loop.call_soon_threadsafe(settle)

    handler.ended = ended
    if handler.thread is None or not handler.thread.is_alive():
        settle()
    return end
