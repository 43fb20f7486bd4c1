"""What servers tell of themselves: read where it is sound, refused entry by entry where it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from dragoman.errors import InvalidResult
from dragoman.protocol.content import ImageContent, TextContent
from dragoman.protocol.kept import Kept, decode
from dragoman.protocol.types import (
    Completion,
    LogMessage,
    Progress,
    Prompt,
    PromptArgument,
    PromptResult,
    ReadResult,
    Resource,
    ResourceTemplate,
    ServerCapabilities,
    ServerInfo,
    Tool,
)
from tests.protocol.json_values import objects, values, written


def given_as(value: object) -> bytes:
    """A value as bytes."""
    return json.dumps(value).encode()


def tool(**members: Any) -> Tool:
    """A tool that is listed with these members."""
    return decode(Tool, given_as({"name": "t", **members}), "a tool")


# Tools.


@given(objects.flatmap(written))
def test_a_tool_s_schemas_stay_bytes_until_touched(schema: bytes) -> None:
    """A listing of a thousand tools parses no schema."""
    listed = decode(Tool, b'{"name":"t","inputSchema": %b ,"outputSchema":%b}' % (schema, schema), "a tool")
    assert bytes(listed.input_schema_raw) == schema
    assert listed.input_schema == listed.output_schema == json.loads(schema)


@pytest.mark.parametrize("schema", [None, True, 5, "object", [1]])
def test_a_schema_that_is_no_object_hides_no_tool(schema: object) -> None:
    """Who asks gets an empty input schema, and no output schema."""
    listed = tool(inputSchema=schema, outputSchema=schema)
    assert (listed.name, listed.input_schema, listed.output_schema) == ("t", {}, None)


def test_a_tool_without_schemas_has_an_empty_one_and_none() -> None:
    """The specification demands an input schema; servers forget."""
    assert (tool().input_schema, tool().output_schema) == ({}, None)


def test_a_broken_schema_is_told_when_touched() -> None:
    """The tool is listed all the same, and its schema's fault names it."""
    listed = decode(Tool, b'{"name":"t","inputSchema":{"a":"\xff"},"outputSchema":{"a":1e999}}', "a tool")
    with pytest.raises(InvalidResult, match="the input schema of tool t"):
        _ = listed.input_schema
    with pytest.raises(InvalidResult, match="the output schema of tool t"):
        _ = listed.output_schema


def test_a_tool_s_hints_are_none_where_nothing_is_said() -> None:
    """What is not said is not false: the specification's defaults differ from hint to hint."""
    listed = tool(annotations={"readOnlyHint": True, "destructiveHint": False, "novel": 1})
    assert listed.annotations is not None
    assert listed.annotations.read_only_hint is True
    assert listed.annotations.destructive_hint is False
    assert (listed.annotations.idempotent_hint, listed.annotations.open_world_hint) == (None, None)
    assert listed.annotations.extra == {"novel": 1}


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        (Tool, "name"),
        (Prompt, "name"),
        (PromptArgument, "name"),
        (Resource, "uri"),
        (ResourceTemplate, "uriTemplate"),
        (Progress, "progress"),
        (Completion, "completion"),
        (ReadResult, "contents"),
    ],
)
def test_an_entry_without_what_it_needs_is_refused(kind: type[Kept], needed: str) -> None:
    """A tool without a name can't be called, so it is left out; null is no name."""
    for data in (b"{}", given_as({needed: None})):
        with pytest.raises(InvalidResult, match=needed):
            decode(kind, data, "the entry")


@pytest.mark.parametrize(
    "kind", [ServerInfo, ServerCapabilities, LogMessage, PromptResult], ids=lambda kind: kind.__name__
)
def test_what_a_server_says_of_itself_may_be_nothing(kind: type[Kept]) -> None:
    """Optional means optional, null included."""
    fields = [name for name in decode(kind, b"{}", "it").__struct_encode_fields__ if name != "$raw"]
    assert decode(kind, given_as(dict.fromkeys(fields)), "it").raw
    assert decode(kind, b"{}", "it").extra == {}


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (Prompt, {"name": "p", "arguments": None}),
        (Tool, {"name": "t", "title": None, "annotations": None, "icons": None, "execution": None, "_meta": None}),
        (Resource, {"uri": "a:b", "name": None, "size": None, "annotations": None}),
        (Resource, {"uri": "a:b", "size": 12.0}),
        (ReadResult, {"contents": [], "ttlMs": 60000.0, "cacheScope": None}),
    ],
)
def test_null_for_what_is_left_out_hides_no_entry(kind: type[Kept], members: dict[str, Any]) -> None:
    """Servers in some languages write every member they have a field for."""
    assert decode(kind, given_as(members), "the entry").raw == given_as(members)


