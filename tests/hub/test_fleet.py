"""The servers of a hub: who is in it, how they are replaced and closed side by side, what is kept of them on disk."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest

from dragoman.cache.offers import Offer
from dragoman.config.hub import HubConfig
from dragoman.config.model import ServerConfig
from dragoman.config.supervision import Restart
from dragoman.errors import ConfigError, DragomanError, UsageError
from dragoman.events import CacheHit, CacheStored, ServerAdded, ServerChanged, ServerRemoved
from dragoman.handle.gate import Gate
from dragoman.hub import fleet
from dragoman.hub.fleet import Turnover
from dragoman.store.catalogues import KeptCatalogues
from tests.handle.stage import LONG, SOON, Stage, http, stage, stdio
from tests.server.http_peer import honest
from tests.server.peer import Json, Peer, Request, a_tool, always
from tests.servers.http_faults import Visit, free_port, serving

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test without verdicts on servers met before."""
    monkeypatch.setattr("dragoman.server.verdicts._verdicts", OrderedDict[object, object]())


# Who comes first.


class Busy:
    """One processor that is never idle."""

    count = 1

    def idle(self) -> float:
        """See `Idleness`."""
        return 0.0


async def test_servers_start_in_order_of_need() -> None:
    """On a machine that is busy with the first one, a called server goes ahead, then those with more priority."""
    begun: list[str] = []
    release = asyncio.Event()

    def slow(name: str) -> Callable[[], Peer]:
        def make() -> Peer:
            begun.append(name)
            peer = Peer(capabilities={"tools": {}})
            discover = peer.answers["server/discover"]

            async def answer(request: Request) -> Json:
                await release.wait()
                return await discover(request)

            peer.answers["server/discover"] = answer
            return peer

        return make

    priorities = {"first": 9, "low": -5, "called": 0, "high": 5}
    configs = [ServerConfig(name=name, transport="peer", priority=priorities[name]) for name in priorities]
    peers = {name: slow(name) for name in priorities}
    async with stage(*configs, peers=peers, gate=Gate(Busy())) as on:
        await on.until(lambda: begun)
        calling = asyncio.create_task(on.call("called", "unknown"))
        await on.until(lambda: len(begun) == 2)
        release.set()
        with pytest.raises(DragomanError):
            await calling
        await on.until(lambda: len(begun) == 4)
    assert begun == ["first", "called", "high", "low"]


async def test_a_server_that_runs_elsewhere_waits_for_no_processor_here() -> None:
    """It is up while the only turn is taken by one that starts a process and says nothing."""
    async with (
        serving(honest()) as server,
        stage(stdio("silent", "mute"), http("far", server.url), gate=Gate(Busy())) as on,
    ):
        await on.until(lambda: on.handle("far").state == "ready")
        assert on.handle("silent").state == "connecting"


# In and out.


async def test_a_name_is_taken_once() -> None:
    """A second server of the name is refused, and with it all that came along."""
    async with stage(stdio("a")) as on:
        with pytest.raises(ConfigError, match="called 'a' already"):
            on.fleet.enlist([stdio("b"), stdio("a")])
        assert list(on.fleet.handles) == ["a"]
        await on.until_listed("a")
        assert on.attempts == {"a": 1}


async def test_a_dismissed_server_is_out_at_once_and_its_calls_may_end() -> None:
    """Its tools are gone, what is under way is answered, and nothing more is told of it."""
    async with stage(stdio("a", shutdown_timeout=2.0), stdio("b")) as on:
        await on.call("a")
        working = asyncio.create_task(on.call("a", "wait", seconds=0.2))
        await on.until(lambda: on.handle("a").in_flight)
        await asyncio.sleep(0.02)
        leaving = asyncio.create_task(on.fleet.dismiss("a"))
        await on.until(lambda: "a" not in on.fleet.handles)
        assert on.tools("a") == []
        assert await working == "done"
        await leaving
        assert on.course("a")[-1] == "ServerRemoved"
        await on.fleet.dismiss("a")  # once more is no harm


async def test_the_drain_of_a_dismissed_server_is_bounded() -> None:
    """A call that never ends is cut off."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.1)) as on:
        await on.call("a")
        hanging = asyncio.create_task(on.call("a", "silent"))
        await on.until(lambda: on.handle("a").in_flight)
        began = time.monotonic()
        await on.fleet.dismiss("a")
        assert time.monotonic() - began < 1.5
        with pytest.raises(DragomanError):
            await hanging


async def test_a_server_of_the_same_name_starts_when_the_former_has_ended() -> None:
    """Two of one name might want the same file or port; calls to the new one wait."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.1)) as on:
        pid = await on.pid("a")
        leaving = asyncio.create_task(on.fleet.dismiss("a"))
        await on.until(lambda: "a" not in on.fleet.handles)
        on.fleet.enlist([stdio("a")])
        assert await on.call("a", message="hello") == "hello"
        assert leaving.done()
        assert not Path(f"/proc/{pid}").exists()


