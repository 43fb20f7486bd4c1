"""Where the caller of a request waits, within the transport or for the answer, and how it is woken in either place.

It knows futures and tasks, and nothing of messages. `connection` is its only user.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from typing import Any

from msgspec import Raw

from dragoman.errors import DragomanError

__all__ = ["Waiter", "own_task"]


class Waiter:
    """Where a caller waits: the future of its answer, and its task while the transport holds it.

    ``room`` is the transport's future for a request that it has no room for yet; ``held`` says the same where the
    transport gives no such future.
    """

    __slots__ = ("cancelling", "future", "held", "interrupted", "room", "task")

    def __init__(self, future: Future[Raw | DragomanError]) -> None:
        self.future = future
        self.task: Task[Any] | None = None
        self.cancelling = 0
        self.interrupted = False
        self.held = False
        self.room: Future[None] | None = None

    @property
    def unsent(self) -> bool:
        """Whether the request has certainly not left: it waits for room, or was taken back while it did."""
        return self.held or (self.room is not None and (not self.room.done() or self.room.cancelled()))

    def settle(self, outcome: Raw | DragomanError) -> None:
        """Take what came of the request, unless something has come already."""
        if not self.future.done():
            self.future.set_result(outcome)

    def wake(self, outcome: Raw | DragomanError) -> None:
        """Wake the caller with what came of its request, even from within the transport.

        Some transports hold it there while the answer comes another way, or not at all.
        """
        if self.future.done():
            return
        self.future.set_result(outcome)
        # Told within the caller's own task, it goes on by itself.
        if self.task is not None and self.task is not asyncio.current_task():
            self.interrupted = True
            self.task.cancel()


def own_task() -> Task[Any]:
    """Give the task that runs now."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("requests are made from within a task")
    return task
