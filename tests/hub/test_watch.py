"""Hearing of a resource's changes through a hub: in both eras, over lost connections, and to every end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal

import pytest
from msgspec import structs

from dragoman import Restart
from dragoman.errors import AmbiguousName, ServerNotReady, UnknownName
from dragoman.events import ResourceChanged
from dragoman.hub.hub import Hub
from dragoman.protocol.changes import Change, Relistened, ResourceUpdated
from tests.hub.listening import until
from tests.hub.serving import a_process, heard, hub_of

URI = "text://hello"
ERAS = ["handshake", "stateless"]
QUICK = Restart(first_delay=0.01, longest_delay=0.02)


def gathered(watch: object) -> tuple[list[Change], asyncio.Task[None]]:
    """Gather changes in a list, until they end."""
    changes: list[Change] = []

    async def read() -> None:
        async for change in watch:  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
            changes.append(change)  # noqa: PERF401 # pyright: ignore[reportUnknownArgumentType]

    return changes, asyncio.get_running_loop().create_task(read())


async def change(hub: Hub, name: str = "one") -> None:
    """Have the server say that the resource is another now."""
    await hub.call_tool(f"{name}.change", {"what": URI})


@pytest.mark.parametrize("era", ERAS)
async def test_a_change_is_heard_from_when_the_watch_is_entered(era: str) -> None:
    """Not from when somebody first iterates: what happens between is not missed. It is told on the bus, too."""
    async with hub_of(a_process("one", f"era={era}")) as hub:
        events = heard(hub.events(ResourceChanged))
        async with hub.subscribe(URI) as changes:
            await change(hub)
            assert await anext(changes) == ResourceUpdated(URI)
        await until(lambda: events)
        assert isinstance(events[0], ResourceChanged)
        assert (events[0].server, events[0].uri) == ("one", URI)


@pytest.mark.parametrize("era", ERAS)
async def test_a_watch_outlives_the_process(era: str) -> None:
    """It says that something may have been missed, and goes on."""
    async with hub_of(a_process("one", f"era={era}", restart=QUICK)) as hub:
        async with hub.subscribe(URI) as watch:
            changes, task = gathered(watch)
            about = (await hub.call_tool("one.about")).structured
            assert about is not None
            os.kill(about["pid"], signal.SIGKILL)
            await until(lambda: changes)
            assert changes == [Relistened()]
            await change(hub)
            await until(lambda: len(changes) == 2)
            assert changes[1] == ResourceUpdated(URI)
        await task


async def test_a_watch_outlives_a_reload() -> None:
    """The server comes with other settings, under the same name."""
    async with hub_of(a_process("one")) as hub:
        async with hub.subscribe(URI) as watch:
            changes, task = gathered(watch)
            config = structs.replace(hub.config, servers=(a_process("one", timeout=33),))
            await hub.reload(config)
            await until(lambda: changes)
            await change(hub)
            await until(lambda: changes[-1] == ResourceUpdated(URI))
        await task


async def test_a_watch_ends_with_the_hub_and_with_its_server() -> None:
    """Iteration ends; it does not raise."""
    hub = hub_of(a_process("one"), a_process("two"))
    async with hub:
        first, second = hub.subscribe(URI, server="one"), hub.server("two").subscribe(URI)
        await first.__aenter__()
        await second.__aenter__()
        (_, first_task), (_, second_task) = gathered(first), gathered(second)
        await hub.remove_server("one")
        async with asyncio.timeout(5):
            await first_task
        assert not second_task.done()
    assert second_task.done()
    with pytest.raises(StopAsyncIteration):
        await anext(first)


async def test_a_watch_does_not_move_to_another_server() -> None:
    """One that has a resource of that name has another resource."""
    async with hub_of(a_process("one")) as hub, hub.subscribe(URI) as watch:
        await hub.add_server(a_process("two"))
        await hub.wait_ready()
        await hub.remove_server("one")
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(watch), 5)


async def test_any_task_may_close_a_watch() -> None:
    """Whoever iterates sees the end; twice is no harm, nor is closing one that was never used."""
    async with hub_of(a_process("one")) as hub:
        watch = hub.subscribe(URI)
        _, task = gathered(watch)
        await until(lambda: hub.status()["one"].state == "ready")
        await watch.aclose()
        await watch.aclose()
        await asyncio.wait_for(task, 5)
        unused = hub.subscribe(URI)
        await unused.aclose()
        for closed in (watch, unused):
            with pytest.raises(StopAsyncIteration):
                await anext(closed)


async def test_two_may_iterate_over_one_watch() -> None:
    """Each change goes to one of them, and both see the end."""
    async with hub_of(a_process("one")) as hub:
        async with hub.subscribe(URI) as watch:
            (one, first), (two, second) = gathered(watch), gathered(watch)
            await change(hub)
            await until(lambda: one or two)
        await asyncio.gather(first, second)
        assert len(one) + len(two) == 1


async def test_a_watch_that_nobody_holds_is_closed_by_itself() -> None:
    """An iteration that was broken off leaves no task behind."""
    async with hub_of(a_process("one")) as hub:
        await hub.wait_ready()
        before = len(asyncio.all_tasks())

        async def first_change() -> Change:
            watch = hub.subscribe(URI)
            asking = asyncio.ensure_future(anext(watch))
            await until(lambda: len(asyncio.all_tasks()) > before + 1)
            while not asking.done():
                await change(hub)
            return await asking

        assert await first_change() == ResourceUpdated(URI)
        gc.collect()
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_watch_that_can_not_be_had_says_why() -> None:
    """When it is entered, or first iterated over."""
    async with hub_of(a_process("bad", "exit=3")) as hub:
        await hub.wait_ready()
        with pytest.raises(ServerNotReady):
            await hub.subscribe(URI, server="bad").__aenter__()
        with pytest.raises(ServerNotReady):
            await anext(hub.subscribe(URI, server="bad"))
        with pytest.raises(UnknownName):
            await hub.subscribe(URI, server="nobody").__aenter__()
        await hub.add_server(a_process("one"))
        await hub.add_server(a_process("two"))
        with pytest.raises(AmbiguousName):
            await hub.subscribe(URI).__aenter__()


async def test_whoever_stops_waiting_for_a_change_leaves_the_watch_as_it_is() -> None:
    """A time-out around one step loses nothing."""
    async with hub_of(a_process("one")) as hub, hub.subscribe(URI) as changes:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(anext(changes), 0.05)
        await change(hub)
        assert await anext(changes) == ResourceUpdated(URI)


@pytest.mark.parametrize("era", ERAS)
async def test_a_change_that_two_watch_for_is_told_once(era: str) -> None:
    """On the bus; both hear of it. If the one that spoke leaves, the other does."""
    async with hub_of(a_process("one", f"era={era}")) as hub:
        events = heard(hub.events(ResourceChanged))
        async with hub.subscribe(URI) as second:
            async with hub.subscribe(URI) as first:
                await change(hub)
                assert await anext(first) == await anext(second) == ResourceUpdated(URI)
            await change(hub)
            assert await anext(second) == ResourceUpdated(URI)
            await until(lambda: len(events) >= 2)
        async with hub.subscribe(URI) as third:
            await change(hub)
            assert await anext(third) == ResourceUpdated(URI)
    assert len(events) == 3
