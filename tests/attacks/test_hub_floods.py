"""Servers that flood, forge, crash and hang, and programs that hold a hub wrongly: real processes, bounded work."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dragoman import Hub, ServerConfig
from dragoman.errors import DragomanError, InvalidArguments, UnknownName, UsageError
from dragoman.events import CallProgressed, CatalogueChanged, LogReceived
from tests.hub.serving import a_process, hub_of, outcome

HOSTILE = Path(__file__).with_name("hostile_server.py")


def hostile(name: str, mode: str, count: int = 0) -> ServerConfig:
    """Give the settings of a server that misbehaves in one way."""
    args = ("-I", "-S", str(HOSTILE), mode, str(count))
    return ServerConfig(name=name, command=sys.executable, args=args, era="handshake", shutdown_timeout=0.5)


async def told_by(hub: Hub, server: str) -> dict[str, int]:
    """Give what a hostile server counts: how often it was listed and called."""
    told: dict[str, int] = json.loads((await hub.call_tool(f"{server}.count", timeout=20)).text)
    return told


async def test_thousands_of_changes_in_a_second_are_few_listings() -> None:
    """A server that announces another listing all the time is listed now and then, and answers meanwhile."""
    async with hub_of(hostile("a", "storm")) as hub:
        changes = hub.events(CatalogueChanged)
        await hub.wait_ready()
        began = time.monotonic()
        for _ in range(4):
            await anext(changes)
        told = await told_by(hub, "a")
        assert told["lists"] <= 5 + (time.monotonic() - began) * 12


async def test_log_lines_of_megabytes_do_not_pile_up() -> None:
    """Nobody reads the stream: what waits in it is cut, in whatever part of the line it was."""
    async with hub_of(hostile("a", "logs", 20)) as hub:
        lines = hub.events(LogReceived)
        await told_by(hub, "a")
        for _ in range(20):
            line = await anext(lines)
            assert isinstance(line, LogReceived)
            assert len(str(line)) < 20_000
            assert "characters)" in str(line.logger)
            assert "bytes)" in line.data


async def test_progress_of_a_hundred_kilobytes_is_cut_in_events_alone() -> None:
    """Whoever asked for the progress gets it whole."""
    whole: list[int] = []
    async with hub_of(hostile("a", "progress", 50)) as hub:
        events = hub.events(CallProgressed)
        await hub.call_tool("a.count", on_progress=lambda told: whole.append(len(told.message or "")))
        event = await anext(events)
        assert isinstance(event, CallProgressed)
        assert len(event.message or "") < 5000
    assert whole == [100_000] * 50


async def test_no_server_answers_for_another() -> None:
    """It sends answers with every number there is; calls of another server get their own."""
    async with hub_of(hostile("a", "forge", 2000), hostile("b", "plain")) as hub:
        await hub.wait_ready()
        theirs = [hub.call_tool("a.count", timeout=10) for _ in range(5)]
        ours = [hub.call_tool("b.count", timeout=10) for _ in range(100)]
        results = await asyncio.gather(*ours, *(outcome(each) for each in theirs))
        assert all("forged" not in result.text for result in results[:100])


async def test_a_listing_of_a_hundred_thousand_tools_holds_up_no_call_for_long() -> None:
    """They are listed, found and not found."""
    async with hub_of(hostile("a", "many", 100_000), hostile("b", "plain")) as hub:
        await hub.wait_ready()
        assert hub.status()["a"].tools == 100_000
        with pytest.raises(UnknownName):
            await hub.call_tool("tt5x")
        assert (await told_by(hub, "b"))["calls"] == 1


async def test_a_name_of_a_million_dots_is_looked_up_at_once() -> None:
    """A model may make it up."""
    async with hub_of(hostile("a", "plain")) as hub:
        await hub.wait_ready()
        began = time.monotonic()
        for name in ("." * 1_000_000, "a" + "." * 1_000_000 + "b"):
            with pytest.raises(DragomanError):
                await hub.call_tool(name, timeout=5)
        assert time.monotonic() - began < 5


async def test_a_storm_of_calls_given_up_leaves_nothing() -> None:
    """Nothing of five thousand cancelled calls is left in the server's way."""
    async with hub_of(a_process("a", concurrency=5)) as hub:
        await hub.wait_ready()
        for _ in range(10):
            calls = [asyncio.ensure_future(hub.call_tool("a.silent", {}, timeout=50)) for _ in range(500)]
            await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        assert (await hub.call_tool("a.echo", {"message": "hi"}, timeout=10)).text == "hi"
        assert hub.status()["a"].in_flight == 0


