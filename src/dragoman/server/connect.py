"""``connect``: from a target to a `Server`, through one owner task for each connection.

The owner opens the conversation, waits, and closes it, so that opening, calling and closing may happen in any tasks,
in any order; and so that a caller who is cancelled, or forgets to close, leaves nothing running.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
import weakref
from asyncio import AbstractEventLoop, Event, Future, Task
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Final

from dragoman.config.model import ServerConfig, Target, config_for
from dragoman.errors import CannotConnect, DragomanError, RequestTimeout
from dragoman.protocol.lifecycle import Agreement, Verdict
from dragoman.protocol.metadata import ClientInfo
from dragoman.protocol.types import LogLevel, LogMessage
from dragoman.server import verdicts
from dragoman.server.callbacks import Callbacks, ElicitationHandler, Roots, SamplingHandler
from dragoman.server.connection import Connection
from dragoman.server.negotiation import Opening
from dragoman.server.server import Server
from dragoman.transports.base import Transport
from dragoman.transports.registry import create
from dragoman.version import VERSION

__all__ = ["Connecting", "connect"]

log: Final = logging.getLogger("dragoman")

#: Owners live until their connection is closed, whoever still holds it.
_owners: Final[set[Task[None]]] = set()

_Opened = tuple[Connection, Agreement]


def connect(
    target: Target | Transport,
    *,
    name: str = "",
    sampling: SamplingHandler | None = None,
    elicitation: ElicitationHandler | None = None,
    roots: Roots | None = None,
    on_log: Callable[[LogMessage], Any] | None = None,
    on_notification: Callable[[str, dict[str, Any]], Any] | None = None,
    on_message: Callable[[str, bytes], Any] | None = None,
    client_info: ClientInfo | None = None,
    remembered: Verdict | None = None,
) -> Connecting:
    """Open a connection to one server, with ``async with``; or await it and close it yourself.

    ``target`` is a `ServerConfig`, a URL, a command line, a list of arguments, or a transport of your own. A handler
    (``sampling``, ``elicitation``, ``roots``) is offered to the server if it is given. ``on_log`` hears log lines,
    ``on_notification`` all other notifications, ``on_message`` every raw message (``"in"`` or ``"out"``, bytes).
    ``remembered`` is a verdict of an earlier connection (`Server.verdict`).

    Raises (when awaited or entered):
        ConfigError: the target can't be used.
        CannotConnect: no conversation came about (`ServerExited`, `HandshakeFailed`, `VersionMismatch`).
        HttpError: the server answered with an HTTP status (`LoginRequired`, `AccessDenied` …).
        RequestTimeout: ``connect_timeout`` passed.
    """
    callbacks = Callbacks(
        sampling=sampling,
        elicitation=elicitation,
        roots=roots,
        on_log=on_log,
        on_notification=on_notification,
        on_message=on_message,
    )
    client = client_info or ClientInfo("dragoman", VERSION)
    return Connecting(target, name, callbacks, client, remembered)


class Connecting:
    """A connection in the making: await it, or enter it with ``async with``."""

    def __init__(
        self,
        target: Target | Transport,
        name: str,
        callbacks: Callbacks,
        client: ClientInfo,
        remembered: Verdict | None,
    ) -> None:
        self._target = target
        self._name = name
        self._callbacks = callbacks
        self._client = client
        self._remembered = remembered
        self._server: Server | None = None

    def __await__(self) -> Generator[Any, None, Server]:
        return self._open().__await__()

    async def __aenter__(self) -> Server:
        self._server = await self._open()
        return self._server

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            await self._server.aclose()

    async def _open(self) -> Server:
        config, factory = _plan(self._target, self._name)
        remembered = self._remembered or verdicts.recall(config)
        opening = Opening(config, self._callbacks, self._client, factory)
        owner = _Owner(config, opening, remembered)
        connection, agreement = await owner.opened()
        verdict = Verdict(agreement.version, connection.transport.kind)
        verdicts.remember(config, verdict)
        server = Server(connection, agreement, owner.close)
        weakref.finalize(server, _abandoned, owner.loop, owner.closing, config.name).atexit = False
        if config.log_level is not None:
            await _ask_for_logs(server, config.log_level)
        return server


class _Owner:
    """The task that owns one connection from its opening to its closing."""

    def __init__(self, config: ServerConfig, opening: Opening, remembered: Verdict | None) -> None:
        self._config = config
        self._opening = opening
        self._remembered = remembered
        self.loop = asyncio.get_running_loop()
        self.closing = Event()
        self._connection: Connection | None = None
        self._ready: Future[_Opened] = self.loop.create_future()
        self._task = self.loop.create_task(self._own(), name=f"dragoman {config.name}")
        _owners.add(self._task)
        self._task.add_done_callback(_owners.discard)

    async def opened(self) -> _Opened:
        """Wait until the conversation stands. A caller who is cancelled meanwhile takes the opening along."""
        try:
            await asyncio.wait({self._ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not self._task.cancelling():  # a second cancellation, as the loop ends, would interrupt the closing
                self._task.cancel()
            await asyncio.wait({self._task})
            if self._ready.done() and not self._ready.cancelled():
                self._ready.exception()
            raise
        if not self._ready.done():
            raise CannotConnect("the opening was cancelled from outside", server=self._config.name)
        return self._ready.result()

    async def close(self) -> None:
        """Close the conversation and wait until nothing of it is left. Any task may do so, any number of times."""
        self.closing.set()
        if self._connection is not None:
            self._connection.let_go(asyncio.current_task())
        await asyncio.wait({self._task})

    async def _own(self) -> None:
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                connection, agreement = await self._open()
        except TimeoutError:
            seconds = self._config.connect_timeout
            told = f"no conversation came about within {seconds:g} s"
            late = RequestTimeout(told, timeout=seconds, method="connect", server=self._config.name)
            late.stderr = self._opening.last_words
            self._failed(late)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is goes to the caller, who awaits it
            self._failed(error)
            return
        self._connection = connection
        connection.on_lost = self.closing.set
        if connection.ended is not None:
            self.closing.set()
        if not self._ready.done():
            self._ready.set_result((connection, agreement))
        try:
            await self.closing.wait()
        finally:
            await connection.aclose()

    async def _open(self) -> _Opened:
        try:
            return await self._opening.run(self._remembered)
        except DragomanError as error:
            verdicts.forget(self._config)
            if self._remembered is None or self._remembered.transport == self._config.transport:
                raise
            log.info("%s: transport %s is gone (%s)", self._config.name, self._remembered.transport, error.what)
        return await self._opening.run(None)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, DragomanError) and error.server is None:
            error.server = self._config.name
        if not self._ready.done():
            self._ready.set_exception(error)


async def _ask_for_logs(server: Server, level: LogLevel) -> None:
    """Ask for log lines; a server that has none, or refuses, is of use all the same."""
    if server.era == "handshake" and server.capabilities.logging is None:
        return
    try:
        await server.set_log_level(level)
    except asyncio.CancelledError:
        await server.aclose()
        raise
    except DragomanError as error:
        log.warning("%s: it sends no log lines of level %s (%s)", server.name, level, error.what)


def _plan(target: Target | Transport, name: str) -> tuple[ServerConfig, Callable[[ServerConfig], Transport]]:
    if isinstance(target, ServerConfig | str | list | tuple):
        return config_for(target, name=name), create
    transport: Any = target
    if hasattr(transport, "send") and hasattr(transport, "open"):
        return ServerConfig(name=name or transport.kind, transport=transport.kind), lambda _config: transport
    return config_for(transport, name=name), create


def _abandoned(loop: AbstractEventLoop, closing: Event, name: str) -> None:
    """Close what nobody holds any more."""
    if closing.is_set() or loop.is_closed():
        return
    loop.call_soon_threadsafe(closing.set)
    warnings.warn(f"the connection to {name!r} was never closed", ResourceWarning, stacklevel=2)
