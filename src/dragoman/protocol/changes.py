"""What a server says has changed, as frozen events, and the filter that asks for them.

Pure. The same events serve ``subscriptions/listen`` and the handshake era's notifications.
Source: 2026-07-28 basic/patterns/subscriptions; 2025-11-25 server/resources#subscriptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Raw, Struct

from dragoman.protocol.kept import Kept, decode, texts
from dragoman.protocol.tasks import Task

__all__ = [
    "Change",
    "ChangeFilter",
    "PromptsChanged",
    "Relistened",
    "ResourceUpdated",
    "ResourcesChanged",
    "TaskChanged",
    "ToolsChanged",
    "read_change",
]


class ToolsChanged(Struct, frozen=True):
    """The list of tools is another now."""


class PromptsChanged(Struct, frozen=True):
    """The list of prompts is another now."""


class ResourcesChanged(Struct, frozen=True):
    """The list of resources is another now."""


class ResourceUpdated(Struct, frozen=True):
    """The resource ``uri`` holds something else now; read it again."""

    uri: str


class TaskChanged(Struct, frozen=True):
    """A task has a new state."""

    task: Task


class Relistened(Struct, frozen=True):
    """The stream was lost and is there again: what changed between is unknown, so fetch anew what matters."""


Change: TypeAlias = ToolsChanged | PromptsChanged | ResourcesChanged | ResourceUpdated | TaskChanged | Relistened


class ChangeFilter(Struct, frozen=True, kw_only=True):
    """Which changes are wanted, or honoured."""

    tools: bool = False
    prompts: bool = False
    resources: bool = False
    uris: tuple[str, ...] = ()
    task_ids: tuple[str, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        """Give the ``notifications`` object of ``subscriptions/listen``."""
        wire: dict[str, Any] = {}
        if self.tools:
            wire["toolsListChanged"] = True
        if self.prompts:
            wire["promptsListChanged"] = True
        if self.resources:
            wire["resourcesListChanged"] = True
        if self.uris:
            wire["resourceSubscriptions"] = list(self.uris)
        if self.task_ids:
            wire["taskIds"] = list(self.task_ids)
        return wire

    @staticmethod
    def from_wire(wire: Mapping[str, Any]) -> ChangeFilter:
        """Give the filter that an acknowledgement tells; members of a wrong type count as absent."""
        return ChangeFilter(
            tools=wire.get("toolsListChanged") is True,
            prompts=wire.get("promptsListChanged") is True,
            resources=wire.get("resourcesListChanged") is True,
            uris=texts(wire.get("resourceSubscriptions")),
            task_ids=texts(wire.get("taskIds")),
        )

    def wants(self, change: Change) -> bool:
        """Tell whether the change is one of those asked for."""
        match change:
            case ToolsChanged():
                return self.tools
            case PromptsChanged():
                return self.prompts
            case ResourcesChanged():
                return self.resources
            case ResourceUpdated():
                # A server may tell of a resource inside a subscribed one, so the prefix counts too.
                return any(change.uri == uri or change.uri.startswith(f"{uri.rstrip('/')}/") for uri in self.uris)
            case TaskChanged():
                return change.task.task_id in self.task_ids
            case Relistened():
                return True


class _Updated(Kept):
    uri: str


def read_change(method: str, params: Raw | bytes) -> Change | None:
    """Give the change that a notification tells; None if it tells of something else.

    Raises:
        InvalidResult: it lacks what its method needs.
    """
    match method:
        case "notifications/tools/list_changed":
            return ToolsChanged()
        case "notifications/prompts/list_changed":
            return PromptsChanged()
        case "notifications/resources/list_changed":
            return ResourcesChanged()
        case "notifications/resources/updated":
            return ResourceUpdated(decode(_Updated, params, method).uri)
        case "notifications/tasks" | "notifications/tasks/status":
            return TaskChanged(decode(Task, params, method))
        case _:
            return None
