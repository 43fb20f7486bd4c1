"""The official SDK's `Client` in the benchmark, with its defaults."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent

from bench.clients.asynchronous import AsyncPeer
from bench.clients.peer import Target


class SdkConversation:
    """A `Conversation` over the SDK's client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def echo(self, message: str) -> str:
        return text(await self._client.call_tool("echo", {"message": message}))

    async def blob(self, size: int) -> str:
        return text(await self._client.call_tool("blob", {"size": size}))

    async def tools(self, *, schemas: bool) -> list[str]:
        page = await self._client.list_tools()
        if schemas:
            assert all(tool.input_schema for tool in page.tools)
        return [tool.name for tool in page.tools]


def text(result: CallToolResult) -> str:
    """Give the text of a result's first block."""
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


@asynccontextmanager
async def opened(target: Target, mode: str) -> AsyncGenerator[SdkConversation]:
    """Open a connection for as long as the context lasts."""
    command = target.command
    server = target.url or StdioServerParameters(command=command[0], args=list(command[1:]))
    async with Client(server, mode=mode) as client:
        yield SdkConversation(client)


def peer(era: str | None = None) -> AsyncPeer:
    """Give the client."""
    return AsyncPeer(partial(opened, mode="legacy" if era == "handshake" else "auto"))
