"""Servers that start when they are needed, are asked whether they are there, and are tried again by themselves."""

from __future__ import annotations

import asyncio
import logging

from dragoman import Hub, Restart, ServerConfig
from dragoman.errors import DragomanError, ServerNotReady
from dragoman.events import ServerChanged

NOTES = ServerConfig(
    name="notes",
    command="python",
    args=("-m", "dragoman.samples.notes"),
    start="on_use",
    idle_timeout=0.3,
)

CLOCK = ServerConfig(
    name="clock",
    command="python",
    args=("-m", "dragoman.samples.clock"),
    priority=10,
    health_interval=30.0,
)

BROKEN = ServerConfig(
    name="broken",
    command="python",
    args=("-c", "raise SystemExit(3)"),
    start="on_use",
    restart=Restart(first_delay=20.0, longest_delay=60.0, breaker=4),
)


async def woken(hub: Hub) -> None:
    """Use a server that starts with its first call, and is closed when nobody calls it for a while."""
    async with hub.events(ServerChanged) as events:
        await hub.call_tool("notes.find_notes", {"text": "lemons"})
        async for event in events:
            if event.server == "notes":
                print(event.before, "->", event.status.state)
                if event.status.reason.startswith("it was idle"):
                    break
    await hub.call_tool("notes.find_notes", {"text": "lemons"})
    print("connections:", hub.status()["notes"].connections)


async def away(hub: Hub) -> None:
    """Call a server that does not come up: the first caller waits for the attempt, the next ones wait for nothing."""
    for _ in range(2):
        try:
            await hub.call_tool("broken.anything")
        except ServerNotReady as error:
            print("not ready:", error.state, "and tried again by itself:", error.retry_in is not None)
        except DragomanError as error:
            print(error.what)


async def by_hand(hub: Hub) -> None:
    """Stop a server, start it, try one at once that waits for its next attempt."""
    await hub.stop_server("clock")
    print("clock:", hub.status()["clock"].state)
    await hub.start_server("clock")
    await hub.start_server("broken")
    status = await hub.wait_ready("clock")
    print("clock:", status["clock"].state)


async def main() -> None:
    """Show all three."""
    logging.getLogger("dragoman").setLevel(logging.CRITICAL)  # this page tells it in its own words
    async with Hub([NOTES, CLOCK, BROKEN]) as hub:
        await woken(hub)
        await away(hub)
        await by_hand(hub)


if __name__ == "__main__":
    asyncio.run(main())
