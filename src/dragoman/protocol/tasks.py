"""Tasks: calls that answer with a handle first and with a result later, in both shapes that servers use.

Pure. The tasks extension (``io.modelcontextprotocol/tasks``, stateless era) tells state, result and questions in
``tasks/get``; the core tasks of 2025-11-25 have ``tasks/result`` and other member names. `Task` speaks both.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import UNSET, Raw, UnsetType, field

from dragoman.protocol.jsonrpc import ErrorObject
from dragoman.protocol.kept import Kept

__all__ = ["TASKS_EXTENSION", "CreatedTask", "Task", "TaskStatus"]

TASKS_EXTENSION: Final = "io.modelcontextprotocol/tasks"

TaskStatus: TypeAlias = Literal["working", "input_required", "completed", "failed", "cancelled"]

_TERMINAL: Final = frozenset({"completed", "failed", "cancelled"})
_DEFAULT_POLL_SECONDS: Final = 1.0
_SHORTEST_POLL_SECONDS: Final = 0.05


class Task(Kept):
    """A task's state as its server last told it. Times: ISO 8601; ``ttl_ms`` counts from the creation."""

    task_id: str
    status: TaskStatus | str = "working"
    status_message: str | None = None
    created_at: str | None = None
    last_updated_at: str | None = None
    ttl_ms: int | None = None
    ttl: int | None = None
    poll_interval_ms: float | None = None
    poll_interval: float | None = None
    input_requests: dict[str, Raw] | None = None
    result: Raw | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET
    meta: dict[str, Any] | None = field(default=None, name="_meta")

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.status in _TERMINAL

    @property
    def poll_seconds(self) -> float:
        """How long to wait before asking again."""
        told = self.poll_interval_ms if self.poll_interval_ms is not None else self.poll_interval
        return _DEFAULT_POLL_SECONDS if told is None else max(told / 1000, _SHORTEST_POLL_SECONDS)


class CreatedTask(Kept):
    """The answer of 2025-11-25 to a call that became a task."""

    task: Task
