"""An event-driven client: it does not poll. Handlers hear of servers and calls, a subscription hears of a resource."""

from __future__ import annotations

import asyncio

from dragoman import Hub
from dragoman.events import CallFailed, CallFinished, CallProgressed, LogReceived, ServerChanged
from dragoman.protocol.changes import ResourceUpdated

SERVERS = {"clock": "python -m dragoman.samples.clock", "notes": "python -m dragoman.samples.notes"}


def listen(hub: Hub) -> None:
    """Register a handler for each kind of event that is of interest."""

    @hub.on(ServerChanged)
    async def server(event: ServerChanged) -> None:
        print(f"[server] {event.server}: {event.before} -> {event.status.state}")

    @hub.on((CallFinished, CallFailed))
    async def call(event: CallFinished | CallFailed) -> None:
        ending = f"failed: {event.code}" if isinstance(event, CallFailed) else f"{event.size} bytes"
        print(f"[call] {event.method} {event.name} took {event.seconds:.2f} s, {ending}")

    @hub.on(CallProgressed)
    async def progress(event: CallProgressed) -> None:
        print(f"[progress] {event.name}: {event.progress:g} of {event.total or 0:g}, {event.message}")

    @hub.on(LogReceived)
    async def log(event: LogReceived) -> None:
        print(f"[log] {event.server} {event.level}: {event.data}")


async def follow(hub: Hub, uri: str, subscribed: asyncio.Event) -> None:
    """Print a note whenever somebody changes it, until it says that it is over."""
    async with hub.subscribe(uri) as changes:
        subscribed.set()
        async for change in changes:
            if isinstance(change, ResourceUpdated):
                text = (await hub.read_resource(uri)).text
                print(f"[resource] {uri}: {text}")
                if text == "Over.":
                    return


async def main() -> None:
    """Cause some events and leave the telling to the handlers."""
    hub = Hub(SERVERS)
    listen(hub)
    async with hub, asyncio.TaskGroup() as tasks:
        subscribed = asyncio.Event()
        tasks.create_task(follow(hub, "note:///welcome", subscribed))
        await subscribed.wait()
        # Log lines come only from servers that were asked for them, on the connection that stands now.
        await (await hub.server("clock").connection()).set_log_level("info")
        await hub.call_tool("clock.countdown", {"steps": 2})
        for text in ("Changed.", "Over."):
            await hub.call_tool("notes.add_note", {"title": "welcome", "text": text})


if __name__ == "__main__":
    asyncio.run(main())
