"""The sections of a briefing: each is a function that asks servers and gives a `Section`.

None of them names a tool: they ask for what they need, and the hub finds who can do it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dragoman import Hub, ToolCall
from dragoman.catalogue.entries import ToolEntry
from dragoman.errors import NotSupported
from dragoman.protocol.content import ImageContent, TextContent

from .settings import Settings


@dataclass(frozen=True)
class Section:
    """A part of the briefing. ``problem`` tells why something is missing, ``picture`` is a PNG."""

    title: str
    lines: tuple[str, ...] = ()
    problem: str = ""
    picture: bytes = b""


Writer = Callable[[Hub, Settings], Awaitable[Section]]


async def tool_for(hub: Hub, question: str) -> ToolEntry:
    """Give the tool that fits a question best.

    Raises:
        NotSupported: none does.
    """
    tool = await hub.find_tool(question)
    if tool is None:
        raise NotSupported(f"no server can do this: {question}")
    return tool


async def times(hub: Hub, settings: Settings) -> Section:
    """Tell the time in each city, all asked at once."""
    tool = await tool_for(hub, "What time is it?")
    calls = [ToolCall(tool.full_name, {"offset_hours": hours}) for hours in settings.cities.values()]
    lines: list[str] = []
    for city, outcome in zip(settings.cities, await hub.call_many(calls), strict=True):
        answer = outcome.error.what if outcome.error else outcome.unwrap().structured["time"][11:16]
        lines.append(f"{city}: {answer}")
    return Section("The time", tuple(lines))


async def notes(hub: Hub, settings: Settings) -> Section:
    """Collect notes from every server that has some; one that is away leaves a gap and a word about it."""
    tool = await tool_for(hub, "List notes that have a tag")
    lines: list[str] = []
    missing: list[str] = []
    for outcome in await hub.broadcast(tool.name, {"tag": settings.tag}, timeout=5):
        server = outcome.name.partition(".")[0]
        if outcome.error:
            missing.append(f"{server} is missing ({outcome.error.code})")
        else:
            lines += [f"{server}: {note['text']}" for note in outcome.unwrap().structured["notes"]]
    return Section(f"Notes about {settings.tag}", tuple(lines), problem="; ".join(missing))


async def tea(hub: Hub, settings: Settings) -> Section:
    """Make tea, which takes its time and tells how far it is."""
    tool = await tool_for(hub, "Count down, telling the progress")
    result = await hub.call_tool(tool.full_name, {"steps": settings.tea_steps, "pause": 0.05}, timeout=30)
    return Section("Tea", (f"{result.text} It took {result.structured['counted']} steps.",))


async def picture(hub: Hub, _: Settings) -> Section:
    """Draw the clock at this hour."""
    now = dt.datetime.now().astimezone()
    tool = await tool_for(hub, "draw a clock face")
    result = await hub.call_tool(tool.full_name, {"hour": now.hour, "minute": now.minute})
    images = [block.decoded() for block in result.content if isinstance(block, ImageContent)]
    return Section("The clock", (result.text,), picture=images[0] if images else b"")


async def plan(hub: Hub, _: Settings) -> Section:
    """Give the words to ask a model for a plan of today."""
    prompt = await hub.get_prompt("plan_day", {"weekday": f"{dt.datetime.now().astimezone():%A}"})
    words = [each.content.text for each in prompt.messages if isinstance(each.content, TextContent)]
    return Section("To ask a model", tuple(words))


SECTIONS: dict[str, Writer] = {"times": times, "notes": notes, "plan": plan, "picture": picture, "tea": tea}
