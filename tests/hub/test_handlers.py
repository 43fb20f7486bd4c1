"""Handlers of events: each in a place of its own, in order, reported when it fails, and ended with the bus."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio

from dragoman.events import Event, EventsDropped, HandlerFailed, ServerAdded, ServerRemoved
from dragoman.hub import handlers
from dragoman.hub.bus import Bus
from tests.hub.listening import PATIENCE, added, numbers, until

caller = contextvars.ContextVar("caller", default="nobody")


@pytest_asyncio.fixture
async def bus(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Bus]:
    """A bus that is closed after the test, as the hub closes it; its warnings are heard."""
    caplog.set_level(logging.WARNING, "dragoman")
    bus = Bus()
    yield bus
    await bus.aclose()


def reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The texts of the warnings of the bus."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


async def test_publishing_without_a_loop_waits_for_one() -> None:
    """What was published before is handled when a loop runs."""
    bus = Bus()
    seen: list[Event] = []

    async def handle(event: Event) -> None:
        seen.append(event)

    bus.on(None, handle)
    await asyncio.to_thread(bus.publish, added(1))
    bus.publish(added(2))
    await until(lambda: len(seen) == 2)
    await bus.aclose()


@pytest.mark.parametrize("plain", [True, False])
async def test_a_handler_gets_its_kinds_one_by_one_in_order(bus: Bus, plain: bool) -> None:  # noqa: FBT001
    """In a thread or a task of its own, all that is queued; the bus's end waits for it."""
    seen: list[Event] = []
    places: set[object] = set()

    def note(event: Event) -> None:
        seen.append(event)
        places.add(threading.current_thread())

    async def note_later(event: Event) -> None:
        await asyncio.sleep(0)
        seen.append(event)
        places.add(asyncio.current_task())

    subscription = bus.on(ServerAdded, note if plain else note_later, limit=1000)
    for number in range(500):
        bus.publish(added(number))
        bus.publish(ServerRemoved(at=0, server="s"))
        if number % 50 == 0:
            await asyncio.sleep(0.002)
    await bus.aclose(PATIENCE)
    assert numbers(seen) == list(range(500))
    assert len(places) == 1
    assert not places & {threading.main_thread(), asyncio.current_task()}
    assert subscription.closed


async def test_handlers_are_registered_by_decorator_and_by_tuple(bus: Bus) -> None:
    """The decorated function is still itself."""
    seen: list[str] = []

    @bus.on(ServerAdded)
    async def one(event: ServerAdded) -> None:
        seen.append(f"one {event.at}")

    @bus.on((ServerAdded, ServerRemoved), limit=5)
    async def two(event: ServerAdded | ServerRemoved) -> None:
        seen.append(f"two {event.at}")

    @bus.on()
    async def all_of_them(event: Event) -> None:
        seen.append(f"all {event.at}")

    bus.publish(added(1))
    bus.publish(ServerRemoved(at=2, server="s"))
    await until(lambda: len(seen) == 5)
    assert sorted(seen) == ["all 1.0", "all 2", "one 1.0", "two 1.0", "two 2"]
    assert one.__name__ == "one"
    assert two is not None
    assert all_of_them is not None


async def test_objects_and_partials_are_known_as_asynchronous(bus: Bus) -> None:
    """An object with an asynchronous `__call__` runs in the loop, as does a partial of an asynchronous function."""
    seen: list[object] = []

    class Counter:
        async def __call__(self, event: Event) -> None:
            seen.append(asyncio.current_task())

    async def count(where: list[object], event: Event) -> None:
        where.append(asyncio.current_task())

    bus.on(None, Counter())
    bus.on(None, functools.partial(count, seen))
    bus.publish(added(1))
    await until(lambda: len(seen) == 2)
    assert None not in seen


async def test_a_blocking_handler_costs_nobody_else(bus: Bus) -> None:
    """While one thread stands still, others get their events, and its newest wait."""
    gate = threading.Event()
    blocked: list[Event] = []
    fast: list[Event] = []

    def block(event: Event) -> None:
        gate.wait(PATIENCE)
        blocked.append(event)

    bus.on(ServerAdded, block, limit=10)
    bus.on(ServerAdded, fast.append)
    for number in range(100):
        bus.publish(added(number))
        if number == 0:
            await until(lambda: fast)
    await until(lambda: len(fast) == 100)
    assert blocked == []
    gate.set()
    await until(lambda: len(blocked) == 11)
    assert numbers(blocked) == [0, *range(90, 100)]


