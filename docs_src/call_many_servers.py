"""Calls through a hub: by name, in batches, to all that have a tool, as bytes, and to servers that are alike."""

from __future__ import annotations

import asyncio
import json

from dragoman import Group, Hub, HubConfig, Retry, ServerConfig, ToolCall
from dragoman.errors import AmbiguousName, InvalidArguments, UnknownName

SERVERS = {
    "clock": "python -m dragoman.samples.clock",
    "home": "python -m dragoman.samples.notes",
    "office": "python -m dragoman.samples.notes",
}


async def by_name(hub: Hub) -> None:
    """Call a tool by its full name, or its bare one where one server alone has it."""
    print((await hub.call_tool("clock.countdown", {"steps": 2})).text)
    print((await hub.call_tool("face", {"hour": 3})).text)
    print((await hub.server("home").call_tool("find_notes", {"tag": "food"})).text)


async def mistakes(hub: Hub) -> None:
    """See what is refused before anything is sent."""
    for name, arguments in [("find_notes", {}), ("clock.cuntdown", {}), ("clock.countdown", {"steps": "two"})]:
        try:
            await hub.call_tool(name, arguments)
        except (AmbiguousName, UnknownName, InvalidArguments) as error:
            print(f"{type(error).__name__}: {error}")


async def many(hub: Hub) -> None:
    """Make many calls, at most eight at once; each has an outcome of its own, in their order."""
    calls = [ToolCall("clock.face", {"hour": hour}, timeout=5) for hour in (1, 2)]
    calls.append(ToolCall("home.add_note", {"title": "no text"}))
    for outcome in await hub.call_many(calls, limit=8):
        print(outcome.name, "->", outcome.unwrap().text if outcome.ok else outcome.error)


async def everywhere(hub: Hub) -> None:
    """Ask every server that has the tool."""
    for outcome in await hub.broadcast("find_notes", {"text": "lemons"}, timeout=5):
        print(outcome.name, "->", outcome.error or outcome.unwrap().text)


async def as_bytes(hub: Hub) -> None:
    """Pass a call through as bytes, in and out."""
    result = await hub.call_raw("clock.face", b'{"hour": 4}')
    print(json.loads(bytes(result))["content"][0]["text"])


async def resources(hub: Hub) -> None:
    """Read resources; which server has one need not be said where only one can have it."""
    for outcome in await hub.read_resources(["note:///welcome", "note:///shopping"], server="home"):
        print(outcome.name, "->", outcome.error or outcome.unwrap().text)


async def changes(hub: Hub) -> None:
    """Hear when a resource changes, over any number of connections."""
    async with hub.subscribe("note:///shopping", server="home") as heard:
        await hub.call_tool("home.add_note", {"title": "shopping", "text": "Figs."})
        async for change in heard:
            print(change)
            break


PROGRAM = ("-m", "dragoman.samples.notes")
ALIKE = HubConfig(
    servers=(
        ServerConfig(name="first", command="python", args=PROGRAM, retry=Retry(trust_hints=True)),
        ServerConfig(name="second", command="python", args=PROGRAM, retry=Retry(trust_hints=True)),
    ),
    groups={"notes": Group(servers=("first", "second"), hedge_after=0.5)},
)


async def stand_in() -> None:
    """Call whichever server of a group can be asked."""
    async with Hub(ALIKE) as hub:
        await hub.wait_ready()
        await hub.stop_server("first")
        print((await hub.call_tool("notes.find_notes", {"tag": "food"})).text)


async def main() -> None:
    """Show all of it."""
    async with Hub(SERVERS) as hub:
        await hub.wait_ready()
        for show in (by_name, mistakes, many, everywhere, as_bytes, resources, changes):
            await show(hub)
    await stand_in()


if __name__ == "__main__":
    asyncio.run(main())
