"""The result of a tool call: bytes, looked into only as far as someone asks.

Pure. Source: schema ``CallToolResult``.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from dragoman.errors import InvalidResult
from dragoman.protocol.content import Content, EmbeddedResource, TextContent, decode_content
from dragoman.protocol.kept import Kept, decode, decode_any

__all__ = ["ToolResult", "result_type"]

_COMPLETE: Final = "complete"


class _Parts(Kept):
    content: list[Raw] = field(default_factory=list[Raw])
    structured_content: Raw | UnsetType = UNSET
    is_error: bool = False
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class _Type(Struct, rename="camel", gc=False):
    result_type: str | None = None


class _KeptType(Kept):
    result_type: str | None = None


_type_decoder: Final = msgspec.json.Decoder(_Type)


def result_type(raw: Raw) -> str:
    """Give a result's ``resultType``; absent means ``complete``.

    Raises:
        InvalidResult: the result is no JSON object.
    """
    try:
        told = _type_decoder.decode(raw).result_type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = decode(_KeptType, raw, "the result").result_type
    return _COMPLETE if told is None else told


class ToolResult:
    """What a tool answered.

    ``raw`` is the protocol's result object exactly as it came; everything else is read from it on first use. Broken
    parts raise `InvalidResult`, which names ``server``, when they are touched, not before.
    """

    __slots__ = ("_content", "_parts", "_raw", "_server", "_structured")

    def __init__(self, raw: Raw | bytes, server: str | None = None) -> None:
        self._raw = raw if isinstance(raw, Raw) else Raw(raw)
        self._server = server
        self._parts: _Parts | None = None
        self._content: list[Content] | None = None
        self._structured: Any = UNSET

    @property
    def raw(self) -> bytes:
        """The exact bytes of the result object."""
        return bytes(self._raw)

    @property
    def view(self) -> memoryview:
        """The exact bytes of the result object, without a copy."""
        return memoryview(self._raw)

    @property
    def is_error(self) -> bool:
        """Whether the tool itself reports a failure (told in `content`)."""
        return self._seen().is_error

    @property
    def content(self) -> list[Content]:
        """The content blocks, unknown types included."""
        if self._content is None:
            blocks = self._seen().content
            try:
                self._content = [decode_content(block) for block in blocks]
            except InvalidResult as error:
                raise self._named(error) from None
        return self._content

    @property
    def text(self) -> str:
        """All text there is, text of embedded resources included, joined by line ends."""
        pieces: list[str] = []
        for block in self.content:
            if isinstance(block, TextContent):
                pieces.append(block.text)
            elif isinstance(block, EmbeddedResource) and (text := self._text_of(block)) is not None:
                pieces.append(text)
        return pieces[0] if len(pieces) == 1 else "\n".join(pieces)

    @property
    def structured(self) -> Any:  # noqa: ANN401 - any JSON value; its shape is the tool's, and the caller knows it
        """``structuredContent`` as plain Python values; None if there is none (see `structured_raw`)."""
        if self._structured is UNSET:
            raw = self._seen().structured_content
            try:
                self._structured = None if raw is UNSET else decode_any(raw, "the structured content")
            except InvalidResult as error:
                raise self._named(error) from None
        return self._structured

    @property
    def structured_raw(self) -> bytes | None:
        """The bytes of ``structuredContent``; None if there is none (JSON ``null`` is ``b"null"``)."""
        raw = self._seen().structured_content
        return None if raw is UNSET else bytes(raw)

    @property
    def meta(self) -> dict[str, Any] | None:
        """The result's ``_meta``; None if there is none."""
        return self._seen().meta

    def _text_of(self, block: EmbeddedResource) -> str | None:
        try:
            return block.resource.text
        except InvalidResult as error:
            raise self._named(error) from None

    def _seen(self) -> _Parts:
        if self._parts is None:
            try:
                self._parts = decode(_Parts, self._raw, "the tool's result")
            except InvalidResult as error:
                raise self._named(error) from None
        return self._parts

    def _named(self, error: InvalidResult) -> InvalidResult:
        error.server = self._server
        return error

    def __repr__(self) -> str:
        return f"<ToolResult {len(self._raw)} bytes>"
