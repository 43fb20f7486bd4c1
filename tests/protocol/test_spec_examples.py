"""The decoders against the specification's own examples: every one is taken, and nothing in it is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from msgspec import UNSET, Raw, structs

from dragoman.protocol import content, jsonrpc, kept, types
from dragoman.protocol.changes import (
    Change,
    ChangeFilter,
    PromptsChanged,
    ResourcesChanged,
    ResourceUpdated,
    ToolsChanged,
    read_change,
)
from dragoman.protocol.input_required import InputRequest, InputRequired, read_input_required
from dragoman.protocol.interaction import ElicitationRequest, SamplingMessage, SamplingRequest
from dragoman.protocol.kept import Kept
from dragoman.protocol.lifecycle import DiscoverResult, InitializeResult, supported_versions
from dragoman.protocol.results import ToolResult, result_type
from dragoman.protocol.tasks import CreatedTask, Task
from tests import spec

NEWEST = "2026-07-28"
EXAMPLES = [(kind, name) for kind in spec.kinds() for name in spec.examples(kind)]

VALUES: dict[str, type[Kept]] = {
    "BlobResourceContents": content.ResourceContents,
    "CompleteResult": types.Completion,
    "CreateMessageRequestParams": SamplingRequest,
    "DiscoverResult": DiscoverResult,
    "ElicitRequestFormParams": ElicitationRequest,
    "ElicitRequestURLParams": ElicitationRequest,
    "GetPromptResult": types.PromptResult,
    "InputRequiredResult": InputRequired,
    "LoggingMessageNotificationParams": types.LogMessage,
    "ProgressNotificationParams": types.Progress,
    "ReadResourceResult": types.ReadResult,
    "Resource": types.Resource,
    "SamplingMessage": SamplingMessage,
    "ServerCapabilities": types.ServerCapabilities,
    "TextResourceContents": content.ResourceContents,
    "Tool": types.Tool,
}
"""What is decoded to a value of a fixed kind."""

BLOCKS: dict[str, type[Kept]] = {
    "AudioContent": content.AudioContent,
    "EmbeddedResource": content.EmbeddedResource,
    "ImageContent": content.ImageContent,
    "ResourceLink": content.ResourceLink,
    "TextContent": content.TextContent,
    "ToolResultContent": content.ToolResultContent,
    "ToolUseContent": content.ToolUseContent,
}
"""Content blocks: their own ``type`` tells the kind."""

LISTINGS: dict[str, tuple[str, type[Kept]]] = {
    "ListPromptsResult": ("prompts", types.Prompt),
    "ListResourceTemplatesResult": ("resourceTemplates", types.ResourceTemplate),
    "ListResourcesResult": ("resources", types.Resource),
    "ListToolsResult": ("tools", types.Tool),
}

OURS = {
    "CallToolRequest",
    "CallToolRequestParams",
    "ClientCapabilities",
    "CompleteRequest",
    "CompleteRequestParams",
    "CreateMessageResult",
    "DiscoverRequest",
    "ElicitResult",
    "GetPromptRequest",
    "GetPromptRequestParams",
    "InputResponses",
    "ListPromptsRequest",
    "ListResourceTemplatesRequest",
    "ListResourcesRequest",
    "ListRootsResult",
    "ListToolsRequest",
    "PaginatedRequestParams",
    "ReadResourceRequest",
    "Root",
    "SubscriptionsListenRequest",
}
"""What a client says and never hears; tests/protocol/test_spec_requests.py holds ours against the schemas."""

UNREAD = {
    "BooleanSchema",
    "CancelledNotificationParams",
    "ModelPreferences",
    "NumberSchema",
    "ResourceUpdatedNotificationParams",
    "StringSchema",
    "SubscriptionsListenResult",
    "TitledMultiSelectEnumSchema",
    "TitledSingleSelectEnumSchema",
    "UntitledMultiSelectEnumSchema",
    "UntitledSingleSelectEnumSchema",
}
"""Parts that are handed on as plain JSON, or met within a message that has an example of its own."""


def taken(kind: str, data: bytes | Raw) -> None:
    """Take an example as this client takes such a thing from a server."""
    if kind in VALUES:
        assert_whole(kept.decode(VALUES[kind], data, kind), data)
    elif kind in BLOCKS:
        assert_block(data, BLOCKS[kind])
    elif kind in LISTINGS:
        member, entry = LISTINGS[kind]
        for raw in entries(data, member):
            assert_whole(kept.decode(entry, raw, kind), raw)
    elif kind == "CallToolResult":
        assert_result(data)
    elif kind == "InputRequests":
        for raw in parts(data).values():
            assert_whole(kept.decode(InputRequest, raw, kind), raw)
    elif kind.endswith("Error"):
        whole = data if b'"jsonrpc"' in bytes(data) else b'{"jsonrpc":"2.0","id":1,"error":%b}' % bytes(data)
        assert_message(whole)
    else:
        assert_message(data)
        if kind.endswith("ResultResponse") and kind.removesuffix("Response") not in UNREAD:
            taken(kind.removesuffix("Response"), parts(data)["result"])


def parts(data: bytes | Raw) -> dict[str, Raw]:
    """The members of a JSON object, still as bytes."""
    return msgspec.json.decode(data, type=dict[str, Raw])


def entries(data: bytes | Raw, member: str) -> list[Raw]:
    """The entries of one list of a JSON object, still as bytes."""
    return kept.decode_list(parts(data)[member], member)


def plain(held: Any) -> Any:
    """The JSON value that a field's value stands for."""
    if isinstance(held, Kept):
        own = {spec.encode_name: getattr(held, spec.name) for spec in structs.fields(held) if spec.name != "raw_json"}
        return {name: plain(value) for name, value in own.items() if value is not UNSET} | held.extra
    if isinstance(held, jsonrpc.ErrorObject):
        return {name: plain(value) for name, value in structs.asdict(held).items() if value is not UNSET}
    if isinstance(held, Raw):
        return json.loads(bytes(held))
    if isinstance(held, list | tuple):
        return [plain(entry) for entry in cast("list[Any]", held)]
    if isinstance(held, dict):
        return {name: plain(value) for name, value in cast("dict[str, Any]", held).items()}
    return held


