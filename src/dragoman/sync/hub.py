"""`Hub` for Flask and Django views, scripts and notebooks, safe from many threads.

Each hub has one thread with an event loop, started with the first call; all methods hand their work to it and wait. A
process that forks (gunicorn, uWSGI) gets a thread and connections of its own. `server_face` is the face
of one server, `thread` the thread.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from dragoman.catalogue.entries import PromptEntry, ResourceEntry, TemplateEntry, ToolEntry
from dragoman.config.hub import HubConfig
from dragoman.config.model import Target
from dragoman.errors import UsageError
from dragoman.events import Event, EventsDropped, Instrument
from dragoman.hub.bus import LIMIT
from dragoman.hub.finding import Found
from dragoman.hub.fleet import Turnover
from dragoman.hub.household import Servers
from dragoman.hub.hub import Hub as AsyncHub
from dragoman.hub.outcomes import Outcome, ToolCall
from dragoman.model import ServerStatus
from dragoman.protocol.changes import Change
from dragoman.protocol.metadata import ClientInfo
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import Completion, PromptReference, PromptResult, ReadResult, ResourceReference
from dragoman.server.callbacks import ElicitationHandler, Roots, SamplingHandler
from dragoman.server.connection import ProgressHandler
from dragoman.sync.server_face import HubServer
from dragoman.sync.thread import Keeper, Reader, at_once

__all__ = ["Hub"]

E = TypeVar("E", bound=Event)

_AT_ONCE: Final = 32
_WAIT: Final = 10.0


class Hub:
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
        if not isinstance(servers, HubConfig | Mapping):
            servers = list(servers) if not isinstance(servers, str) else servers
        handlers: dict[str, Any] = {
            "sampling": sampling,
            "elicitation": elicitation,
            "roots": roots,
            "client_info": client_info,
            "cache_folder": cache_folder,
        }
        self._begin(lambda: AsyncHub(servers, **handlers))

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
        hub._begin(  # noqa: SLF001 - a constructor of its own class
            lambda: AsyncHub.open(
                path,
                watch=watch,
                inputs=inputs,
                sampling=sampling,
                elicitation=elicitation,
                roots=roots,
                client_info=client_info,
                cache_folder=cache_folder,
            )
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
        hub._begin(  # noqa: SLF001 - a constructor of its own class
            lambda: AsyncHub.from_dict(
                settings,
                sampling=sampling,
                elicitation=elicitation,
                roots=roots,
                client_info=client_info,
                cache_folder=cache_folder,
            )
        )
        return hub

    def _begin(self, make: Callable[[], AsyncHub]) -> None:
        self._make = make
        self._registered: list[Callable[[AsyncHub], object]] = []
        self._lock = threading.Lock()
        self._keeper: Keeper | None = None
        self._first: AsyncHub | None = make()  # so that what is wrong shows here, and not with the first call
        self._closed = False
        _all.add(self)

    # Its life.

    def start(self) -> Self:
        """Start all servers in the background, and return at once. The first call does this, too."""
        _ = self._portal
        return self

    def close(self) -> None:
        """Close all servers and end the hub's thread. Bounded in time; safe to call twice, and from any thread."""
        with self._lock:
            keeper, self._keeper = self._keeper, None
            self._closed = True
        if keeper is not None and keeper.is_ours:
            keeper.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Its servers.

    @property
    def config(self) -> HubConfig:
        """Its settings, as they are now."""
        return self._portal.hub.config

    def status(self) -> dict[str, ServerStatus]:
        """Give how each server is, by name."""
        return self._portal.do(at_once(AsyncHub.status))

    def wait_ready(self, *names: str, timeout: float | None = None) -> dict[str, ServerStatus]:
        """See `dragoman.Hub.wait_ready`."""
        return self._portal.do(lambda hub: hub.wait_ready(*names, timeout=timeout))

    def add_server(self, target: Target, *, name: str = "") -> None:
        """See `dragoman.Hub.add_server`."""
        self._portal.do(lambda hub: hub.add_server(target, name=name))

    def remove_server(self, name: str) -> None:
        """See `dragoman.Hub.remove_server`."""
        self._portal.do(lambda hub: hub.remove_server(name))

    def stop_server(self, name: str) -> None:
        """See `dragoman.Hub.stop_server`."""
        self._portal.do(lambda hub: hub.stop_server(name))

    def start_server(self, name: str) -> None:
        """See `dragoman.Hub.start_server`."""
        self._portal.do(lambda hub: hub.start_server(name))

    def restart_server(self, name: str) -> None:
        """See `dragoman.Hub.restart_server`."""
        self._portal.do(lambda hub: hub.restart_server(name))

    def reload(self, config: HubConfig | None = None) -> Turnover:
        """See `dragoman.Hub.reload`."""
        return self._portal.do(lambda hub: hub.reload(config))

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
        return self._portal.do(
            lambda hub: hub.call_tool(name, arguments, timeout=timeout, on_progress=on_progress, meta=meta)
        )

    def call_raw(
        self,
        name: str,
        arguments: Mapping[str, Any] | bytes | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> memoryview:
        """See `dragoman.Hub.call_raw`."""
        return self._portal.do(
            lambda hub: hub.call_raw(name, arguments, timeout=timeout, on_progress=on_progress, meta=meta)
        )

    def broadcast(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> list[Outcome[ToolResult]]:
        """See `dragoman.Hub.broadcast`."""
        return self._portal.do(lambda hub: hub.broadcast(tool, arguments, timeout=timeout))

    def call_many(
        self, calls: Iterable[ToolCall | tuple[str, Mapping[str, Any] | None]], *, limit: int = _AT_ONCE
    ) -> list[Outcome[ToolResult]]:
        """See `dragoman.Hub.call_many`."""
        wanted = list(calls)  # the caller's own iterator runs in the caller's own thread
        return self._portal.do(lambda hub: hub.call_many(wanted, limit=limit))

    # Resources, prompts, completion.

    def read_resource(self, uri: str, *, server: str | None = None, timeout: float | None = None) -> ReadResult:
        """See `dragoman.Hub.read_resource`."""
        return self._portal.do(lambda hub: hub.read_resource(uri, server=server, timeout=timeout))

    def read_resources(
        self, uris: Iterable[str], *, server: str | None = None, timeout: float | None = None, limit: int = _AT_ONCE
    ) -> list[Outcome[ReadResult]]:
        """See `dragoman.Hub.read_resources`."""
        wanted = list(uris)
        return self._portal.do(lambda hub: hub.read_resources(wanted, server=server, timeout=timeout, limit=limit))

    def subscribe(self, uri: str, *, server: str | None = None) -> Reader[Change]:
        """Hear when a resource changes: ``with hub.subscribe(uri) as changes: for change in changes: …``."""
        portal = self._portal
        watch = portal.do(at_once(lambda hub: hub.subscribe(uri, server=server)))
        return Reader(portal, watch.__anext__, watch.aclose)

    def get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, *, timeout: float | None = None
    ) -> PromptResult:
        """See `dragoman.Hub.get_prompt`."""
        return self._portal.do(lambda hub: hub.get_prompt(name, arguments, timeout=timeout))

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
        return self._portal.do(
            lambda hub: hub.complete(ref, argument, value, context=context, server=server, timeout=timeout)
        )

    # What there is.

    def tools(self, server: str | None = None, *, wait: float = _WAIT) -> list[ToolEntry]:
        """See `dragoman.Hub.tools`."""
        return self._portal.do(lambda hub: hub.tools(server, wait=wait))

    def resources(self, server: str | None = None, *, wait: float = _WAIT) -> list[ResourceEntry]:
        """See `dragoman.Hub.resources`."""
        return self._portal.do(lambda hub: hub.resources(server, wait=wait))

    def resource_templates(self, server: str | None = None, *, wait: float = _WAIT) -> list[TemplateEntry]:
        """See `dragoman.Hub.resource_templates`."""
        return self._portal.do(lambda hub: hub.resource_templates(server, wait=wait))

    def prompts(self, server: str | None = None, *, wait: float = _WAIT) -> list[PromptEntry]:
        """See `dragoman.Hub.prompts`."""
        return self._portal.do(lambda hub: hub.prompts(server, wait=wait))

    def find(self, query: str, limit: int = 10, *, server: str | None = None, wait: float = _WAIT) -> list[Found]:
        """See `dragoman.Hub.find`."""
        return self._portal.do(lambda hub: hub.find(query, limit, server=server, wait=wait))

    def find_tool(self, query: str, *, server: str | None = None, wait: float = _WAIT) -> ToolEntry | None:
        """See `dragoman.Hub.find_tool`."""
        return self._portal.do(lambda hub: hub.find_tool(query, server=server, wait=wait))

    def tool(self, name: str, *, wait: float = _WAIT) -> ToolEntry:
        """See `dragoman.Hub.tool`."""
        return self._portal.do(lambda hub: hub.tool(name, wait=wait))

    def server(self, name: str) -> HubServer:
        """Give one server, with methods that take names as that server has them."""
        portal = self._portal
        return HubServer(lambda: self._portal, portal.do(at_once(lambda hub: hub.server(name))).name)

    # Events.

    @overload
    def events(self, *, limit: int = LIMIT) -> Reader[Event]: ...
    @overload
    def events(self, *kinds: type[E], limit: int = LIMIT) -> Reader[E | EventsDropped]: ...
    def events(self, *kinds: type[Any], limit: int = LIMIT) -> Reader[Any]:
        """Give events of these kinds, or all: ``for event in hub.events(CallFinished): …``."""
        portal = self._portal
        stream = portal.do(at_once(lambda hub: hub.events(*kinds, limit=limit)))

        async def close() -> None:
            stream.close()

        return Reader(portal, stream.__anext__, close)

    def on(
        self, kind: type[E] | tuple[type[E], ...] | None, handler: Callable[[E], object], *, limit: int = LIMIT
    ) -> None:
        """Call ``handler`` with each event of this kind, of these kinds (a tuple) or of all (None)."""
        self._register(lambda hub: hub.on(kind, handler, limit=limit))  # pyright: ignore[reportArgumentType, reportCallIssue] - as the hub's overloads tell

    def instrument(self, instrument: Instrument) -> None:
        """See `dragoman.Hub.instrument`."""
        self._register(lambda hub: hub.instrument(instrument))

    def _register(self, register: Callable[[AsyncHub], object]) -> None:
        """Do something with the hub now, and with that of each process that is forked off."""
        self._registered.append(register)
        with self._lock:
            if self._keeper is None or not self._keeper.is_ours:
                return
        self._portal.do(at_once(register))

    def forked(self) -> None:
        """Take note that this process was forked off: the thread and the connections are the parent's."""
        self._lock = threading.Lock()
        self._keeper = None

    @property
    def _portal(self) -> Keeper:
        keeper = self._keeper
        if keeper is not None and keeper.is_ours:
            return keeper
        with self._lock:
            if self._closed:
                raise UsageError("the hub is closed", hint="Make a new one.")
            if self._keeper is None or not self._keeper.is_ours:
                hub, self._first = self._first or self._make(), None
                for register in self._registered:
                    register(hub)
                self._keeper = Keeper(hub)
            return self._keeper

    def __repr__(self) -> str:
        return f"<dragoman.sync.Hub {'closed' if self._closed else 'open'}>"


_all: Final[weakref.WeakSet[Hub]] = weakref.WeakSet()


def _close_all() -> None:
    for hub in list(_all):
        hub.close()


def _begin_anew() -> None:
    """In a process that was forked off: the thread stayed with the parent, and a lock may be held by nobody now."""
    for hub in list(_all):
        hub.forked()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
