"""Direct connections to one HTTP origin, kept for the next request, with the least work for each.

It knows nothing of MCP: ``http.py`` and ``sse.py`` say what to send and what an answer means. One connection is
``http1.py``'s; what goes through a proxy goes through ``proxied.py``, which has the same methods.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import select
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, Protocol
from urllib.parse import urlsplit

from msgspec import structs

from dragoman.config.model import ServerConfig
from dragoman.transports.answer import KEEP_ALIVE, Answer, Lingering, Received
from dragoman.transports.cookies import Cookies
from dragoman.transports.faults import FAULTS, Faults
from dragoman.transports.http1 import HttpConnection
from dragoman.transports.network import Address, proxy_for, tls_context
from dragoman.transports.request import Head, Request
from dragoman.transports.turns import Turns

__all__ = ["DirectPool", "Pool", "open_pool"]

_NEXT_ADDRESS: Final = 0.25
"""Seconds until a host's next address is tried beside the one that does not answer (RFC 8305)."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE})


class Pool(Protocol):
    """Connections to one origin, direct or through a proxy."""

    def stands(self) -> None:
        """Learn that a conversation has come about: from now on a failing connection is a loss."""
        ...

    def head(self, fields: Mapping[str, str]) -> Head:
        """Make headers ready for sending, with those that belong to the connection."""
        ...

    async def request(self, request: Request) -> Answer:
        """Send one request and give its answer, whatever its status; redirects are not followed.

        Raises:
            CannotConnect: it was not sent: nobody answers there.
            ConnectionLost: it was not sent: nobody answers there any more (see `stands`).
            OutcomeUnknown: it was sent, and no answer came.
            MalformedMessage: what came is no HTTP.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections; requests under way end with an error. Safe to repeat."""
        ...


def open_pool(config: ServerConfig, address: Address) -> Pool:
    """Give a pool for the origin of ``address``: a direct one, or one through the proxy that is to be used.

    It must be made in a running event loop, and closed.

    Raises:
        ConfigError: the TLS settings, the cookies or the proxy can't be used.
    """
    proxy = proxy_for(config, address)
    if proxy is None:
        return DirectPool(config, address)
    from dragoman.transports.proxied import ProxiedPool  # aiohttp takes 0.2 s to import

    return ProxiedPool(config, address, proxy)


