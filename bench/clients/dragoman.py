"""Dragoman in the benchmark, as its documentation says to use it. The era is pinned only when one is asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

from bench.clients.asynchronous import AsyncPeer
from bench.clients.peer import Target
from dragoman import Server, ServerConfig, connect


class DragomanConversation:
    """A `Conversation` over a server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def echo(self, message: str) -> str:
        return (await self._server.call_tool("echo", {"message": message})).text

    async def blob(self, size: int) -> str:
        return (await self._server.call_tool("blob", {"size": size})).text

    async def tools(self, *, schemas: bool) -> list[str]:
        tools = await self._server.list_tools()
        if schemas:
            assert all(tool.input_schema for tool in tools)
        return [tool.name for tool in tools]


@asynccontextmanager
async def opened(target: Target, era: Literal["handshake", "stateless"] | None) -> AsyncGenerator[DragomanConversation]:
    """Open a connection for as long as the context lasts."""
    if target.url:
        config = ServerConfig(url=target.url, era=era)
    else:
        config = ServerConfig(command=target.command[0], args=target.command[1:], era=era)
    async with connect(config) as server:
        yield DragomanConversation(server)


def peer(era: Literal["handshake"] | None = None) -> AsyncPeer:
    """Give the client."""
    return AsyncPeer(partial(opened, era=era))
