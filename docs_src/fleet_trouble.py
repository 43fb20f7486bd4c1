"""A server that can't be started, one that is stopped, and what their callers see."""

from __future__ import annotations

import asyncio
import logging

from dragoman import Hub
from dragoman.errors import ServerNotReady

SERVERS = {
    "clock": "python -m dragoman.samples.clock",
    "home": "python -m dragoman.samples.notes",
    "attic": "no-such-program",
}


async def attempt(hub: Hub, tool: str) -> None:
    """Make a call and say how it went."""
    try:
        await hub.call_tool(tool)
    except ServerNotReady as error:
        print(f"{tool}: {error.server} is away, nothing was sent")
    else:
        print(f"{tool}: answered")


async def main() -> None:
    """Watch one server fail and another come back, while the third answers."""
    logging.getLogger("dragoman").setLevel(logging.CRITICAL)  # this page tells it in its own words
    async with Hub(SERVERS) as hub:
        for name, status in (await hub.wait_ready()).items():
            print(name, status.state, status.code)
        await attempt(hub, "attic.find_things")
        await hub.stop_server("home")
        await attempt(hub, "home.find_notes")
        await attempt(hub, "clock.now")
        await hub.start_server("home")
        await attempt(hub, "home.find_notes")


if __name__ == "__main__":
    asyncio.run(main())
