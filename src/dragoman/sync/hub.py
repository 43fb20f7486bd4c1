"""`Hub` for Flask and Django views, scripts and notebooks, safe from many threads.

All its methods hand their work to the hub's `thread`, which starts with the first call, and wait. `beginning` tells how
it starts, closes, and starts anew in a process that was forked off; `server_face` is the face of one server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from dragoman.catalogue.entries import PromptEntry, ResourceEntry, TemplateEntry, ToolEntry
from dragoman.config.hub import HubConfig
from dragoman.config.model import Target
from dragoman.events import Event, Instrument
from dragoman.hub.bus import LIMIT
from dragoman.hub.finding import Found
from dragoman.hub.fleet import Turnover
from dragoman.hub.household import Servers
from dragoman.hub.hub import Hub as AsyncHub
from dragoman.hub.outcomes import AT_ONCE, Outcome, ToolCall
from dragoman.hub.server_face import WAIT
from dragoman.model import ServerStatus
from dragoman.protocol.changes import Change
from dragoman.protocol.metadata import ClientInfo
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import Completion, PromptReference, PromptResult, ReadResult, ResourceReference
from dragoman.server.callbacks import ElicitationHandler, Roots, SamplingHandler
from dragoman.server.connection import ProgressHandler
from dragoman.sync.beginning import Beginning
from dragoman.sync.reader import Reader
from dragoman.sync.server_face import HubServer
from dragoman.sync.subscription import Subscription
from dragoman.sync.thread import at_once

__all__ = ["Hub"]

E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Callable[..., object])


class Hub(Beginning):
    """All servers of one configuration, for code that blocks. Enter it with ``with``, or use it and `close` it.

    Takes what `dragoman.Hub` takes, and has its methods, which give and raise the same; handlers of servers' questions
    and of progress run in the hub's own thread. Any number of threads may use one hub at once. It starts with its
    first use, and a program that ends closes it.
    """

    def __init__(
        self,
        servers: Servers = (),
        *,
        sampling: SamplingHandler | None = None,
        elicitation: ElicitationHandler | None = None,
        roots: Roots | None = None,
        client_info: ClientInfo | None = None,
        cache_folder: Path | str | None = None,
    ) -> None:
        # An iterator would be used up by the first hub, and a process that is forked off makes another.
        targets: Servers = list(servers) if isinstance(servers, Iterator) else servers
        super().__init__(
            lambda: AsyncHub(
                targets,
                sampling=sampling,
                elicitation=elicitation,
                roots=roots,
                client_info=client_info,
                cache_folder=cache_folder,
            )
        )

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        watch: bool = False,
        inputs: Mapping[str, str] | None = None,
        sampling: SamplingHandler | None = None,
        elicitation: ElicitationHandler | None = None,
        roots: Roots | None = None,
        client_info: ClientInfo | None = None,
        cache_folder: Path | str | None = None,
    ) -> Self:
        """See `dragoman.Hub.open`."""
        hub = cls.__new__(cls)
        Beginning.__init__(
            hub,
            lambda: AsyncHub.open(
                path,
                watch=watch,
                inputs=inputs,
                sampling=sampling,
                elicitation=elicitation,
                roots=roots,
                client_info=client_info,
                cache_folder=cache_folder,
            ),
        )
        return hub

    @classmethod
    def from_dict(
        cls,
        settings: Mapping[str, Any],
        *,
        sampling: SamplingHandler | None = None,
        elicitation: ElicitationHandler | None = None,
        roots: Roots | None = None,
        client_info: ClientInfo | None = None,
        cache_folder: Path | str | None = None,
    ) -> Self:
        """See `dragoman.Hub.from_dict`."""
        hub = cls.__new__(cls)
        Beginning.__init__(
            hub,
            lambda: AsyncHub.from_dict(
                settings,
                sampling=sampling,
                elicitation=elicitation,
                roots=roots,
                client_info=client_info,
                cache_folder=cache_folder,
            ),
        )
        return hub

    # Its servers.

    def status(self) -> dict[str, ServerStatus]:
        """Give how each server is, by name."""
        return self._keeper.do(at_once(AsyncHub.status))

    def wait_ready(self, *names: str, timeout: float | None = None) -> dict[str, ServerStatus]:
        """See `dragoman.Hub.wait_ready`."""
        return self._keeper.do(lambda hub: hub.wait_ready(*names, timeout=timeout))

    def add_server(self, target: Target, *, name: str = "") -> None:
        """See `dragoman.Hub.add_server`."""
        self._keeper.do(lambda hub: hub.add_server(target, name=name))

    def remove_server(self, name: str) -> None:
        """See `dragoman.Hub.remove_server`."""
        self._keeper.do(lambda hub: hub.remove_server(name))

    def stop_server(self, name: str) -> None:
        """See `dragoman.Hub.stop_server`."""
        self._keeper.do(lambda hub: hub.stop_server(name))

    def start_server(self, name: str) -> None:
        """See `dragoman.Hub.start_server`."""
        self._keeper.do(lambda hub: hub.start_server(name))

    def restart_server(self, name: str) -> None:
        """See `dragoman.Hub.restart_server`."""
        self._keeper.do(lambda hub: hub.restart_server(name))

    def reload(self, config: HubConfig | None = None) -> Turnover:
        """See `dragoman.Hub.reload`."""
        return self._keeper.do(lambda hub: hub.reload(config))

    # Tools.

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> ToolResult:
        """See `dragoman.Hub.call_tool`."""
        return self._keeper.do(
            lambda hub: hub.call_tool(name, arguments, timeout=timeout, on_progress=on_progress, meta=meta)
        )

    def call_raw(
        self,
        name: str,
        arguments: Mapping[str, Any] | bytes | bytearray | memoryview | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> memoryview:
        """See `dragoman.Hub.call_raw`."""
        return self._keeper.do(
            lambda hub: hub.call_raw(name, arguments, timeout=timeout, on_progress=on_progress, meta=meta)
        )

    def broadcast(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> list[Outcome[ToolResult]]:
        """See `dragoman.Hub.broadcast`."""
        return self._keeper.do(lambda hub: hub.broadcast(tool, arguments, timeout=timeout))

    def call_many(
        self, calls: Iterable[ToolCall | tuple[str, Mapping[str, Any] | None]], *, limit: int = AT_ONCE
    ) -> list[Outcome[ToolResult]]:
        """See `dragoman.Hub.call_many`."""
        wanted = list(calls)  # the caller's own iterator runs in the caller's own thread
        return self._keeper.do(lambda hub: hub.call_many(wanted, limit=limit))

    # Resources, prompts, completion.

    def read_resource(self, uri: str, *, server: str | None = None, timeout: float | None = None) -> ReadResult:
        """See `dragoman.Hub.read_resource`."""
        return self._keeper.do(lambda hub: hub.read_resource(uri, server=server, timeout=timeout))

    def read_resources(
        self, uris: Iterable[str], *, server: str | None = None, timeout: float | None = None, limit: int = AT_ONCE
    ) -> list[Outcome[ReadResult]]:
        """See `dragoman.Hub.read_resources`."""
        wanted = list(uris)
        return self._keeper.do(lambda hub: hub.read_resources(wanted, server=server, timeout=timeout, limit=limit))

    def subscribe(self, uri: str, *, server: str | None = None) -> Reader[Change]:
        """Hear when a resource changes: ``with hub.subscribe(uri) as changes: for change in changes: …``."""
        keeper = self._keeper
        watch = keeper.do(at_once(lambda hub: hub.subscribe(uri, server=server)))
        return Reader(keeper, watch.__anext__, watch.aclose, self)

    def get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, *, timeout: float | None = None
    ) -> PromptResult:
        """See `dragoman.Hub.get_prompt`."""
        return self._keeper.do(lambda hub: hub.get_prompt(name, arguments, timeout=timeout))

    def complete(
        self,
        ref: PromptReference | ResourceReference,
        argument: str,
        value: str = "",
        *,
        context: Mapping[str, str] | None = None,
        server: str | None = None,
        timeout: float | None = None,
    ) -> Completion:
        """See `dragoman.Hub.complete`."""
        return self._keeper.do(
            lambda hub: hub.complete(ref, argument, value, context=context, server=server, timeout=timeout)
        )

    # What there is.

    def tools(self, server: str | None = None, *, wait: float = WAIT) -> list[ToolEntry]:
        """See `dragoman.Hub.tools`."""
        return self._keeper.do(lambda hub: hub.tools(server, wait=wait))

    def resources(self, server: str | None = None, *, wait: float = WAIT) -> list[ResourceEntry]:
        """See `dragoman.Hub.resources`."""
        return self._keeper.do(lambda hub: hub.resources(server, wait=wait))

    def resource_templates(self, server: str | None = None, *, wait: float = WAIT) -> list[TemplateEntry]:
        """See `dragoman.Hub.resource_templates`."""
        return self._keeper.do(lambda hub: hub.resource_templates(server, wait=wait))

    def prompts(self, server: str | None = None, *, wait: float = WAIT) -> list[PromptEntry]:
        """See `dragoman.Hub.prompts`."""
        return self._keeper.do(lambda hub: hub.prompts(server, wait=wait))

    def find(self, query: str, limit: int = 10, *, server: str | None = None, wait: float = WAIT) -> list[Found]:
        """See `dragoman.Hub.find`."""
        return self._keeper.do(lambda hub: hub.find(query, limit, server=server, wait=wait))

    def find_tool(self, query: str, *, server: str | None = None, wait: float = WAIT) -> ToolEntry | None:
        """See `dragoman.Hub.find_tool`."""
        return self._keeper.do(lambda hub: hub.find_tool(query, server=server, wait=wait))

    def tool(self, name: str, *, wait: float = WAIT) -> ToolEntry:
        """See `dragoman.Hub.tool`."""
        return self._keeper.do(lambda hub: hub.tool(name, wait=wait))

    def server(self, name: str) -> HubServer:
        """Give one server, with methods that take names as that server has them."""
        return HubServer(self._keeper.do(at_once(lambda hub: hub.server(name))).name, lambda: self._keeper)

    # Events.

    @overload
    def events(self, *, limit: int = LIMIT) -> Reader[Event]: ...
    @overload
    def events(self, kind: type[E], /, *kinds: type[E], limit: int = LIMIT) -> Reader[E]: ...
    def events(self, *kinds: type[Any], limit: int = LIMIT) -> Reader[Any]:
        """Give events of these kinds, or all: ``for event in hub.events(CallFinished): …``.

        Asked for before the hub's first use, it hears of the start, too. See `dragoman.Hub.events`.
        """
        keeper, stream = self._begin_with(lambda hub: hub.events(*kinds, limit=limit))

        async def close() -> None:
            stream.cancel()

        return Reader(keeper, stream.__anext__, close, self)

    @overload
    def on(
        self, kind: type[E] | tuple[type[E], ...], handler: Callable[[E], object], *, limit: int = LIMIT
    ) -> Subscription: ...
    @overload
    def on(self, kind: None, handler: Callable[[Event], object], *, limit: int = LIMIT) -> Subscription: ...
    @overload
    def on(
        self, kind: type[Event] | tuple[type[Event], ...] | None = None, *, limit: int = LIMIT
    ) -> Callable[[F], F]: ...
    def on(
        self,
        kind: type[Any] | tuple[type[Any], ...] | None = None,
        handler: Callable[..., object] | None = None,
        *,
        limit: int = LIMIT,
    ) -> Subscription | Callable[[F], F]:
        """Call ``handler`` with each event of this kind, of these kinds (a tuple) or of all (None); or decorate it.

        A plain handler runs in a thread of its own, and may use the hub. An asynchronous one runs in the hub's thread.
        See `dragoman.Hub.on`.
        """
        if handler is not None:
            return self._listen(lambda hub: hub.on(kind, handler, limit=limit))

        def register(decorated: F) -> F:
            self._listen(lambda hub: hub.on(kind, decorated, limit=limit))
            return decorated

        return register

    def instrument(self, instrument: Instrument) -> None:
        """Let an instrument see each call begin and end, in the hub's thread and its caller's context."""
        self._prepare(lambda hub: hub.instrument(instrument))
