"""Tasks in both shapes: the state, how long to wait, and when it has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from dragoman.errors import InvalidResult
from dragoman.protocol.jsonrpc import ErrorObject
from dragoman.protocol.kept import decode
from dragoman.protocol.tasks import CreatedTask, Task


def task(**members: Any) -> Task:
    """A task with these members."""
    return decode(Task, json.dumps({"taskId": "t", **members}).encode(), "the task")


def test_a_task_of_the_extension_is_read() -> None:
    """State, times, questions, result and error in one object."""
    told = task(
        status="input_required",
        statusMessage="waiting",
        createdAt="2026-01-01T00:00:00Z",
        lastUpdatedAt="2026-01-02T00:00:00Z",
        ttlMs=60000,
        pollIntervalMs=1500,
        inputRequests={"q": {"method": "roots/list"}},
        result={"content": []},
        error={"code": -1, "message": "bad", "data": [1]},
        novel=1,
    )
    assert (told.task_id, told.status, told.status_message, told.ttl_ms) == ("t", "input_required", "waiting", 60000)
    assert (told.created_at, told.last_updated_at) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    assert told.input_requests is not None
    assert bytes(told.input_requests["q"]) == b'{"method": "roots/list"}'
    assert isinstance(told.result, Raw)
    assert bytes(told.result) == b'{"content": []}'
    assert isinstance(told.error, ErrorObject)
    assert (told.error.code, told.poll_seconds, told.extra) == (-1, 1.5, {"novel": 1})


def test_a_core_task_is_read() -> None:
    """2025-11-25 has other names, and wraps a new task in another object."""
    data = b'{"task": {"taskId":"t","status":"working","ttl":null,"pollInterval":250,"novel":1}, "_meta": {}}'
    told = decode(CreatedTask, data, "the created task").task
    assert (told.task_id, told.ttl, told.poll_seconds, told.extra) == ("t", None, 0.25, {"novel": 1})
    assert task(ttl=5).ttl == 5


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("working", False),
        ("input_required", False),
        ("completed", True),
        ("failed", True),
        ("cancelled", True),
        ("novel", False),
    ],
)
def test_a_task_has_ended_when_its_state_is_final(status: str, *, ended: bool) -> None:
    """A state that nobody knows is not taken for an end."""
    assert task(status=status).ended is ended


def test_what_is_not_told_is_absent() -> None:
    """Nulls too: a task that is made by hand knows only its id."""
    for told in (task(), task(error=None, inputRequests=None, ttlMs=None), Task(task_id="t")):
        assert (told.status, told.ended, told.error, told.input_requests) == ("working", False, UNSET, None)


@given(st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9), st.none() | st.integers(-5, 5))
def test_waiting_is_never_negative_nor_busy(new: float | None, old: int | None) -> None:
    """A server that says 0 is not asked a million times a second; the extension's name counts first."""
    told = task(pollIntervalMs=new, pollInterval=old)
    wanted = new if new is not None else old
    assert told.poll_seconds == (1.0 if wanted is None else max(wanted / 1000, 0.05))


@pytest.mark.parametrize("data", [b"{}", b'{"taskId":null}', b'{"taskId":5}', b'{"taskId":"t","status":5}', b"[]"])
def test_a_task_that_does_not_fit_is_refused(data: bytes) -> None:
    """A task without an id can't be asked about."""
    with pytest.raises(InvalidResult, match="the task does not fit"):
        decode(Task, data, "the task")
