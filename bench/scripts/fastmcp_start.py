"""Connects FastMCP's `Client` to so many servers of one configuration: fastmcp_start.py N COMMAND….

Prints as JSON when all were connected, and when one in the middle had answered a call made as soon as it could be.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter

from fastmcp import Client


async def main(count: int, command: list[str]) -> None:
    """Measure."""
    servers = {f"sound{number}": {"command": command[0], "args": command[1:]} for number in range(count)}
    began = perf_counter()
    async with Client({"mcpServers": servers}) as client:
        ready = perf_counter() - began
        await client.call_tool(f"sound{count // 2}_echo", {"message": "hello"})
        print(json.dumps({"ready_s": ready, "called_s": perf_counter() - began}), flush=True)


asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
