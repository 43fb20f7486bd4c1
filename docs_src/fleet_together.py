"""Several servers at once: a batch of calls, and one question to all that can answer it."""

from __future__ import annotations

import asyncio

from dragoman import Hub, ToolCall
from dragoman.errors import AmbiguousName

SERVERS = {
    "clock": "python -m dragoman.samples.clock",
    "home": "python -m dragoman.samples.notes",
    "office": "python -m dragoman.samples.notes",
}


async def main() -> None:
    """Ask two servers that have the same tools, alone and together."""
    async with Hub(SERVERS) as hub:
        try:
            await hub.call_tool("find_notes", {"tag": "food"})
        except AmbiguousName as error:
            print(error)
        calls = [
            ToolCall("home.add_note", {"title": "tea", "text": "Darjeeling is out."}),
            ToolCall("office.add_note", {"title": "tea", "text": "There is plenty."}),
            ToolCall("office.add_note", {"title": "coffee"}),
        ]
        for outcome in await hub.call_many(calls):
            print(outcome.name, "->", outcome.error or outcome.unwrap().text)
        for outcome in await hub.broadcast("find_notes", {"text": "tea"}):
            print(outcome.name, "->", outcome.error or outcome.unwrap().text)


if __name__ == "__main__":
    asyncio.run(main())
