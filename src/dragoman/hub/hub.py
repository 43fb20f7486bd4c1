"""`Hub`: many servers behind one waist. Whoever understands `Hub.call_tool` understands the project.

It resolves names and hands requests to `calls`, which makes them on the handles of the `fleet`. What servers offer is
the `catalogue`'s, what happens is told on the `bus`. Opening, reloading and closing are `household`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

from msgspec import Raw, structs

from dragoman.catalogue.entries import PromptEntry, ResourceEntry, TemplateEntry, ToolEntry
from dragoman.catalogue.shelf import matches_any
from dragoman.errors import AmbiguousName, InvalidArguments, ToolDisabled, UnknownName, UsageError
from dragoman.events import Event, Instrument, PolicyDenied
from dragoman.handle.handle import Handle
from dragoman.hub.arguments import compact
from dragoman.hub.bus import LIMIT, Stream, Subscription
from dragoman.hub.calls import LEAST, Terms, checked_timeout
from dragoman.hub.finding import Found
from dragoman.hub.household import Household
from dragoman.hub.outcomes import AT_ONCE, Outcome, ToolCall, as_call, gathered
from dragoman.hub.requests import CompletionRequest, PromptRequest, ReadRequest, ToolRequest
from dragoman.hub.server_face import WAIT, Backing, HubServer
from dragoman.hub.watching import Watch
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import Completion, PromptReference, PromptResult, ReadResult, ResourceReference
from dragoman.server.arguments import written
from dragoman.server.connection import ProgressHandler

__all__ = ["Hub"]

E = TypeVar("E", bound=Event)
H = TypeVar("H", bound=Callable[..., object])
T = TypeVar("T")


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
        if found is None:
            return await self._call(name, arguments, Terms(timeout, on_progress, meta))
        handle = self._handle(found.server)
        if self._checks_arguments:
            self._check(found, arguments)
        request = ToolRequest(found.key, arguments, found)
        return await self._calls.make(handle, request, Terms(timeout, on_progress, meta))

    async def call_raw(
        self,
        name: str,
        arguments: Mapping[str, Any] | bytes | bytearray | memoryview | None = None,
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
        given = compact(arguments) if isinstance(arguments, bytes | bytearray | memoryview) else arguments
        result = await self._call(name, given, Terms(timeout, on_progress, meta), checked=False)
        return result.view

    async def broadcast(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> list[Outcome[ToolResult]]:
        """Call a tool on every server that has it, side by side; ``tool`` is its name there. One outcome each.

        ``timeout`` (seconds) bounds all of it, the wait for servers that were never listed included.

        Raises:
            UnknownName: no server has it.
        """
        began = self._own_loop.time()
        await self._await_listed(WAIT if timeout is None else checked_timeout(timeout) / 2)
        left = None if timeout is None else max(LEAST, timeout - (self._own_loop.time() - began))
        entries = [entry for entry in self._catalogue.all_tools() if entry.key == tool]
        if not entries:
            self._resolve(tool)  # tells the nearest
            raise UnknownName(f"no server lists a tool {tool!r}", name=tool, hint="Give the name that servers list.")

        def begin(server: str) -> Callable[[], Any]:
            async def call() -> ToolResult:
                return await self._calls.make(*self._member(server, tool, arguments), Terms(left))

            return call

        outcomes = await gathered(((entry.full_name, begin(entry.server)) for entry in entries), len(entries))
        return [structs.replace(done, server=entry.server) for done, entry in zip(outcomes, entries, strict=True)]

    async def call_many(
        self, calls: Iterable[ToolCall | tuple[str, Mapping[str, Any] | None]], *, limit: int = AT_ONCE
    ) -> list[Outcome[ToolResult]]:
        """Make many calls, at most ``limit`` at once; give an outcome for each, in their order.

        A call that fails leaves the others alone. Its time begins when it is made, not while it waits for its turn.

        Raises:
            UsageError: one of them is no call, or ``limit`` is less than 1.
        """

        def begin(call: ToolCall) -> Callable[[], Any]:
            return lambda: self.call_tool(call.name, call.arguments, timeout=call.timeout)

        wanted = [as_call(call) for call in calls]
        return await gathered(((call.name, begin(call)) for call in wanted), limit)

    # Resources.

    async def read_resource(self, uri: str, *, server: str | None = None, timeout: float | None = None) -> ReadResult:
        """Read a resource. ``server`` need not be given where one server alone lists it, or has a template for it.

        Raises:
            UnknownName: no server has resources, or there is none of that name.
            AmbiguousName: several servers may have it; ``candidates`` are their names.
            ResourceNotFound, InvalidParams: the server has no such resource.
        """
        handle, left = await self._resource_handle(uri, server, timeout)
        return await self._calls.make(handle, ReadRequest(uri), Terms(left))

    async def read_resources(
        self, uris: Iterable[str], *, server: str | None = None, timeout: float | None = None, limit: int = AT_ONCE
    ) -> list[Outcome[ReadResult]]:
        """Read many resources, at most ``limit`` at once; give an outcome for each, in their order."""

        def begin(uri: str) -> Callable[[], Any]:
            return lambda: self.read_resource(uri, server=server, timeout=timeout)

        return await gathered(((uri, begin(uri)) for uri in uris), limit)

    def subscribe(self, uri: str, *, server: str | None = None) -> Watch:
        """Hear when a resource changes: ``async with hub.subscribe(uri) as changes: async for change in changes: …``.

        It outlives the connection: a `Relistened` says that something may have been missed.
        """

        async def find(former: str) -> Handle:
            return (await self._resource_handle(uri, former or server, None))[0]

        self._fleet  # noqa: B018 - raises if it is not started
        watch = Watch(uri, find, self._announcer)
        self._watches.add(watch)
        return watch

    # Prompts and completion.

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, *, timeout: float | None = None
    ) -> PromptResult:
        """Give a prompt with its arguments filled in; names are as those of tools.

        Raises:
            UnknownName, AmbiguousName: no prompt, or several, of that name.
            InvalidArguments: one of them is no text, as prompts take alone.
        """
        handle, prompt, left = await self._prompt_handle(name, timeout)
        return await self._calls.make(handle, PromptRequest(prompt, arguments), Terms(left))

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
        left = timeout
        if isinstance(ref, ResourceReference):
            handle, left = await self._resource_handle(ref.uri, server, timeout)
        elif server is not None:
            handle = self._handle(server)
        else:
            handle, prompt, left = await self._prompt_handle(ref.name, timeout)
            ref = PromptReference(prompt)
        request = CompletionRequest(ref, argument, value, context)
        return await self._calls.make(handle, request, Terms(left))

    # What there is.

    async def tools(self, server: str | None = None, *, wait: float = WAIT) -> list[ToolEntry]:
        """Give the tools of all servers, or of one: from memory or disk if they are known, asking nobody.

        Servers that were never listed are waited for, at most ``wait`` seconds; one that fails is not, nor one that was
        waited for in vain before, now or at an earlier start, unless it is asked for by name. Tools of a server that is
        away are given too, marked ``stale``. So are those past the lifetime that their server gave them, unless they
        can be listed anew meanwhile.
        """
        await self._await_listings("tools", wait, server)
        return list(self._catalogue.all_tools(server))

    async def resources(self, server: str | None = None, *, wait: float = WAIT) -> list[ResourceEntry]:
        """Give the resources that servers list, as `tools` does."""
        await self._await_listings("resources", wait, server)
        return list(self._catalogue.all_resources(server))

    async def resource_templates(self, server: str | None = None, *, wait: float = WAIT) -> list[TemplateEntry]:
        """Give the resource templates that servers list, as `tools` does."""
        await self._await_listings("templates", wait, server)
        return list(self._catalogue.all_templates(server))

    async def prompts(self, server: str | None = None, *, wait: float = WAIT) -> list[PromptEntry]:
        """Give the prompts that servers list, as `tools` does."""
        await self._await_listings("prompts", wait, server)
        return list(self._catalogue.all_prompts(server))

    async def find(self, query: str, limit: int = 10, *, server: str | None = None, wait: float = WAIT) -> list[Found]:
        """Give the tools that fit a question best, best first: by names, descriptions and parameters (BM25).

        Raises:
            UnknownName: there is no such server.
            UsageError: ``limit`` is less than 1.
        """
        if limit < 1:
            raise UsageError(f"limit: must be at least 1, not {limit}")
        await self._await_listings("tools", wait, server)
        return await self._finder.find(query, limit, server)

    async def find_tool(self, query: str, *, server: str | None = None, wait: float = WAIT) -> ToolEntry | None:
        """Give the tool that fits a question best; None if none does at all."""
        found = await self.find(query, 1, server=server, wait=wait)
        return found[0].entry if found else None

    async def tool(self, name: str, *, wait: float = WAIT) -> ToolEntry:
        """Give one tool by its full name, its bare name or its name for models.

        Raises:
            UnknownName, AmbiguousName, ToolDisabled: as `call_tool`.
        """
        began = self._own_loop.time()
        found, _ = await self._resolved(name, wait)
        if isinstance(found, ToolEntry):
            return found
        await self._await_listed(wait - (self._own_loop.time() - began), found[0])
        found = self._resolve(name)
        if isinstance(found, ToolEntry):
            return found
        raise UnknownName(
            "what it lists is not known (yet)", name=name, server=found[0], hint="Wait until it is ready."
        )

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
                listings=lambda what, wait: self._await_listings(what, wait, name),
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

        At most ``limit`` wait for a slow reader; more push out the oldest, and `Stream.dropped` counts them.
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
        found, left = await self._resolved(name, terms.timeout)
        if left is not terms.timeout:
            terms = Terms(left, terms.on_progress, terms.meta)
        server, tool = (found.server, found.key) if isinstance(found, ToolEntry) else found
        group = self._group_of(name, server, tool)
        if group is not None:
            members = self._members(group, tool, arguments, checked=checked)
            return await self._calls.make_any(members, terms, hedge_after=self._groups[group].hedge_after)
        return await self._calls.make(*self._member(server, tool, arguments, checked=checked), terms)

    def _member(
        self, server: str, tool: str, arguments: Mapping[str, Any] | Raw | None, *, checked: bool = True
    ) -> tuple[Handle, ToolRequest]:
        """Give the request for one server's tool, listed or not, by its name there."""
        handle = self._handle(server)
        if matches_any(tool, handle.config.disabled_tools):
            raise self._denied(ToolDisabled(f"the tool {tool!r} is switched off", tool=tool, server=server))
        entry = self._entry(server, tool)
        if entry is not None and self._checks_arguments:
            self._check(entry, arguments)
        return handle, ToolRequest(tool, arguments, entry, checked)

    def _entry(self, server: str, tool: str) -> ToolEntry | None:
        entry = self._catalogue.tools.get(f"{server}.{tool}")
        if entry is not None and entry.server == server:
            return entry
        if entry is None and "." not in tool:
            return None
        # Its full name is another server's tool's: names may contain dots.
        return next((each for each in self._catalogue.all_tools(server) if each.key == tool), None)

    def _group_of(self, name: str, server: str, tool: str) -> str | None:
        """Give the group that a name speaks of: by its own name, or by a bare name that its servers share."""
        if not self._groups:
            return None
        split = self._catalogue.split(name)
        if split is not None:
            return split[0] if split[0] in self._groups else None
        if name != tool:  # a name for models means one server
            return None
        return next((group for group, members in self._groups.items() if server in members.servers), None)

    def _members(
        self, group: str, tool: str, arguments: Mapping[str, Any] | Raw | None, *, checked: bool
    ) -> list[tuple[Handle, ToolRequest]]:
        """Give the requests for those servers of a group that have a tool, or of which nobody knows whether they do.

        A server that hides the tool, or whose schema the arguments do not fit, is passed over if there are others.
        """
        servers = [name for name in self._groups[group].servers if name in self._fleet.handles]
        unsure = [name for name in servers if self._entry(name, tool) or not self._catalogue.known(name)]
        members: list[tuple[Handle, ToolRequest]] = []
        problem: UsageError | None = None
        for server in unsure or servers:
            try:
                members.append(self._member(server, tool, arguments, checked=checked))
            except (InvalidArguments, ToolDisabled) as error:
                problem = problem or error
        if not members:
            raise problem or UnknownName(f"no server of the group {group!r} is there", name=f"{group}.{tool}")
        return members

    def _resolve(self, name: str) -> ToolEntry | tuple[str, str]:
        try:
            return self._catalogue.resolve_tool(name)
        except ToolDisabled as error:
            raise self._denied(error) from None

    async def _resolved(self, name: str, timeout: float | None) -> tuple[ToolEntry | tuple[str, str], float | None]:
        """Give the tool that a name stands for, and what is left of the time-out."""
        return await self._once_listed(lambda: self._resolve(name), lambda found: _is_sure(found, name), name, timeout)

    async def _once_listed(
        self, resolve: Callable[[], T], is_sure: Callable[[T], bool], name: str, timeout: float | None
    ) -> tuple[T, float | None]:
        """Give what a name stands for, and what is left of the time-out.

        If servers that were never listed might change that, they are waited for: at most half the time-out where
        something is found already, which needs the other half.
        """
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise UsageError(f"a name must be a text, not a {type(name).__name__}")
        began = self._own_loop.time()
        unlisted = self._unlisted()
        patience = WAIT if timeout is None else checked_timeout(timeout)
        try:
            found = resolve()
            if not unlisted or is_sure(found):
                return found, timeout
            patience /= 2
        except UnknownName:
            if not unlisted:
                raise
        await self._await_listed(patience)
        left = None if timeout is None else max(LEAST, timeout - (self._own_loop.time() - began))
        return resolve(), left

    def _check(self, entry: ToolEntry, arguments: Mapping[str, Any] | Raw | None) -> None:
        problem = entry.arguments_problem(arguments)
        if problem is None:
            return
        place = f" at {problem.path}" if problem.path else ""
        what = f"the arguments of {entry.key} do not fit{place}: {problem.text}"
        misfit = InvalidArguments(what, path=problem.path, server=entry.server)
        try:
            written(arguments, entry.key)  # what can't be sent at all is better told so
        except InvalidArguments as error:
            misfit, misfit.server = error, entry.server
        raise misfit

    def _denied(self, error: ToolDisabled) -> ToolDisabled:
        if self._bus.active:
            told = PolicyDenied(at=self._now(), server=error.server or "", name=error.tool, rule="disabled_tools")
            self._bus.publish(told)
        return error

    async def _prompt_handle(self, name: str, timeout: float | None) -> tuple[Handle, str, float | None]:
        def resolve() -> PromptEntry | tuple[str, str]:
            return self._catalogue.resolve_prompt(name)

        found, left = await self._once_listed(resolve, lambda found: _is_sure(found, name), name, timeout)
        server, prompt = (found.server, found.key) if isinstance(found, PromptEntry) else found
        return self._handle(server), prompt, left

    async def _resource_handle(
        self, uri: str, server: str | None, timeout: float | None
    ) -> tuple[Handle, float | None]:
        if server is not None:
            return self._handle(server), timeout
        name, left = await self._once_listed(lambda: self._resource_server(uri), lambda _: False, uri, timeout)
        return self._handle(name), left

    def _resource_server(self, uri: str) -> str:
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
        return servers[0]


def _is_sure(found: ToolEntry | PromptEntry | tuple[str, str], name: str) -> bool:
    """Whether no listing that is still to come changes what a name stands for."""
    if isinstance(found, tuple) or found.full_name == name:
        return True
    # A bare name may turn out to be another server's, too.
    return name != found.key
