"""A tool's result: exact bytes, looked into only as far as someone asks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from dragoman.errors import InvalidResult
from dragoman.protocol.content import ImageContent, TextContent, UnknownContent
from dragoman.protocol.results import ToolResult, result_type
from tests.protocol.json_values import objects, values, written


def result(**members: Any) -> ToolResult:
    """A result with these members."""
    return ToolResult(json.dumps(members).encode())


@given(objects.flatmap(written))
def test_the_bytes_of_a_result_are_exact(data: bytes) -> None:
    """They are those that came, whether or not anyone can read them."""
    assert ToolResult(data).raw == data
    assert ToolResult(Raw(data)).raw == data


@given(st.binary())
def test_a_result_of_any_bytes_can_be_made(data: bytes) -> None:
    """Nothing is looked at before someone asks; then it is readable or an InvalidResult that names the server."""
    told = ToolResult(data, "files")
    assert told.raw == data
    for name in ("content", "text", "structured", "structured_raw", "is_error", "meta"):
        try:
            getattr(told, name)
        except InvalidResult as error:
            assert error.server == "files"  # noqa: PT017 - either outcome is right


def test_the_texts_of_a_result_are_joined() -> None:
    """Texts of embedded resources count; other content has none."""
    blocks = [
        {"type": "text", "text": "one"},
        {"type": "image", "data": "AAEC", "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": "a:b", "text": "two"}},
        {"type": "resource", "resource": {"uri": "a:b", "blob": "AAEC"}},
        {"type": "novel", "text": "not this"},
        {"type": "text", "text": "three"},
    ]
    told = result(content=blocks)
    assert told.text == "one\ntwo\nthree"
    assert [type(block) for block in told.content][:2] == [TextContent, ImageContent]
    assert isinstance(told.content[4], UnknownContent)


@given(st.lists(st.text()))
def test_any_texts_come_out_as_they_are(texts: list[str]) -> None:
    """Nothing is trimmed, and one text alone is not touched."""
    assert result(content=[{"type": "text", "text": text} for text in texts]).text == "\n".join(texts)


@given(values)
def test_structured_content_is_any_json_value(value: Any) -> None:
    """Null is a value: its bytes tell it from absence."""
    told = result(content=[], structuredContent=value)
    assert told.structured == value
    assert told.structured_raw == json.dumps(value).encode()


def test_absent_structured_content_is_told_from_null() -> None:
    """Both are None in Python; only null has bytes."""
    assert (result(content=[]).structured, result(content=[]).structured_raw) == (None, None)
    assert (result(structuredContent=None).structured, result(structuredContent=None).structured_raw) == (None, b"null")


def test_values_are_read_once() -> None:
    """Asking twice gives the same objects."""
    told = result(content=[{"type": "text", "text": "a"}], structuredContent={"a": [1]})
    assert told.content is told.content
    assert told.structured is told.structured


@pytest.mark.parametrize(
    ("members", "failed"),
    [({}, False), ({"isError": True}, True), ({"isError": False}, False), ({"isError": None}, False)],
)
def test_a_failure_of_the_tool_is_told(members: dict[str, Any], *, failed: bool) -> None:
    """It is a result, not an exception; what is not said is no failure."""
    assert result(**members).is_error is failed


def test_a_result_of_nulls_is_an_empty_one() -> None:
    """Servers in some languages write every member they have a field for."""
    told = result(content=None, isError=None, _meta=None)
    assert (told.content, told.text, told.is_error, told.meta) == ([], "", False, None)


def test_metadata_is_given() -> None:
    """What extensions put there is at hand."""
    assert result(_meta={"a.example/b": [1]}).meta == {"a.example/b": [1]}


@pytest.mark.parametrize(
    "data",
    [b"[]", b"null", b'"text"', b"5", b"{", b'{"content":{}}', b'{"content":"text"}', b'{"isError":"yes"}'],
)
def test_a_result_that_does_not_fit_is_refused_when_touched(data: bytes) -> None:
    """The bytes stay at hand for whoever wants to see."""
    told = ToolResult(data, "files")
    for name in ("content", "is_error", "structured", "text"):
        with pytest.raises(InvalidResult, match="files: the tool's result does not fit"):
            getattr(told, name)
    assert told.raw == data


def test_one_broken_part_costs_only_itself() -> None:
    """A block that can't be read leaves the structured content readable, and the other way round."""
    told = ToolResult(b'{"content":[{"type":"text"}],"structuredContent":{"a":1},"isError":true}', "files")
    assert (told.structured, told.is_error) == ({"a": 1}, True)
    with pytest.raises(InvalidResult, match="files: a content block of type text"):
        _ = told.content
    other = ToolResult(b'{"content":[{"type":"text","text":"fine"}],"structuredContent":{"a":1e999}}', "files")
    assert other.text == "fine"
    with pytest.raises(InvalidResult, match="files: the structured content is not valid JSON"):
        _ = other.structured


@pytest.mark.parametrize("touched", ["content", "text"])
def test_invalid_utf_8_in_a_text_is_told_when_touched(touched: str) -> None:
    """Nobody sees garbled text; the rest can still be read."""
    told = ToolResult(b'{"content":[{"type":"text","text":"caf\xe9"}],"structuredContent":"\xff"}')
    with pytest.raises(InvalidResult, match="utf-8"):
        getattr(told, touched)
    with pytest.raises(InvalidResult, match="utf-8"):
        _ = told.structured
    assert told.is_error is False


def test_half_an_emoji_is_replaced() -> None:
    """A text that JavaScript cut in two is readable up to there."""
    told = ToolResult(rb'{"content":[{"type":"text","text":"so far \ud83d"}],"structuredContent":["\ude00"]}')
    assert (told.text, told.structured) == ("so far \ufffd", ["\ufffd"])


def test_a_broken_embedded_resource_names_the_server_through_the_text() -> None:
    """Whoever asks for the text learns whose fault it is."""
    told = ToolResult(b'{"content":[{"type":"resource","resource":{}}]}', "files")
    with pytest.raises(InvalidResult, match="files: an embedded resource"):
        _ = told.text


def test_the_text_of_a_result_for_debuggers_is_short() -> None:
    """A hundred megabytes are not printed by accident."""
    assert repr(ToolResult(b"x" * 1_000_000)) == "<ToolResult 1000000 bytes>"


# The result's type.


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", "complete"),
        (b'{"resultType":null}', "complete"),
        (b'{"resultType":"complete"}', "complete"),
        (b'{"content":[{"resultType":"no"}],"resultType":"task"}', "task"),
        (b'{"resultType":"riddle"}', "riddle"),
        (b'{"resultType":""}', ""),
        (rb'{"resultType":"\ud83d"}', "\ufffd"),
    ],
)
def test_the_type_of_a_result_is_read(data: bytes, kind: str) -> None:
    """Absent means complete; an empty one is an unknown one."""
    assert result_type(Raw(data)) == kind


@pytest.mark.parametrize("data", [b"[]", b"null", b"5", b'"a"', b'{"resultType":5}', b'{"resultType":{}}', b"{"])
def test_a_result_without_a_readable_type_is_refused(data: bytes) -> None:
    """Nothing is done with what can't be told."""
    with pytest.raises(InvalidResult, match="the result does not fit the specification"):
        result_type(Raw(data))


@given(objects)
def test_any_object_has_a_type(members: dict[str, Any]) -> None:
    """The type does not depend on the other members."""
    kind = members.get("resultType", "complete")
    if kind is None or isinstance(kind, str):
        assert result_type(Raw(json.dumps(members).encode())) == ("complete" if kind is None else kind)