def within(wanted: Any, told: Any) -> bool:
    """Whether every member of `wanted` is in `told` with the same value; `told` may have defaults besides."""
    if isinstance(wanted, dict) and isinstance(told, dict):
        members = cast("dict[str, Any]", wanted)
        return all(name in told and within(value, told[name]) for name, value in members.items())
    if isinstance(wanted, list) and isinstance(told, list):
        pairs = zip(cast("list[Any]", wanted), cast("list[Any]", told), strict=False)
        return len(cast("list[Any]", wanted)) == len(cast("list[Any]", told)) and all(within(*pair) for pair in pairs)
    return bool(told == wanted)


def assert_whole(value: Kept, data: bytes | Raw) -> None:
    """Check that a value gives back its bytes, and has each member of them under its name."""
    assert value.raw == bytes(data)
    assert within(json.loads(bytes(data)), plain(value))


def assert_block(data: bytes | Raw, kind: type[Kept]) -> None:
    """Check that a content block becomes the value that its type names."""
    block = content.decode_content(data)
    assert type(block) is kind
    assert_whole(block, data)


def assert_result(data: bytes | Raw) -> None:
    """Check that a tool's result tells what its JSON holds."""
    wanted, result = json.loads(bytes(data)), ToolResult(data)
    assert result.raw == bytes(data)
    assert result.is_error is wanted.get("isError", False)
    assert result.structured == wanted.get("structuredContent")
    assert (result.structured_raw is not None) == ("structuredContent" in wanted)
    assert result.text == "\n".join(block["text"] for block in wanted["content"] if block["type"] == "text")
    for block, raw in zip(result.content, entries(data, "content"), strict=True):
        assert_whole(block, raw)


