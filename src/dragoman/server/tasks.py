"""Tasks that run at the server: begun, followed, answered, cancelled, in both shapes of the protocol.

A handle holds only the id; it can be made again in another process. Source: the tasks extension
(``io.modelcontextprotocol/tasks``) and 2025-11-25 basic/utilities/tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, cast

from msgspec import UNSET, Raw

from dragoman.errors import (
    ConnectionLost,
    DragomanError,
    HttpError,
    InvalidParams,
    InvalidResult,
    NotSupported,
    OutcomeUnknown,
    RateLimited,
    RequestTimeout,
    TaskFailed,
    Unavailable,
)
from dragoman.protocol.input_required import InputRequest
from dragoman.protocol.jsonrpc import encode
from dragoman.protocol.kept import Kept
from dragoman.protocol.lifecycle import Agreement
from dragoman.protocol.results import ToolResult
from dragoman.protocol.tasks import TASKS_EXTENSION, CreatedTask, Task
from dragoman.protocol.versions import revision
from dragoman.server.calls import Calls
from dragoman.server.listing import Pages, in_time

__all__ = ["TaskHandle", "list_tasks", "takes_calls_as_tasks"]

_MOST_FAILURES: Final = 5


class TaskHandle:
    """One task. ``id`` names it; keep it to come back later with `Server.task`."""

    def __init__(self, calls: Calls, agreement: Agreement, task: Task) -> None:
        self._calls = calls
        self._agreement = agreement
        self._answered: set[str] = set()
        self._answers: dict[str, Raw] = {}
        self._new = False
        self.keeper: object = None  # what must live as long as this
        self._limits: set[asyncio.Timeout] = set()
        self._direct: Raw | None = None
        self.task = task

    @classmethod
    async def start(
        cls,
        calls: Calls,
        agreement: Agreement,
        members: bytes,
        *,
        name: str,
        headers: Mapping[str, str] | None,
        relist: Callable[[], Awaitable[Mapping[str, str] | None]] | None,
        ttl: float | None,
        timeout: float | None,
        meta: Mapping[str, Any] | None,
    ) -> TaskHandle:
        """Make a tool call that becomes a task; see `Server.start_task`."""
        if takes_calls_as_tasks(agreement):
            asked = {} if ttl is None else {"ttl": int(ttl * 1000)}
            members = b'%b,"task":%b' % (members, encode(asked))
            raw = await calls.simple("tools/call", members, name=name, timeout=timeout, meta=meta)
            return cls._begun(calls, agreement, calls.read(CreatedTask, raw, "the created task").task)
        if TASKS_EXTENSION not in (agreement.capabilities.extensions or {}):
            raise NotSupported("the server offers no tasks", server=calls.connection.config.name)
        created: list[TaskHandle] = []

        async def made(raw: Raw) -> Raw:
            created.append(cls.created(calls, agreement, raw))
            return raw

        raw = await calls.call(
            "tools/call",
            members,
            name=name,
            headers=headers,
            relist=relist,
            on_task=made,
            timeout=timeout,
            meta=meta,
        )
        if created:
            return created[0]
        direct = cls(calls, agreement, Task(task_id="", status="completed"))
        direct._direct = raw
        return direct

    @classmethod
    def created(cls, calls: Calls, agreement: Agreement, raw: Raw) -> TaskHandle:
        """Give the handle that a result of type ``task`` tells of."""
        return cls._begun(calls, agreement, calls.read(Task, raw, "the created task"))

    @classmethod
    def _begun(cls, calls: Calls, agreement: Agreement, task: Task) -> TaskHandle:
        handle = cls(calls, agreement, task)
        handle._new = task.poll_interval_ms is not None or task.poll_interval is not None
        return handle

    @classmethod
    def resume(cls, calls: Calls, agreement: Agreement, task_id: str) -> TaskHandle:
        """Give the handle of a known id; nothing is asked yet."""
        return cls(calls, agreement, Task(task_id=task_id))

    @property
    def id(self) -> str:
        """The task's id; empty if the server answered directly, without a task."""
        return self.task.task_id

    async def status(self) -> Task:
        """Ask for the task's state and answer the questions that it waits for.

        Raises:
            TaskFailed: the server does not know the task (any more).
        """
        if self._direct is not None:
            return self.task
        try:
            raw = await self._ask("tasks/get")
        except InvalidParams as error:  # -32602, or -32002 as some have it: there is no such task
            raise self._gone("unknown", f"the server does not know it ({error.what})") from error
        self.task = self._calls.read(Task, raw, "the task")
        if self.task.status == "input_required" and self.task.input_requests:
            await self._answer(self.task.input_requests)
        return self.task

    async def updates(self) -> AsyncIterator[Task]:
        """Give the task's state each time it is asked for, until it has ended; as often as the server suggests.

        To ask is safe at any time, so a few answers in a row may be lost while the connection stands.
        """
        failures = 0
        if self._new:
            self._new = False
            await asyncio.sleep(self.task.poll_seconds)
        while True:
            try:
                task = await self.status()
            except (ConnectionLost, OutcomeUnknown, RateLimited, Unavailable) as error:
                failures += 1
                if self._calls.connection.ended is not None or failures > _MOST_FAILURES:
                    raise
                asked = error.retry_after if isinstance(error, HttpError) else None
                await asyncio.sleep(max(asked or 0.0, self.task.poll_seconds))
                continue
            failures = 0
            yield task
            if task.ended:
                return
            if task.status == "input_required" and _is_core(self._agreement):
                # There, questions come while tasks/result waits; `result` takes over.
                return
            await asyncio.sleep(task.poll_seconds)

    async def result(self, *, timeout: float | None = None) -> ToolResult:
        """Wait for the end and give the result.

        ``timeout`` bounds the whole wait, in seconds; None means ``max_timeout``. While a person is asked, it stands.

        Raises:
            TaskFailed: it failed, was cancelled, or the server forgot it.
            ServerError: it failed with a JSON-RPC error.
            RequestTimeout: ``timeout`` passed; the task goes on.
        """
        if self._direct is not None:
            return ToolResult(self._direct, self._server_name)
        seconds = timeout if timeout is not None else self._calls.connection.config.max_timeout
        limit = asyncio.timeout(seconds)
        self._limits.add(limit)
        try:
            async with limit:
                async for _ in self.updates():
                    pass
        except TimeoutError:
            raise self._late(seconds) from None
        finally:
            self._limits.discard(limit)
        return await self._fetched((limit.when() or 0.0) - asyncio.get_running_loop().time())

    async def cancel(self) -> None:
        """Ask the server to stop it; it may still complete."""
        if self._direct is None and not self.task.ended:
            await self._ask("tasks/cancel")

    async def _fetched(self, patience: float) -> ToolResult:
        task = self.task
        if _is_core(self._agreement):
            if task.status == "cancelled":
                raise self._gone("cancelled", task.status_message or "it was cancelled")
            return await self._fetched_core(patience)
        if task.status == "completed":
            if task.result is UNSET:
                raise InvalidResult(f"task {self.id} completed without a result", server=self._server_name)
            return ToolResult(task.result, self._server_name)
        if task.error is not UNSET:
            raise self._calls.connection.server_error(task.error, f"task {self.id}")
        raise self._gone(task.status, task.status_message or f"it ended {task.status}")

    async def _fetched_core(self, patience: float) -> ToolResult:
        """Give what ``tasks/result`` answers; some servers answer for a failed task with an empty result."""
        raw = await self._ask("tasks/result", timeout=patience)
        result = ToolResult(raw, self._server_name)
        if result.is_error:
            return result
        if not self.task.ended and not result.content and result.structured_raw is None:
            await self.status()
        if self.task.status in ("failed", "cancelled"):
            raise self._gone(self.task.status, self.task.status_message or f"it ended {self.task.status}")
        return result

    async def _answer(self, questions: Mapping[str, Raw]) -> None:
        """Answer what was not answered yet. An answer whose delivery is unknown is sent again, not asked for again."""
        waiting = [key for key in questions if key not in self._answered]
        if not waiting:
            return
        self._answered.update(waiting)
        try:
            fresh = {
                key: self._calls.read(InputRequest, questions[key], f"question {key}")
                for key in waiting
                if key not in self._answers
            }
            self._answers |= await self._unhurried(self._calls.answer(fresh, during="tools/call"))
            told = {key: self._answers[key] for key in waiting}
            await self._ask("tasks/update", b',"inputResponses":%b' % encode(told))
        except BaseException:
            self._answered.difference_update(waiting)
            raise

    async def _unhurried(self, answering: Coroutine[Any, Any, dict[str, Raw]]) -> dict[str, Raw]:
        """Wait for people while no limit runs."""
        clock = asyncio.get_running_loop().time
        left = {limit: when - clock() for limit in self._limits if (when := limit.when()) is not None}
        for limit in left:
            limit.reschedule(None)
        try:
            return await answering
        finally:
            for limit in self._limits.intersection(left):
                limit.reschedule(clock() + left[limit])

    async def _ask(self, method: str, more: bytes = b"", *, timeout: float | None = None) -> Raw:
        members = b'"taskId":%b%b' % (encode(self.id), more)
        ask = self._calls.simple if _is_core(self._agreement) else self._calls.whole
        return await ask(method, members, name=self.id, timeout=timeout)

    @property
    def _server_name(self) -> str:
        return self._calls.connection.config.name

    def _late(self, seconds: float) -> RequestTimeout:
        return RequestTimeout(
            f"task {self.id} has not ended within {seconds:g} s",
            timeout=seconds,
            method="tools/call",
            server=self._server_name,
            hint="It goes on: wait for it with Server.task(id).result().",
        )

    def _gone(self, status: str, why: str) -> DragomanError:
        return TaskFailed(f"task {self.id}: {why}", task_id=self.id, status=status, server=self._server_name)


