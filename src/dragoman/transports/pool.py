"""Connections to one HTTP origin, and single requests over them, with the least work for each.

It knows nothing of MCP: ``http.py`` and ``sse.py`` say what to send and what an answer means. Importing it imports
aiohttp, which takes a while, so the transports do that when they are opened.
"""

from __future__ import annotations

import asyncio
import io
import select
from collections.abc import Mapping
from http.cookies import CookieError
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from msgspec import structs
from yarl import URL

from dragoman.config.model import ServerConfig, redact_url
from dragoman.errors import ConfigError, DragomanError, HandshakeFailed, HttpError
from dragoman.transports.answer import Answer, Lingering, Received
from dragoman.transports.faults import FAULTS, UNSENT, Faults
from dragoman.transports.network import Address, proxy_for, tls_context
from dragoman.transports.request import Head, Request
from dragoman.transports.statuses import status_error

__all__ = ["Pool"]

KEEP_ALIVE: Final = 4.0
"""Seconds that an idle connection is used again: less than servers keep theirs (5 s is usual), so that a request seldom
meets a connection that is just being closed, whose fate nobody could tell."""

#: The aiohttp versions whose connections are known to work as `Pool.exchange` uses them; others go the public way.
KNOWN_AIOHTTP: Final = ((3, 12), (3, 15))

_READ_BYTES: Final = 64 * 1024  # asyncio's own 256 KiB cost an mmap for each read
_BUFFER_BYTES: Final = 256 * 1024
_LARGE_BODY: Final = 1024 * 1024


