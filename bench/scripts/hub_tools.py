"""Ten thousand tools of fifty servers, through a whole hub: hub_tools.py COMMAND…, a server that takes ``--tools N``.

Prints the figures as JSON: from the start of the hub until all are listed, by the servers themselves and then from
what was kept. How tools are found among so many is measured by find_tools.py, with tools that differ.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from time import perf_counter

from dragoman import Hub, HubConfig, ServerConfig

SERVERS = 50
TOOLS = 200


async def started(config: HubConfig, folder: str) -> float:
    """Start and list; give the seconds from the start until the tools are there."""
    hub = Hub(config, cache_folder=folder)
    began = perf_counter()
    await hub.start()
    tools = await hub.tools()
    taken = perf_counter() - began
    await hub.wait_ready()
    await hub.aclose()
    if len(tools) != SERVERS * TOOLS:
        raise ValueError(f"{len(tools)} tools are listed")
    return taken


async def main(command: list[str]) -> None:
    """Measure."""
    args = (*command[1:], "--tools", str(TOOLS))
    servers = tuple(ServerConfig(name=f"many{number}", command=command[0], args=args) for number in range(SERVERS))
    # One kept listing does for all, since they are reached alike: the second start reads it fifty times.
    with tempfile.TemporaryDirectory() as folder:
        live, kept = [await started(HubConfig(servers=servers), folder) for _ in range(2)]
    print(json.dumps({"listed_ms": live * 1e3, "kept_ms": kept * 1e3}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
