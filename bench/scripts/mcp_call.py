"""The ten lines that call a tool with the official SDK: mcp_call.py COMMAND."""

from __future__ import annotations

import sys

import anyio
from mcp import Client, StdioServerParameters


async def main() -> None:  # noqa: D103 - ten lines
    async with Client(StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])) as client:
        result = await client.call_tool("echo", {"message": "hello"})
        print(*(block.text for block in result.content if block.type == "text"))


anyio.run(main)
