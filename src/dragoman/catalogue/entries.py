"""The entries of a catalogue: one tool, resource, template or prompt of one server.

An entry holds its JSON as it came and is decoded when somebody looks: of ten thousand, most are only named.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from dragoman.catalogue.names import full_name, model_name
from dragoman.catalogue.templates import Template
from dragoman.errors import InvalidResult
from dragoman.protocol.jsonrpc import encode, printable
from dragoman.protocol.kept import Kept, decode
from dragoman.protocol.types import Prompt, Resource, ResourceTemplate, Tool

if TYPE_CHECKING:
    from dragoman.schema.validation import Problem, Validator

__all__ = ["Entry", "PromptEntry", "ResourceEntry", "Standing", "TemplateEntry", "ToolEntry", "key_reader"]

log: Final = logging.getLogger("dragoman")

K = TypeVar("K", bound=Kept)


class Standing(Struct, eq=False):
    """How far a listing can be trusted now. All entries of one listing share it.

    ``away``: its server can't be asked. ``expires_at`` is in seconds since the epoch (None: no end is known).
    """

    clock: Callable[[], float]
    away: bool = False
    fetched_at: float = 0.0
    expires_at: float | None = None

    @property
    def stale(self) -> bool:
        """Whether the server is away, or the listing past its lifetime (or from a future that a wrong clock made)."""
        return self.away or (self.expires_at is not None and not self.fetched_at <= self.clock() < self.expires_at)


class Entry(Struct, eq=False):
    """The base of all entries. ``key`` is what its server knows it by: a name, a URI or a URI template."""

    server: str
    key: str
    raw: bytes
    standing: Standing

    @property
    def stale(self) -> bool:
        """Whether what it tells may be outdated."""
        return self.standing.stale

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.server!r}, {self.key!r})"


class ToolEntry(Entry, eq=False):
    """A tool of a server. ``full_name`` is ``server.tool``."""

    full_name: str = ""
    _model_name: str = ""
    _tool: Tool | None = None
    _checks: bool | None = None
    _validator: Validator | None = None

    def __post_init__(self) -> None:
        self.full_name = full_name(self.server, self.key)

    @property
    def name(self) -> str:
        """Its name on its server."""
        return self.key

    @property
    def model_name(self) -> str:
        """Its name for models."""
        if not self._model_name:
            self._model_name = model_name(self.server, self.key)
        return self._model_name

    @property
    def tool(self) -> Tool:
        """All that its server tells of it.

        Raises:
            InvalidResult: its JSON is no tool.
        """
        if self._tool is None:
            self._tool = decode(Tool, self.raw, f"the tool {printable(self.full_name)}")
        return self._tool

    @property
    def description(self) -> str:
        """What it does, in its server's words; empty if it does not say."""
        return self.tool.description or ""

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of its arguments."""
        return self.tool.input_schema

    def arguments_problem(self, arguments: Mapping[str, Any] | Raw | None) -> Problem | None:
        """Give the first thing about the arguments that does not fit the tool's input schema, or None.

        A schema that can't be used is logged once and not held against the call. Arguments that would take too long to
        check pass, and so do those that can't be written as JSON: the call itself tells that better.
        """
        if self._checks is None:
            self._compile()
        if self._validator is None:
            return None
        # Checked as they will be sent, since a date or an object of the caller's own becomes a text on the way.
        try:
            return self._validator.problem(encode(arguments or {}))
        except (InvalidResult, TypeError, ValueError, RecursionError) as error:
            log.debug("%s: arguments are not checked: %s", printable(self.full_name), printable(str(error)))
            return None

    def _compile(self) -> None:
        from dragoman.schema.validation import Validator  # late: it brings a library that few need

        self._checks = False
        try:
            schema = bytes(self.tool.input_schema_raw)
            if schema != b"{}":
                self._validator = Validator(schema)
                self._checks = True
        except InvalidResult as error:
            log.warning("%s: its arguments are not checked: %s", printable(self.full_name), printable(error.what))


class ResourceEntry(Entry, eq=False):
    """A resource of a server."""

    _resource: Resource | None = None

    @property
    def uri(self) -> str:
        """Its URI."""
        return self.key

    @property
    def resource(self) -> Resource:
        """All that its server tells of it.

        Raises:
            InvalidResult: its JSON is no resource.
        """
        if self._resource is None:
            self._resource = decode(Resource, self.raw, f"the resource {printable(self.key)}")
        return self._resource


class TemplateEntry(Entry, eq=False):
    """A resource template of a server."""

    _template: ResourceTemplate | None = None
    _pattern: Template | None = None

    @property
    def uri_template(self) -> str:
        """Its URI template (RFC 6570)."""
        return self.key

    @property
    def template(self) -> ResourceTemplate:
        """All that its server tells of it.

        Raises:
            InvalidResult: its JSON is no resource template.
        """
        if self._template is None:
            self._template = decode(ResourceTemplate, self.raw, f"the template {printable(self.key)}")
        return self._template

    @property
    def pattern(self) -> Template:
        """Its URI template, ready to be held against URIs."""
        if self._pattern is None:
            self._pattern = Template(self.key)
        return self._pattern


class PromptEntry(Entry, eq=False):
    """A prompt of a server. ``full_name`` is ``server.prompt``."""

    full_name: str = ""
    _prompt: Prompt | None = None

    def __post_init__(self) -> None:
        self.full_name = full_name(self.server, self.key)

    @property
    def name(self) -> str:
        """Its name on its server."""
        return self.key

    @property
    def prompt(self) -> Prompt:
        """All that its server tells of it.

        Raises:
            InvalidResult: its JSON is no prompt.
        """
        if self._prompt is None:
            self._prompt = decode(Prompt, self.raw, f"the prompt {printable(self.full_name)}")
        return self._prompt


class _Named(Kept):
    key: str = msgspec.field(name="name")


class _Located(Kept):
    key: str = msgspec.field(name="uri")


class _Templated(Kept):
    key: str = msgspec.field(name="uriTemplate")


_KEYS: Final[dict[type[Entry], type[_Named | _Located | _Templated]]] = {
    ToolEntry: _Named,
    PromptEntry: _Named,
    ResourceEntry: _Located,
    TemplateEntry: _Templated,
}


def key_reader(kind: type[Entry]) -> Callable[[bytes], str | None]:
    """Give the function that reads the key of such an entry from its JSON, and None from what has none."""
    shape = _KEYS[kind]
    quick = msgspec.json.Decoder(shape).decode

    def read(raw: bytes) -> str | None:
        try:
            return quick(raw).key
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            try:
                return decode(shape, raw, "an entry").key  # mends what some languages write
            except InvalidResult:
                return None

    return read