async def test_a_cancelled_dismissal_goes_on_and_closing_waits_for_it() -> None:
    """The process is gone when the fleet is closed, although nobody waited for the dismissal."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.2)) as on:
        pid = await on.pid("a")
        leaving = asyncio.create_task(on.fleet.dismiss("a"))
        await on.until(lambda: "a" not in on.fleet.handles)
        leaving.cancel()
        await on.fleet.aclose()
        assert not Path(f"/proc/{pid}").exists()


# Another configuration.


async def test_only_what_is_another_now_is_touched() -> None:
    """One stays as it is and keeps its process, one goes, one comes, one is replaced in its place."""
    async with stage(stdio("stays"), stdio("goes"), stdio("changes"), stdio("last")) as on:
        for name in ("stays", "goes", "changes"):
            await on.until_listed(name)
        pids = {name: await on.pid(name) for name in ("stays", "changes")}
        wanted = (stdio("stays"), stdio("changes", timeout=7.0), stdio("last"), stdio("comes"))
        turnover = await on.fleet.turn_to(HubConfig(servers=wanted))
        assert turnover == Turnover(added=("comes",), removed=("goes",), changed=("changes",))
        assert list(on.fleet.handles) == ["stays", "changes", "last", "comes"]
        assert await on.pid("stays") == pids["stays"]
        assert await on.pid("changes") != pids["changes"]
        assert len(on.events(ServerAdded, "changes")) == 1
        assert not on.events(ServerRemoved, "changes")
        assert on.course("goes")[-1] == "ServerRemoved"
        change = next(event for event in on.events(ServerChanged, "changes") if event.status.state == "configured")
        assert change.before == "ready"


async def test_a_server_that_is_another_now_does_not_keep_the_former_s_tools() -> None:
    """Other credentials may show other tools; a longer time-out does not change them."""
    async with stage(stdio("a"), stdio("b")) as on:
        await on.until_listed("a")
        await on.until_listed("b")
        slow = Restart(first_delay=1, longest_delay=2)
        turning = asyncio.create_task(
            on.fleet.turn_to(HubConfig(servers=(stdio("a", env={"TOKEN": "other"}), stdio("b", restart=slow))))
        )
        await on.until(lambda: on.handle("b").config.restart == slow)
        assert on.tools("a") == []
        assert on.tools("b")
        assert on.status("b").tools == len(on.tools("b"))
        assert on.catalogue.stale("b")
        await turning
        await on.until_listed("a")
        await on.until_listed("b")


async def test_a_cancelled_turn_is_completed() -> None:
    """The replaced server comes up although nobody waits for it any more."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.1)) as on:
        pid = await on.pid("a")
        turning = asyncio.create_task(on.fleet.turn_to(HubConfig(servers=(stdio("a"),))))
        await on.until(lambda: on.handle("a").config == stdio("a"))
        turning.cancel()
        assert await on.pid("a") != pid


async def test_turns_dismissals_and_stops_may_overlap() -> None:
    """Whatever comes in the middle of a replacement, each name has one server or none."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.1)) as on:
        pid = await on.pid("a")
        first = asyncio.create_task(on.fleet.turn_to(HubConfig(servers=(stdio("a", timeout=7.0),))))
        second = asyncio.create_task(on.fleet.turn_to(HubConfig(servers=(stdio("a", timeout=8.0), stdio("b")))))
        await on.until(lambda: "b" in on.fleet.handles)
        assert on.attempts["a"] == 1
        assert await on.call("a", message="hello") == "hello"
        assert (on.handle("a").config.timeout, on.attempts["a"]) == (8.0, 2)
        assert not Path(f"/proc/{pid}").exists()
        await asyncio.gather(first, second)
        third = asyncio.create_task(on.fleet.turn_to(HubConfig(servers=(stdio("a", timeout=9.0),))))
        await on.until(lambda: on.handle("a").config.timeout == 9.0)
        await on.fleet.dismiss("a")
        await third
        assert on.fleet.handles == {}
        await asyncio.sleep(0.05)
        assert on.attempts["a"] == 2


# Closing.


async def test_closing_is_parallel_and_bounded() -> None:
    """Twenty servers of which five ignore both their stdin's end and SIGTERM take about twice the time of one step."""
    step = 0.5
    configs = [stdio(f"s{n}", *(["stubborn"] if n % 4 == 0 else []), shutdown_timeout=step) for n in range(20)]
    async with stage(*configs) as on:
        await on.until(lambda: all(on.handle(config.name).server is not None for config in configs), patience=20)
        began = time.monotonic()
        await on.fleet.aclose()
        assert time.monotonic() - began < 2 * step + 1.5
        assert {on.status(config.name).state for config in configs} == {"stopped"}


