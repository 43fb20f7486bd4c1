"""`HubServer`: one server of a hub as callers hold it, by the names that things have on that server.

It holds no connection: servers come, go and are replaced while somebody holds this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec import Raw, Struct

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.entries import PromptEntry, ResourceEntry, TemplateEntry, ToolEntry
from dragoman.events import Listing
from dragoman.handle.handle import Handle
from dragoman.hub.arguments import compact
from dragoman.hub.calls import Calls, Terms
from dragoman.hub.requests import CompletionRequest, PromptRequest, ReadRequest, ToolRequest
from dragoman.hub.watching import Watch
from dragoman.model import ServerStatus
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import Completion, PromptReference, PromptResult, ReadResult, ResourceReference
from dragoman.server.connection import ProgressHandler
from dragoman.server.server import Server

__all__ = ["WAIT", "Backing", "HubServer"]

#: How long servers that were never listed are waited for, unless the caller says otherwise (seconds).
WAIT: Final = 10.0


class Backing(Struct, frozen=True):
    """What a `HubServer` needs of its hub."""

    handle: Callable[[], Handle]
    calls: Calls
    catalogue: Catalogue
    tool: Callable[[str, Mapping[str, Any] | Raw | None, bool], ToolRequest]
    listings: Callable[[Listing, float], Awaitable[None]]
    watch: Callable[[str], Watch]


class HubServer:
    """One server of a hub: ``hub.server("files").call_tool("read", {…})``. Errors and time-outs are as the hub's."""

    def __init__(self, name: str, backing: Backing) -> None:
        self.name = name
        self._backing = backing

    @property
    def status(self) -> ServerStatus:
        """How it is now."""
        return self._backing.handle().status()

    async def call_tool(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> ToolResult:
        """Call one of its tools, as `Hub.call_tool` does."""
        request = self._backing.tool(tool, arguments, True)
        return await self._backing.calls.make(self._backing.handle(), request, Terms(timeout, on_progress, meta))

    async def call_raw(
        self,
        tool: str,
        arguments: Mapping[str, Any] | bytes | bytearray | memoryview | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> memoryview:
        """Call one of its tools and give the bytes of the result object, as `Hub.call_raw` does."""
        given = compact(arguments) if isinstance(arguments, bytes | bytearray | memoryview) else arguments
        request = self._backing.tool(tool, given, False)
        terms = Terms(timeout, on_progress, meta)
        return (await self._backing.calls.make(self._backing.handle(), request, terms)).view

    async def read_resource(self, uri: str, *, timeout: float | None = None) -> ReadResult:
        """Read one of its resources."""
        return await self._backing.calls.make(self._backing.handle(), ReadRequest(uri), Terms(timeout))

    async def get_prompt(
        self, prompt: str, arguments: Mapping[str, str] | None = None, *, timeout: float | None = None
    ) -> PromptResult:
        """Give one of its prompts with its arguments filled in."""
        request = PromptRequest(prompt, arguments)
        return await self._backing.calls.make(self._backing.handle(), request, Terms(timeout))

    async def complete(
        self,
        ref: PromptReference | ResourceReference,
        argument: str,
        value: str = "",
        *,
        context: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completion:
        """Suggest values for an argument of one of its prompts or a variable of one of its templates."""
        request = CompletionRequest(ref, argument, value, context)
        return await self._backing.calls.make(self._backing.handle(), request, Terms(timeout))

    def subscribe(self, uri: str) -> Watch:
        """Hear when one of its resources changes, as `Hub.subscribe` tells."""
        return self._backing.watch(uri)

    async def tools(self, *, wait: float = WAIT) -> list[ToolEntry]:
        """Give its tools, as `Hub.tools` does."""
        await self._backing.listings("tools", wait)
        return list(self._backing.catalogue.all_tools(self.name))

    async def resources(self, *, wait: float = WAIT) -> list[ResourceEntry]:
        """Give the resources that it lists."""
        await self._backing.listings("resources", wait)
        return list(self._backing.catalogue.all_resources(self.name))

    async def resource_templates(self, *, wait: float = WAIT) -> list[TemplateEntry]:
        """Give the resource templates that it lists."""
        await self._backing.listings("templates", wait)
        return list(self._backing.catalogue.all_templates(self.name))

    async def prompts(self, *, wait: float = WAIT) -> list[PromptEntry]:
        """Give the prompts that it lists."""
        await self._backing.listings("prompts", wait)
        return list(self._backing.catalogue.all_prompts(self.name))

    async def connection(self, *, timeout: float | None = None) -> Server:
        """Give the standing connection, for what a hub has no method for: tasks, log levels, any request.

        It is one connection, and ends with it: ask again rather than keep it. ``timeout`` is in seconds.
        """
        handle = self._backing.handle()
        patience = handle.config.timeout if timeout is None else timeout
        return await handle.ready(asyncio.get_running_loop().time() + patience)

    def __repr__(self) -> str:
        return f"<HubServer {self.name!r}>"