async def cancel_quietly(task: TaskHandle) -> None:
    """Ask the server to stop a task whose result nobody wants any more; if it can't be asked, so be it."""
    with contextlib.suppress(DragomanError):
        await task.cancel()


class _TaskPage(Kept):
    tasks: tuple[Raw, ...] = ()
    next_cursor: str | None = None


async def list_tasks(calls: Calls, agreement: Agreement) -> list[Task]:
    """Give all tasks that the server keeps; see `Server.list_tasks`."""
    if not _is_core(agreement) or "list" not in (agreement.capabilities.tasks or {}):
        raise NotSupported("the server keeps no list of tasks", server=calls.connection.config.name)
    tasks: list[Task] = []
    pages = Pages(calls, "tasks/list")
    members = b""
    async with in_time(calls, "tasks/list"):
        while True:
            raw = await calls.simple("tasks/list", members)
            pages.took(raw)
            page = calls.read(_TaskPage, raw, "the list of tasks")
            tasks += [calls.read(Task, raw, "a task") for raw in page.tasks]
            if page.next_cursor is None:
                return tasks
            members = pages.follow(page.next_cursor)


def _is_core(agreement: Agreement) -> bool:
    """Whether the tasks of 2025-11-25 are spoken, and not the extension."""
    known = revision(agreement.version)
    return known is not None and known.core_tasks and agreement.capabilities.tasks is not None


def takes_calls_as_tasks(agreement: Agreement) -> bool:
    """Whether tool calls may be tasks in the shape of 2025-11-25: the server has to say so, besides knowing tasks."""
    told: Any = agreement.capabilities.tasks
    for member in ("requests", "tools", "call"):
        told = cast("dict[str, Any]", told).get(member) if isinstance(told, dict) else None
    return told is not None and _is_core(agreement)
