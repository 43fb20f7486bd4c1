"""A hub as a whole: how it is made, entered and closed, and what it says to whoever holds it wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman import Hub, HubConfig, ServerConfig
from dragoman.errors import ConfigError, ServerNotReady, UnknownName, UsageError
from tests.hub.listening import until
from tests.hub.serving import a_peer, a_process, echo, hub_of, outcome, peers, says
from tests.server.peer import Peer

__all__ = ["peers"]


async def test_a_hub_takes_settings_in_a_list() -> None:
    """Each with the name that it has; a real process answers."""
    async with Hub([a_process("one")]) as hub:
        assert (await hub.call_tool("one.echo", {"message": "hi"})).text == "hi"


async def test_a_hub_takes_targets_by_name(tmp_path: Path) -> None:
    """A command line as `connect` takes it, named by its key."""
    command = a_process("x")
    async with Hub({"two": [str(command.command), *command.args]}, cache_folder=tmp_path) as hub:
        assert (await hub.call_tool("two.echo", {"message": "hi"})).text == "hi"


async def test_a_hub_takes_what_would_stand_in_a_file(tmp_path: Path) -> None:
    """`Hub.from_dict`, in the words of other hosts."""
    command = a_process("x")
    settings = {"mcpServers": {"three": {"command": command.command, "args": list(command.args)}}}
    async with Hub.from_dict(settings, cache_folder=tmp_path) as hub:
        assert (await hub.call_tool("three.echo", {"message": "hi"})).text == "hi"


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ("python server.py", "one server is no list"),
        (ServerConfig(name="a", command="a"), "one server is no list"),
        (5, "a value of type int is no list"),
        ([{"command": "a"}], "a value of type dict is no server"),
        ({"mcpServers": {"a": {"command": "a"}}}, r"Hub\.from_dict"),
        (["weather --a", "weather --b"], r"two servers are called 'weather'\. Name them: Hub\(\{"),
    ],
)
def test_what_is_no_list_of_servers_is_refused_with_a_way_out(servers: Any, told: str) -> None:
    """The error tells what to write instead."""
    with pytest.raises(ConfigError, match=told):
        Hub(servers)


def test_a_hub_is_made_outside_a_loop_and_runs_in_any() -> None:
    """Made here, used within `asyncio.run`."""
    hub = Hub([a_process("one")])

    async def use() -> str:
        async with hub:
            return (await hub.call_tool("one.echo", {"message": "hi"})).text

    assert asyncio.run(use()) == "hi"


async def test_a_hub_that_is_not_started_says_so(peers: dict[str, Peer]) -> None:
    """Every way in tells to enter it."""
    hub = hub_of(a_peer("one", {"echo": echo}))
    uses = [hub.call_tool("one.echo"), hub.tools(), hub.wait_ready(), hub.remove_server("one"), hub.call_tool("x")]
    uses += [hub.reload(), hub.restart_server("one"), hub.read_resource("a:b"), hub.find("x"), hub.add_server("x")]
    for use in uses:
        with pytest.raises(UsageError, match=r"not started\. Enter it"):
            await use
    for plain in (hub.status, lambda: hub.server("one"), lambda: hub.subscribe("a:b")):
        with pytest.raises(UsageError, match="not started"):
            plain()


async def test_a_hub_that_is_closed_says_so(peers: dict[str, Peer]) -> None:
    """And it can't be started again."""
    hub = hub_of(a_peer("one", {"echo": echo}))
    async with hub:
        held = hub.server("one")
    for use in (hub.call_tool("one.echo"), hub.tools(), held.call_tool("echo"), hub.reload()):
        with pytest.raises(UsageError, match="the hub is closed"):
            await use
    with pytest.raises(UsageError, match="started before"):
        await hub.start()


async def test_a_hub_is_started_once(peers: dict[str, Peer]) -> None:
    """The second start leaves the first alone."""
    async with hub_of(a_peer("one", {"echo": echo})) as hub:
        with pytest.raises(UsageError, match="started before"):
            await hub.start()
        assert (await hub.call_tool("one.echo")).is_error is False


async def test_a_hub_closed_before_its_start_stays_closed() -> None:
    """Nothing is started that nobody would close."""
    hub = Hub([a_process("one")])
    await hub.aclose()
    with pytest.raises(UsageError, match="closed before"):
        await hub.start()


def in_own_loop(use: Callable[[], Awaitable[Any]]) -> Any:
    """Do something in a loop of this thread's own, and give what came of it."""

    async def do() -> Any:
        return await outcome(use())

    return asyncio.run(do())


async def test_another_loop_is_told_apart(peers: dict[str, Peer]) -> None:
    """A thread with a loop of its own gets a clear error, not a foreign one."""
    async with hub_of(a_peer("one", {"echo": echo})) as hub:
        await hub.wait_ready()
        uses: list[Callable[[], Awaitable[Any]]] = [hub.tools, hub.aclose]
        uses += [lambda: hub.call_tool("one.echo"), lambda: hub.remove_server("one")]
        for use in uses:
            error = await asyncio.to_thread(in_own_loop, use)
            assert isinstance(error, UsageError)
            assert "another event loop" in str(error)
        assert (await hub.call_tool("one.echo")).is_error is False


