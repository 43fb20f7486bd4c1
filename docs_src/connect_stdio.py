"""Connects to a server that is a program on this machine."""

from __future__ import annotations

import asyncio

from dragoman import ServerConfig, connect

CLOCK = ServerConfig(
    name="clock",
    command="python",
    args=("-m", "dragoman.samples.clock"),
    env={"TZ": "UTC"},
    cwd="~",
    shutdown_timeout=1.0,
)


async def main() -> None:
    """Start it from a command line, then from settings."""
    async with connect("python -m dragoman.samples.clock", name="clock") as clock:
        print(f"{clock.info.title} speaks {clock.protocol_version} over {clock.transport_kind}")
    async with connect(CLOCK) as clock:
        print(len(await clock.list_tools()), "tools")


if __name__ == "__main__":
    asyncio.run(main())