async def test_what_pours_over_is_logged_and_told_to_who_wants_all(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """Handled and dropped add up, in a thread and in a task."""
    seen: list[Event] = []
    also: list[Event] = []

    async def late(event: Event) -> None:
        also.append(event)

    bus.on(None, seen.append, limit=5)
    bus.on(None, late, limit=5)
    for number in range(50):
        bus.publish(added(number))

    def total(events: list[Event]) -> int:
        return sum(event.count if isinstance(event, EventsDropped) else 1 for event in events)

    await until(lambda: total(seen) == total(also) == 50)
    told = [text for text in reports(caplog) if "does not keep up" in text]
    assert any("late" in text and "45 events were dropped" in text for text in told)
    assert [type(event) for event in also[:2]] == [EventsDropped, ServerAdded]


@pytest.mark.parametrize("plain", [True, False])
async def test_a_raising_handler_is_reported_and_goes_on(
    bus: Bus,
    caplog: pytest.LogCaptureFixture,
    plain: bool,  # noqa: FBT001
) -> None:
    """One traceback and one `HandlerFailed` for a thousand failures of a kind; another kind has its own."""
    failures = bus.events(HandlerFailed)
    calls = 0

    def fail(event: Event) -> None:
        nonlocal calls
        calls += 1
        if calls == 500:
            raise KeyError("another")
        raise ValueError(f"number {calls}")

    async def fail_later(event: Event) -> None:
        fail(event)

    bus.on(ServerAdded, fail if plain else fail_later, limit=2000)
    for number in range(1000):
        bus.publish(added(number))
    await until(lambda: calls == 1000)
    first, second = await anext(failures), await anext(failures)
    assert isinstance(first, HandlerFailed)
    assert isinstance(second, HandlerFailed)
    assert first.reason == "raised ValueError: number 1"
    assert first.handler.endswith("fail" if plain else "fail_later")
    assert second.reason == "raised KeyError: 'another'"
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    assert "server.added" in reports(caplog)[0]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(failures), 0.01)


