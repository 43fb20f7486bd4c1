"""Two servers in one hub: their tools in one list, each called by its name."""

from __future__ import annotations

import asyncio

from dragoman import Hub

SERVERS = {
    "clock": "python -m dragoman.samples.clock",
    "home": "python -m dragoman.samples.notes",
}


async def main() -> None:
    """List, call and read."""
    async with Hub(SERVERS) as hub:
        for tool in await hub.tools():
            print(tool.full_name)
        print((await hub.call_tool("clock.countdown", {"steps": 2})).text)
        print((await hub.call_tool("find_notes", {"tag": "food"})).text)
        print((await hub.read_resource("note:///welcome")).text)


if __name__ == "__main__":
    asyncio.run(main())
