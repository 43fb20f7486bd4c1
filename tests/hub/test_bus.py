"""The bus: every reader gets its events in order or is told of a gap, and leaves nothing behind when it goes."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import UsageError
from dragoman.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    EventsDropped,
    HandlerFailed,
    ServerAdded,
    ServerRemoved,
)
from dragoman.hub.bus import Bus
from tests.hub.listening import PATIENCE, added, numbers, until


@pytest_asyncio.fixture
async def bus() -> AsyncIterator[Bus]:
    """A bus that is closed after the test, as the hub closes it."""
    bus = Bus()
    yield bus
    await bus.aclose()


def test_nobody_listening_is_told_to_the_hub() -> None:
    """`active` and `wants` spare the hub the events that nobody wants, from the first listener to the last."""
    bus = Bus()
    assert not bus.active
    assert not bus.wants(CallStarted)
    stream = bus.events(CallStarted)
    assert bus.active
    assert bus.wants(CallStarted)
    assert not bus.wants(CallFinished)
    stream.cancel()
    assert not bus.active
    assert not bus.wants(CallStarted)


async def test_a_stream_gives_all_events_in_order(bus: Bus) -> None:
    """Those of before it are not there, and it ends with the bus, after what was queued."""
    bus.publish(added(0))
    stream = bus.events()
    for number in range(1, 6):
        bus.publish(added(number))
    await bus.aclose()
    bus.publish(added(6))
    assert numbers([event async for event in stream]) == [1, 2, 3, 4, 5]


async def test_a_stream_gives_only_the_kinds_it_is_for(bus: Bus) -> None:
    """Several kinds are a choice; the base of all is all."""
    some, everything = bus.events(ServerAdded, ServerRemoved), bus.events(Event)
    bus.publish(added(1))
    bus.publish(HandlerFailed(at=2, handler="h", reason="r"))
    bus.publish(ServerRemoved(at=3, server="s"))
    await bus.aclose()
    assert [type(event) async for event in some] == [ServerAdded, ServerRemoved]
    assert [type(event) async for event in everything] == [ServerAdded, HandlerFailed, ServerRemoved]


async def test_a_waiting_reader_is_woken(bus: Bus) -> None:
    """By an event, and by the end."""
    seen: list[Event] = []

    async def read() -> None:
        seen.extend([event async for event in bus.events()])

    task = asyncio.create_task(read())
    await until(lambda: bus.active)
    bus.publish(added(1))
    await until(lambda: seen or task.done() or numbers(seen) == [])
    await bus.aclose()
    await asyncio.wait_for(task, PATIENCE)
    assert numbers(seen) == [1]


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(bus: Bus) -> None:
    """The next thing that it gets is the number; the newest events are there."""
    stream = bus.events(ServerAdded, EventsDropped, limit=3)
    for number in range(10):
        bus.publish(added(number))
    first = await anext(stream)
    assert isinstance(first, EventsDropped)
    assert first.count == stream.dropped == 7
    assert [(await anext(stream)).at for _ in range(3)] == [7, 8, 9]
    bus.publish(added(10))
    assert (await anext(stream)).at == 10


async def test_a_reader_of_some_kinds_gets_these_only(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """What it was too slow for is counted, and told in the log, once."""
    stream = bus.events(ServerAdded, limit=3)
    for _ in range(2):
        for number in range(10):
            bus.publish(added(number))
        assert [(await anext(stream)).at for _ in range(3)] == [7, 8, 9]
    assert stream.dropped == 14
    assert len([line for line in caplog.messages if "too slowly" in line]) == 1


@given(st.lists(st.integers(min_value=0, max_value=9)), st.integers(min_value=1, max_value=4))
async def test_a_reader_gets_or_is_told_of_every_event(steps: list[int], limit: int) -> None:
    """However publishing and reading alternate: order is kept, and events read and dropped add up."""
    bus = Bus()
    stream = bus.events(limit=limit)
    published = expected = 0
    for step in steps:
        for _ in range(step):
            bus.publish(added(published))
            published += 1
        if expected < published:
            event = await anext(stream)
            if isinstance(event, EventsDropped):
                expected += event.count
                assert published - expected == limit
            else:
                assert event.at == expected
                expected += 1
    await bus.aclose()
    async for event in stream:
        expected += event.count if isinstance(event, EventsDropped) else 1
    assert expected == published


async def test_an_abandoned_stream_leaves_the_bus(bus: Bus) -> None:
    """A loop that breaks off, a stream never read, a reader that is cancelled: none of them stays."""

    async def read_one() -> None:
        async for _ in bus.events():
            break

    task = asyncio.create_task(read_one())
    await until(lambda: bus.active)
    bus.publish(added(1))
    await task
    assert not bus.active
    bus.events()
    assert not bus.active
    task = asyncio.create_task(read_one())
    await until(lambda: bus.active)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not bus.active


async def test_a_stream_in_a_cycle_leaves_the_bus_when_it_is_collected(bus: Bus) -> None:
    """Collection may come late, yet it comes; the bus holds no stream."""
    holder: list[object] = []
    stream = bus.events()
    holder.extend((holder, stream))
    gone = weakref.ref(stream)
    del stream, holder
    gc.collect()
    assert gone() is None
    assert not bus.active


async def test_one_event_can_be_awaited(bus: Bus) -> None:
    """A stream that only the awaiting holds stays until its event comes."""
    bus.publish(added(1))
    waiting = asyncio.ensure_future(anext(bus.events(ServerRemoved)))
    await until(lambda: bus.wants(ServerRemoved))
    bus.publish(added(2))
    bus.publish(ServerRemoved(at=3, server="s"))
    assert (await asyncio.wait_for(waiting, PATIENCE)).at == 3
    assert not bus.active


async def test_a_reader_that_timed_out_can_read_on(bus: Bus) -> None:
    """Nothing is lost by giving up to wait."""
    stream = bus.events()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.01)
    bus.publish(added(1))
    assert (await anext(stream)).at == 1


async def test_a_stream_is_a_context_manager(bus: Bus) -> None:
    """Its end is the end of the subscription, whoever still refers to it."""
    async with bus.events() as stream:
        bus.publish(added(1))
        assert (await anext(stream)).at == 1
        assert not stream.closed
    assert stream.closed
    assert not bus.active
    assert [event async for event in stream] == []


async def test_closing_a_stream_leaves_what_is_queued_and_cancelling_does_not(bus: Bus) -> None:
    """Two ways to end."""
    closed, cancelled = bus.events(), bus.events()
    bus.publish(added(1))
    closed.close()
    cancelled.cancel()
    bus.publish(added(2))
    assert numbers([event async for event in closed]) == [1]
    assert [event async for event in cancelled] == []


async def test_two_tasks_can_not_read_one_stream(bus: Bus) -> None:
    """The second is told so; the first gets its event."""
    stream = bus.events()
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="another task"):
        await anext(stream)
    bus.publish(added(1))
    assert (await first).at == 1


def test_a_listener_without_room_is_refused() -> None:
    """A limit of nothing would drop everything."""
    with pytest.raises(UsageError, match="limit=0"):
        Bus().events(limit=0)
    with pytest.raises(UsageError, match="limit=-1"):
        Bus().on(None, print, limit=-1)


async def test_who_subscribes_to_a_closed_bus_gets_nothing(bus: Bus) -> None:
    """A stream ends at once, a handler is never called."""
    await bus.aclose()
    seen: list[Event] = []
    subscription = bus.on(None, seen.append)
    assert [event async for event in bus.events()] == []
    bus.publish(added(1))
    assert subscription.closed
    assert not bus.active
    assert seen == []


async def test_closing_twice_is_fine(bus: Bus) -> None:
    """As often as you like, and no thread or task was there to begin with."""
    bus.on(None, print)
    await bus.aclose()
    await bus.aclose()


async def test_events_come_from_other_threads(bus: Bus) -> None:
    """`publish_threadsafe` brings them to the loop; without a loop there is nobody to hear."""
    bus.publish_threadsafe(added(0))
    stream = bus.events()
    bus.publish(added(1))
    await asyncio.to_thread(bus.publish_threadsafe, added(2))
    assert [(await asyncio.wait_for(anext(stream), PATIENCE)).at for _ in range(2)] == [1, 2]


async def test_listeners_may_come_and_go_while_events_flow(bus: Bus) -> None:
    """Streams dropped in other threads disturb nothing, and at the end nobody is left."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            with_kind, without = bus.events(ServerAdded), bus.events()
            del with_kind, without

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    kept = bus.events(limit=10_000)
    for number in range(3000):
        bus.publish(added(number))
        assert bus.active
        if number % 100 == 0:
            await asyncio.sleep(0.001)
    stop.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    for number in range(3000):
        assert (await anext(kept)).at == number
    kept.cancel()
    assert not bus.active