async def test_a_lasting_failure_is_told_again_with_its_number(
    bus: Bus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the quiet time, one line without a traceback."""
    monkeypatch.setattr(handlers, "QUIET", 0.05)
    calls = 0

    async def fail(event: Event) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("no")

    bus.on(ServerAdded, fail)
    for number in range(10):
        bus.publish(added(number))
    await until(lambda: calls == 10)
    await asyncio.sleep(0.06)
    bus.publish(added(10))
    await until(lambda: len(caplog.records) == 2)
    assert "(and 9 times before that)" in caplog.records[1].getMessage()
    assert caplog.records[1].exc_info is None


async def test_what_a_failure_says_is_told_with_care(bus: Bus) -> None:
    """Secrets in its text are hidden, and a text that can't be given costs the handler nothing."""
    failures = bus.events(HandlerFailed)

    class OddError(Exception):
        def __str__(self) -> str:
            raise ValueError

    async def fail(event: Event) -> None:
        raise OddError if event.at == 1 else ValueError("https://me:secret@example.com/ said no")

    bus.on(ServerAdded, fail)
    bus.publish(added(1))
    bus.publish(added(2))
    told = [await asyncio.wait_for(anext(failures), PATIENCE) for _ in range(2)]
    assert [event.reason for event in told if isinstance(event, HandlerFailed)] == [
        "raised OddError: (its text can't be given)",
        "raised ValueError: https://***@example.com/ said no",
    ]


async def test_publishing_survives_that_no_thread_can_be_had(
    bus: Bus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged, and the events wait for a thread as long as there is room."""
    seen: list[Event] = []

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    bus.on(ServerAdded, seen.append)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        bus.publish(added(1))
        bus.publish(added(2))
    assert [text for text in reports(caplog) if "can't start new thread" in text] == reports(caplog)
    assert len(caplog.records) == 1
    bus.publish(added(3))
    await until(lambda: len(seen) == 3)


async def test_failures_at_failures_do_not_go_round(
    bus: Bus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two handlers that fail at everything, each other's reports too, end after one event each."""
    monkeypatch.setattr(handlers, "QUIET", 0.0)
    seen: list[Event] = []

    async def first(event: Event) -> None:
        raise ValueError(type(event).__name__)

    def second(event: Event) -> None:
        raise LookupError(type(event).__name__)

    async def note(event: HandlerFailed) -> None:
        seen.append(event)

    bus.on(None, first)
    bus.on(None, second)
    bus.on(HandlerFailed, note)
    bus.publish(added(1))
    await until(lambda: len(seen) == 2)
    await until(lambda: len(caplog.records) == 6)
    await bus.aclose()
    assert len(seen) == 2
    assert sorted("handler.failed" in text for text in reports(caplog)) == [False, False, True, True, True, True]


async def test_a_slow_handler_is_reported(
    bus: Bus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the time that it took."""
    monkeypatch.setattr(handlers, "SLOW", 0.02)
    failures = bus.events(HandlerFailed)

    async def dawdle(event: Event) -> None:
        await asyncio.sleep(0.03)

    def block(event: Event) -> None:
        time.sleep(0.03)

    bus.on(ServerAdded, dawdle)
    bus.on(ServerAdded, block)
    bus.publish(added(1))
    told = [await asyncio.wait_for(anext(failures), PATIENCE) for _ in range(2)]
    assert all(isinstance(event, HandlerFailed) and event.reason.startswith("is slow: it took 0.0") for event in told)
    assert len(reports(caplog)) == 2


async def test_a_plain_function_that_gives_a_coroutine_is_reported(bus: Bus) -> None:
    """It would never have run, and nobody would have said so."""
    failures = bus.events(HandlerFailed)

    async def handle(event: Event) -> None:
        pytest.fail("it ran")

    bus.on(ServerAdded, lambda event: handle(event))  # noqa: PLW0108 - this is the mistake
    bus.publish(added(1))
    event = await asyncio.wait_for(anext(failures), PATIENCE)
    assert isinstance(event, HandlerFailed)
    assert "async def" in event.reason


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("odd")])
async def test_nothing_that_a_thread_raises_ends_more_than_one_event(bus: Bus, error: BaseException) -> None:
    """Not even what would end the program: it is told, and the next event is handled."""
    seen: list[Event] = []
    failures = bus.events(HandlerFailed)

    def handle(event: Event) -> None:
        if event.at == 1:
            raise error
        seen.append(event)

    bus.on(ServerAdded, handle)
    bus.publish(added(1))
    bus.publish(added(2))
    await until(lambda: seen)
    event = await anext(failures)
    assert isinstance(event, HandlerFailed)
    assert event.reason.startswith(f"raised {type(error).__name__}")


async def test_a_cancelled_wait_in_a_handler_is_its_own_affair(bus: Bus) -> None:
    """A handler that waits for what somebody cancels fails at that event, and gets the next."""
    seen: list[Event] = []
    failures = bus.events(HandlerFailed)

    async def handle(event: Event) -> None:
        if event.at == 1:
            cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled
        seen.append(event)

    bus.on(ServerAdded, handle)
    bus.publish(added(1))
    bus.publish(added(2))
    await until(lambda: seen)
    event = await anext(failures)
    assert isinstance(event, HandlerFailed)
    assert event.reason == "raised CancelledError"


def test_an_asynchronous_handler_can_end_the_program() -> None:
    """`sys.exit` and Ctrl-C in the loop's thread mean the program, so the loop ends."""
    bus = Bus()

    async def leave(event: Event) -> None:
        raise SystemExit(3)

    async def main() -> None:
        bus.on(None, leave)
        bus.publish(added(1))
        await asyncio.sleep(PATIENCE)

    with pytest.raises(SystemExit):
        asyncio.run(main())


def test_whoever_cancels_all_tasks_ends_handlers() -> None:
    """As `asyncio.run` does at its end; nothing is then kept for the handler, and publishing goes on harmlessly."""
    bus = Bus()

    async def main() -> None:
        started = asyncio.Event()

        async def handle(event: Event) -> None:
            started.set()
            await asyncio.sleep(PATIENCE)

        bus.on(None, handle)
        bus.publish(added(1))
        await started.wait()

    begun = time.monotonic()
    asyncio.run(main())
    bus.publish(added(2))
    bus.publish_threadsafe(added(3))
    assert time.monotonic() - begun < PATIENCE


@pytest.mark.parametrize("plain", [True, False])
async def test_a_handler_can_end_its_own_subscription(bus: Bus, plain: bool) -> None:  # noqa: FBT001
    """It ends with the event that it is at; what was queued is forgotten."""
    seen: list[Event] = []

    def once(event: Event) -> None:
        subscription.cancel()
        seen.append(event)

    async def once_later(event: Event) -> None:
        subscription.cancel()
        await asyncio.sleep(0)
        seen.append(event)

    subscription = bus.on(ServerAdded, once if plain else once_later)
    for number in range(5):
        bus.publish(added(number))
    await until(lambda: seen)
    assert not bus.active
    await bus.aclose()
    assert numbers(seen) == [0]


async def test_cancelling_ends_an_asynchronous_handler_at_work(bus: Bus) -> None:
    """From the loop's thread, and from another."""
    for elsewhere in (False, True):
        started, ended = asyncio.Event(), asyncio.Event()

        async def handle(event: Event, started: asyncio.Event = started, ended: asyncio.Event = ended) -> None:
            started.set()
            try:
                await asyncio.sleep(PATIENCE)
            finally:
                ended.set()

        subscription = bus.on(ServerAdded, handle)
        bus.publish(added(1))
        await started.wait()
        if elsewhere:
            await asyncio.to_thread(subscription.cancel)
        else:
            subscription.cancel()
        await asyncio.wait_for(ended.wait(), 1)


async def test_closing_the_bus_lets_handlers_finish(bus: Bus) -> None:
    """What is queued is handled, in tasks and threads, before it returns."""
    seen: list[Event] = []
    also: list[Event] = []

    async def handle(event: Event) -> None:
        await asyncio.sleep(0.001)
        seen.append(event)

    def block(event: Event) -> None:
        time.sleep(0.001)
        also.append(event)

    bus.on(None, handle)
    bus.on(None, block)
    for number in range(20):
        bus.publish(added(number))
    await bus.aclose(PATIENCE)
    assert numbers(seen) == numbers(also) == list(range(20))


async def test_closing_the_bus_is_bounded(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """A task that hangs is cancelled; a thread that is stuck is told and left, and ends when it can."""
    gate = threading.Event()
    stuck: list[threading.Thread] = []
    cancelled: list[bool] = []

    async def hang(event: Event) -> None:
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            cancelled.append(True)

    def stand(event: Event) -> None:
        stuck.append(threading.current_thread())
        gate.wait(PATIENCE)

    bus.on(None, hang)
    bus.on(None, stand)
    bus.publish(added(1))
    bus.publish(added(2))
    await until(lambda: stuck)
    begun = time.monotonic()
    await bus.aclose(0.05)
    assert time.monotonic() - begun < 2
    assert cancelled == [True]
    assert len(stuck) == 1
    assert stuck[0].daemon
    assert any("stand" in text and "left behind" in text for text in reports(caplog))
    gate.set()
    await until(lambda: not stuck[0].is_alive())
    assert len(stuck) == 1


async def test_a_handler_can_close_the_bus(bus: Bus) -> None:
    """It doesn't wait for itself."""
    closed = asyncio.Event()

    async def handle(event: Event) -> None:
        await bus.aclose(PATIENCE)
        closed.set()

    bus.on(None, handle)
    bus.publish(added(1))
    await asyncio.wait_for(closed.wait(), 1)


async def test_a_handler_does_not_inherit_a_call(bus: Bus) -> None:
    """It runs in the context that it was registered in, not in that of the call whose event was its first."""
    seen: list[str] = []

    async def note(event: Event) -> None:
        seen.append(caller.get())

    caller.set("whoever registered it")
    bus.on(None, note)
    bus.on(None, lambda _: seen.append(caller.get()))

    async def call() -> None:
        caller.set("somebody")
        bus.publish(added(1))

    await asyncio.create_task(call())
    await until(lambda: len(seen) == 2)
    assert seen == ["whoever registered it"] * 2


async def test_gaps_can_be_asked_for_by_kind(bus: Bus) -> None:
    """A handler of some kinds hears of them when it names `EventsDropped`, too."""
    seen: list[Event] = []

    async def note(event: Event) -> None:
        seen.append(event)

    bus.on((ServerAdded, EventsDropped), note, limit=1)
    bus.publish(added(1))
    bus.publish(added(2))
    await until(lambda: len(seen) == 2)
    assert [type(event) for event in seen] == [EventsDropped, ServerAdded]


async def test_a_handler_that_never_waits_leaves_others_their_turn(bus: Bus) -> None:
    """A thousand events in its queue are not handled in one turn of the loop."""
    turns: list[int] = []
    handled = 0

    async def count(event: Event) -> None:
        nonlocal handled
        handled += 1

    bus.on(ServerAdded, count)
    for number in range(1000):
        bus.publish(added(number))
    while handled < 1000:
        await asyncio.sleep(0)
        turns.append(handled)
    assert max(later - earlier for earlier, later in pairwise([0, *turns])) < 100


async def test_a_handler_that_is_cancelled_from_outside_keeps_nothing(bus: Bus) -> None:
    """Whoever cancels its task ends it: later events go nowhere."""
    started = asyncio.Event()

    async def handle(event: Event) -> None:
        started.set()
        await asyncio.sleep(PATIENCE)

    bus.on(ServerAdded, handle)
    bus.publish(added(1))
    await started.wait()
    waiting, late = added(2), added(3)
    bus.publish(waiting)
    (task,) = (task for task in asyncio.all_tasks() if task.get_name().startswith("dragoman handler"))
    task.cancel()
    await asyncio.wait([task])
    bus.publish(late)
    assert sys.getrefcount(waiting) == 2
    assert sys.getrefcount(late) == 2
