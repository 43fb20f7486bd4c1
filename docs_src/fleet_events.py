"""Hear what happens: to servers and calls by events, to a resource by a subscription."""

from __future__ import annotations

import asyncio

from dragoman import Hub
from dragoman.events import CallFinished, ServerChanged

SERVERS = {"home": "python -m dragoman.samples.notes"}
WELCOME = "note:///welcome"


async def tell(event: ServerChanged | CallFinished) -> None:
    """Print what a handler gets."""
    match event:
        case ServerChanged(server=server, before=before, status=status):
            print(f"{server}: {before} -> {status.state}")
        case CallFinished(server=server, name=name):
            print(f"{server} answered {name}")


async def main() -> None:
    """Listen before anything starts, and change a note that somebody follows."""
    hub = Hub(SERVERS)
    hub.on((ServerChanged, CallFinished), tell)
    async with hub, hub.subscribe(WELCOME) as changes:
        await hub.call_tool("home.add_note", {"title": "welcome", "text": "Hello again."})
        change = await anext(changes)
        note = await hub.read_resource(WELCOME)
    print(type(change).__name__, note.text)


if __name__ == "__main__":
    asyncio.run(main())