async def test_closing_amid_everything_ends_it_all() -> None:
    """Calls, restarts, reloads and removals under way all end, soon, and as the hub's errors."""
    hub = hub_of(*(hostile(mode, mode) for mode in ("plain", "crash", "mute", "storm")), a_process("s", "stubborn"))
    await hub.start()
    uses: list[Any] = [hub.restart_server(name) for name in ("plain", "mute", "storm")]
    uses += [hub.call_tool(f"{name}.count", timeout=30) for name in ("plain", "crash", "mute", "storm") * 20]
    uses += [hub.reload(hub.config), hub.tools(wait=30), hub.find("x", wait=30), hub.remove_server("s")]
    tasks = [asyncio.ensure_future(use) for use in uses]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    began = time.monotonic()
    await asyncio.gather(hub.aclose(), hub.aclose())
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert time.monotonic() - began < 10
    assert all(isinstance(each, DragomanError) for each in ended if isinstance(each, BaseException))


async def test_a_loop_that_is_gone_keeps_no_hub_from_closing() -> None:
    """A watch, a stream and a start from a thread with a loop of its own, which ends before the hub does."""
    hub = hub_of(a_process("a"))

    def elsewhere() -> list[str]:
        async def use() -> list[str]:
            told: list[str] = []
            for do in (hub.subscribe("text://hello").__aenter__, lambda: hub.start_server("a")):
                error = await outcome(do())
                told.append(str(error) if isinstance(error, UsageError) else repr(error))
            return told

        return asyncio.run(use())

    async with hub:
        await hub.wait_ready()
        watch = hub.subscribe("text://hello")

        def enter() -> Any:
            return asyncio.run(outcome_of(watch))

        told = [*await asyncio.to_thread(elsewhere), str(await asyncio.to_thread(enter))]
        assert all("another event loop" in each for each in told), told
        assert (await hub.call_tool("a.echo", {"message": "hi"})).text == "hi"
    assert hub.config.servers


async def outcome_of(watch: Any) -> Any:
    """Enter a watch, and give what comes of it."""
    return await outcome(watch.__aenter__())


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b'{"message":"a"\n,\r"b":1}', {"message": "a", "b": 1}),
        (b'{"message":"a","message":"b"}', {"message": "b"}),
        (b'{"message":"x"}\n{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"die"}}', None),
        (b'{"message":"x"},"name":"die"', None),
        (b'{"message":"a\nb"}', None),
        (b'{"message":"\xff"}', None),
        (b'{"message":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    ],
    ids=["line ends", "two of one name", "a second message", "a second member", "a raw line end", "no UTF-8", "deep"],
)
async def test_bytes_as_arguments_smuggle_nothing(given: bytes, sent: dict[str, Any] | None) -> None:
    """What is checked is what is sent, in one message, or nothing is."""
    async with hub_of(hostile("a", "repeat")) as hub:
        await hub.wait_ready()
        if sent is None:
            with pytest.raises(InvalidArguments):
                await hub.call_raw("a.count", given)
            return
        told = json.loads(bytes(await hub.call_raw("a.count", given)))
        assert json.loads(told["content"][0]["text"]) == [[name, value] for name, value in sent.items()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_forked_child_leaves_the_servers_alone() -> None:
    """Its end, with the hub in hand, closes nothing of its parent's."""
    async with hub_of(a_process("a")) as hub:
        await hub.wait_ready()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            del hub
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert (await hub.call_tool("a.echo", {"message": "hi"}, timeout=10)).text == "hi"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), 10**400])
async def test_a_time_that_is_none_is_refused(timeout: float) -> None:
    """An integer that no float holds, too."""
    async with hub_of(a_process("a")) as hub:
        with pytest.raises(UsageError, match="no number of seconds above 0"):
            await hub.call_tool("a.echo", {"message": "hi"}, timeout=timeout)
