"""FastMCP's `Client` in the benchmark, with its defaults."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp.types import TextContent

from bench.clients.asynchronous import AsyncPeer
from bench.clients.peer import Target


class FastMcpConversation:
    """A `Conversation` over FastMCP's client."""

    def __init__(self, client: Client[Any]) -> None:
        self._client = client

    async def echo(self, message: str) -> str:
        return text(await self._client.call_tool("echo", {"message": message}))

    async def blob(self, size: int) -> str:
        return text(await self._client.call_tool("blob", {"size": size}))

    async def tools(self, *, schemas: bool) -> list[str]:
        tools = await self._client.list_tools()
        if schemas:
            assert all(tool.input_schema for tool in tools)
        return [tool.name for tool in tools]


def text(result: CallToolResult) -> str:
    """Give the text of a result's first block."""
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


@asynccontextmanager
async def opened(target: Target) -> AsyncGenerator[FastMcpConversation]:
    """Open a connection for as long as the context lasts."""
    if target.url:
        transport = StreamableHttpTransport(target.url)
    else:
        transport = StdioTransport(target.command[0], list(target.command[1:]), keep_alive=False)
    async with Client(transport) as client:
        yield FastMcpConversation(client)


def peer() -> AsyncPeer:
    """Give the client."""
    return AsyncPeer(opened)