async def test_closing_while_servers_start_leaves_nothing() -> None:
    """Some wait at the gate, some are being connected, some have just come up."""
    for pause in (0.0, 0.01, 0.05, 0.1):
        async with stage(*(stdio(f"s{n}", "start_after=0.05", shutdown_timeout=0.1) for n in range(8))):
            await asyncio.sleep(pause)


async def test_a_cancelled_closing_goes_on_and_may_be_waited_for_again() -> None:
    """Nothing is left behind by whoever lost his patience."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.15)) as on:
        pid = await on.pid("a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await on.fleet.aclose()
        await on.fleet.aclose()
        assert not Path(f"/proc/{pid}").exists()
        with pytest.raises(UsageError):
            on.fleet.enlist([stdio("b")])


async def test_closing_in_the_middle_of_a_replacement_starts_nothing() -> None:
    """The successor never comes up."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.1)) as on:
        await on.call("a")
        turning = asyncio.create_task(on.fleet.turn_to(HubConfig(servers=(stdio("a"), stdio("b")))))
        await on.until(lambda: on.handle("a").config == stdio("a"))
        await on.fleet.aclose()
        await turning
        assert on.attempts["a"] == 1


def test_a_program_that_is_interrupted_while_it_closes_leaves_no_process(tmp_path: Path) -> None:
    """The loop ends in the middle of the closing; the stubborn process is killed all the same."""
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from tests.handle.stage import Stage, stdio

        async def main():
            on = Stage()
            on.fleet.enlist([stdio("a", "stubborn", shutdown_timeout=0.2)])
            Path(sys.argv[1]).write_text(str(await on.pid("a")))
            async with asyncio.timeout(0.02):
                await on.fleet.aclose()

        asyncio.run(main())
    """)
    told = tmp_path / "pid"
    words = [sys.executable, "-c", program, str(told)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}
    done = subprocess.run(
        words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert "TimeoutError" in done.stderr
    assert "never retrieved" not in done.stderr
    assert not Path(f"/proc/{told.read_text()}").exists()


async def test_whoever_waits_for_servers_is_let_go_by_the_closing() -> None:
    """A stopped server has settled."""
    async with stage(http("a", f"http://127.0.0.1:{free_port()}/mcp", restart=LONG)) as on:
        waiting = asyncio.create_task(on.fleet.settle(lambda handle: handle.state in ("ready", "stopped"), None))
        await on.until_state("a", "waiting")
        await on.fleet.aclose()
        assert await waiting
        assert not await on.fleet.settle(lambda handle: handle.state == "ready", asyncio.get_running_loop().time())


# Kept from one start to the next.


async def test_a_second_start_lists_from_disk_at_once_and_is_stale_until_the_server_is_there(tmp_path: Path) -> None:
    """Before anything is connected, the tools are known; then they are what they were, and no longer stale."""
    era = "era=handshake"  # its listings have no lifetime
    async with stage(stdio("a", era), folder=tmp_path) as on:
        await on.until_listed("a")
        tools = on.tools("a")
    async with stage(stdio("a", era, "start_after=0.2"), stdio("b", era), folder=tmp_path) as on:
        assert on.tools("a") == []  # another command line is another server
        assert on.tools("b") == tools  # another name is not
        assert on.status("b").tools == len(tools)
        assert all(entry.stale for entry in on.catalogue.all_tools("b"))
        assert len(on.events(CacheHit, "b")) == 1
        await on.until_state("b", "ready")
        assert on.tools("b") == tools
        assert not any(entry.stale for entry in on.catalogue.all_tools("b"))
        assert len(on.events(ServerAdded, "b")) == 1


@pytest.mark.parametrize(("ttl", "listings"), [(3_600_000, 1), (0, 2), (None, 2)])
async def test_a_fresh_listing_is_not_fetched_again_and_an_expired_one_is(
    tmp_path: Path, ttl: int | None, listings: int
) -> None:
    """``ttlMs`` of the kept listing decides; without one, it is fetched anew."""
    asked = 0

    async def listed(visit: Visit) -> None:
        nonlocal asked
        asked += 1
        lifetime = {} if ttl is None else {"ttlMs": ttl}
        tools = [{"name": "echo", "inputSchema": {"type": "object"}}]
        await visit.answer(visit.result(resultType="complete", tools=tools, **lifetime))

    async with serving(honest(instead={"tools/list": listed})) as server:
        for least in (1, listings):
            async with stage(http("a", server.url), folder=tmp_path) as on:
                await on.until_listed("a")
                await on.until(lambda: asked >= least)  # noqa: B023 - used at once
                assert await on.call("a", message="hello") == "hello"
                assert not on.catalogue.stale("a") or ttl == 0
        assert asked == listings


async def test_two_hubs_may_use_one_folder_at_once(tmp_path: Path) -> None:
    """Both write, both read, and what is there is whole."""
    configs = [stdio(f"s{n}", f"tools={n + 1}") for n in range(3)]
    async with stage(*configs, folder=tmp_path) as one, stage(*configs, folder=tmp_path) as two:
        for on in (one, two):
            for config in configs:
                await on.until_listed(config.name)
    kept = KeptCatalogues(tmp_path)
    for config in configs:
        offer = kept.load(kept.key(config))
        assert offer is not None
        assert offer.tools is not None
        assert len(offer.tools.items) == len(one.tools(config.name)) == len(two.tools(config.name))


async def test_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    """The server is listed as on the first start, and the file is written anew."""
    async with stage(stdio("a"), folder=tmp_path) as on:
        await on.until_listed("a")
    (file,) = tmp_path.glob("*.offer")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    async with stage(stdio("a"), folder=tmp_path) as on:
        assert on.tools("a") == []
        await on.until_listed("a")
    assert len(file.read_bytes()) == pytest.approx(len(whole), abs=50)


async def test_what_came_last_is_kept_although_the_hub_closes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing does not wait for the pause, and does not forget."""
    monkeypatch.setattr(fleet, "_SAVING_PAUSE", 30.0)
    async with stage(stdio("a"), folder=tmp_path) as on:
        await on.until_listed("a")
        assert not on.events(CacheStored, "a")
        await on.fleet.aclose()
        assert len(on.events(CacheStored, "a")) == 1
    assert list(tmp_path.glob("*.offer"))


