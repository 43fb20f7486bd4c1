"""The result of a tool call: bytes, looked into only as far as someone asks.

Pure. Source: schema ``CallToolResult``.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from dragoman.errors import InvalidResult
from dragoman.protocol.content import Content, EmbeddedResource, TextContent, decode_content

__all__ = ["ToolResult", "result_type"]


class _Parts(Struct, rename="camel", gc=False):
    content: list[Raw] = []
    structured_content: Raw | UnsetType = UNSET
    is_error: bool = False


class _Type(Struct, rename="camel", gc=False):
    result_type: str | None = None


_parts_decoder: Final = msgspec.json.Decoder(_Parts)
_type_decoder: Final = msgspec.json.Decoder(_Type)
_any_decoder: Final = msgspec.json.Decoder()


def result_type(raw: Raw) -> str:
    """Give a result's ``resultType``; absent means ``complete``.

    Raises:
        InvalidResult: the result is no JSON object.
    """
    try:
        return _type_decoder.decode(raw).result_type or "complete"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidResult(f"the result does not fit the specification ({error})") from None


class ToolResult:
    """What a tool answered.

    ``raw`` is the protocol's result object exactly as it came; everything else is read from it on first use. Broken
    parts raise `InvalidResult` when they are touched, not before.
    """

    __slots__ = ("_content", "_parts", "_raw", "_structured")

    def __init__(self, raw: Raw | bytes) -> None:
        self._raw = raw if isinstance(raw, Raw) else Raw(raw)
        self._parts: _Parts | None = None
        self._content: list[Content] | None = None
        self._structured: Any = UNSET

    @property
    def raw(self) -> bytes:
        """The exact bytes of the result object."""
        return bytes(self._raw)

    @property
    def is_error(self) -> bool:
        """Whether the tool itself reports a failure (told in `content`)."""
        return self._seen().is_error

    @property
    def content(self) -> list[Content]:
        """The content blocks, unknown types included."""
        if self._content is None:
            self._content = [decode_content(block) for block in self._seen().content]
        return self._content

    @property
    def text(self) -> str:
        """All text there is, text of embedded resources included, joined by line ends."""
        pieces: list[str] = []
        for block in self.content:
            if isinstance(block, TextContent):
                pieces.append(block.text)
            elif isinstance(block, EmbeddedResource) and (text := block.resource.text) is not None:
                pieces.append(text)
        return pieces[0] if len(pieces) == 1 else "\n".join(pieces)

    @property
    def structured(self) -> Any:
        """``structuredContent`` as plain Python values; None if there is none."""
        if self._structured is UNSET:
            raw = self._seen().structured_content
            self._structured = None if raw is UNSET else _any_decoder.decode(raw)
        return self._structured

    @property
    def structured_raw(self) -> bytes | None:
        """The bytes of ``structuredContent``; None if there is none (JSON ``null`` is ``b"null"``)."""
        raw = self._seen().structured_content
        return None if raw is UNSET else bytes(raw)

    def _seen(self) -> _Parts:
        if self._parts is None:
            try:
                self._parts = _parts_decoder.decode(self._raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise InvalidResult(f"the tool's result does not fit the specification ({error})") from None
        return self._parts

    def __repr__(self) -> str:
        return f"<ToolResult {len(self.raw)} bytes>"
