"""Hears what a hub does: a stream of events, handlers, and one that fails."""

from __future__ import annotations

import asyncio

from dragoman import Hub, ServerConfig
from dragoman.errors import RequestTimeout
from dragoman.events import CallFailed, CallFinished, EventsDropped, HandlerFailed, PolicyDenied, ServerChanged

CLOCK = ServerConfig(name="clock", command="python", args=("-m", "dragoman.samples.clock"))


async def follow(hub: Hub) -> None:
    """Print how calls end, until the hub is closed."""
    async for event in hub.events(CallFinished, CallFailed, EventsDropped):
        match event:
            case CallFinished(server=server, name=name, is_error=False):
                print(f"stream: {server}.{name} was answered")
            case CallFinished(server=server, name=name):
                print(f"stream: {server}.{name} was answered with a failure")
            case CallFailed(server=server, name=name, code=code):
                print(f"stream: {server}.{name} failed: {code}")
            case EventsDropped(count=count):
                print(f"stream: {count} events went by unseen")
    print("stream: the end")


def install(hub: Hub) -> asyncio.Event:
    """Register functions for some kinds of events; what is given is set when one of them was reported."""
    reported = asyncio.Event()

    @hub.on(ServerChanged)
    async def tell(event: ServerChanged) -> None:
        if event.status.state == "ready":
            print(f"handler: {event.server} is ready")

    @hub.on((CallFailed, PolicyDenied))
    def careless(event: CallFailed | PolicyDenied) -> None:
        raise LookupError(f"nothing is known of {event.name}")

    @hub.on(HandlerFailed)
    async def complain(event: HandlerFailed) -> None:
        print(f"handler: {event.handler.rpartition('.')[2]} {event.reason}")
        reported.set()

    return reported


async def main() -> None:
    """Make two calls with everybody listening."""
    async with Hub([CLOCK]) as hub:
        following = asyncio.create_task(follow(hub))
        reported = install(hub)
        await hub.call_tool("clock.now", {"offset_hours": 2})
        try:
            await hub.call_tool("clock.countdown", {"pause": 60}, timeout=0.2)
        except RequestTimeout:
            print("caller: that took too long")
        await reported.wait()
    await following


if __name__ == "__main__":
    asyncio.run(main())
