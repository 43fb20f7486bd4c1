"""What every request says about its sender: always valid JSON, and never another's words for our own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import InvalidArguments
from dragoman.protocol.metadata import ClientInfo, Offers, RequestMetadata
from dragoman.protocol.tasks import TASKS_EXTENSION
from tests import spec
from tests.protocol.json_values import objects, written

OURS = "io.modelcontextprotocol/"
CLIENT = ClientInfo("dragoman", "1.0")
OWN_NAMES = [f"{OURS}{name}" for name in ("protocolVersion", "clientInfo", "clientCapabilities", "logLevel")]
OWN_NAMES.append("progressToken")

settings = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2)  # what the schema calls an object
offers = st.builds(
    Offers,
    sampling=st.booleans(),
    sampling_tools=st.booleans(),
    elicitation_form=st.booleans(),
    elicitation_url=st.booleans(),
    roots=st.booleans(),
    tasks=st.booleans(),
    extensions=st.dictionaries(st.sampled_from(["a.example/b", TASKS_EXTENSION]), settings),
    experimental=st.dictionaries(st.text(max_size=4), settings, max_size=2),
)
tokens = st.none() | st.integers() | st.text()
extras = st.none() | st.dictionaries(st.sampled_from(OWN_NAMES) | st.text(max_size=4), objects, max_size=4)
members = objects.map(lambda given: {name: value for name, value in given.items() if name != "_meta"})


def told(
    version: str | None,
    *,
    own: dict[str, Any] | None = None,
    token: int | str | None = None,
    extra: dict[str, Any] | None = None,
    level: str | None = None,
) -> dict[str, Any]:
    """The parameters of a request; empty if there are none."""
    metadata = RequestMetadata(version, CLIENT, Offers())
    metadata.log_level = level
    params = metadata.params(json.dumps(own or {}).encode()[1:-1], token, extra)
    return json.loads(params) if params else {}


@given(st.sampled_from([None, "2026-07-28"]), offers, members, tokens, extras, st.sampled_from([None, "debug"]))
def test_parameters_are_always_valid_and_whole(
    version: str | None,
    offered: Offers,
    own: dict[str, Any],
    token: int | str | None,
    extra: dict[str, Any] | None,
    level: str | None,
) -> None:
    """Every combination of members, token, wishes and era gives one JSON object with nothing lost."""
    metadata = RequestMetadata(version, CLIENT, offered)
    metadata.log_level = level
    params = metadata.params(json.dumps(own).encode()[1:-1], token, extra)
    wanted = {name: value for name, value in (extra or {}).items() if name not in OWN_NAMES}
    if token is not None:
        wanted["progressToken"] = token
    if version is not None:
        wanted |= {
            f"{OURS}protocolVersion": version,
            f"{OURS}clientInfo": {"name": "dragoman", "version": "1.0"},
            f"{OURS}clientCapabilities": offered.capabilities(stateless=True),
        }
        if level is not None:
            wanted[f"{OURS}logLevel"] = level
    assert (json.loads(params) if params else {}) == own | ({"_meta": wanted} if wanted else {})


@given(st.data())
def test_the_members_of_a_request_stay_byte_for_byte(data: st.DataObject) -> None:
    """Arguments are encoded once, by whoever has them."""
    own = data.draw(members.filter(bool).flatmap(written))
    for version in (None, "2026-07-28"):
        assert own[1:-1] in RequestMetadata(version, CLIENT, Offers()).params(own[1:-1], 1, None)


def test_no_member_is_there_twice() -> None:
    """Which of two would count is the server's guess."""
    twice: list[str] = []

    def watch(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice.extend(name for name in names if names.count(name) > 1)
        return dict(pairs)

    metadata = RequestMetadata("2026-07-28", CLIENT, Offers())
    metadata.log_level = "info"
    params = metadata.params(b'"name":"t"', 5, dict.fromkeys([*OWN_NAMES, "a"], "forged"))
    json.loads(params, object_pairs_hook=watch)
    assert twice == []


@pytest.mark.parametrize("version", [None, "2026-07-28"])
@pytest.mark.parametrize("name", OWN_NAMES)
def test_what_this_client_says_of_itself_can_not_be_forged(version: str | None, name: str) -> None:
    """A wish under one of our own names is passed over; ours is said where the era has it."""
    meta = told(version, own={"a": 1}, extra={name: "forged", "b": 2}, token=7, level="info")["_meta"]
    assert meta.get(name) != "forged"
    assert meta["b"] == 2
    assert meta["progressToken"] == 7


def test_a_foreign_token_without_one_of_ours_is_not_sent() -> None:
    """It would name another request's progress."""
    assert told(None, extra={"progressToken": 1}) == {}
    assert told("2026-07-28", extra={"progressToken": 1}) == told("2026-07-28")


def test_other_reserved_names_pass() -> None:
    """Extensions have names there too, and callers who know them."""
    assert told(None, extra={f"{OURS}related-task": {"taskId": "t"}})["_meta"] == {
        f"{OURS}related-task": {"taskId": "t"}
    }


def test_the_handshake_era_repeats_nothing() -> None:
    """Without token and wishes there is no metadata, and without members no parameters."""
    assert RequestMetadata(None, CLIENT, Offers()).params(b"", None, None) == b""
    assert RequestMetadata(None, CLIENT, Offers()).params(b"", None, {}) == b""
    assert told(None, own={"a": 1}, level="debug") == {"a": 1}


def test_the_stateless_era_says_it_every_time() -> None:
    """Even where a method has no parameters."""
    assert set(told("2026-07-28")["_meta"]) == set(OWN_NAMES[:3])


@given(offers, tokens, st.sampled_from([None, "debug", "emergency"]))
def test_metadata_fits_the_schema(offered: Offers, token: int | str | None, level: str | None) -> None:
    """Whatever is offered, it is said as 2026-07-28 defines it."""
    metadata = RequestMetadata("2026-07-28", CLIENT, offered)
    metadata.log_level = level
    assert spec.misfits("2026-07-28", "RequestParams", metadata.params(b"", token, None)) == []


@given(offers)
def test_capabilities_fit_the_schema_of_each_handshake_revision(offered: Offers) -> None:
    """One object serves all of them."""
    wire = json.dumps(offered.capabilities(stateless=False)).encode()
    for revision in spec.REVISIONS[:-1]:
        assert spec.misfits(revision, "ClientCapabilities", wire) == []


IN_BOTH_ERAS: list[tuple[Offers, dict[str, Any]]] = [
    (Offers(tasks=False), {}),
    (Offers(tasks=False, sampling=True), {"sampling": {}}),
    (Offers(tasks=False, sampling=True, sampling_tools=True), {"sampling": {"tools": {}}}),
    (Offers(tasks=False, sampling_tools=True), {}),
    (Offers(tasks=False, elicitation_form=True), {"elicitation": {"form": {}}}),
    (Offers(tasks=False, elicitation_url=True), {"elicitation": {"url": {}}}),
    (Offers(extensions={TASKS_EXTENSION: {"a": 1}}), {"extensions": {TASKS_EXTENSION: {"a": 1}}}),
    (Offers(tasks=False, experimental={"x": {}}), {"experimental": {"x": {}}}),
]
CAPABILITIES: list[tuple[Offers, dict[str, Any], dict[str, Any]]] = [
    (Offers(), {"extensions": {TASKS_EXTENSION: {}}}, {}),
    (Offers(tasks=False, roots=True), {"roots": {}}, {"roots": {"listChanged": True}}),
    *((offered, wire, wire) for offered, wire in IN_BOTH_ERAS),
]


@pytest.mark.parametrize(("offered", "stateless", "handshake"), CAPABILITIES)
def test_only_what_someone_is_there_to_do_is_offered(
    offered: Offers, stateless: dict[str, Any], handshake: dict[str, Any]
) -> None:
    """A server never asks for what would be refused."""
    assert offered.capabilities(stateless=True) == stateless
    assert offered.capabilities(stateless=False) == handshake


@pytest.mark.parametrize("value", [object(), {1, 2}.__iter__, "\ud800"])
def test_metadata_that_is_no_json_is_refused_before_it_is_sent(value: object) -> None:
    """The caller's mistake is the caller's error."""
    with pytest.raises(InvalidArguments, match="the metadata can't be written as JSON"):
        told(None, extra={"a": value})


@pytest.mark.parametrize("value", ["progress", ["progress"], 3])
def test_metadata_that_is_no_mapping_is_refused_before_it_is_sent(value: Any) -> None:
    """It says what it got instead."""
    with pytest.raises(InvalidArguments, match="the metadata is no mapping"):
        RequestMetadata("2026-07-28", ClientInfo("c", "1"), Offers()).params(b"", None, value)
