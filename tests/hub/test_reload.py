"""Changing a running hub: another configuration, another file, and what happens to calls meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from dragoman import Group, Hub, HubConfig
from dragoman.errors import ConfigError, DragomanError, UnknownName, UsageError
from dragoman.events import CacheStored, ConfigReloaded
from tests.hub.listening import until
from tests.hub.serving import a_peer, a_process, heard, hub_of, peers, says
from tests.server.peer import Json, Peer, Request, text

__all__ = ["peers"]


def written(file: Path, *names: str, **more: Any) -> None:
    """Write a configuration of scripted servers, in one step as editors do."""
    servers = {
        name: {"command": (config := a_process(name)).command, "args": list(config.args), "shutdown_timeout": 0.5}
        for name in names
    }
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"mcpServers": servers, **more}))
    fresh.replace(file)


async def test_only_what_is_another_now_is_changed(peers: dict[str, Peer]) -> None:
    """Servers with the same settings keep their connection."""
    same, gone, other = (a_peer(name, {"hello": says(name)}) for name in ("same", "gone", "other"))
    async with hub_of(same, gone, other) as hub:
        await hub.wait_ready()
        events = heard(hub.events(ConfigReloaded))
        changed = structs.replace(other, timeout=5.0)
        new = a_peer("new", {"hello": says("new")})
        turnover = await hub.reload(structs.replace(hub.config, servers=(same, changed, new)))
        assert (turnover.added, turnover.removed, turnover.changed) == (("new",), ("gone",), ("other",))
        assert (await hub.call_tool("new.hello")).text == "new"
        assert (await hub.call_tool("other.hello")).text == "other"
        with pytest.raises(UnknownName):
            await hub.call_tool("gone.hello")
        assert hub.status()["same"].connections == 1
        assert hub.server("other").status.connections == 1
        await until(lambda: events)
        assert events[0] == ConfigReloaded(at=events[0].at, added=("new",), removed=("gone",), changed=("other",))


async def test_a_hub_that_came_from_no_file_says_so(peers: dict[str, Peer]) -> None:
    """There is nothing to read again."""
    async with hub_of() as hub:
        with pytest.raises(UsageError, match="not opened from a file"):
            await hub.reload()


async def test_a_file_is_read_again(tmp_path: Path) -> None:
    """Servers that were added in code stay; those of the file come and go with it."""
    file = tmp_path / "dragoman.json"
    written(file, "one", "two")
    async with Hub.open(file, cache_folder=tmp_path) as hub:
        await hub.add_server(a_process("mine"))
        written(file, "two", "three")
        turnover = await hub.reload()
        assert (turnover.added, turnover.removed, turnover.changed) == (("three",), ("one",), ())
        assert [config.name for config in hub.config.servers] == ["two", "three", "mine"]
        assert (await hub.call_tool("mine.echo", {"message": "hi"})).text == "hi"
        await hub.remove_server("mine")
        await hub.reload()
        assert set(hub.status()) == {"two", "three"}


async def test_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    """The error names it, and calls go on."""
    file = tmp_path / "dragoman.json"
    written(file, "one")
    async with Hub.open(file, cache_folder=tmp_path) as hub:
        await hub.wait_ready()
        before = hub.config
        file.write_text('{"mcpServers": {"one": {"comand": 5}')
        with pytest.raises(ConfigError) as wrong:
            await hub.reload()
        assert wrong.value.file == str(file)
        assert hub.config is before
        assert (await hub.call_tool("one.echo", {"message": "hi"})).text == "hi"


async def test_a_watched_file_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong one is told once and changes nothing; when it is mended, it counts."""
    file = tmp_path / "dragoman.json"
    written(file, "one")
    caplog.set_level(logging.INFO, logger="dragoman")
    async with Hub.open(file, watch=True, cache_folder=tmp_path) as hub:
        file.write_text("{")
        await until(lambda: [r for r in caplog.records if "is not taken" in r.message])
        assert set(hub.status()) == {"one"}
        written(file, "one", "two")
        await until(lambda: set(hub.status()) == {"one", "two"})
        assert (await hub.call_tool("two.echo", {"message": "hi"})).text == "hi"
        file.unlink()
        await until(lambda: len([r for r in caplog.records if "is not taken" in r.message]) == 2)
        assert set(hub.status()) == {"one", "two"}
        written(file, "two")
        await until(lambda: set(hub.status()) == {"two"})
    assert len([r for r in caplog.records if "is not taken" in r.message]) == 2


async def test_groups_are_those_of_the_new_configuration(peers: dict[str, Peer]) -> None:
    """From at once, also while servers that leave have not ended yet."""
    a, b, c = (a_peer(name, {"who": says(name)}) for name in "abc")
    async with hub_of(a, b, groups={"g": Group(servers=("a", "b"))}) as hub:
        await hub.wait_ready()
        with pytest.raises(ConfigError, match="the group 'g' needs it"):
            await hub.remove_server("a")
        with pytest.raises(ConfigError, match="a group called 'g'"):
            await hub.add_server(a_peer("g"))
        other = structs.replace(hub.config, servers=(b, c), groups={"h": Group(servers=("c", "b"))})
        await hub.reload(other)
        await hub.wait_ready()
        assert (await hub.call_tool("h.who")).text == "c"
        await hub.stop_server("c")
        assert (await hub.call_tool("h.who")).text == "b"
        with pytest.raises(UnknownName):
            await hub.call_tool("g.who")