class DirectPool:
    """Connections to the origin of ``address``; see `Pool`."""

    def __init__(self, config: ServerConfig, address: Address) -> None:
        self._loop = asyncio.get_running_loop()
        parts = urlsplit(address.origin)
        self._host = parts.hostname or ""
        self._port = parts.port or _DEFAULT_PORTS[parts.scheme]
        self._authority = parts.netloc
        self._tls = (tls_context(config) or _usual_tls()) if parts.scheme == "https" else None
        self._tls_name = (config.tls.server_hostname or self._host) if self._tls is not None else None
        self._patience = config.connect_timeout
        self._cookies = Cookies(config, address)
        self._lingering = Lingering()
        self._faults = Faults(config, address.origin, None)
        self._open: set[HttpConnection] = set()
        self._idle: list[HttpConnection] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._turns = Turns(config.max_connections)
        self._serving: set[HttpConnection] = set()
        self._starved: list[asyncio.Future[None]] = []

    def stands(self) -> None:
        """See `Pool`."""
        self._faults.stands = True

    def head(self, fields: Mapping[str, str]) -> Head:
        """See `Pool`."""
        ours = {"Accept-Encoding": "gzip, deflate"}
        if not any(name.lower() == "host" for name in fields):
            ours["Host"] = self._authority
        return Head({**ours, **fields})

    async def request(self, request: Request) -> Answer:
        """See `Pool`."""
        if self._faults.closed:
            raise self._faults.unreachable()
        if cookie := self._cookies.header(request.target):
            request = structs.replace(request, fields={**(request.fields or {}), "Cookie": cookie})
        connection = await self._connection(request)
        try:
            head, body = await connection.exchange(request.begin(), request.body or b"", request.silence)
        except FAULTS as error:
            raise self._faults.broken(error, request.label) from error
        if cookies := head.headers.getall("Set-Cookie", ()):
            self._cookies.take(cookies, request.target)
        received = Received(head.status, head.reason, head.headers, body)
        return Answer(received, connection, request.label, self._faults, self._lingering)

    async def _connection(self, request: Request) -> HttpConnection:
        """Give a connection; a request that may be held waits its turn for it."""
        if request.on_held is None:
            return self._waiting() or await self._connect(None)
        await self._turns.take(request.on_held)
        try:
            connection = self._waiting() or await self._connect(request.on_held)
        except BaseException:
            self._turns.give()
            raise
        self._serving.add(connection)
        return connection

    def _waiting(self) -> HttpConnection | None:
        """Give an idle connection that the server has not closed meanwhile, the one that served last."""
        oldest = self._loop.time() - KEEP_ALIVE
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest and not _has_news(connection.descriptor):
                return connection
            connection.close()
        return None

    async def _connect(self, on_held: Callable[[bool], None] | None) -> HttpConnection:
        """Open a connection. Where the process has no descriptor left, it waits until one of ours ends."""
        if self._faults.closed:
            raise self._faults.unreachable()
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    try:
                        connection = await self._opened()
                        break
                    except OSError as error:
                        if error.errno not in _NO_DESCRIPTOR or not self._open:
                            raise
                    if (connection := await self._another(on_held)) is not None:
                        return connection
        except FAULTS as error:
            raise self._faults.unreachable(error) from error
        if self._faults.closed:
            connection.close()
            raise self._faults.unreachable()
        self._open.add(connection)
        return connection

    async def _opened(self) -> HttpConnection:
        connected = await self._connected_socket()
        _, connection = await self._loop.create_connection(
            self._new, sock=connected, ssl=self._tls, server_hostname=self._tls_name
        )
        return connection

    async def _another(self, on_held: Callable[[bool], None] | None) -> HttpConnection | None:
        """Wait until a connection is free, and give it; None if one has ended, so that there is room for another."""
        if on_held is not None:
            on_held(True)
        change = self._loop.create_future()
        self._starved.append(change)
        try:
            await change
        finally:
            self._starved.remove(change)
        if on_held is not None:
            on_held(False)
        return self._waiting()

    async def _connected_socket(self) -> socket.socket:
        """Connect to the host's first address that answers; asyncio's own way loses a socket when it is cancelled."""
        from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType] - bare tuples

        found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        connected = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS, interleave=1)
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def _new(self) -> HttpConnection:
        return HttpConnection(self._keep, self._lost)

    def _keep(self, connection: HttpConnection) -> None:
        if self._faults.closed:
            connection.close()
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        self._freed(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(KEEP_ALIVE, self._sweep)

    def _lost(self, connection: HttpConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._freed(connection)

    def _freed(self, connection: HttpConnection) -> None:
        """Let the next request have its turn."""
        if connection in self._serving:
            self._serving.discard(connection)
            self._turns.give()
        for change in self._starved:
            if not change.done():
                change.set_result(None)
                break

    def _sweep(self) -> None:
        """Close what has been idle for too long."""
        self._sweeper = None
        oldest = self._loop.time() - KEEP_ALIVE
        for connection in [each for each in self._idle if each.idle_since <= oldest]:
            self._idle.remove(connection)
            connection.close()
        if self._idle:
            self._sweeper = self._loop.call_later(KEEP_ALIVE, self._sweep)

    async def aclose(self) -> None:
        """See `Pool`."""
        self._faults.closed = True
        self._lingering.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self._open):
            connection.close()
        self._idle.clear()
        # asyncio closes a socket one or two steps of the loop after its transport.
        for _ in range(2):
            await asyncio.sleep(0)


def _has_news(descriptor: int) -> bool:
    """Whether something waits to be read where nothing is due: the server has closed, and the loop was too busy to see.

    Writing to it now would lose the request with its fate unknown.
    """
    if descriptor < 0 or not hasattr(select, "poll"):
        return False
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


@cache
def _usual_tls() -> ssl.SSLContext:
    """Give the settings for servers with public certificates; reading the authorities takes 40 ms, so it is kept."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
