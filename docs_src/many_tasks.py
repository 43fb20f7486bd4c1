"""Many calls at once, many servers at once, and one connection shared by tasks that know nothing of each other."""

from __future__ import annotations

import asyncio

from dragoman import DragomanError, Server, connect

CLOCK = "python -m dragoman.samples.clock"
NOTES = "python -m dragoman.samples.notes"


async def many_calls(server: Server) -> None:
    """A thousand calls under way on one connection."""
    results = await asyncio.gather(*(server.call_tool("find_notes", {"limit": 1}) for _ in range(1000)))
    print(len(results), "answers")


async def many_servers(targets: list[str]) -> list[Server]:
    """Connect to all at once; one that fails costs the others nothing."""
    opened = await asyncio.gather(*map(connect, targets), return_exceptions=True)
    for target, result in zip(targets, opened, strict=True):
        if isinstance(result, DragomanError):
            print(f"{target}: {type(result).__name__}")
    return [result for result in opened if isinstance(result, Server)]


async def opened() -> Server:
    """Connect: what the first task does."""
    return await connect(CLOCK)


async def any_task() -> None:
    """Connect in one task, call in another, close in a third."""
    server = await asyncio.create_task(opened())
    print((await asyncio.create_task(server.call_tool("face", {"hour": 3}))).text)
    await asyncio.create_task(server.aclose())
    print("connected:", server.is_connected)


async def main() -> None:
    """Show all three."""
    async with connect(NOTES) as notes:
        await many_calls(notes)
    servers = await many_servers([CLOCK, NOTES, "no-such-server"])
    print(len(servers), "of 3 connected")
    await asyncio.gather(*(server.aclose() for server in servers))
    await any_task()


if __name__ == "__main__":
    asyncio.run(main())