def assert_message(data: bytes | Raw) -> None:
    """Check that an envelope is told apart, and that its payload keeps its bytes."""
    wanted, envelope = json.loads(bytes(data)), jsonrpc.decode(data)
    for member in ("id", "method"):
        assert getattr(envelope, member) == wanted.get(member, UNSET)
    for member in ("params", "result"):
        told = getattr(envelope, member)
        assert (json.loads(bytes(told)) if isinstance(told, Raw) else told) == wanted.get(member, UNSET)
        assert told is UNSET or bytes(told) in bytes(data)
    if isinstance(envelope.error, jsonrpc.ErrorObject):
        assert (envelope.error.code, envelope.error.message) == (wanted["error"]["code"], wanted["error"]["message"])
        assert plain(envelope.error.data) == wanted["error"].get("data", UNSET)
    assert (envelope.error is UNSET) == ("error" not in wanted)


@pytest.mark.parametrize(("kind", "name"), EXAMPLES)
def test_an_example_fits_its_own_schema(kind: str, name: str) -> None:
    """The copies are what the specification shows, and its schemas are read as they are meant."""
    assert spec.misfits(NEWEST, kind, spec.examples(kind)[name]) == []


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in EXAMPLES if kind not in OURS | UNREAD])
def test_an_example_is_taken_whole(kind: str, name: str) -> None:
    """What the specification's authors wrote is decoded, every member under its name, every byte kept."""
    taken(kind, spec.examples(kind)[name])


def test_every_kind_of_example_is_accounted_for() -> None:
    """A kind that comes with a new copy of the examples is either taken or said not to be."""
    messages = {kind for kind in spec.kinds() if kind.endswith(("Request", "Notification", "Error", "ResultResponse"))}
    known = (
        VALUES.keys() | BLOCKS.keys() | LISTINGS.keys() | OURS | UNREAD | messages | {"CallToolResult", "InputRequests"}
    )
    assert set(spec.kinds()) - known == set()
    assert len(EXAMPLES) > 100


@pytest.mark.parametrize("revision", [*spec.REVISIONS, spec.TASKS])
def test_the_messages_of_the_pages_are_taken_whole(revision: str) -> None:
    """Every message that a revision's pages show is a message to us."""
    messages = spec.messages(revision)
    assert messages
    for data in messages:
        assert_message(data)


ANSWERS: dict[str, Callable[[Raw], object]] = {
    "completion": lambda raw: assert_whole(kept.decode(types.Completion, raw, "an answer"), raw),
    "content": lambda raw: assert_result(raw) if bytes(parts(raw)["content"]).startswith(b"[") else None,
    "contents": lambda raw: assert_whole(kept.decode(types.ReadResult, raw, "an answer"), raw),
    "inputRequests": lambda raw: assert_whole(read_input_required(raw), raw),
    "messages": lambda raw: assert_whole(kept.decode(types.PromptResult, raw, "an answer"), raw),
    "protocolVersion": lambda raw: assert_whole(kept.decode(InitializeResult, raw, "an answer"), raw),
    "supportedVersions": lambda raw: assert_whole(kept.decode(DiscoverResult, raw, "an answer"), raw),
    "task": lambda raw: assert_whole(kept.decode(CreatedTask, raw, "an answer"), raw),
    "taskId": lambda raw: assert_whole(kept.decode(Task, raw, "an answer"), raw),
}
"""How an answer is taken that has this member."""

QUESTIONS: dict[str, type[Kept]] = {
    "elicitation/create": ElicitationRequest,
    "notifications/message": types.LogMessage,
    "notifications/progress": types.Progress,
    "notifications/tasks": Task,
    "notifications/tasks/status": Task,
    "sampling/createMessage": SamplingRequest,
}
"""How what a server asks or tells by this method is taken."""