async def test_all_who_close_wait_for_the_same_end() -> None:
    """Closing goes on when one of them is cancelled, and leaves no process."""
    hub = Hub([a_process("one", "stubborn")])
    await hub.start()
    await hub.call_tool("one.echo", {"message": "hi"})
    first = asyncio.create_task(hub.aclose())
    second = asyncio.create_task(hub.aclose())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not second.done()
    await second
    await hub.aclose()


async def test_waiting_for_servers_ends_with_the_last_of_them(peers: dict[str, Peer]) -> None:
    """Ready, or failed; one that starts on use is started."""
    servers = [
        a_peer("one", {"echo": echo}),
        a_peer("late", {"echo": echo}, start="on_use"),
        a_process("bad", "exit=3"),
    ]
    async with hub_of(*servers) as hub:
        status = await hub.wait_ready(timeout=10)
        assert {name: each.state for name, each in status.items()} == {
            "one": "ready",
            "late": "ready",
            "bad": "waiting",
        }
        assert set(await hub.wait_ready("one")) == {"one"}
        with pytest.raises(UnknownName, match="Did you mean late"):
            await hub.wait_ready("lat")


async def test_waiting_means_connected_and_not_only_known_from_disk(tmp_path: Path) -> None:
    """A second start knows the listings at once, and still waits for the connection."""
    config = HubConfig(servers=(a_process("one"),))
    for _ in range(2):
        async with Hub(config, cache_folder=tmp_path) as hub:
            assert (await hub.wait_ready())["one"].state == "ready"


async def test_servers_come_and_go_while_it_runs(peers: dict[str, Peer]) -> None:
    """Added, called, removed: from then on the name is unknown."""
    async with hub_of() as hub:
        await hub.add_server(a_peer("new", {"echo": echo}))
        assert (await hub.call_tool("new.echo")).is_error is False
        with pytest.raises(ConfigError, match="called 'new' already"):
            await hub.add_server(a_peer("new"))
        await hub.remove_server("new")
        assert hub.status() == {}
        assert hub.config.servers == ()
        with pytest.raises(UnknownName):
            await hub.call_tool("new.echo")
        with pytest.raises(UnknownName):
            await hub.remove_server("new")


async def test_a_removal_ends_though_whoever_asked_for_it_gave_up() -> None:
    """Else its process would stay behind, out of reach."""
    async with Hub([a_process("one", "stubborn")]) as hub:
        await hub.wait_ready()
        removing = asyncio.create_task(hub.remove_server("one"))
        await until(lambda: not hub.status())
        removing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await removing


async def test_a_restart_ends_though_whoever_asked_for_it_gave_up() -> None:
    """Else the server would stay stopped."""
    async with Hub([a_process("one", "stubborn")]) as hub:
        await hub.wait_ready()
        restarting = asyncio.create_task(hub.restart_server("one"))
        await until(lambda: hub.status()["one"].state == "stopped")
        restarting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await restarting
        await until(lambda: hub.status()["one"].state == "ready")


async def test_a_server_that_is_taken_out_while_it_is_restarted_stays_out() -> None:
    """No process is started that nobody knows of."""
    async with Hub([a_process("one", "stubborn")]) as hub:
        await hub.wait_ready()
        restarting = asyncio.create_task(hub.restart_server("one"))
        await until(lambda: hub.status()["one"].state == "stopped")
        await hub.remove_server("one")
        await restarting
        assert hub.status() == {}


async def test_a_server_is_stopped_started_and_restarted(peers: dict[str, Peer]) -> None:
    """A stopped one refuses calls at once, a started one answers, a restarted one has connected anew."""
    async with hub_of(a_peer("one", {"hello": says("hi")})) as hub:
        await hub.wait_ready()
        await hub.stop_server("one")
        with pytest.raises(ServerNotReady) as refused:
            await hub.call_tool("one.hello")
        assert refused.value.state == "stopped"
        await hub.start_server("one")
        assert (await hub.call_tool("one.hello")).text == "hi"
        before = hub.status()["one"].connections
        await hub.restart_server("one")
        assert (await hub.call_tool("one.hello")).text == "hi"
        assert hub.status()["one"].connections == before + 1


async def test_a_server_that_is_switched_off_is_not_started(tmp_path: Path) -> None:
    """Whoever tries is told by what, and where."""
    async with hub_of(a_process("off", disabled=True)) as hub:
        for start in (hub.start_server, hub.restart_server):
            with pytest.raises(UsageError, match="'off' is switched off by its setting disabled") as refused:
                await start("off")
            assert refused.value.server == "off"
        assert hub.status()["off"].state == "disabled"
    file = tmp_path / "dragoman.json"
    file.write_text('{"servers": {"off": {"command": "true", "disabled": true}}, "keep_catalogue": false}')
    async with Hub.open(file) as hub:
        await hub.add_server(a_process("mine", disabled=True))
        with pytest.raises(UsageError) as refused:
            await hub.start_server("off")
        assert str(file) in refused.value.what
        with pytest.raises(UsageError) as refused:
            await hub.start_server("mine")
        assert str(file) not in refused.value.what
