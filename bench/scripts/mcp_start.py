"""Connects the official SDK's `ClientSessionGroup` to so many servers, as its example does: mcp_start.py N COMMAND….

Prints as JSON when all were connected, and when one in the middle had answered a call made as soon as it could be.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

import anyio
from mcp import ClientSessionGroup, StdioServerParameters


async def main(count: int, command: list[str]) -> None:
    """Measure."""
    began = perf_counter()
    answered = 0.0
    number = 0
    async with ClientSessionGroup(component_name_hook=lambda name, _: f"{name}{number}") as group:
        for number in range(count):
            session = await group.connect_to_server(StdioServerParameters(command=command[0], args=command[1:]))
            if number == count // 2:
                await session.call_tool("echo", {"message": "hello"})
                answered = perf_counter() - began
        print(json.dumps({"ready_s": perf_counter() - began, "called_s": answered}), flush=True)


anyio.run(main, int(sys.argv[1]), sys.argv[2:])
