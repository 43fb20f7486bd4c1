"""What servers ask of the client's side, and the answers: read whole, written as the protocol has it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import InvalidResult
from dragoman.protocol.content import ImageContent, TextContent, UnknownContent
from dragoman.protocol.interaction import (
    ElicitationRequest,
    ElicitationResult,
    Root,
    SamplingMessage,
    SamplingRequest,
    SamplingResult,
)
from dragoman.protocol.jsonrpc import encode
from dragoman.protocol.kept import decode
from tests.protocol.json_values import values, written

TEXT = {"type": "text", "text": "hello"}
IMAGE = {"type": "image", "data": "AAEC", "mimeType": "image/png"}


def message(content: object) -> SamplingMessage:
    """A message with that content."""
    return decode(SamplingMessage, json.dumps({"role": "user", "content": content}, indent=1).encode(), "a message")


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (TEXT, [TextContent]),
        ([], []),
        ([TEXT, IMAGE, {"type": "novel"}], [TextContent, ImageContent, UnknownContent]),
    ],
)
def test_a_message_s_content_is_a_list_in_either_form(content: object, kinds: list[type]) -> None:
    """Revisions before 2025-11-25 send one block, later ones may send several."""
    assert [type(block) for block in message(content).content] == kinds


@pytest.mark.parametrize("content", ["text", None, 5, [5], [{"type": "text"}], {"type": "image"}])
def test_broken_content_is_told_when_touched(content: object) -> None:
    """The message's role can be read all the same."""
    told = message(content)
    assert told.role == "user"
    with pytest.raises(InvalidResult):
        _ = told.content


def test_a_sampling_request_is_read_whole() -> None:
    """Every member that the schema has, and those that it has not."""
    data: dict[str, Any] = {
        "messages": [{"role": "user", "content": TEXT, "_meta": {"a": 1}}],
        "maxTokens": 9,
        "systemPrompt": "be brief",
        "temperature": 1,
        "stopSequences": ["."],
        "includeContext": "none",
        "modelPreferences": {"hints": [{"name": "a"}]},
        "tools": [{"name": "t", "inputSchema": {}}],
        "toolChoice": {"mode": "auto"},
        "metadata": {"b": 2},
        "novel": 3,
    }
    told = decode(SamplingRequest, json.dumps(data).encode(), "it")
    assert (told.max_tokens, told.system_prompt, told.temperature) == (9, "be brief", 1.0)
    assert (told.stop_sequences, told.include_context, told.tool_choice) == ((".",), "none", {"mode": "auto"})
    assert told.tools == ({"name": "t", "inputSchema": {}},)
    assert (told.metadata, told.extra) == ({"b": 2}, {"novel": 3})
    assert told.messages[0].extra == {"_meta": {"a": 1}}


@pytest.mark.parametrize(
    "data", [b"{}", b'{"messages":5}', b'{"messages":[5]}', b'{"messages":[{"role":"user"}]}', b"5"]
)
def test_a_sampling_request_that_does_not_fit_is_refused(data: bytes) -> None:
    """The handler never meets half a request."""
    with pytest.raises(InvalidResult):
        decode(SamplingRequest, data, "the sampling request")


def test_a_text_from_a_model_becomes_a_block() -> None:
    """A handler gives a string; the protocol wants content."""
    assert SamplingResult(model="m", content="hi").to_wire() == {
        "role": "assistant",
        "content": {"type": "text", "text": "hi"},
        "model": "m",
    }


@pytest.mark.parametrize("content", [IMAGE, [TEXT, IMAGE]])
def test_blocks_from_a_model_stay_as_they_are(content: Any) -> None:
    """One or several, in the protocol's own form."""
    told = SamplingResult(model="m", content=content, stop_reason="maxTokens", role="user").to_wire()
    assert told == {"role": "user", "content": content, "model": "m", "stopReason": "maxTokens"}


def test_a_question_without_a_mode_is_a_form() -> None:
    """Revision 2025-06-18 knew nothing else."""
    told = decode(ElicitationRequest, b'{"message":"Who?","requestedSchema":{"type":"object"},"novel":1}', "it")
    assert (told.mode, told.requested_schema, told.url, told.extra) == ("form", {"type": "object"}, None, {"novel": 1})


def test_a_question_may_be_a_page_or_something_new() -> None:
    """A mode that nobody knows is told to whoever answers, not lost."""
    told = decode(ElicitationRequest, b'{"message":"?","mode":"url","url":"https://a.b","elicitationId":"e"}', "it")
    assert (told.mode, told.url, told.elicitation_id) == ("url", "https://a.b", "e")
    assert decode(ElicitationRequest, b'{"message":"?","mode":"telepathy"}', "it").mode == "telepathy"


@given(st.binary() | values.flatmap(written))
def test_any_question_is_read_or_refused(data: bytes) -> None:
    """Whatever a server asks."""
    for kind in (SamplingRequest, ElicitationRequest):
        try:
            assert decode(kind, data, "it").raw == data
        except InvalidResult:
            continue


@pytest.mark.parametrize(
    ("result", "wire"),
    [
        (ElicitationResult("accept", {"a": [1]}), {"action": "accept", "content": {"a": [1]}}),
        (ElicitationResult("decline"), {"action": "decline"}),
        (ElicitationResult("cancel"), {"action": "cancel"}),
    ],
)
def test_a_person_s_answer_has_content_only_if_there_is_some(result: ElicitationResult, wire: object) -> None:
    """Null is not what the schema allows."""
    assert json.loads(encode(result)) == wire


def test_a_place_has_a_name_only_if_there_is_one() -> None:
    """Null is not what the schema allows."""
    assert json.loads(encode([Root("file:///a"), Root("file:///b", "B")])) == [
        {"uri": "file:///a"},
        {"uri": "file:///b", "name": "B"},
    ]
