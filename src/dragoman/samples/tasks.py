"""Work that outlives its request: the tasks of the extension `io.modelcontextprotocol/tasks`.

A task runs in a thread of its own and is asked for by its id, from any conversation with the same server.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable
from typing import Any

EXTENSION = "io.modelcontextprotocol/tasks"

KEPT_MS = 600_000
POLL_MS = 100


class Task:
    """One task: its state, and the event that tells its work to stop."""

    def __init__(self, changed: Callable[[Task], None]) -> None:
        self.id = os.urandom(8).hex()
        self.stop = threading.Event()
        self._changed = changed
        self._created = self._updated = _now()
        self._status = "working"
        self._message = ""
        self._outcome: dict[str, Any] = {}
        self._lock = threading.Lock()

    def settle(self, status: str, message: str = "", *, result: dict[str, Any] | None = None) -> None:
        """Change the state; a final one stays. `result` comes with `completed`."""
        with self._lock:
            if self._status in ("completed", "failed", "cancelled"):
                return
            self._status, self._message, self._outcome, self._updated = (
                status,
                message,
                {} if result is None else {"result": result},
                _now(),
            )
        self._changed(self)

    def to_wire(self) -> dict[str, Any]:
        """Give the whole state, as `tasks/get` and `notifications/tasks` tell it."""
        with self._lock:
            told: dict[str, Any] = {"taskId": self.id, "status": self._status}
            if self._message:
                told["statusMessage"] = self._message
            times = {"createdAt": self._created, "lastUpdatedAt": self._updated}
            return told | times | {"ttlMs": KEPT_MS, "pollIntervalMs": POLL_MS} | self._outcome


class Tasks:
    """All tasks of one server."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._watchers: list[Callable[[Task], None]] = []

    def start(self, work: Callable[[Task], None]) -> Task:
        """Run `work` in a thread; it settles the task itself."""
        task = Task(self._tell)
        self._tasks[task.id] = task
        threading.Thread(target=work, args=(task,), name=f"task {task.id}", daemon=True).start()
        return task

    def get(self, task_id: object) -> Task | None:
        """Give the task of that id, if there is one."""
        return self._tasks.get(task_id) if isinstance(task_id, str) else None

    def watch(self, watcher: Callable[[Task], None]) -> Callable[[], None]:
        """Call `watcher` on each change of a task, until the function that this gives is called."""
        self._watchers.append(watcher)

        def stop() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return stop

    def _tell(self, task: Task) -> None:
        for watcher in list(self._watchers):
            watcher(task)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
