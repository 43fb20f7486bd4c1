"""What tools, prompts and models say: content blocks, of known and of unknown types.

Pure. A block of a type that this client has never heard of becomes `UnknownContent`, never an error.
Source: schema ``ContentBlock``, ``SamplingMessageContentBlock``, ``ResourceContents``.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct, field

from dragoman.errors import InvalidResult
from dragoman.protocol.kept import Kept, decode, decode_any

__all__ = [
    "AudioContent",
    "Content",
    "EmbeddedResource",
    "Icon",
    "ImageContent",
    "ResourceContents",
    "ResourceLink",
    "TextContent",
    "ToolResultContent",
    "ToolUseContent",
    "UnknownContent",
    "decode_content",
]


class Icon(Kept):
    """A picture for a server, tool, prompt or resource. ``src`` is an address: https or data ones only are safe."""

    src: str
    mime_type: str | None = None
    sizes: tuple[str, ...] | str | None = None
    theme: str | None = None


class TextContent(Kept):
    """Text."""

    text: str
    type: Literal["text"] = "text"
    annotations: dict[str, Any] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class ImageContent(Kept):
    """A picture. ``data`` is base64 text."""

    data: str
    mime_type: str
    type: Literal["image"] = "image"
    annotations: dict[str, Any] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")

    def decoded(self) -> bytes:
        """Give the bytes of the picture.

        Raises:
            InvalidResult: ``data`` is not base64.
        """
        return _from_base64(self.data, "an image")


class AudioContent(Kept):
    """Sound. ``data`` is base64 text."""

    data: str
    mime_type: str
    type: Literal["audio"] = "audio"
    annotations: dict[str, Any] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")

    def decoded(self) -> bytes:
        """Give the bytes of the sound.

        Raises:
            InvalidResult: ``data`` is not base64.
        """
        return _from_base64(self.data, "a sound")


class ResourceContents(Kept):
    """What a resource holds: ``text`` or, as base64 text, ``blob``."""

    uri: str
    mime_type: str | None = None
    text: str | None = None
    blob: str | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")

    def decoded(self) -> bytes:
        """Give the bytes: the blob's, or the text's in UTF-8.

        Raises:
            InvalidResult: ``blob`` is not base64.
        """
        if self.blob is not None:
            return _from_base64(self.blob, f"resource {self.uri}")
        return (self.text or "").encode()


class EmbeddedResource(Kept):
    """A resource within an answer."""

    resource_raw: Raw = field(name="resource")
    type: Literal["resource"] = "resource"
    annotations: dict[str, Any] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")

    @property
    def resource(self) -> ResourceContents:
        """The resource."""
        return decode(ResourceContents, self.resource_raw, "an embedded resource")


class ResourceLink(Kept):
    """The address of a resource that can be read."""

    uri: str
    name: str = ""
    type: Literal["resource_link"] = "resource_link"
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    annotations: dict[str, Any] | None = None
    icons: tuple[Icon, ...] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class ToolUseContent(Kept):
    """A model's wish to use a tool (in sampling)."""

    id: str
    name: str
    input: dict[str, Any]
    type: Literal["tool_use"] = "tool_use"
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class ToolResultContent(Kept):
    """A tool's answer told to a model (in sampling)."""

    tool_use_id: str
    content: tuple[Any, ...] = ()
    type: Literal["tool_result"] = "tool_result"
    structured_content: Any = None
    is_error: bool = False
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class UnknownContent(Kept):
    """A block of a type that this client does not know, kept whole in ``data``."""

    type: str = ""
    data: dict[str, Any] = field(default_factory=dict[str, Any], name="$data")


Content: TypeAlias = (
    TextContent
    | ImageContent
    | AudioContent
    | EmbeddedResource
    | ResourceLink
    | ToolUseContent
    | ToolResultContent
    | UnknownContent
)

_KINDS: Final[dict[str, type[Any]]] = {
    "text": TextContent,
    "image": ImageContent,
    "audio": AudioContent,
    "resource": EmbeddedResource,
    "resource_link": ResourceLink,
    "tool_use": ToolUseContent,
    "tool_result": ToolResultContent,
}


class _Tag(Struct, gc=False):
    type: str = ""


class _KeptTag(Kept):
    type: str = ""


_tag_decoder: Final = msgspec.json.Decoder(_Tag)


def decode_content(raw: Raw | bytes) -> Content:
    """Give one content block.

    Raises:
        InvalidResult: a block of a known type lacks what the type needs.
    """
    try:
        tag = _tag_decoder.decode(raw).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        tag = decode(_KeptTag, raw, "a content block").type
    kind = _KINDS.get(tag)
    if kind is not None:
        return decode(kind, raw, f"a content block of type {tag}")
    unknown = UnknownContent(type=tag, data=decode_any(raw, "a content block"))
    unknown.raw_json = raw if isinstance(raw, Raw) else Raw(raw)
    return unknown


def _from_base64(text: str, what: str) -> bytes:
    try:
        # Encoders for mail break their lines.
        return base64.b64decode("".join(text.split()) if "\n" in text else text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidResult(f"the data of {what} is not base64") from None
