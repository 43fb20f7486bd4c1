"""The servers in a file, and what its settings do."""

from __future__ import annotations

import asyncio

from dragoman import Hub
from dragoman.errors import ToolDisabled


async def main() -> None:
    """Open the hub that the file tells of."""
    async with Hub.open("docs_src/fleet.yaml") as hub:
        await hub.wait_ready("clock")
        print("home is", hub.status()["home"].state)
        print((await hub.call_tool("home.find_notes", {"tag": "food"})).text)
        print("home is", hub.status()["home"].state)
        try:
            await hub.call_tool("clock.ring")
        except ToolDisabled as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
