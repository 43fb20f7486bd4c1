"""The strictness that every test has: nothing left behind, no blocked loop, no silent absence of a part.

The measuring itself lies in `residue.py` and `loop_watch.py`, the places of other people's programs in `parts.py`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator

import hypothesis
import pytest
import pytest_asyncio

from tests import parts, residue
from tests.loop_watch import LoopWatch

BLOCKED = 1.0
"""Seconds that a test may keep its event loop from running."""

WATCH = pytest.StashKey[LoopWatch]()

# A busy machine takes its time for an example; pytest-timeout bounds the whole.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


def pytest_configure() -> None:
    """Mark the environment before anything is started, and keep tests out of the user's own cache."""
    residue.mark_environment()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A suite that was started in the background would hand that on to each program that it interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="dragoman-tests-")


def pytest_unconfigure() -> None:
    """Take away what was kept."""
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose part is absent, with the reason; in CI, fail it."""
    for mark in item.iter_markers("external"):
        for part in mark.args:
            reason = parts.absence(part)
            if reason is not None and parts.in_ci():
                pytest.fail(reason, pytrace=False)
            elif reason is not None:
                pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch the loop during the test itself: a fixture may take its time."""
    watch = item.stash.get(WATCH, None)
    if watch is None:
        return (yield)
    watch.start()
    try:
        outcome = yield
    finally:
        watch.stop()
    if watch.longest > BLOCKED and item.get_closest_marker("may_block") is None:
        pytest.fail(f"the test blocked its event loop for {watch.longest:.1f} s", pytrace=False)
    return outcome


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves a process, a descriptor or a thread."""
    before = residue.Residue.now()
    yield
    left = residue.left_since(before)
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture(autouse=True)
def loop_is_left_clean(request: pytest.FixtureRequest, nothing_is_left_behind: None) -> None:
    """Give an asynchronous test the checks that need its loop; a synchronous one gets none, and no loop."""
    if request.node.get_closest_marker("asyncio") is not None:
        request.getfixturevalue("watched_loop")


@pytest_asyncio.fixture
async def watched_loop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail a test that leaves a pending task, and lend its loop to the watch."""
    before = asyncio.all_tasks()
    request.node.stash[WATCH] = LoopWatch(asyncio.get_running_loop())
    yield
    left = await pending_since(before)
    words = [f"\n  {task!r}" for task in left]
    for task in left:
        task.cancel()
    if left:
        pytest.fail(f"the test left pending:{''.join(words)}", pytrace=False)


async def pending_since(before: set[asyncio.Task[object]]) -> list[asyncio.Task[object]]:
    """The tasks that are neither done nor in `before`, after what was ready to run has run."""
    left: list[asyncio.Task[object]] = []
    for _ in range(20):
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
        if not left:
            break
    return left
