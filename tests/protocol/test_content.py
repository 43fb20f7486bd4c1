"""Content blocks: each known type is read, each unknown one kept, and each broken one refused alone."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from dragoman.errors import InvalidResult
from dragoman.protocol.content import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    ResourceContents,
    ResourceLink,
    TextContent,
    ToolResultContent,
    ToolUseContent,
    UnknownContent,
    decode_content,
)
from dragoman.protocol.kept import Kept, decode
from tests.protocol.json_values import objects, values, written

BLOCKS: list[tuple[dict[str, Any], type[Kept]]] = [
    ({"type": "text", "text": "hello"}, TextContent),
    ({"type": "image", "data": "AAEC", "mimeType": "image/png"}, ImageContent),
    ({"type": "audio", "data": "AAEC", "mimeType": "audio/wav"}, AudioContent),
    ({"type": "resource", "resource": {"uri": "file:///a", "text": "a"}}, EmbeddedResource),
    ({"type": "resource_link", "uri": "file:///a", "name": "a"}, ResourceLink),
    ({"type": "tool_use", "id": "1", "name": "t", "input": {}}, ToolUseContent),
    ({"type": "tool_result", "toolUseId": "1", "content": []}, ToolResultContent),
]
NEEDED = [(block, name) for block, _ in BLOCKS for name in block if name not in ("type", "content", "name")]


def given_as(block: object) -> bytes:
    """A block as bytes."""
    return json.dumps(block).encode()


@pytest.mark.parametrize(("block", "kind"), BLOCKS)
def test_each_type_of_block_is_a_value_of_its_own(block: dict[str, Any], kind: type[Kept]) -> None:
    """The ``type`` member tells the kind; bytes, metadata and unknown members stay."""
    data = given_as({**block, "_meta": {"a": 1}, "novel": [2]})
    value = decode_content(Raw(data))
    assert type(value) is kind
    assert (value.raw, value.extra) == (data, {"novel": [2]})
    assert (getattr(value, "meta", None), getattr(value, "type", None)) == ({"a": 1}, block["type"])


@pytest.mark.parametrize(("block", "name"), NEEDED, ids=lambda part: part if isinstance(part, str) else part["type"])
def test_a_block_without_what_its_type_needs_is_refused(block: dict[str, Any], name: str) -> None:
    """The error names the type."""
    lacking = {member: value for member, value in block.items() if member != name}
    with pytest.raises(InvalidResult, match=f"a content block of type {block['type']}"):
        decode_content(given_as(lacking))


@given(st.text().filter(lambda name: name not in {block["type"] for block, _ in BLOCKS}), objects)
def test_a_block_of_an_unknown_type_is_kept_whole(name: str, members: dict[str, Any]) -> None:
    """Tomorrow's content passes through today's client."""
    block = {**members, "type": name}
    value = decode_content(given_as(block))
    assert isinstance(value, UnknownContent)
    assert (value.type, value.data, value.raw) == (name, block, given_as(block))
    assert value.extra == {member: held for member, held in block.items() if member != "type"}


def test_a_block_without_a_type_is_an_unknown_one() -> None:
    """Nothing is guessed."""
    value = decode_content(b'{"text":"hello"}')
    assert isinstance(value, UnknownContent)
    assert (value.type, value.data) == ("", {"text": "hello"})


@given(st.binary() | values.flatmap(written) | objects.map(lambda block: given_as({**block, "type": "text"})))
def test_anything_is_a_block_or_an_invalid_result(data: bytes) -> None:
    """The list of a result's content holds whatever the server put there."""
    try:
        assert decode_content(data).raw == data
    except InvalidResult:
        return


# Data within blocks.


@given(st.binary())
def test_a_picture_a_sound_and_a_blob_give_their_bytes(data: bytes) -> None:
    """What was encoded comes out, in one line or broken as mail programs do."""
    for text in (base64.b64encode(data).decode(), base64.encodebytes(data).decode()):
        for value in (
            decode(ImageContent, given_as({"data": text, "mimeType": "image/png"}), "it"),
            decode(AudioContent, given_as({"data": text, "mimeType": "audio/wav"}), "it"),
            decode(ResourceContents, given_as({"uri": "file:///a", "blob": text}), "it"),
        ):
            assert value.decoded() == data


@pytest.mark.parametrize("text", ["A", "AA=A", "*", "AAEC\u00e9", "A A E C", "data:image/png;base64,AAEC"])
def test_data_that_is_not_base64_is_told_when_it_is_asked_for(text: str) -> None:
    """The block itself can be read; only its bytes can't."""
    image = decode_content(given_as({"type": "image", "data": text, "mimeType": "image/png"}))
    assert isinstance(image, ImageContent)
    with pytest.raises(InvalidResult, match="the data of an image is not base64"):
        image.decoded()
    with pytest.raises(InvalidResult, match="the data of resource file:///a is not base64"):
        decode(ResourceContents, given_as({"uri": "file:///a", "blob": text}), "it").decoded()


@given(st.text())
def test_a_text_resource_gives_its_text_as_utf_8(text: str) -> None:
    """Bytes can be asked of every resource."""
    assert decode(ResourceContents, given_as({"uri": "a:b", "text": text}), "it").decoded() == text.encode()


def test_a_resource_without_text_or_blob_is_empty() -> None:
    """Some servers leave both out for an empty file."""
    assert decode(ResourceContents, b'{"uri":"a:b"}', "it").decoded() == b""


def test_an_embedded_resource_keeps_what_it_holds() -> None:
    """Its own metadata and bytes, at the second level too."""
    data = b'{"type":"resource","resource":{"uri":"ui://a", "text":"<p>", "_meta":{"ui":1}, "novel":2}}'
    value = decode_content(data)
    assert isinstance(value, EmbeddedResource)
    assert (value.resource.meta, value.resource.extra) == ({"ui": 1}, {"novel": 2})
    assert value.resource.raw == data[30:-1]


def test_a_broken_embedded_resource_is_refused_when_touched() -> None:
    """The block is there; what it holds is not."""
    value = decode_content(b'{"type":"resource","resource":{"text":"no uri"}}')
    assert isinstance(value, EmbeddedResource)
    with pytest.raises(InvalidResult, match="an embedded resource"):
        _ = value.resource


def test_the_icons_of_a_link_keep_their_unknown_members() -> None:
    """Parts of a block are whole."""
    value = decode_content(b'{"type":"resource_link","uri":"a:b","icons":[{"src":"data:,", "sizes":"any","novel":1}]}')
    assert isinstance(value, ResourceLink)
    assert value.icons is not None
    assert (value.icons[0].sizes, value.icons[0].extra) == ("any", {"novel": 1})
