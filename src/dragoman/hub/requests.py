"""What callers ask of a server, as values: each knows how it is sent, what it is called, and what may be told of it.

`calls.Calls` makes them. They hold the caller's own objects and are used once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from msgspec import Raw, Struct

from dragoman.catalogue.entries import ToolEntry
from dragoman.errors import DragomanError
from dragoman.hub.arguments import names_of
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import (
    Completion,
    PromptReference,
    PromptResult,
    ReadResult,
    ResourceReference,
    ToolAnnotations,
)
from dragoman.server.connection import ProgressHandler
from dragoman.server.server import Server

__all__ = ["CompletionRequest", "PromptRequest", "ReadRequest", "Request", "ToolRequest"]

T_co = TypeVar("T_co", covariant=True)


class Request(Protocol[T_co]):
    """One request to one server, whichever that is. ``T_co`` is what it gives."""

    method: ClassVar[str]

    @property
    def name(self) -> str:
        """What it is about: a tool's or a prompt's name on its server, or a URI."""
        ...

    @property
    def argument_names(self) -> tuple[str, ...]:
        """The names of its arguments."""
        ...

    def annotations(self) -> ToolAnnotations | None:
        """Give what the server says of the tool, if it is one and anything is known."""
        ...

    async def send(
        self,
        server: Server,
        timeout: float | None,
        on_progress: ProgressHandler | None,
        meta: Mapping[str, Any] | None,
    ) -> T_co:
        """Ask the server."""
        ...


class ToolRequest(Struct):
    """A tool call. ``checked``: the result is held against the tool's output schema."""

    method: ClassVar[str] = "tools/call"

    name: str
    arguments: Mapping[str, Any] | Raw | None
    entry: ToolEntry | None = None
    checked: bool = True

    @property
    def argument_names(self) -> tuple[str, ...]:
        """See `Request`."""
        if isinstance(self.arguments, Raw):
            return names_of(self.arguments)
        return tuple(self.arguments) if isinstance(self.arguments, Mapping) else ()

    def annotations(self) -> ToolAnnotations | None:
        """See `Request`."""
        try:
            return None if self.entry is None else self.entry.tool.annotations
        except DragomanError:
            return None

    async def send(
        self,
        server: Server,
        timeout: float | None,
        on_progress: ProgressHandler | None,
        meta: Mapping[str, Any] | None,
    ) -> ToolResult:
        """See `Request`."""
        arguments = self.arguments
        if self.checked and not isinstance(arguments, Raw):
            return await server.call_tool(self.name, arguments, timeout=timeout, on_progress=on_progress, meta=meta)
        return await server.call_unchecked(self.name, arguments, timeout=timeout, on_progress=on_progress, meta=meta)


class _Reading(Struct):
    """The base of requests that read: of such a thing no server says how it may be repeated."""

    @property
    def argument_names(self) -> tuple[str, ...]:
        """See `Request`."""
        return ()

    def annotations(self) -> ToolAnnotations | None:
        """See `Request`."""
        return None


class ReadRequest(_Reading):
    """The reading of a resource; ``name`` is its URI."""

    method: ClassVar[str] = "resources/read"

    name: str

    async def send(
        self,
        server: Server,
        timeout: float | None,
        on_progress: ProgressHandler | None,
        meta: Mapping[str, Any] | None,
    ) -> ReadResult:
        """See `Request`."""
        return await server.read_resource(self.name, timeout=timeout, meta=meta)


class PromptRequest(_Reading):
    """The filling in of a prompt."""

    method: ClassVar[str] = "prompts/get"

    name: str
    arguments: Mapping[str, str] | None

    @property
    def argument_names(self) -> tuple[str, ...]:
        """See `Request`."""
        return tuple(self.arguments) if self.arguments else ()

    async def send(
        self,
        server: Server,
        timeout: float | None,
        on_progress: ProgressHandler | None,
        meta: Mapping[str, Any] | None,
    ) -> PromptResult:
        """See `Request`."""
        return await server.get_prompt(self.name, self.arguments, timeout=timeout, meta=meta)


class CompletionRequest(_Reading):
    """The wish for suggestions of an argument's value."""

    method: ClassVar[str] = "completion/complete"

    ref: PromptReference | ResourceReference
    argument: str
    value: str
    context: Mapping[str, str] | None

    @property
    def name(self) -> str:
        """See `Request`."""
        return self.ref.name if isinstance(self.ref, PromptReference) else self.ref.uri

    @property
    def argument_names(self) -> tuple[str, ...]:
        """See `Request`."""
        return (self.argument,)

    async def send(
        self,
        server: Server,
        timeout: float | None,
        on_progress: ProgressHandler | None,
        meta: Mapping[str, Any] | None,
    ) -> Completion:
        """See `Request`."""
        return await server.complete(
            self.ref, self.argument, self.value, context=self.context, timeout=timeout, meta=meta
        )