# Prompts.


def test_a_prompt_lists_its_arguments() -> None:
    """Arguments are optional unless said otherwise."""
    data = {"name": "p", "arguments": [{"name": "a", "required": True, "novel": 1}, {"name": "b"}]}
    first, second = decode(Prompt, given_as(data), "a prompt").arguments
    assert (first.name, first.required, first.extra) == ("a", True, {"novel": 1})
    assert (second.name, second.required) == ("b", False)


def test_a_prompt_s_messages_come_in_order_with_their_content() -> None:
    """Content of every kind, read when it is looked at."""
    image = {"type": "image", "data": "AAEC", "mimeType": "image/png"}
    data = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}, {"role": "x", "content": image}]}
    result = decode(PromptResult, given_as(data), "a prompt")
    assert [message.role for message in result.messages] == ["user", "x"]
    assert [type(message.content) for message in result.messages] == [TextContent, ImageContent]


def test_a_broken_message_is_told_when_touched() -> None:
    """What the prompt says of itself can be read before."""
    result = decode(PromptResult, b'{"description":"d","messages":[{"role":"user"}]}', "a prompt")
    assert result.description == "d"
    with pytest.raises(InvalidResult, match="a prompt message"):
        _ = result.messages


# Reading, completing, telling.


def test_what_was_read_gives_its_parts_and_its_text() -> None:
    """Texts are joined by line ends; blobs have none."""
    data = {"contents": [{"uri": "a:1", "text": "one"}, {"uri": "a:2", "blob": "AAEC"}, {"uri": "a:3", "text": ""}]}
    result = decode(ReadResult, given_as(data), "it")
    assert result.text == "one\n"
    assert [part.decoded() for part in result.contents] == [b"one", b"\x00\x01\x02", b""]


def test_a_broken_part_is_told_when_touched() -> None:
    """How long the answer may be kept can be read before."""
    result = decode(ReadResult, b'{"contents":[{"text":"no uri"}],"ttlMs":5,"cacheScope":"public"}', "it")
    assert (result.ttl_ms, result.cache_scope) == (5, "public")
    with pytest.raises(InvalidResult, match="what a resource holds"):
        _ = result.contents


def test_a_completion_gives_its_values() -> None:
    """And how many there are besides, if the server says so."""
    result = decode(Completion, b'{"completion":{"values":["a","b"],"total":7,"hasMore":true,"novel":1}}', "it")
    assert (result.values, result.total, result.has_more) == (("a", "b"), 7, True)
    assert result.completion.extra == {"novel": 1}
    bare = decode(Completion, b'{"completion":{"values":[]}}', "it")
    assert (bare.values, bare.total, bare.has_more) == ((), None, False)


def test_progress_is_a_number_of_any_kind() -> None:
    """Whole or not, with a total or without."""
    told = decode(Progress, b'{"progressToken":1,"progress":1,"total":2.5,"message":"half"}', "it")
    assert (told.progress, told.total, told.message) == (1, 2.5, "half")


@given(values)
def test_a_log_line_carries_any_value(value: Any) -> None:
    """Text, objects, null: servers log what they have."""
    told = decode(LogMessage, given_as({"level": "novel", "logger": "db", "data": value}), "it")
    assert (told.level, told.logger, told.data) == ("novel", "db", value)


def test_capabilities_tell_what_is_offered_and_keep_the_unknown() -> None:
    """An empty object is an offer; absence and null are none."""
    told = decode(ServerCapabilities, b'{"tools":{},"prompts":null,"resources":{"subscribe":true},"novel":{}}', "it")
    assert (told.tools, told.prompts, told.resources, told.logging) == ({}, None, {"subscribe": True}, None)
    assert told.extra == {"novel": {}}
