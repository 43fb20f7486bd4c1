"""The limits: never more than allowed, first come first served, nothing lost, and a late one says why."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import RequestTimeout
from dragoman.handle.limits import Limits

moves = st.lists(st.sampled_from(["take", "give", "cancel", "give and cancel", "settle"]), max_size=40)


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


async def test_without_limits_nobody_waits() -> None:
    """And the handle can tell beforehand."""
    limits = Limits(None, None)
    assert limits.unbounded
    for _ in range(1000):
        await limits.take()
    async with limits.slot():
        assert limits.waiting == 0
    assert not Limits(1, None).unbounded
    assert not Limits(None, 1).unbounded


async def test_no_more_at_once_than_the_concurrency() -> None:
    """Twenty callers, three places."""
    limits = Limits(3, None)
    most = 0

    async def call() -> None:
        nonlocal most
        async with limits.slot():
            most = max(most, limits.running)
            for _ in range(3):
                await asyncio.sleep(0)

    await asyncio.gather(*(call() for _ in range(20)))
    assert most == 3
    assert (limits.running, limits.waiting) == (0, 0)


async def test_no_more_in_a_second_than_the_rate() -> None:
    """A second's worth comes at once, the rest at the rate."""
    limits = Limits(None, 50)
    began = now()
    for _ in range(50):
        await limits.take()
    assert now() - began < 0.2
    for _ in range(10):
        await limits.take()
    assert now() - began >= 0.18


async def test_a_rate_below_one_lets_the_first_through() -> None:
    """One in ten seconds is one now."""
    limits = Limits(None, 0.1)
    await limits.take(now())
    with pytest.raises(RequestTimeout, match=r"rate 0\.1"):
        await limits.take(now() + 0.02)


async def test_tokens_come_back_with_time_but_not_without_end() -> None:
    """Who waited has a second's worth, no more."""
    limits = Limits(None, 50)
    await limits.take()
    await asyncio.sleep(0.2)
    began = now()
    for _ in range(55):
        await limits.take()
    assert now() - began >= 0.09


@pytest.mark.parametrize(("concurrency", "rate"), [(1, None), (None, 200.0), (2, 200.0)])
async def test_first_come_first_served(concurrency: int | None, rate: float | None) -> None:
    """Also when both limits hold."""
    limits = Limits(concurrency, rate)
    for _ in range(int(rate or 0)):
        async with limits.slot():
            pass
    order: list[int] = []

    async def call(number: int) -> None:
        async with limits.slot():
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(call(number) for number in range(15)))
    assert order == list(range(15))


async def test_a_newcomer_does_not_overtake_on_a_busy_loop() -> None:
    """Though a token came while the loop was held up, and the one who waits could not be woken yet."""
    limits = Limits(None, 20)
    for _ in range(20):
        await limits.take()
    first = asyncio.create_task(limits.take())
    await asyncio.sleep(0)
    time.sleep(0.06)
    await limits.take()
    assert first.done()


async def test_a_late_one_learns_that_the_limit_was_the_reason() -> None:
    """Nothing was sent, and the error says so."""
    limits = Limits(1, None, server="files")
    await limits.take()
    with pytest.raises(RequestTimeout) as caught:
        await limits.take(now() + 0.02, method="tools/call")
    assert (caught.value.server, caught.value.method) == ("files", "tools/call")
    assert caught.value.timeout == pytest.approx(0.02, abs=0.005)
    assert "concurrency 1" in str(caught.value)
    assert "Nothing was sent" in str(caught.value)
    assert limits.waiting == 0
    limits.give()
    async with asyncio.timeout(5):
        await limits.take(now() + 1)


async def test_a_deadline_gone_by_does_not_wait() -> None:
    """There is no time to wait for a place."""
    limits = Limits(1, None)
    await limits.take()
    with pytest.raises(RequestTimeout):
        await limits.take(now() - 1)


async def test_a_failing_call_gives_its_place_back() -> None:
    """However it ends."""
    limits = Limits(1, None)
    with pytest.raises(KeyError):
        async with limits.slot():
            raise KeyError
    assert limits.running == 0


async def test_a_callers_own_time_out_stays_its_own() -> None:
    """Only the deadline that was given here becomes an error of ours."""
    limits = Limits(1, None)
    await limits.take()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await limits.take(now() + 60)
    assert limits.waiting == 0


async def test_a_cancelled_wait_gives_its_token_back() -> None:
    """A token that came in the same round as the cancellation is spent on nobody."""
    limits = Limits(1, 2)
    await limits.take()
    waiting = asyncio.create_task(limits.take())
    await asyncio.sleep(0)
    limits.give()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert limits.running == 0
    await limits.take(now() + 0.1)


@given(concurrency=st.integers(1, 3), moves=moves)
def test_places_are_neither_lost_nor_made(concurrency: int, moves: list[str]) -> None:
    """Whatever is taken, given back and cancelled in whatever order, also within one turn of the loop."""
    asyncio.run(play(concurrency, None, moves))


@given(moves=moves)
def test_places_with_a_rate_are_neither_lost_nor_made(moves: list[str]) -> None:
    """The same with both limits, the rate a fast one."""
    asyncio.run(play(2, 100_000.0, moves))


async def play(concurrency: int, rate: float | None, moves: list[str]) -> None:
    """Do the moves; afterwards all places are free again."""
    limits = Limits(concurrency, rate)
    tasks: list[asyncio.Task[None]] = []
    given = 0
    for move in moves:
        if move == "take":
            tasks.append(asyncio.create_task(limits.take()))
        if "give" in move and given < sum(task.done() and not task.cancelled() for task in tasks):
            given += 1
            limits.give()
        if "cancel" in move:
            for task in [task for task in tasks if not task.done()][:1]:
                task.cancel()
        if move == "settle":
            await asyncio.sleep(0)
        assert limits.running <= concurrency
    async with asyncio.timeout(10):
        while not all(task.done() for task in tasks) or given < sum(not task.cancelled() for task in tasks):
            await asyncio.sleep(0)
            if given < sum(task.done() and not task.cancelled() for task in tasks):
                given += 1
                limits.give()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert (limits.running, limits.waiting) == (0, 0)
