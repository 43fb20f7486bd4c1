"""What a hub and its values show of themselves, and what it says to whoever names a server that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragoman import Hub, HubConfig, ServerConfig
from dragoman.errors import ConfigError, UnknownName
from tests.hub.serving import a_process


async def test_a_hub_shows_how_many_servers_it_has_and_how_they_are(tmp_path: Path) -> None:
    """Before, during and after; no name and no secret, for it may stand in any log."""
    switched_off = ServerConfig(name="off", command="no-such-program", env={"KEY": "hush"}, disabled=True)
    hub = Hub([a_process("one"), switched_off], cache_folder=tmp_path)
    assert repr(hub) == "<Hub of 2 servers: not started>"
    async with hub:
        await hub.wait_ready("one")
        assert repr(hub) == "<Hub of 2 servers: 1 ready, 1 disabled>"
    assert repr(hub) == "<Hub of 2 servers: closed>"


async def test_a_hub_of_nothing_shows_that(tmp_path: Path) -> None:
    """It may get servers later."""
    async with Hub(cache_folder=tmp_path) as hub:
        assert repr(hub) == "<Hub of 0 servers>"


async def test_what_was_found_shows_its_name_and_a_short_score(tmp_path: Path) -> None:
    """Not an entry within a value, and no sixteen digits."""
    async with Hub([a_process("one")], cache_folder=tmp_path) as hub:
        found = await hub.find("echo", limit=1)
        assert repr(found[0]).startswith("Found('one.echo', score=")
        assert len(repr(found[0])) < 40


async def test_a_watch_shows_its_resource_without_what_may_be_secret(tmp_path: Path) -> None:
    """A URI may hold a password."""
    async with Hub([a_process("one")], cache_folder=tmp_path) as hub:
        shown = repr(hub.subscribe("db://me:hush@host/table?key=hush"))
    assert shown.startswith("<Watch of 'db://")
    assert "hush" not in shown


async def test_a_server_that_is_not_there_is_told_with_those_that_are() -> None:
    """Up to eight; the nearest ones alone if there are any."""
    servers = [ServerConfig(name=f"unit{number}", command="x", disabled=True) for number in range(9)]
    async with Hub(HubConfig(servers=tuple(servers[:2]), keep_catalogue=False)) as hub:
        with pytest.raises(UnknownName, match=r"there is no server 'zz'\. The servers are unit0, unit1\.$"):
            await hub.tools("zz")
        with pytest.raises(UnknownName, match="Did you mean unit1"):
            await hub.remove_server("unitt1")
    async with Hub(HubConfig(servers=tuple(servers), keep_catalogue=False)) as hub:
        with pytest.raises(UnknownName, match=r"unit7, …\.$"):
            await hub.stop_server("zz")
    async with Hub() as hub:
        with pytest.raises(UnknownName, match=r"Add it by add_server\(\)"):
            await hub.wait_ready("zz")


def test_a_path_in_place_of_servers_is_told_how_files_are_opened() -> None:
    """It is what newcomers write first."""
    with pytest.raises(ConfigError, match=r"Hub\.open"):
        Hub("dragoman.yaml")
