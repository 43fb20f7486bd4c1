"""Changes a hub while it runs: servers added and removed in code, and a file that is read again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from dragoman import Hub
from dragoman.errors import ConfigError
from dragoman.events import ConfigReloaded

CLOCK = "clock: {command: python, args: [-m, dragoman.samples.clock]}"
NOTES = "notes: {command: python, args: [-m, dragoman.samples.notes]}"


def write(file: Path, *servers: str) -> None:
    """Write a configuration."""
    file.write_text("servers:\n" + "".join(f"  {server}\n" for server in servers))


async def in_code(hub: Hub) -> None:
    """Add a server and take it out again; calls to others go on."""
    await hub.add_server("python -m dragoman.samples.notes", name="extra")
    print((await hub.call_tool("extra.find_notes", {"tag": "food"})).text)
    await hub.remove_server("extra")
    print(sorted(hub.status()))


async def at_a_word(hub: Hub, file: Path) -> None:
    """Read the file again when you say so."""
    write(file, CLOCK, NOTES)
    print(await hub.reload())
    file.write_text("servers: [clock")
    try:
        await hub.reload()
    except ConfigError as error:
        print(f"refused, line {error.line}; still there: {', '.join(hub.status())}")


async def by_itself(file: Path) -> None:
    """Follow the file's changes."""
    async with Hub.open(file, watch=True) as hub:
        write(file, NOTES)
        async for event in hub.events(ConfigReloaded):
            print(event.removed)
            break


async def main() -> None:
    """Show all three."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "dragoman.yaml"
        write(file, CLOCK)
        async with Hub.open(file) as hub:
            await in_code(hub)
            await at_a_word(hub, file)
        write(file, CLOCK, NOTES)
        await by_itself(file)


if __name__ == "__main__":
    asyncio.run(main())