class Pool:
    """Connections to the origin of ``address``. It must be made in a running event loop, and closed.

    Raises:
        ConfigError: the TLS settings, the cookies or the proxy can't be used.
    """

    def __init__(self, config: ServerConfig, address: Address) -> None:
        self._loop = asyncio.get_running_loop()
        self._base, self._url = _urls(config, address)
        self._tls = tls_context(config) or True
        self._proxy = proxy_for(config, address)
        self._server_hostname = config.tls.server_hostname
        self._cookies: aiohttp.CookieJar | None = None
        if config.cookies:
            self._configure_cookies(config)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=config.connect_timeout)
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_no_redirects()],
        )
        self._route = aiohttp.ClientRequest(
            "GET",
            self._url,
            loop=self._loop,
            session=self._session,
            ssl=self._tls,
            server_hostname=self._server_hostname,
        )
        self._used: WeakSet[ResponseHandler] = WeakSet()
        self._lingering = Lingering()
        self._faults = Faults(config, address.origin, self._proxy)
        self._direct = self._proxy is None and _is_known(aiohttp.__version__)

    def stands(self) -> None:
        """Learn that a conversation has come about: from now on a failing connection is a loss."""
        self._faults.stands = True

    def head(self, fields: Mapping[str, str]) -> Head:
        """Make headers ready for sending, with those that belong to the connection."""
        ours = {"Accept-Encoding": "gzip, deflate"}
        if not any(name.lower() == "host" for name in fields):
            ours["Host"] = self._url.host_port_subcomponent or ""
        return Head({**ours, **fields})

    async def request(self, request: Request) -> Answer:
        """Send one request and give its answer, whatever its status; redirects are not followed.

        Raises:
            CannotConnect: it was not sent: nobody answers there.
            ConnectionLost: it was not sent: nobody answers there any more (see `stands`).
            OutcomeUnknown: it was sent, and no answer came.
            MalformedMessage: what came is no HTTP.
        """
        if self._faults.closed:
            raise self._faults.unreachable()
        if self._cookies is not None and (cookie := self._cookie(self._cookies)):
            request = structs.replace(request, fields={**(request.fields or {}), "Cookie": cookie})
        answer = await (self._exchange(request) if self._direct else self._public(request))
        if cookies := answer.headers.getall("Set-Cookie", ()):
            if self._cookies is None:
                self._cookies = _new_jar()
            self._cookies.update_cookies_from_headers(cookies, self._url)
        return answer

    async def _exchange(self, request: Request) -> Answer:
        """Write the request to a pooled connection and let aiohttp's parser read the answer.

        A `ClientSession.request` does the same in over twice the processor's time: it makes a request object, a
        response object, a header dictionary, a writer and (before Python 3.12) a task for each call.
        """
        connection, transport, protocol = await self._connect()
        try:
            protocol.set_response_params(read_until_eof=True, read_timeout=request.silence, read_bufsize=_BUFFER_BYTES)
            _write(transport, request)
            protocol.start_timeout()
            while True:
                message, content = await protocol.read()
                if message.code >= 200 or message.code == 101:
                    break
        except FAULTS as error:
            connection.close()
            raise self._faults.broken(error, request.label) from error
        except BaseException:
            connection.close()
            raise
        received = Received(message.code, message.reason, message.headers, content)
        return Answer(received, connection, request.label, self._faults, self._lingering)

    async def _connect(self) -> tuple[Connection, asyncio.Transport, ResponseHandler]:
        """Give a connection that is new, or that the server has not closed meanwhile."""
        while True:
            try:
                connection = await self._connector.connect(self._route, [], self._timeout)
            except FAULTS as error:
                raise self._faults.unreachable(error) from error
            transport, protocol = connection.transport, connection.protocol
            if transport is not None and protocol is not None and not transport.is_closing():
                if protocol not in self._used:
                    self._used.add(protocol)
                    if hasattr(transport, "max_size"):
                        vars(transport)["max_size"] = _READ_BYTES
                    return connection, transport, protocol
                if not _has_news(transport):
                    return connection, transport, protocol
            connection.close()

    async def _public(self, request: Request) -> Answer:
        """Do what `_exchange` does by aiohttp's public means."""
        body: Any = request.body
        if body is not None and len(body) >= _LARGE_BODY:
            body = io.BytesIO(body)  # aiohttp warns of large bytes, which block the loop while they are written
        try:
            response = await self._session.request(
                request.verb,
                URL(self._base + request.target, encoded=True),
                data=body,
                headers={**request.head.fields, **(request.fields or {})},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._timeout.sock_connect, sock_read=request.silence
                ),
                read_bufsize=_BUFFER_BYTES,
                ssl=self._tls,
                server_hostname=self._server_hostname,
                proxy=self._proxy,
            )
        except UNSENT as error:
            raise self._faults.unreachable(error) from error
        except FAULTS as error:
            raise self._faults.broken(error, request.label) from error
        received = Received(response.status, response.reason or "", response.headers, response.content)
        return Answer(received, response, request.label, self._faults, self._lingering)

    async def websocket(
        self, fields: Mapping[str, str], *, protocol: str, heartbeat: float
    ) -> aiohttp.ClientWebSocketResponse[bool]:
        """Open a WebSocket. ``heartbeat`` is in seconds: so often the server is asked whether it is there.

        Raises:
            CannotConnect: nobody answers there; `HandshakeFailed` if what answers is no WebSocket.
            HttpError: a status came in place of one.
        """
        if self._cookies is not None and (cookie := self._cookie(self._cookies)):
            fields = {**fields, "Cookie": cookie}
        config = self._faults.config
        try:
            async with asyncio.timeout(config.connect_timeout):
                return await self._session.ws_connect(
                    self._url,
                    protocols=(protocol,),
                    headers=fields,
                    heartbeat=heartbeat,
                    max_msg_size=config.max_message_bytes + 1,
                    ssl=self._tls,
                    server_hostname=self._server_hostname,
                    proxy=self._proxy,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise self._no_websocket(error) from None
        except _Redirected as error:
            what = f"the WebSocket's opening was redirected (HTTP {error.status}), which was not followed"
            raise HttpError(what, status=error.status, server=config.name) from None
        except FAULTS as error:
            raise self._faults.unreachable(error) from error

    def _no_websocket(self, error: aiohttp.WSServerHandshakeError) -> DragomanError:
        config = self._faults.config
        if error.status >= 400 and error.headers is not None:
            what = f"the WebSocket's opening was answered with HTTP {error.status}"
            waiting, challenges = error.headers.get("Retry-After"), error.headers.getall("WWW-Authenticate", [])
            return status_error(config, what, error.status, waiting or "", challenges)
        what = f"what answers is no WebSocket (HTTP {error.status}, {error.message.lower()})"
        return HandshakeFailed(what, server=config.name)

    async def aclose(self) -> None:
        """Close all connections; requests under way end with an error. Safe to repeat."""
        self._faults.closed = True
        self._lingering.close()
        await self._session.close()
        # asyncio closes a socket one step of the loop after its transport.
        for _ in range(2):
            await asyncio.sleep(0)

    # Cookies are kept once a server sets one, since some load balancers need them; most servers set none.

    def _configure_cookies(self, config: ServerConfig) -> None:
        self._cookies = _new_jar()
        try:
            self._cookies.update_cookies(config.cookies, self._url)
        except (CookieError, ValueError):
            raise ConfigError("cookies: a name or a value can't be sent", server=config.name) from None

    def _cookie(self, jar: aiohttp.CookieJar) -> str:
        return "; ".join(f"{morsel.key}={morsel.coded_value}" for morsel in jar.filter_cookies(self._url).values())


class _Redirected(Exception):
    """A redirect of a WebSocket's opening, with its HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _no_redirects() -> aiohttp.TraceConfig:
    """Keep `ws_connect` from following redirects: it would take our headers to other origins."""

    async def refuse(_session: object, _context: object, told: aiohttp.TraceRequestRedirectParams) -> None:
        raise _Redirected(told.response.status)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(refuse)
    return tracing


def _new_jar() -> aiohttp.CookieJar:
    return aiohttp.CookieJar(unsafe=True)  # there is one origin only, so its IP address is as good as a name


def _is_known(version: str) -> bool:
    numbers = tuple(int(part) for part in version.split(".")[:2])
    return KNOWN_AIOHTTP[0] <= numbers < KNOWN_AIOHTTP[1]


def _urls(config: ServerConfig, address: Address) -> tuple[str, URL]:
    try:
        base = str(URL(address.origin).origin()).rstrip("/")
        return base, URL(base + address.target, encoded=True)
    except ValueError:
        raise ConfigError(f"url: {redact_url(config.url or '')!r} is not usable", server=config.name) from None


def _write(transport: asyncio.Transport, request: Request) -> None:
    body = request.body or b""
    if len(body) < _LARGE_BODY:
        transport.write(request.begin() + body)
    else:
        transport.write(request.begin())
        transport.write(body)


def _has_news(transport: asyncio.Transport) -> bool:
    """Whether something waits to be read where nothing is due: the server has closed, and the loop was too busy to see.

    Writing to it now would lose the request with its fate unknown.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "poll"):
        return False
    poller = select.poll()
    poller.register(sock.fileno(), select.POLLIN)
    return bool(poller.poll(0))