async def test_calls_to_a_server_that_changes_end_on_the_one_in_its_place(peers: dict[str, Peer]) -> None:
    """Those that wait for it were not sent: they wait for its successor instead."""
    slow = a_process("one", "start_after=5")
    async with hub_of(slow, a_peer("two", {"who": says("two")})) as hub:
        waiting = [asyncio.create_task(hub.call_tool("one.echo", {"message": str(n)})) for n in range(20)]
        await until(lambda: hub.status()["one"].in_flight == 20)
        await hub.reload(structs.replace(hub.config, servers=(a_process("one"), hub.config.servers[1])))
        assert [(await each).text for each in waiting] == [str(n) for n in range(20)]


async def test_calls_under_way_end_before_their_server_does(peers: dict[str, Peer]) -> None:
    """They have a little time to; nobody sees the change."""
    release = asyncio.Event()

    async def slow(_: Request) -> Json:
        await release.wait()
        return text("done")

    one = a_peer("one", {"slow": slow})
    async with hub_of(one) as hub:
        await hub.wait_ready()
        calling = asyncio.create_task(hub.call_tool("one.slow"))
        await peers["one"].got("tools/call")
        reloading = asyncio.create_task(
            hub.reload(structs.replace(hub.config, servers=(structs.replace(one, timeout=5.0),)))
        )
        await until(lambda: hub.config.servers[0].timeout == 5.0)
        release.set()
        assert (await calling).text == "done"
        await reloading


async def test_two_reloads_at_once_end_with_the_later(tmp_path: Path) -> None:
    """One after the other, each with what the file holds then."""
    file = tmp_path / "dragoman.json"
    written(file, "one")
    async with Hub.open(file, cache_folder=tmp_path) as hub:
        written(file, "one", "two")
        first = asyncio.create_task(hub.reload())
        second = asyncio.create_task(hub.reload(HubConfig(servers=(a_process("three"),), keep_catalogue=False)))
        assert (await first).added == ("two",)
        turnover = await second
        assert (turnover.added, turnover.removed) == (("three",), ("one", "two"))
        assert set(hub.status()) == {"three"}


async def test_servers_come_and_go_under_callers(peers: dict[str, Peer]) -> None:
    """Adding, removing and reloading while fifty call: each ends in a result or a typed error."""
    here = [a_peer(name, {"who": says(name)}) for name in ("a", "b", "c")]
    failures: list[BaseException] = []
    done = 0
    async with hub_of(*here) as hub:
        stopping = False

        async def call(number: int) -> None:
            nonlocal done
            while not stopping:
                try:
                    await hub.call_tool(f"{'abc'[number % 3]}.who", timeout=5)
                    done += 1
                except DragomanError:
                    await asyncio.sleep(0)
                except BaseException as error:
                    failures.append(error)
                    raise

        callers = [asyncio.create_task(call(number)) for number in range(50)]
        for turn in range(20):
            await hub.remove_server("c")
            await hub.add_server(here[2])
            servers = (here[0], structs.replace(here[1], timeout=10.0 + turn), here[2])
            wanted = structs.replace(hub.config, servers=servers)
            await asyncio.gather(hub.reload(wanted), hub.reload(wanted))
        stopping = True
        await asyncio.wait(callers)
        assert failures == []
        assert done > 100
        assert {name: each.in_flight for name, each in hub.status().items()} == {"a": 0, "b": 0, "c": 0}


async def test_a_reload_ends_though_whoever_asked_for_it_gave_up() -> None:
    """The server in the place of the one that is leaving is started all the same."""
    async with hub_of(a_process("one", "stubborn")) as hub:
        await hub.wait_ready()
        other = structs.replace(hub.config, servers=(a_process("one"),))
        reloading = asyncio.create_task(hub.reload(other))
        await until(lambda: hub.config is other)
        reloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reloading
        assert (await hub.call_tool("one.echo", {"message": "hi"}, timeout=10)).text == "hi"


async def test_closing_during_a_reload_leaves_nothing() -> None:
    """The server in the place of one that is leaving is not started behind the hub's back."""
    async with hub_of(a_process("one", "stubborn")) as hub:
        await hub.wait_ready()
        other = structs.replace(hub.config, servers=(a_process("one", "stubborn", timeout=5),))
        reloading = asyncio.create_task(hub.reload(other))
        await until(lambda: hub.config is other)
        reloading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reloading


async def test_a_reload_says_whether_the_catalogue_is_kept(tmp_path: Path) -> None:
    """What is known already is kept as soon as that is wished, and nothing more when it is not."""
    servers = (a_process("one"),)
    async with Hub(HubConfig(servers=servers, keep_catalogue=False), cache_folder=tmp_path) as hub:
        stored = heard(hub.events(CacheStored))
        await hub.wait_ready()
        assert not list(tmp_path.rglob("*"))
        await hub.reload(HubConfig(servers=servers))
        await until(lambda: stored)
        await hub.reload(HubConfig(servers=servers, keep_catalogue=False))
        await hub.restart_server("one")
        await hub.wait_ready()
    assert len(stored) == 1
    async with Hub(HubConfig(servers=servers), cache_folder=tmp_path) as hub:
        assert await hub.tools(wait=0)
