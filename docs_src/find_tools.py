"""Find tools by what they do, over all servers of a hub."""

from __future__ import annotations

import asyncio

from dragoman import Hub, ServerConfig

SERVERS = [
    ServerConfig(name="clock", command="python", args=("-m", "dragoman.samples.clock")),
    ServerConfig(name="notes", command="python", args=("-m", "dragoman.samples.notes")),
]


async def look_for(hub: Hub, question: str) -> None:
    """Show the three tools that fit a question best."""
    found = await hub.find(question, limit=3)
    print(f"{question}: {', '.join(tool.name for tool in found) or 'nothing'}")


async def main() -> None:
    """Ask as people and as programs do."""
    async with Hub(SERVERS) as hub:
        await look_for(hub, "What time is it in Tokyo?")
        await look_for(hub, "erase a note")
        await look_for(hub, "delte")
        await look_for(hub, "notes.add_note")
        await look_for(hub, "order a pizza")
        best = await hub.find_tool("write a note", server="notes")
        if best is not None:
            print(best.full_name, "takes", *best.tool.input_schema["properties"])


if __name__ == "__main__":
    asyncio.run(main())
