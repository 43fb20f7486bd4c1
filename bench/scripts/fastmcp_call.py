"""The ten lines that call a tool with FastMCP: fastmcp_call.py COMMAND."""

from __future__ import annotations

import asyncio
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport


async def main() -> None:  # noqa: D103 - ten lines
    async with Client(StdioTransport(sys.argv[1], sys.argv[2:], keep_alive=False)) as client:
        result = await client.call_tool("echo", {"message": "hello"})
        print(*(block.text for block in result.content if block.type == "text"))


asyncio.run(main())
