"""Tools that become tasks: waited for, followed, left alone and found again, cancelled."""

from __future__ import annotations

import asyncio

from dragoman import Server, connect
from dragoman.errors import TaskFailed


async def wait(clock: Server) -> None:
    """A call waits for the end, whether the server makes a task of it or not."""
    print((await clock.call_tool("timer", {"seconds": 0.2})).text)


async def follow(clock: Server) -> None:
    """Take the handle, and look at the states on the way."""
    handle = await clock.start_task("timer", {"seconds": 0.5})
    states = [state async for state in handle.updates()]
    print(states[0].status, "…", states[-1].status)
    print((await handle.result()).text)


async def leave_and_return(url: str) -> None:
    """Keep the id; come back over another connection, or from another process."""
    async with connect(url, name="clock") as clock:
        task_id = (await clock.start_task("timer", {"seconds": 0.5})).id
    async with connect(url, name="clock") as clock:
        print("later:", (await clock.task(task_id).result(timeout=10)).text)


async def stop(clock: Server) -> None:
    """Ask the server to stop it, and see that it did."""
    handle = await clock.start_task("timer", {"seconds": 60})
    await handle.cancel()
    try:
        await handle.result(timeout=10)
    except TaskFailed as error:
        print(error.status)


async def main(clock_url: str = "http://127.0.0.1:8321/mcp") -> None:
    """Show all four."""
    async with connect(clock_url, name="clock") as clock:
        await wait(clock)
        await follow(clock)
        await leave_and_return(clock_url)
        await stop(clock)


if __name__ == "__main__":
    asyncio.run(main())
