"""`HubServer`: one server of a blocking hub, by the names that things have on that server."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from dragoman.catalogue.entries import PromptEntry, ResourceEntry, TemplateEntry, ToolEntry
from dragoman.hub.server_face import WAIT
from dragoman.hub.server_face import HubServer as AsyncHubServer
from dragoman.model import ServerStatus
from dragoman.protocol.changes import Change
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import Completion, PromptReference, PromptResult, ReadResult, ResourceReference
from dragoman.server.connection import ProgressHandler
from dragoman.sync.connection import Connection
from dragoman.sync.reader import Reader
from dragoman.sync.thread import Keeper, at_once

__all__ = ["HubServer"]

T = TypeVar("T")


class HubServer:
    """One server of a blocking hub: ``hub.server("files").call_tool("read", {…})``. See `dragoman.Hub.server`."""

    def __init__(self, name: str, keeper: Callable[[], Keeper]) -> None:
        self.name = name
        self._keeper = keeper
        self._inner: tuple[Keeper, AsyncHubServer] | None = None

    @property
    def status(self) -> ServerStatus:
        """How it is now."""
        return self._do(at_once(lambda server: server.status))

    def call_tool(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> ToolResult:
        """Call one of its tools."""
        return self._do(
            lambda server: server.call_tool(tool, arguments, timeout=timeout, on_progress=on_progress, meta=meta)
        )

    def call_raw(
        self,
        tool: str,
        arguments: Mapping[str, Any] | bytes | bytearray | memoryview | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> memoryview:
        """Call one of its tools and give the bytes of the result object."""
        return self._do(
            lambda server: server.call_raw(tool, arguments, timeout=timeout, on_progress=on_progress, meta=meta)
        )

    def read_resource(self, uri: str, *, timeout: float | None = None) -> ReadResult:
        """Read one of its resources."""
        return self._do(lambda server: server.read_resource(uri, timeout=timeout))

    def get_prompt(
        self, prompt: str, arguments: Mapping[str, str] | None = None, *, timeout: float | None = None
    ) -> PromptResult:
        """Give one of its prompts with its arguments filled in."""
        return self._do(lambda server: server.get_prompt(prompt, arguments, timeout=timeout))

    def complete(
        self,
        ref: PromptReference | ResourceReference,
        argument: str,
        value: str = "",
        *,
        context: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completion:
        """Suggest values for an argument of one of its prompts or a variable of one of its templates."""
        return self._do(lambda server: server.complete(ref, argument, value, context=context, timeout=timeout))

    def subscribe(self, uri: str) -> Reader[Change]:
        """Hear when one of its resources changes, as `Hub.subscribe` tells."""
        keeper = self._keeper()
        watch = keeper.do(at_once(lambda _: self._server_of(keeper).subscribe(uri)))
        return Reader(keeper, watch.__anext__, watch.aclose, self)

    def tools(self, *, wait: float = WAIT) -> list[ToolEntry]:
        """Give its tools."""
        return self._do(lambda server: server.tools(wait=wait))

    def resources(self, *, wait: float = WAIT) -> list[ResourceEntry]:
        """Give the resources that it lists."""
        return self._do(lambda server: server.resources(wait=wait))

    def resource_templates(self, *, wait: float = WAIT) -> list[TemplateEntry]:
        """Give the resource templates that it lists."""
        return self._do(lambda server: server.resource_templates(wait=wait))

    def prompts(self, *, wait: float = WAIT) -> list[PromptEntry]:
        """Give the prompts that it lists."""
        return self._do(lambda server: server.prompts(wait=wait))

    def connection(self, *, timeout: float | None = None) -> Connection:
        """Give the standing connection, for what a hub has no method for: tasks, log levels, any request."""
        keeper = self._keeper()
        return Connection(keeper, keeper.do(lambda _: self._server_of(keeper).connection(timeout=timeout)), self)

    def _do(self, work: Callable[[AsyncHubServer], Coroutine[Any, Any, T]]) -> T:
        keeper = self._keeper()
        return keeper.do(lambda _: work(self._server_of(keeper)))

    def _server_of(self, keeper: Keeper) -> AsyncHubServer:
        """Give the asynchronous face of this server in that thread's hub. Only in that thread."""
        inner = self._inner
        if inner is None or inner[0] is not keeper:
            self._inner = inner = (keeper, keeper.hub.server(self.name))
        return inner[1]

    def __repr__(self) -> str:
        return f"<dragoman.sync.HubServer {self.name!r}>"
