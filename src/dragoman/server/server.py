"""`Server`: one server as callers hold it, with a method for each thing that the protocol lets a client do.

It turns Python values into a request's members and bytes into typed results. Everything about futures and time is
`connection`'s, rounds and tasks are `calls`', changes are `subscriptions`'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Self, TypeVar

from msgspec import Raw

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    DragomanError,
    InvalidArguments,
    InvalidResult,
    NotSupported,
    ProtocolError,
    RequestTimeout,
)
from dragoman.protocol.changes import ChangeFilter
from dragoman.protocol.jsonrpc import encode, printable
from dragoman.protocol.kept import Kept, decode_object
from dragoman.protocol.lifecycle import Agreement, Verdict
from dragoman.protocol.results import ToolResult
from dragoman.protocol.tasks import Task
from dragoman.protocol.types import (
    Completion,
    LogLevel,
    Page,
    Prompt,
    PromptReference,
    PromptResult,
    ReadResult,
    Resource,
    ResourceReference,
    ResourceTemplate,
    ServerCapabilities,
    ServerInfo,
    Tool,
)
from dragoman.protocol.versions import Era
from dragoman.server.arguments import check_texts, written
from dragoman.server.calls import Calls
from dragoman.server.connection import Connection, ProgressHandler
from dragoman.server.listing import MOST_PROBLEMS, list_all
from dragoman.server.subscriptions import Listening, Subscriptions
from dragoman.server.tasks import TaskHandle, cancel_quietly, list_tasks, takes_calls_as_tasks
from dragoman.server.toolbox import Toolbox

__all__ = ["Server"]

log: Final = logging.getLogger("dragoman")

K = TypeVar("K", bound=Kept)

#: Lines that one listing may add to the log, and one that tells how many more there are.
_MOST_LOGGED: Final = 10


class Server:
    """One connected server. Made by `dragoman.connect`; every method may be called from any task, at any time.

    All methods that ask the server raise, besides what they name: `ServerError` (it answered with an error),
    `RequestTimeout`, `ConnectionLost` (nothing was sent), `OutcomeUnknown` (sent, answer lost), `HttpError` and
    `ProtocolError`. Time-outs are in seconds; None means the configuration's.
    """

    def __init__(self, connection: Connection, agreement: Agreement, close: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._agreement = agreement
        self._close = close
        self._calls = Calls(connection, agreement.version)
        self._subscriptions = Subscriptions(connection, self._calls, agreement)
        self._toolbox = Toolbox(
            connection.config.name,
            mirrors=connection.transport.exchanges and agreement.era == "stateless",
            validates=connection.config.validate_results,
            core_tasks=takes_calls_as_tasks(agreement),
        )
        self._subscriptions.on_tools_changed = self._toolbox.outdate
        self._problems: dict[str, list[str]] = {}
        self._learning = asyncio.Lock()

    # What it is.

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._connection.config.name

    @property
    def config(self) -> ServerConfig:
        """How it is reached."""
        return self._connection.config

    @property
    def info(self) -> ServerInfo:
        """What it says it is; not verified by anyone."""
        return self._agreement.info

    @property
    def capabilities(self) -> ServerCapabilities:
        """What it offers."""
        return self._agreement.capabilities

    @property
    def protocol_version(self) -> str:
        """The revision that both sides agreed on."""
        return self._agreement.version

    @property
    def era(self) -> Era:
        """``handshake`` or ``stateless``."""
        return self._agreement.era

    @property
    def instructions(self) -> str | None:
        """Its guidance for models."""
        return self._agreement.instructions

    @property
    def transport_kind(self) -> str:
        """The transport in use; ``sse`` if the old HTTP+SSE one had to be taken."""
        return self._connection.transport.kind

    @property
    def verdict(self) -> Verdict:
        """What was agreed, to pass as ``remembered`` to a later `connect`."""
        return Verdict(self._agreement.version, self._connection.transport.kind)

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent."""
        return self._connection.ended is None

    @property
    def problems(self) -> list[str]:
        """What was wrong with entries that the last listings left out."""
        return [problem for listed in self._problems.values() for problem in listed]

    async def wait_ended(self) -> DragomanError | None:
        """Wait until the connection is over and give why; None if it was closed on this side.

        A connection over Streamable HTTP has no end of its own: a server that is gone shows with the next request.
        """
        return await self._connection.wait_ended()

    def last_words(self) -> str:
        """Give what a stdio server last wrote to stderr, at most 64 KiB."""
        return self._connection.transport.last_words()

    # Tools.

    async def list_tools(self) -> list[Tool]:
        """Give all tools, over all pages; a broken or (over HTTP) wrongly annotated tool is left out and logged."""
        return (await self.tools_page()).items

    async def tools_page(self) -> Page[Tool]:
        """Give all tools as `list_tools` does, with what was left out and how long the listing may be kept."""
        page = await self._page("tools/list", "tools", Tool, self.capabilities.tools)
        page.items, problems = self._toolbox.fill(page.items)
        page.problems += problems
        page.left_out += len(problems)
        self._note("tools/list", page.problems, page.left_out)
        return page

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> ToolResult:
        """Call a tool and give its result, however many rounds or however long a task that takes.

        A tool's own failure is a result with `is_error`, not an exception. ``timeout`` bounds the wait for an answer
        or progress. Source: 2026-07-28 server/tools.

        Raises:
            InvalidResult: the result does not fit the tool's output schema; its ``result`` is what came.
        """
        result = await self.call_unchecked(name, arguments, timeout=timeout, on_progress=on_progress, meta=meta)
        if self._toolbox.validates:
            await self._check(name, result)
        return result

    async def call_unchecked(
        self,
        name: str,
        arguments: Mapping[str, Any] | Raw | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> ToolResult:
        """Call a tool as `call_tool` does, without holding the result against the tool's output schema.

        For whoever passes bytes on without looking at them: ``arguments`` may be a JSON object on one line.
        """
        if self._toolbox.core_tasks and not self._toolbox.filled:
            await self._learn()  # only the listing tells which tools must be called as tasks
        if self._toolbox.wants_task(name):
            return await self._awaited(await self._start_task(name, arguments, timeout=timeout, meta=meta))
        raw = await self._calls.call(
            "tools/call",
            self._members(name, arguments),
            name=name,
            headers=self._headers(name, arguments),
            relist=self._relisted_headers(name, arguments) if self._toolbox.mirrors else None,
            on_task=self._follow,
            timeout=timeout,
            on_progress=on_progress,
            meta=meta,
        )
        return ToolResult(raw, self.name)

    async def start_task(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> TaskHandle:
        """Call a tool as a task and give the handle at once. ``ttl`` is how long it should be kept, in seconds.

        In the stateless era the server decides: if it answers directly, the handle has already ended.

        Raises:
            NotSupported: the revision, the server or the tool knows no tasks.
        """
        return await self._start_task(name, arguments, ttl=ttl, timeout=timeout, meta=meta)

    async def _start_task(
        self,
        name: str,
        arguments: Mapping[str, Any] | Raw | None,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> TaskHandle:
        if self._toolbox.forbids_task(name):
            raise NotSupported(f"tool {name} can't be called as a task", server=self.name)
        task = await TaskHandle.start(
            self._calls,
            self._agreement,
            self._members(name, arguments),
            name=name,
            headers=self._headers(name, arguments),
            relist=self._relisted_headers(name, arguments) if self._toolbox.mirrors else None,
            ttl=ttl,
            timeout=timeout,
            meta=meta,
        )
        task.keeper = self
        return task

    def task(self, task_id: str) -> TaskHandle:
        """Give the handle of a task started earlier, perhaps by another process."""
        task = TaskHandle.resume(self._calls, self._agreement, task_id)
        task.keeper = self
        return task

    async def list_tasks(self) -> list[Task]:
        """Give the tasks that the server keeps (2025-11-25 only).

        Raises:
            NotSupported: the revision or the server has no such list.
        """
        return await list_tasks(self._calls, self._agreement)

    # Resources.

    async def list_resources(self) -> list[Resource]:
        """Give all resources, over all pages."""
        return (await self.resources_page()).items

    async def resources_page(self) -> Page[Resource]:
        """Give all resources, with what was left out and how long the listing may be kept."""
        return await self._noted("resources/list", "resources", Resource, self.capabilities.resources)

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Give all resource templates, over all pages."""
        return (await self.templates_page()).items

    async def templates_page(self) -> Page[ResourceTemplate]:
        """Give all resource templates, with what was left out and how long the listing may be kept."""
        offered = self.capabilities.resources
        return await self._noted("resources/templates/list", "resourceTemplates", ResourceTemplate, offered)

    async def read_resource(
        self, uri: str, *, timeout: float | None = None, meta: Mapping[str, Any] | None = None
    ) -> ReadResult:
        """Read a resource.

        Raises:
            ResourceNotFound, InvalidParams: the server has no such resource (-32002 before 2026-07-28, -32602 since).
        """
        members = b'"uri":%b' % self._written(uri, "the resource's URI")
        raw = await self._calls.call("resources/read", members, name=uri, timeout=timeout, meta=meta)
        return self._calls.read(ReadResult, raw, f"what resource {uri} holds")

    # Prompts and completion.

    async def list_prompts(self) -> list[Prompt]:
        """Give all prompts, over all pages."""
        return (await self.prompts_page()).items

    async def prompts_page(self) -> Page[Prompt]:
        """Give all prompts, with what was left out and how long the listing may be kept."""
        return await self._noted("prompts/list", "prompts", Prompt, self.capabilities.prompts)

    async def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> PromptResult:
        """Give a prompt with its arguments filled in.

        Raises:
            InvalidArguments: one of them is no text, as prompts take alone; nothing was sent.
        """
        members = self._members(name, arguments)
        try:
            check_texts(arguments, name)
        except InvalidArguments as error:
            raise self._connection.named(error) from None
        raw = await self._calls.call("prompts/get", members, name=name, timeout=timeout, meta=meta)
        return self._calls.read(PromptResult, raw, f"prompt {name}")

    async def complete(
        self,
        ref: PromptReference | ResourceReference,
        argument: str,
        value: str = "",
        *,
        context: Mapping[str, str] | None = None,
        timeout: float | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Suggest values for an argument of a prompt or a variable of a resource template.

        ``value`` is what was typed so far, ``context`` the arguments already settled.
        """
        wire = (
            {"type": "ref/prompt", "name": ref.name}
            if isinstance(ref, PromptReference)
            else {"type": "ref/resource", "uri": ref.uri}
        )
        params: dict[str, Any] = {"ref": wire, "argument": {"name": argument, "value": value}}
        if context:
            params["context"] = {"arguments": dict(context)}
        members = self._written(params, "what to complete")[1:-1]
        raw = await self._calls.whole("completion/complete", members, timeout=timeout, meta=meta)
        return self._calls.read(Completion, raw, "the completion")

    # The conversation itself.

    def listen(
        self,
        *,
        tools: bool = False,
        prompts: bool = False,
        resources: bool = False,
        uris: Iterable[str] = (),
        task_ids: Iterable[str] = (),
        on_break: Callable[[], object] | None = None,
    ) -> Listening:
        """Hear of changes: ``async with server.listen(tools=True) as changes: async for change in changes: …``.

        ``uris`` are resources to watch. A stream that breaks is opened again with back-off; a `Relistened` then says
        that something may have been missed. ``on_break`` is called each time that it breaks: the server may be gone.
        Source: 2026-07-28 basic/patterns/subscriptions.
        """
        wanted = ChangeFilter(
            tools=tools, prompts=prompts, resources=resources, uris=tuple(uris), task_ids=tuple(task_ids)
        )
        listening = self._subscriptions.listen(wanted, on_break)
        listening.keeper = self
        return listening

    async def set_log_level(self, level: LogLevel) -> None:
        """Ask for log lines of this level and above; `connect`'s ``on_log`` hears them.

        In the stateless era nothing is sent now: each later request asks for them.
        """
        if self.era == "stateless":
            self._connection.metadata.log_level = level
            return
        members = encode({"level": level})[1:-1]
        await self._calls.simple("logging/setLevel", members)
        self._calls.standing["log level"] = ("logging/setLevel", members)

    async def ping(self, *, timeout: float | None = None) -> None:
        """Ask whether the server is there: ``ping``, or ``server/discover`` in the stateless era, which has none."""
        await self._calls.simple("ping" if self.era == "handshake" else "server/discover", timeout=timeout)

    async def roots_changed(self) -> None:
        """Tell the server that the roots are others now (handshake era).

        Raises:
            NotSupported: the stateless era has no such notification; roots are asked for when needed.
        """
        if self.era == "stateless":
            raise NotSupported("the stateless era has no notification for roots", server=self.name)
        await self._connection.notify_and_wait("notifications/roots/list_changed")

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
    ) -> bytes:
        """Send any request and give the result's bytes: for methods that have no function here."""
        given = dict(params or {})
        meta = given.pop("_meta", None)
        try:
            members = encode(given)[1:-1]
        except (TypeError, ValueError, RecursionError) as error:
            what = f"the parameters of {method} can't be written as JSON ({error})"
            raise InvalidArguments(what, server=self.name) from None
        name = given.get("name") or given.get("uri") or given.get("taskId")
        raw = await self._calls.simple(
            method,
            members,
            name=name if isinstance(name, str) else None,
            timeout=timeout,
            on_progress=on_progress,
            meta=meta,
        )
        return bytes(raw)

    async def aclose(self) -> None:
        """Close the connection and wait until nothing of it is left. Any task may do so, any number of times."""
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "closed"
        return f"<Server {self.name!r} {self.transport_kind} {self.protocol_version} {state}>"

    def _members(self, name: str, arguments: Mapping[str, Any] | Raw | None) -> bytes:
        try:
            return b'"name":%b,"arguments":%b' % (self._written(name, "the name"), written(arguments, str(name)))
        except InvalidArguments as error:
            raise self._connection.named(error) from None

    def _written(self, value: object, what: str) -> bytes:
        try:
            return encode(value)
        except (TypeError, ValueError, RecursionError) as error:
            told = f"{what} can't be written as JSON ({printable(str(error))})"
            raise InvalidArguments(told, server=self.name) from None

    def _headers(self, name: str, arguments: Mapping[str, Any] | Raw | None) -> Mapping[str, str] | None:
        try:
            if not self._toolbox.mirrors:
                return None
            seen = decode_object(arguments, "the arguments") if isinstance(arguments, Raw) else arguments
            return self._toolbox.headers(name, seen)
        except InvalidArguments as error:
            raise self._connection.named(error) from None

    async def _noted(self, method: str, member: str, kind: type[K], offered: dict[str, Any] | None) -> Page[K]:
        page = await self._page(method, member, kind, offered)
        self._note(method, page.problems, page.left_out)
        return page

    async def _page(self, method: str, member: str, kind: type[K], offered: dict[str, Any] | None) -> Page[K]:
        if offered is None:
            return Page([], [])
        try:
            return await list_all(self._calls, method, member, kind)
        except ProtocolError as error:
            raise self._connection.named(error) from None

    def _note(self, method: str, problems: list[str], left_out: int) -> None:
        told = problems[:MOST_PROBLEMS]
        if left_out > len(told):
            told.append(f"{method}: {left_out - len(told):,} more entries were left out")
        if told and told != self._problems.get(method):
            for problem in told[:_MOST_LOGGED]:
                log.warning("%s: %s", self.name, problem)
            if left_out > _MOST_LOGGED:
                log.warning("%s: %s: %d entries were left out in all", self.name, method, left_out)
        self._problems[method] = told

    async def _check(self, name: str, result: ToolResult) -> None:
        """Hold a result against the tool's output schema, fetching the list of tools if it is not known (any more)."""
        known = self._toolbox.knows(name)
        if self._toolbox.filled:
            if not known:
                return
        elif self.capabilities.tools is None or not (known or _shows_structure(result)):
            return
        else:
            await self._learn()
        try:
            problem = self._toolbox.problem(name, result)
        except InvalidResult as error:
            raise self._connection.named(error) from None
        if problem is not None:
            error = InvalidResult(f"tool {name}: {problem.text}", path=problem.path, server=self.name)
            error.result = result
            raise error

    async def _learn(self) -> None:
        """List the tools, once for all calls that wait for it. A listing that fails leaves results unchecked."""
        async with self._learning:
            if not self._toolbox.filled:
                try:
                    await self.list_tools()
                except DragomanError as error:
                    log.warning("%s: results are not checked: %s", self.name, error.what)
                    self._toolbox.filled = True

    async def _follow(self, created: Raw) -> Raw:
        return Raw((await self._awaited(TaskHandle.created(self._calls, self._agreement, created))).view)

    async def _awaited(self, task: TaskHandle) -> ToolResult:
        """Wait for a task that the caller did not ask for; when the caller gives up, so does the task."""
        try:
            return await task.result()
        except (asyncio.CancelledError, RequestTimeout):
            self._connection.background(cancel_quietly(task))
            raise

    def _relisted_headers(
        self, name: str, arguments: Mapping[str, Any] | Raw | None
    ) -> Callable[[], Awaitable[Mapping[str, str] | None]]:
        async def relist() -> Mapping[str, str] | None:
            await self.list_tools()
            return self._headers(name, arguments)

        return relist


def _shows_structure(result: ToolResult) -> bool:
    """Whether there is something to check; what can't be read at all is told to whoever looks at it."""
    try:
        return result.structured_raw is not None and not result.is_error
    except InvalidResult:
        return False
