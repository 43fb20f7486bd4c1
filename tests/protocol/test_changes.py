"""News of changes: read from notifications of both eras, and asked for by a filter."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import InvalidResult
from dragoman.protocol.changes import (
    Change,
    ChangeFilter,
    PromptsChanged,
    Relistened,
    ResourcesChanged,
    ResourceUpdated,
    TaskChanged,
    ToolsChanged,
    read_change,
)
from dragoman.protocol.tasks import Task
from tests import spec
from tests.protocol.json_values import objects, values, written

METHODS = [
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/tasks",
    "notifications/tasks/status",
]
filters = st.builds(
    ChangeFilter,
    tools=st.booleans(),
    prompts=st.booleans(),
    resources=st.booleans(),
    uris=st.lists(st.text()).map(tuple),
    task_ids=st.lists(st.text()).map(tuple),
)


@pytest.mark.parametrize(
    ("method", "params", "change"),
    [
        (METHODS[0], b"{}", ToolsChanged()),
        (METHODS[1], b"{}", PromptsChanged()),
        (METHODS[2], b"{}", ResourcesChanged()),
        (METHODS[3], b'{"uri":"file:///a","title":"A"}', ResourceUpdated("file:///a")),
    ],
)
def test_each_notification_is_an_event_of_its_own(method: str, params: bytes, change: Change) -> None:
    """Unknown members do no harm."""
    assert read_change(method, params) == change


@pytest.mark.parametrize("method", METHODS[4:])
def test_a_task_s_new_state_comes_with_the_event(method: str) -> None:
    """The extension and the core tasks of 2025-11-25 have a method each."""
    change = read_change(method, b'{"taskId":"t","status":"failed"}')
    assert isinstance(change, TaskChanged)
    assert (change.task.task_id, change.task.ended) == ("t", True)


@pytest.mark.parametrize("method", ["notifications/message", "notifications/novel", "tools/list", ""])
def test_other_methods_tell_of_no_change(method: str) -> None:
    """They are for others to hear."""
    assert read_change(method, b"{}") is None


@given(st.sampled_from(METHODS) | st.text(), st.binary() | values.flatmap(written) | objects.flatmap(written))
def test_any_notification_is_a_change_or_not_or_an_invalid_result(method: str, params: bytes) -> None:
    """A broken one costs only itself."""
    try:
        change = read_change(method, params)
    except InvalidResult:
        assert method in METHODS[3:]
        return
    assert (change is not None) == (method in METHODS)


@given(filters)
def test_a_filter_comes_back_as_it_was_sent(wanted: ChangeFilter) -> None:
    """What a server honours in full is what was asked for."""
    wire = wanted.to_wire()
    assert ChangeFilter.from_wire(json.loads(json.dumps(wire))) == wanted
    assert spec.misfits("2026-07-28", "SubscriptionFilter", json.dumps(wire).encode()) == []


def test_what_is_not_wanted_is_not_named() -> None:
    """Each kind is an opt-in."""
    assert ChangeFilter().to_wire() == {}
    assert ChangeFilter(tools=True, uris=("a:b",)).to_wire() == {
        "toolsListChanged": True,
        "resourceSubscriptions": ["a:b"],
    }


@given(objects)
def test_any_acknowledgement_is_a_filter(wire: dict[str, object]) -> None:
    """Members of a wrong type count as absent."""
    names = ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions", "taskIds"]
    for name, value in zip(names, wire.values(), strict=False):
        honoured = ChangeFilter.from_wire({name: value})
        assert honoured.to_wire() in ({}, {name: value}) or isinstance(value, list)
    assert ChangeFilter.from_wire({"resourceSubscriptions": ["a", 5, None], "taskIds": "t"}).uris == ("a",)


EVERYTHING = ChangeFilter(tools=True, prompts=True, resources=True, uris=("file:///a",), task_ids=("t",))


@pytest.mark.parametrize(
    ("change", "alone"),
    [
        (ToolsChanged(), ChangeFilter(tools=True)),
        (PromptsChanged(), ChangeFilter(prompts=True)),
        (ResourcesChanged(), ChangeFilter(resources=True)),
        (ResourceUpdated("file:///a"), ChangeFilter(uris=("file:///a",))),
        (TaskChanged(Task(task_id="t")), ChangeFilter(task_ids=("t",))),
    ],
)
def test_a_filter_wants_what_it_names_and_nothing_else(change: Change, alone: ChangeFilter) -> None:
    """Each kind of change has its own switch."""
    assert EVERYTHING.wants(change)
    assert alone.wants(change)
    assert not ChangeFilter().wants(change)
    others = ChangeFilter(
        tools=not alone.tools,
        prompts=not alone.prompts,
        resources=not alone.resources,
        uris=() if alone.uris else ("file:///a",),
        task_ids=() if alone.task_ids else ("t",),
    )
    assert not others.wants(change)


def test_a_lost_stream_concerns_everyone() -> None:
    """Something may have been missed, whatever was wanted."""
    assert ChangeFilter().wants(Relistened())


@pytest.mark.parametrize(
    ("subscribed", "updated", "wanted"),
    [
        ("file:///a", "file:///a", True),
        ("file:///a", "file:///a/b/c", True),
        ("file:///a/", "file:///a/b", True),
        ("file:///a", "file:///ab", False),
        ("file:///a/b", "file:///a", False),
        ("file:///a", "other:///a", False),
    ],
)
def test_a_resource_inside_a_watched_one_counts(subscribed: str, updated: str, *, wanted: bool) -> None:
    """Servers may tell of a part; a name that merely begins alike is another resource."""
    assert ChangeFilter(uris=(subscribed,)).wants(ResourceUpdated(updated)) is wanted
