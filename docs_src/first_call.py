"""Connects to a server, lists its tools, and calls one."""

from __future__ import annotations

import asyncio

from dragoman import connect


async def main() -> None:
    """Meet the clock that comes along."""
    async with connect("python -m dragoman.samples.clock") as server:
        print(server.info.title, server.protocol_version)
        for tool in await server.list_tools():
            print("-", tool.name)
        result = await server.call_tool("countdown", {"steps": 3})
        print(result.text, result.structured)


if __name__ == "__main__":
    asyncio.run(main())
