"""Hears of changes in both eras, with the same code."""

from __future__ import annotations

import asyncio

from dragoman import Server, ServerConfig, connect
from dragoman.protocol.changes import Relistened, ResourcesChanged, ResourceUpdated


async def hear(notes: Server) -> None:
    """Follow the list of resources and one resource, until the connection is closed."""
    async with notes.listen(resources=True, uris=["note:///welcome"]) as changes:
        print("agreed:", changes.honoured.resources, changes.honoured.uris)
        async for change in changes:
            match change:
                case ResourceUpdated(uri=uri):
                    print(uri, "says:", (await notes.read_resource(uri)).text)
                case ResourcesChanged():
                    print("there are", len(await notes.list_resources()), "notes")
                case Relistened():
                    print("something may have been missed: fetch all of it again")
                case _:
                    pass
    print("the end")


async def change(notes: Server) -> None:
    """Do what the other side hears of."""
    for title in ("welcome", "today"):
        await notes.call_tool("add_note", {"title": title, "text": "Hello."})
        await asyncio.sleep(0.3)


async def main() -> None:
    """Listen in one task while another makes changes."""
    for version in ("2026-07-28", "2025-11-25"):
        config = ServerConfig(
            name="notes", command="python", args=("-m", "dragoman.samples.notes"), protocol_version=version
        )
        async with connect(config) as notes:
            print(f"{notes.era} era")
            hearing = asyncio.create_task(hear(notes))
            await asyncio.sleep(0.3)
            await change(notes)
        await hearing


if __name__ == "__main__":
    asyncio.run(main())