async def test_a_slow_disk_holds_up_nobody_and_the_newest_offer_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing happens beside the loop, one after the other: an older listing never replaces a newer one."""
    written: list[int] = []
    save = KeptCatalogues.save

    def slow(self: KeptCatalogues, key: str, offer: Offer) -> None:
        assert offer.tools is not None
        time.sleep(0.01 if written else 0.7)
        written.append(len(offer.tools.items))
        save(self, key, offer)

    monkeypatch.setattr(KeptCatalogues, "save", slow)

    def growing() -> Peer:
        peer = Peer(capabilities={"tools": {}})
        peer.answers["prompts/list"] = always({"prompts": []})
        return peer

    config = ServerConfig(name="local", transport="peer", restart=SOON)
    async with stage(config, folder=tmp_path, peers={"local": growing}) as on:
        await on.until_listed("local")
        peer = on.made["local"][0]
        longest = 0.0
        for number in range(1, 30):
            peer.listed = [a_tool(f"tool_{each}") for each in range(number)]
            began = time.monotonic()
            await on.handle("local").refresh()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)
        assert longest < 0.5
    assert written == sorted(written)
    assert written[-1] == 29


# Faults of all kinds, at once.


def config_of(name: str, turn: int) -> ServerConfig:
    """Give settings that are others at each turn."""
    return stdio(name, timeout=3.0 + turn, shutdown_timeout=0.1)


async def disturb(on: Stage, name: str, turn: int) -> None:
    """Do one of four bad things to a server."""
    match turn % 4:
        case 0:
            if on.handle(name).server is not None:
                await on.kill(name, signal.SIGKILL)
        case 1:
            await on.handle(name).stop()
            on.handle(name).start()
        case 2:
            present = [handle.config for handle in on.fleet.handles.values()]
            changed = [config_of(name, turn) if each.name == name else each for each in present]
            await on.fleet.turn_to(HubConfig(servers=tuple(changed)))
        case _:
            await on.fleet.dismiss(name)
            on.fleet.enlist([config_of(name, turn)])


async def test_every_call_has_an_outcome_whatever_is_done_to_the_servers() -> None:
    """Kills, stops, turns and removals under two dozen callers: a small storm; the large one is elsewhere."""
    names = [f"s{n}" for n in range(4)]
    async with stage(*(config_of(name, 0) for name in names)) as on:
        ended = asyncio.Event()
        outcomes: set[str] = set()

        async def caller(number: int) -> None:
            while not ended.is_set():
                try:
                    outcomes.add(await on.call(names[number % len(names)], message="x", timeout=3.0))
                except (DragomanError, KeyError) as error:
                    outcomes.add(type(error).__name__)
                    await asyncio.sleep(0.005)

        callers = [asyncio.create_task(caller(number)) for number in range(24)]
        for turn in range(12):
            await disturb(on, names[turn // 4 % len(names)], turn)
            await asyncio.sleep(0.02)
        ended.set()
        await asyncio.gather(*callers)
        for name in names:
            assert await on.call(name, message="hello") == "hello"
            assert on.handle(name).in_flight == 0
        assert "x" in outcomes
        assert outcomes <= {"x", "ServerNotReady", "ConnectionLost", "ConnectionClosed", "OutcomeUnknown", "KeyError"}
