"""What servers tell of themselves: identity, capabilities, tools, resources, prompts, completions, log lines.

Pure values, decoded one by one, so that one broken entry never hides the others. Schemas stay bytes until touched.
Source: schema 2026-07-28 and 2025-11-25.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Raw, Struct, UnsetType, field

from dragoman.protocol.content import Content, Icon, ResourceContents, decode_content
from dragoman.protocol.kept import Kept, decode, decode_object

__all__ = [
    "Annotations",
    "Completion",
    "LogLevel",
    "LogMessage",
    "Page",
    "Progress",
    "Prompt",
    "PromptArgument",
    "PromptMessage",
    "PromptReference",
    "PromptResult",
    "ReadResult",
    "Resource",
    "ResourceReference",
    "ResourceTemplate",
    "ServerCapabilities",
    "ServerInfo",
    "Tool",
    "ToolAnnotations",
]

LogLevel: TypeAlias = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class ServerInfo(Kept):
    """A server's own word on what it is. Not verified by anyone."""

    name: str = ""
    version: str = ""
    title: str | None = None
    description: str | None = None
    website_url: str | None = None
    icons: tuple[Icon, ...] | None = None


class ServerCapabilities(Kept):
    """What the server offers; None means not offered. Each value is the capability's settings object."""

    tools: dict[str, Any] | None = None
    resources: dict[str, Any] | None = None
    prompts: dict[str, Any] | None = None
    completions: dict[str, Any] | None = None
    logging: dict[str, Any] | None = None
    tasks: dict[str, Any] | None = None
    experimental: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


class Annotations(Kept):
    """For whom something is meant (``audience``), and how much it matters (``priority``, 0 to 1)."""

    audience: tuple[str, ...] | None = None
    priority: float | None = None
    last_modified: str | None = None


class ToolAnnotations(Kept):
    """Hints on what a tool does. They are the server's own words: never trust them for safety."""

    title: str | None = None
    read_only_hint: bool | None = None
    destructive_hint: bool | None = None
    idempotent_hint: bool | None = None
    open_world_hint: bool | None = None


class Tool(Kept):
    """A tool as its server lists it."""

    name: str
    title: str | None = None
    description: str | None = None
    annotations: ToolAnnotations | None = None
    icons: tuple[Icon, ...] | None = None
    execution: dict[str, Any] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")
    input_schema_raw: Raw = field(default=Raw(b"{}"), name="inputSchema")
    output_schema_raw: Raw | UnsetType = field(default=UNSET, name="outputSchema")

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments; an empty object if the server sent something else."""
        return decode_object(self.input_schema_raw, f"the input schema of tool {self.name}") or {}

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of ``structuredContent``; None if the tool promises none."""
        if self.output_schema_raw is UNSET:
            return None
        return decode_object(self.output_schema_raw, f"the output schema of tool {self.name}")


class Resource(Kept):
    """A resource as its server lists it. ``size`` is in bytes."""

    uri: str
    name: str = ""
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    annotations: Annotations | None = None
    icons: tuple[Icon, ...] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class ResourceTemplate(Kept):
    """A family of resources; ``uri_template`` is an RFC 6570 template."""

    uri_template: str
    name: str = ""
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    annotations: Annotations | None = None
    icons: tuple[Icon, ...] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class PromptArgument(Kept):
    """One argument of a prompt; its value is always text."""

    name: str
    title: str | None = None
    description: str | None = None
    required: bool = False


class Prompt(Kept):
    """A prompt as its server lists it."""

    name: str
    title: str | None = None
    description: str | None = None
    arguments: tuple[PromptArgument, ...] = ()
    icons: tuple[Icon, ...] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class PromptMessage(Kept):
    """One message of a prompt."""

    role: str
    content_raw: Raw = field(name="content")

    @property
    def content(self) -> Content:
        """What is said."""
        return decode_content(self.content_raw)


class PromptResult(Kept):
    """A prompt with its arguments filled in."""

    description: str | None = None
    messages_raw: tuple[Raw, ...] = field(default=(), name="messages")

    @property
    def messages(self) -> list[PromptMessage]:
        """The messages in order."""
        return [decode(PromptMessage, raw, "a prompt message") for raw in self.messages_raw]


class ReadResult(Kept):
    """What reading a resource gave. ``ttl_ms`` and ``cache_scope`` tell how long and for whom it may be kept."""

    contents_raw: tuple[Raw, ...] = field(name="contents")
    ttl_ms: int | None = None
    cache_scope: str | None = None

    @property
    def contents(self) -> list[ResourceContents]:
        """The parts in order; most resources have one."""
        return [decode(ResourceContents, raw, "what a resource holds") for raw in self.contents_raw]

    @property
    def text(self) -> str:
        """All text parts, one after the other."""
        return "\n".join(part.text for part in self.contents if part.text is not None)


class _CompletionValues(Kept):
    values: tuple[str, ...] = ()
    total: int | None = None
    has_more: bool = False


class Completion(Kept):
    """Suggestions for an argument's value, at most 100. ``total`` counts all there are, if the server knows."""

    completion: _CompletionValues

    @property
    def values(self) -> tuple[str, ...]:
        """The suggestions, best first."""
        return self.completion.values

    @property
    def total(self) -> int | None:
        """How many there are in all."""
        return self.completion.total

    @property
    def has_more(self) -> bool:
        """Whether there are more than these."""
        return self.completion.has_more


class PromptReference(Struct, frozen=True):
    """Completes an argument of the prompt ``name``."""

    name: str


class ResourceReference(Struct, frozen=True):
    """Completes a variable of the resource template ``uri``."""

    uri: str


class Progress(Kept):
    """How far a request is: ``progress`` of ``total``, in the server's own unit."""

    progress: float
    total: float | None = None
    message: str | None = None


class LogMessage(Kept):
    """A server's log line; ``data`` is any JSON value."""

    level: str = "info"
    logger: str | None = None
    data: Any = None


T = TypeVar("T")


class Page(Struct, Generic[T]):
    """A whole listing: ``items``, what was wrong with entries left out, and how long it may be kept (milliseconds).

    ``left_out`` counts these entries; of very many, not each has its line in ``problems``.
    """

    items: list[T]
    problems: list[str]
    left_out: int = 0
    ttl_ms: int | None = None
    cache_scope: str | None = None