@pytest.mark.parametrize("revision", [*spec.REVISIONS, spec.TASKS])
def test_what_the_messages_of_the_pages_carry_is_taken_whole(revision: str) -> None:
    """Answers, questions and news of every revision are decoded with nothing lost."""
    taken = 0
    for data in spec.messages(revision):
        envelope = jsonrpc.decode(data)
        if isinstance(envelope.result, Raw):
            for member in parts(envelope.result).keys() & ANSWERS.keys():
                ANSWERS[member](envelope.result)
                taken += 1
        elif isinstance(envelope.params, Raw) and envelope.method in QUESTIONS:
            value = kept.decode(QUESTIONS[str(envelope.method)], envelope.params, "a question")
            assert_whole(value, envelope.params)
            taken += 1
    assert taken > 5


def test_every_example_of_a_result_is_complete_or_says_otherwise() -> None:
    """The result's type is read from every result, and only `InputRequiredResult` asks for more."""
    kinds = [kind for kind in spec.kinds() if kind.endswith("Result")]
    told = {kind: {result_type(Raw(data)) for data in spec.examples(kind).values()} for kind in kinds}
    assert {kind: names for kind, names in told.items() if names != {"complete"}} == {
        "InputRequiredResult": {"input_required"}
    }


def test_the_refusal_of_a_version_tells_the_versions_to_try() -> None:
    """`UnsupportedProtocolVersionError` carries its list in ``data.supported``."""
    (data,) = spec.examples("UnsupportedProtocolVersionError").values()
    error = jsonrpc.decode(data).error
    assert isinstance(error, jsonrpc.ErrorObject)
    assert isinstance(error.data, Raw)
    assert supported_versions(msgspec.json.decode(error.data)) == ("2026-07-28", "2025-11-25")


def test_an_acknowledgement_tells_what_is_honoured() -> None:
    """The filter of the notification is read back as what we ask with."""
    (data,) = spec.examples("SubscriptionsAcknowledgedNotification").values()
    told = json.loads(data)["params"]["notifications"]
    assert ChangeFilter.from_wire(told).to_wire() == told


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("PromptListChangedNotification", PromptsChanged),
        ("ResourceListChangedNotification", ResourcesChanged),
        ("ResourceUpdatedNotification", ResourceUpdated),
        ("ToolListChangedNotification", ToolsChanged),
    ],
)
def test_news_of_a_change_is_a_change(kind: str, event: type[Change]) -> None:
    """Each notification of a change becomes the event of its name."""
    for data in spec.examples(kind).values():
        envelope = jsonrpc.decode(data)
        assert isinstance(envelope.params, Raw)
        change = read_change(str(envelope.method), envelope.params)
        assert type(change) is event


FIELDS: dict[type[Kept], str] = {
    **{kind: name for name, kind in VALUES.items() if not name.endswith(("Params", "ResourceContents"))},
    **{kind: name for name, kind in BLOCKS.items()},
    content.Icon: "Icon",
    types.Annotations: "Annotations",
    types.Prompt: "Prompt",
    types.PromptArgument: "PromptArgument",
    types.ResourceTemplate: "ResourceTemplate",
    types.ServerInfo: "Implementation",
    types.ToolAnnotations: "ToolAnnotations",
    InitializeResult: "InitializeResult",
    SamplingRequest: "CreateMessageRequestParams",
    types.LogMessage: "LoggingMessageNotificationParams",
    types.Progress: "ProgressNotificationParams",
}
"""The definition that each value follows."""

SET_APART = {"_meta", "cacheScope", "progressToken", "resultType", "task", "ttlMs"}
"""Members of the envelope's kind, which are read where they matter and are in ``extra`` everywhere else."""


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("revision", ["2025-11-25", NEWEST])
def test_a_value_has_a_field_for_every_member_of_its_definition(kind: type[Kept], revision: str) -> None:
    """Nothing that the specification defines has to be looked for among the unknown members."""
    definition = spec.definitions(revision).get(FIELDS[kind])
    if definition is None:
        assert FIELDS[kind] in {"DiscoverResult", "InitializeResult", "InputRequiredResult"}
        return
    fields = {field.encode_name for field in structs.fields(kind)}
    assert definition["properties"].keys() - fields - SET_APART == set()
