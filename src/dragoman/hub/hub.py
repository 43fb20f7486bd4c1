"""`Hub`: many servers behind one waist. Whoever understands `Hub.call_tool` understands the project.

It resolves names and hands requests to `calls`, which makes them on the handles of the `fleet`. What servers offer is
the `catalogue`'s, what happens is told on the `bus`. Opening, reloading and closing are `household`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

from msgspec import Raw

from dragoman.catalogue.entries import PromptEntry, ResourceEntry, TemplateEntry, ToolEntry
from dragoman.errors import AmbiguousName, InvalidArguments, ToolDisabled, UnknownName
from dragoman.events import Event, Instrument, PolicyDenied
from dragoman.handle.handle import Handle
from dragoman.hub.arguments import compact
from dragoman.hub.bus import LIMIT, Stream, Subscription
from dragoman.hub.calls import Terms
from dragoman.hub.finding import Found
from dragoman.hub.household import Household
from dragoman.hub.outcomes import Outcome, ToolCall, gathered
from dragoman.hub.requests import CompletionRequest, PromptRequest, ReadRequest, ToolRequest
from dragoman.hub.server_face import Backing, HubServer
from dragoman.hub.watching import Watch
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import Completion, PromptReference, PromptResult, ReadResult, ResourceReference
from dragoman.server.connection import ProgressHandler

__all__ = ["Hub"]

E = TypeVar("E", bound=Event)
H = TypeVar("H", bound=Callable[..., object])

#: So many calls of a batch are under way at once, unless the caller says otherwise.
_AT_ONCE = 32
#: How long servers that were never listed are waited for, unless the caller says otherwise (seconds).
_WAIT = 10.0


class Hub(Household):
    """All servers of one configuration. Enter it with ``async with``, or use `start` and `aclose`.

    It is ready at once: servers come up in the background, and a call waits for its own server only. A tool's full name
    is ``server.tool``; its bare name will do where only one server has it, and so will its name for models.

    All methods that ask a server raise, besides what they name: `ServerNotReady` (it is away, nothing was sent) and
    what the methods of `Server` raise. Time-outs are in seconds and bound everything: waiting for the server, for a
    place within its limits, and for its answer or progress. None means the server's configured one.
    """

    # Tools.

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> ToolResult:
        """Call a tool and give its result. A tool's own failure is a result with `is_error`, not an exception.

        Repeated after a failure only if nothing was sent, or if repeating it is safe (see `Retry`).

        Raises:
            UnknownName, AmbiguousName: no tool, or several, of that name; the text tells the nearest, or which.
            ToolDisabled: the configuration switches it off.
            InvalidArguments: they do not fit the tool's input schema; nothing was sent.
            InvalidResult: the result does not fit the tool's output schema; its ``result`` is what came.
        """
        found = self._catalogue.tools.get(name)
        if found is None or self._groups:
            return await self._call(name, arguments, Terms(timeout, on_progress, meta))
        if self._checks_arguments:
            self._check(found, arguments)
        request = ToolRequest(found.key, arguments, found)
        return await self._calls.make(self._handle(found.server), request, Terms(timeout, on_progress, meta))

    async def call_raw(
        self,
        name: str,
        arguments: Mapping[str, Any] | bytes | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> memoryview:
        """Call a tool and give the bytes of its result object, unlooked at: for gateways.

        ``arguments`` may be the bytes of a JSON object. The result is not held against the tool's output schema.

        Raises:
            InvalidArguments: the bytes are no JSON object, or do not fit the tool's input schema.
        """
        given = compact(arguments) if isinstance(arguments, bytes) else arguments
        result = await self._call(name, given, Terms(timeout, on_progress, meta), checked=False)
        return result.view

    async def broadcast(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> list[Outcome[ToolResult]]:
        """Call a tool on every server that has it, side by side; ``tool`` is its name there. One outcome each.

        Raises:
            UnknownName: no server has it.
        """
        await self._await_listings(_WAIT if timeout is None else timeout)
        names = [entry.full_name for entry in self._catalogue.all_tools() if entry.key == tool]
        if not names:
            self._catalogue.resolve_tool(tool)  # tells the nearest
            raise UnknownName(f"no server lists a tool {tool!r}", name=tool)
        return await self.call_many([ToolCall(name, arguments, timeout) for name in names], limit=len(names))

    async def call_many(
        self, calls: Iterable[ToolCall | tuple[str, Mapping[str, Any] | None]], *, limit: int = _AT_ONCE
    ) -> list[Outcome[ToolResult]]:
        """Make many calls, at most ``limit`` at once; give an outcome for each, in their order.

        A call that fails leaves the others alone.
        """

        def begin(call: ToolCall) -> Callable[[], Any]:
            return lambda: self.call_tool(call.name, call.arguments, timeout=call.timeout)

        wanted = [call if isinstance(call, ToolCall) else ToolCall(*call) for call in calls]
        return await gathered(((call.name, begin(call)) for call in wanted), limit)

    # Resources.

    async def read_resource(self, uri: str, *, server: str | None = None, timeout: float | None = None) -> ReadResult:
        """Read a resource. ``server`` need not be given where one server alone lists it, or has a template for it.

        Raises:
            UnknownName: no server has resources, or there is none of that name.
            AmbiguousName: several servers may have it; ``candidates`` are their names.
            ResourceNotFound, InvalidParams: the server has no such resource.
        """
        handle = await self._resource_handle(uri, server, timeout)
        return await self._calls.make(handle, ReadRequest(uri), Terms(timeout))

    async def read_resources(
        self, uris: Iterable[str], *, server: str | None = None, timeout: float | None = None, limit: int = _AT_ONCE
    ) -> list[Outcome[ReadResult]]:
        """Read many resources, at most ``limit`` at once; give an outcome for each, in their order."""

        def begin(uri: str) -> Callable[[], Any]:
            return lambda: self.read_resource(uri, server=server, timeout=timeout)

        return await gathered(((uri, begin(uri)) for uri in uris), limit)

    def subscribe(self, uri: str, *, server: str | None = None) -> Watch:
        """Hear when a resource changes: ``async with hub.subscribe(uri) as changes: async for change in changes: …``.

        It outlives the connection: a `Relistened` says that something may have been missed.
        """
        return Watch(uri, lambda: self._resource_handle(uri, server, None), self._bus)

    # Prompts and completion.

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, *, timeout: float | None = None
    ) -> PromptResult:
        """Give a prompt with its arguments filled in; names are as those of tools.

        Raises:
            UnknownName, AmbiguousName: no prompt, or several, of that name.
        """
        handle, prompt = await self._prompt_handle(name, timeout)
        return await self._calls.make(handle, PromptRequest(prompt, arguments), Terms(timeout))

    async def complete(
        self,
        ref: PromptReference | ResourceReference,
        argument: str,
        value: str = "",
        *,
        context: Mapping[str, str] | None = None,
        server: str | None = None,
        timeout: float | None = None,
    ) -> Completion:
        """Suggest values for an argument of a prompt or a variable of a resource template.

        ``value`` is what was typed so far, ``context`` the arguments already settled. A prompt's name is as that of a
        tool; ``server`` names the server where that does not tell it.
        """
        if isinstance(ref, ResourceReference):
            handle = await self._resource_handle(ref.uri, server, timeout)
        elif server is not None:
            handle = self._handle(server)
        else:
            handle, prompt = await self._prompt_handle(ref.name, timeout)
            ref = PromptReference(prompt)
        request = CompletionRequest(ref, argument, value, context)
        return await self._calls.make(handle, request, Terms(timeout))

    # What there is.

    async def tools(self, server: str | None = None, *, wait: float = _WAIT) -> list[ToolEntry]:
        """Give the tools of all servers, or of one: from memory or disk if they are known, asking nobody.

        Servers that were never listed are waited for, at most ``wait`` seconds; one that fails is not. Tools of a
        server that is away are given too, marked ``stale``. So are those past the lifetime that their server gave
        them, unless they can be listed anew meanwhile.
        """
        await self._await_listings(wait, server)
        return list(self._catalogue.all_tools(server))

    async def resources(self, server: str | None = None, *, wait: float = _WAIT) -> list[ResourceEntry]:
        """Give the resources that servers list, as `tools` does."""
        await self._await_listings(wait, server)
        return list(self._catalogue.all_resources(server))

    async def resource_templates(self, server: str | None = None, *, wait: float = _WAIT) -> list[TemplateEntry]:
        """Give the resource templates that servers list, as `tools` does."""
        await self._await_listings(wait, server)
        return list(self._catalogue.all_templates(server))

    async def prompts(self, server: str | None = None, *, wait: float = _WAIT) -> list[PromptEntry]:
        """Give the prompts that servers list, as `tools` does."""
        await self._await_listings(wait, server)
        return list(self._catalogue.all_prompts(server))

    async def find(self, query: str, limit: int = 10, *, server: str | None = None, wait: float = _WAIT) -> list[Found]:
        """Give the tools that fit a question best, best first: by names, descriptions and parameters (BM25)."""
        await self._await_listings(wait, server)
        return self._finder.find(query, limit, server)

    async def find_tool(self, query: str, *, server: str | None = None, wait: float = _WAIT) -> ToolEntry | None:
        """Give the tool that fits a question best; None if none does at all."""
        found = await self.find(query, 1, server=server, wait=wait)
        return found[0].entry if found else None

    async def tool(self, name: str, *, wait: float = _WAIT) -> ToolEntry:
        """Give one tool by its full name, its bare name or its name for models.

        Raises:
            UnknownName, AmbiguousName, ToolDisabled: as `call_tool`.
        """
        found = await self._resolved(name, wait)
        if isinstance(found, ToolEntry):
            return found
        await self._await_listings(wait, found[0])
        entry = self._catalogue.tools.get(f"{found[0]}.{found[1]}")
        if entry is None:
            raise UnknownName(f"server {found[0]} is known, but what it lists is not", name=name, server=found[0])
        return entry

    def server(self, name: str) -> HubServer:
        """Give one server, with methods that take names as that server has them.

        Raises:
            UnknownName: there is none of that name; the nearest are told.
        """
        self._handle(name)
        return HubServer(
            name,
            Backing(
                handle=lambda: self._handle(name),
                calls=self._calls,
                catalogue=self._catalogue,
                tool=lambda tool, arguments, checked: self._member(name, tool, arguments, checked=checked)[1],
                listings=lambda wait: self._await_listings(wait, name),
                watch=lambda uri: self.subscribe(uri, server=name),
            ),
        )

    # Events.

    @overload
    def events(self, *, limit: int = LIMIT) -> Stream[Event]: ...
    @overload
    def events(self, *kinds: type[E], limit: int = LIMIT) -> Stream[E]: ...
    def events(self, *kinds: type[Any], limit: int = LIMIT) -> Stream[Any]:
        """Give a stream of events of these kinds, or all: ``async for event in hub.events(CallFinished): …``.

        At most ``limit`` wait for a slow reader; more push out the oldest, and an `EventsDropped` tells how many.
        """
        return self._bus.events(*kinds, limit=limit)

    @overload
    def on(
        self, kind: type[E] | tuple[type[E], ...], handler: Callable[[E], object], *, limit: int = LIMIT
    ) -> Subscription: ...
    @overload
    def on(self, kind: None, handler: Callable[[Event], object], *, limit: int = LIMIT) -> Subscription: ...
    @overload
    def on(
        self, kind: type[Event] | tuple[type[Event], ...] | None = None, *, limit: int = LIMIT
    ) -> Callable[[H], H]: ...
    def on(
        self,
        kind: type[Any] | tuple[type[Any], ...] | None = None,
        handler: Callable[..., object] | None = None,
        *,
        limit: int = LIMIT,
    ) -> Subscription | Callable[[H], H]:
        """Call ``handler`` with each event of this kind, of these kinds (a tuple) or of all (None); or decorate it.

        An asynchronous handler runs in a task of its own, any other in a thread of its own. One that raises or is slow
        is reported, and costs nobody else.
        """
        if handler is None:
            return self._bus.on(kind, limit=limit)
        return self._bus.on(kind, handler, limit=limit)

    def instrument(self, instrument: Instrument) -> None:
        """Let an instrument see each call begin and end in its caller's context: see `Tracing`."""
        self._instruments.add(instrument)

    # The way of a call.

    async def _call(
        self, name: str, arguments: Mapping[str, Any] | Raw | None, terms: Terms, *, checked: bool = True
    ) -> ToolResult:
        """Call a tool by whatever name it has, on one server or on those that stand in for one another."""
        found = await self._resolved(name, terms.timeout)
        server, tool = (found.server, found.key) if isinstance(found, ToolEntry) else found
        group = self._group_of(name, server)
        if group is not None:
            members = [self._member(each, tool, arguments, checked=checked) for each in self._members(group, tool)]
            return await self._calls.make_any(members, terms, hedge_after=self._groups[group].hedge_after)
        return await self._calls.make(*self._member(server, tool, arguments, checked=checked), terms)

    def _member(
        self, server: str, tool: str, arguments: Mapping[str, Any] | Raw | None, *, checked: bool
    ) -> tuple[Handle, ToolRequest]:
        entry = self._catalogue.tools.get(f"{server}.{tool}")
        if entry is not None and entry.server != server:
            entry = None
        if entry is not None and self._checks_arguments:
            self._check(entry, arguments)
        return self._handle(server), ToolRequest(tool, arguments, entry, checked)

    async def _resolved(self, name: str, timeout: float | None) -> ToolEntry | tuple[str, str]:
        """Give the tool that a name stands for; if that can't be told yet, wait for servers that were never listed."""
        try:
            found = self._catalogue.resolve_tool(name)
            if not isinstance(found, ToolEntry) or found.full_name == name or not self._unlisted():
                return found
        except UnknownName:
            if not self._unlisted():
                raise
        except ToolDisabled as error:
            self._deny(error, "disabled_tools")
            raise
        await self._await_listings(_WAIT if timeout is None else timeout)
        return self._catalogue.resolve_tool(name)

    def _check(self, entry: ToolEntry, arguments: Mapping[str, Any] | Raw | None) -> None:
        problem = entry.arguments_problem(arguments)
        if problem is not None:
            place = f" at {problem.path}" if problem.path else ""
            what = f"the arguments of {entry.key} do not fit{place}: {problem.text}"
            raise InvalidArguments(what, path=problem.path, server=entry.server)

    def _deny(self, error: ToolDisabled, rule: str) -> None:
        if self._bus.active:
            self._bus.publish(PolicyDenied(at=self._now(), server=error.server or "", name=error.tool, rule=rule))

    async def _prompt_handle(self, name: str, timeout: float | None) -> tuple[Handle, str]:
        try:
            found = self._catalogue.resolve_prompt(name)
        except UnknownName:
            if not self._unlisted():
                raise
            await self._await_listings(_WAIT if timeout is None else timeout)
            found = self._catalogue.resolve_prompt(name)
        server, prompt = (found.server, found.key) if isinstance(found, PromptEntry) else found
        return self._handle(server), prompt

    async def _resource_handle(self, uri: str, server: str | None, timeout: float | None) -> Handle:
        if server is not None:
            return self._handle(server)
        if self._unlisted():
            await self._await_listings(_WAIT if timeout is None else timeout)
        servers = self._catalogue.resource_servers(uri)
        if not servers:
            raise UnknownName(f"no server has resources, so none has {uri}", name=uri)
        if len(servers) > 1:
            raise AmbiguousName(
                f"{len(servers)} servers may have {uri}: {', '.join(servers)}",
                name=uri,
                candidates=servers,
                hint="Say which by server=…",
            )
        return self._handle(servers[0])
