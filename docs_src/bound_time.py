"""Time-outs, progress that extends them, the hard maximum, and giving up."""

from __future__ import annotations

import asyncio

from dragoman import Server, ServerConfig, connect
from dragoman.errors import RequestTimeout
from dragoman.protocol.types import Progress

CLOCK = ServerConfig(
    name="clock",
    command="python",
    args=("-m", "dragoman.samples.clock"),
    timeout=5.0,
    max_timeout=60.0,
    connect_timeout=20.0,
)


async def one_call(clock: Server) -> None:
    """A time-out for this call alone; the connection outlives it."""
    try:
        await clock.call_tool("countdown", {"steps": 2, "pause": 30}, timeout=0.2)
    except RequestTimeout as error:
        print(error)
    print("still connected:", clock.is_connected)


async def with_progress(clock: Server) -> None:
    """The whole takes longer than the time-out, but the server tells of progress in between."""

    def heard(progress: Progress) -> None:
        """Hear of it: only a call that has `on_progress` asks the server for reports."""

    result = await clock.call_tool("countdown", {"steps": 4, "pause": 0.2}, timeout=0.5, on_progress=heard)
    print(result.text)


async def give_up(clock: Server) -> None:
    """Cancel a call as any other piece of asyncio: the server is told to stop."""
    call = asyncio.create_task(clock.call_tool("countdown", {"steps": 2, "pause": 30}))
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.wait({call})
    print("cancelled:", call.cancelled())


async def all_together(clock: Server) -> None:
    """Bound several requests by one limit, with what Python has for that."""
    try:
        async with asyncio.timeout(0.3):
            while True:
                await clock.call_tool("now")
                await asyncio.sleep(0.1)
    except TimeoutError:
        print("the limit passed")


async def main() -> None:
    """Show all four."""
    async with connect(CLOCK) as clock:
        await one_call(clock)
        await with_progress(clock)
        await give_up(clock)
        await all_together(clock)


if __name__ == "__main__":
    asyncio.run(main())
