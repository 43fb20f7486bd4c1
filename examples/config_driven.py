"""A config-driven client: which servers there are, and how they are treated, stands in a file beside it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from dragoman import DragomanError, Hub
from dragoman.errors import ConfigError

CONFIG = Path(__file__).with_name("servers.yaml")


async def use(hub: Hub) -> None:
    """Show what the file makes of the servers."""
    print("tools:", ", ".join(tool.full_name for tool in await hub.tools("clock")))
    try:
        await hub.call_tool("clock.ring")
    except DragomanError as error:
        print(f"{error.code}: {error.what}")
    print("notes before a call:", hub.status()["notes"].state)
    print((await hub.call_tool("notes.find_notes", {"tag": "food"})).text)
    print("notes after it:", hub.status()["notes"].state)


async def change(hub: Hub, file: Path) -> None:
    """Change the file; only the servers that are others now are touched."""
    file.write_text(file.read_text().replace('ring, "face*"', "timer"))
    turnover = await hub.reload()
    print(f"reloaded, changed: {', '.join(turnover.changed)}")
    print("tools:", ", ".join(tool.full_name for tool in await hub.tools("clock")))

    file.write_text(file.read_text().replace("idle_timeout", "idle_timout"))
    try:
        await hub.reload()
    except ConfigError as error:
        print(f"line {error.line}, {error.key}: {error.what}. {error.hint}")
    print("still there:", ", ".join(f"{name} ({each.state})" for name, each in (await hub.wait_ready()).items()))


async def main() -> None:
    """Work with a copy of the file, because the example changes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(shutil.copy(CONFIG, folder))
        async with Hub.open(file) as hub:
            await use(hub)
            await change(hub, file)


if __name__ == "__main__":
    asyncio.run(main())
