"""A resilient client: it checks a server's health, notices that it dies, goes on without it, and has it back later.

A second server stands in meanwhile: both are in a group, and a call to the group goes to the first that can answer.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from dragoman import DragomanError, Group, Hub, HubConfig, Restart, Retry, ServerConfig
from dragoman.events import Event, ServerLost, ServerRecovered


async def serve(port: int = 0) -> tuple[Process, str]:
    """Start a clock that listens on a port of this machine; give it and its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dragoman.samples.clock", "--http", str(port), stdout=PIPE
    )
    assert process.stdout is not None
    words = (await process.stdout.readline()).split()
    return process, words[-1].decode()


async def stop(process: Process) -> None:
    """Kill a server without warning, as a crash would."""
    process.kill()
    await process.wait()


def settings(url: str) -> HubConfig:
    """Say how patient to be with the server at the URL, and who stands in for it."""
    remote = ServerConfig(
        name="remote",
        url=url,
        timeout=5,
        health_interval=0.2,
        restart=Restart(first_delay=0.1, longest_delay=1, breaker=1),
        retry=Retry(trust_hints=True),  # tools that say they only read may be called twice
    )
    local = ServerConfig(name="local", command="python", args=("-m", "dragoman.samples.clock"), start="on_use")
    return HubConfig(servers=(remote, local), groups={"clock": Group(servers=("remote", "local"))})


async def ask(hub: Hub, tool: str) -> None:
    """Make one call and tell how it went."""
    try:
        result = await hub.call_tool(tool)
    except DragomanError as error:
        print(f"{tool}: {error.code}")
    else:
        print(f"{tool}: {result.text[:5]} …")


async def tell(events: AsyncIterator[Event]) -> None:
    """Wait until the server is lost or there again, and say so."""
    match await anext(events):
        case ServerLost(server=server, reason=reason):
            print(f"{server} is lost: {reason.partition(' (')[0]}")
        case ServerRecovered(server=server, away=away):
            print(f"{server} is back after {away:.1f} s")
        case _:
            pass


async def main() -> None:
    """Kill the server, ask all the same, and bring the server back."""
    process, url = await serve()
    try:
        async with Hub(settings(url)) as hub:
            events = hub.events(ServerLost, ServerRecovered)
            await ask(hub, "remote.now")
            await stop(process)
            await tell(events)
            await ask(hub, "remote.now")
            await ask(hub, "clock.now")
            process, _ = await serve(urlsplit(url).port or 0)
            await tell(events)
            await ask(hub, "remote.now")
    finally:
        await stop(process)


if __name__ == "__main__":
    asyncio.run(main())
