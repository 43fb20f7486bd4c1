"""A resilient client: it notices that a server hangs or dies, goes on without it, and has it back later.

A second server stands in meanwhile: both are in a group, and a call to the group is answered by whichever can.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from dragoman import DragomanError, Group, Hub, HubConfig, Restart, Retry, ServerConfig
from dragoman.events import Event, ServerChanged


def settings(url: str) -> HubConfig:
    """Say how patient to be with the server at the URL, and who stands in for it."""
    remote = ServerConfig(
        name="remote",
        url=url,
        timeout=1,
        health_interval=0.2,
        restart=Restart(first_delay=0.1, longest_delay=1, breaker=1),
        retry=Retry(trust_hints=True),  # a tool that says it only reads may be called again
    )
    local = ServerConfig(name="local", command="python", args=("-m", "dragoman.samples.clock"))
    group = Group(servers=("remote", "local"))
    return HubConfig(servers=(remote, local), groups={"clock": group})


async def ask(hub: Hub, tool: str) -> None:
    """Make one call and tell how it went."""
    try:
        result = await hub.call_tool(tool)
    except DragomanError as error:
        print(f"{tool}: {error.code}")
    else:
        print(f"{tool}: {result.text[:5]} …")


async def until(state: str, events: AsyncIterator[Event]) -> None:
    """Wait until the server comes into a state."""
    async with asyncio.timeout(10):
        async for event in events:
            if isinstance(event, ServerChanged) and (event.server, event.status.state) == ("remote", state):
                print(f"remote is {state}")
                return


async def live_through(hub: Hub, process: Process, url: str) -> Process:
    """Let the server hang, go on, die and be started anew; give the new one."""
    events = hub.events(ServerChanged)
    await ask(hub, "remote.now")

    process.send_signal(signal.SIGSTOP)
    await until("degraded", events)  # nobody called it: the health check went unanswered
    await ask(hub, "clock.now")
    process.send_signal(signal.SIGCONT)
    await until("ready", events)

    process.kill()
    await until("waiting", events)
    await ask(hub, "remote.now")
    await ask(hub, "clock.now")
    await process.wait()
    process, _ = await serve(urlsplit(url).port or 0)
    await until("ready", events)
    await ask(hub, "remote.now")
    return process


async def serve(port: int = 0) -> tuple[Process, str]:
    """Start a clock that listens on a port of this machine; give it and its URL."""
    command = (sys.executable, "-m", "dragoman.samples.clock", "--http", str(port))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    words = (await process.stdout.readline()).split()
    return process, words[-1].decode()


async def main() -> None:
    """Start a server and a hub, and make trouble."""
    process, url = await serve()
    try:
        async with Hub(settings(url)) as hub:
            process = await live_through(hub, process, url)
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main())