async def test_the_two_events_of_a_call_are_cheap(bus: Bus) -> None:
    """Made, published and read, both cost a few microseconds of CPU; the bound here is for busy machines."""
    read = 0

    async def follow() -> None:
        nonlocal read
        async for _ in bus.events():
            read += 1

    task = asyncio.create_task(follow())
    await until(lambda: bus.active)
    costs: list[float] = []
    for _ in range(5):
        begun = time.process_time()
        for number in range(2000):
            bus.publish(
                CallStarted(at=time.time(), call_id=number, server="s", method="tools/call", name="t", arguments=("a",))
            )
            await asyncio.sleep(0)
            bus.publish(
                CallFinished(at=time.time(), call_id=number, server="s", method="tools/call", name="t", seconds=0.1)
            )
            await asyncio.sleep(0)
        costs.append((time.process_time() - begun) / 2000)
    await bus.aclose()
    await task
    assert read == 20_000
    assert min(costs) < 60e-6


def test_events_that_nobody_wants_are_not_kept() -> None:
    """The bus remembers no event."""
    bus = Bus()
    stream = bus.events(CallFailed)
    before = len(gc.get_objects())
    for number in range(1000):
        bus.publish(added(number))
    assert len(gc.get_objects()) - before < 100
    stream.cancel()


async def test_what_is_no_kind_or_no_handler_is_refused_at_once(bus: Bus) -> None:
    """Not when the first event comes, and by telling what to write: names on the wire are no kinds."""
    wrong: list[Any] = ["call.finished", int, 3, added(1)]
    for kind in wrong:
        with pytest.raises(UsageError, match=r"is no kind of events. Give classes of dragoman.events"):
            bus.events(kind)
        with pytest.raises(UsageError, match="is no kind of events"):
            bus.on(kind)
    handler: Any = "no function"
    with pytest.raises(UsageError, match="a handler of events must be callable, not a str"):
        bus.on(CallFinished, handler)
    assert not bus.active


async def test_streams_and_subscriptions_show_what_they_hear(bus: Bus) -> None:
    """Whoever prints one sees its kinds, and whether it has ended."""
    stream, subscription = bus.events(CallFailed, CallFinished), bus.on(None, print)
    assert repr(stream) == "<Stream of CallFailed, CallFinished>"
    assert repr(subscription) == "<Subscription of Event>"
    stream.cancel()
    assert repr(stream) == "<Stream closed>"
