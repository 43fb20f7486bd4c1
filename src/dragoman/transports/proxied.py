"""Requests by way of aiohttp: through proxies, and the opening of WebSockets. Direct ones are ``pool.py``'s.

It knows nothing of MCP. Importing it imports aiohttp, which takes a while, so that is done when a server needs it.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import structs
from yarl import URL

from dragoman.config.model import ServerConfig, redact_url
from dragoman.errors import ConfigError, DragomanError, HandshakeFailed, HttpError
from dragoman.transports.answer import KEEP_ALIVE, Answer, Lingering, Received
from dragoman.transports.cookies import Cookies
from dragoman.transports.faults import BrokenOffError, DisconnectedError, Faults, NotHttpError, ProxyError
from dragoman.transports.network import Address, tls_context
from dragoman.transports.request import Head, Request
from dragoman.transports.statuses import status_error

__all__ = ["FOREIGN_FAULTS", "ProxiedPool", "native"]

#: Whatever aiohttp raises for a request.
FOREIGN_FAULTS: Final = (aiohttp.ClientError, HttpProcessingError, OSError)

_UNSENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
_BUFFER_BYTES: Final = 256 * 1024
_LARGE_BODY: Final = 1024 * 1024


class _Body:
    """An answer's body, with aiohttp's exceptions converted."""

    def __init__(self, stream: aiohttp.StreamReader) -> None:
        self._stream = stream

    async def readany(self) -> bytes:
        """See `Content`."""
        try:
            return await self._stream.readany()
        except FOREIGN_FAULTS as error:
            raise native(error) from None  # aiohttp's own would show URLs, with passwords, in tracebacks

    def at_eof(self) -> bool:
        """See `Content`."""
        return self._stream.at_eof()

    def on_eof(self, watcher: Callable[[], None], /) -> None:
        """See `Content`."""
        self._stream.on_eof(watcher)


class ProxiedPool:
    """Connections to the origin of ``address``, through ``proxy`` (None: direct); see `pool.Pool`.

    Raises:
        ConfigError: the TLS settings, the cookies or the address can't be used.
    """

    def __init__(self, config: ServerConfig, address: Address, proxy: str | None) -> None:
        self._base, self._url = _urls(config, address)
        self._tls = tls_context(config) or True
        self._proxy = proxy
        self._server_hostname = config.tls.server_hostname
        self._cookies = Cookies(config, address)
        self._target = address.target
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=config.connect_timeout)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_no_redirects()],
        )
        self._lingering = Lingering()
        self._faults = Faults(config, address.origin, proxy)

    def stands(self) -> None:
        """See `Pool`."""
        self._faults.stands = True

    def head(self, fields: Mapping[str, str]) -> Head:
        """See `Pool`."""
        ours = {"Accept-Encoding": "gzip, deflate"}
        if not any(name.lower() == "host" for name in fields):
            ours["Host"] = self._url.host_port_subcomponent or ""
        return Head({**ours, **fields})

    async def request(self, request: Request) -> Answer:
        """See `Pool`."""
        if self._faults.closed:
            raise self._faults.unreachable()
        if cookie := self._cookies.header(request.target):
            request = structs.replace(request, fields={**(request.fields or {}), "Cookie": cookie})
        answer = await self._sent(request)
        if cookies := answer.headers.getall("Set-Cookie", ()):
            self._cookies.take(cookies, request.target)
        return answer

    async def _sent(self, request: Request) -> Answer:
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
        except _UNSENT as error:
            raise self._faults.unreachable(native(error)) from None
        except FOREIGN_FAULTS as error:
            raise self._faults.broken(native(error), request.label) from None
        received = Received(response.status, response.reason or "", response.headers, _Body(response.content))
        return Answer(received, response, request.label, self._faults, self._lingering)

    async def websocket(
        self, fields: Mapping[str, str], *, protocol: str, heartbeat: float
    ) -> aiohttp.ClientWebSocketResponse[bool]:
        """Open a WebSocket. ``heartbeat`` is in seconds: so often the server is asked whether it is there.

        Raises:
            CannotConnect: nobody answers there; `HandshakeFailed` if what answers is no WebSocket.
            HttpError: a status came in place of one.
        """
        if cookie := self._cookies.header(self._target):
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
        except FOREIGN_FAULTS as error:
            raise self._faults.unreachable(native(error)) from None

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


def _urls(config: ServerConfig, address: Address) -> tuple[str, URL]:
    try:
        base = str(URL(address.origin).origin()).rstrip("/")
        return base, URL(base + address.target, encoded=True)
    except ValueError:
        raise ConfigError(f"url: {redact_url(config.url or '')!r} is not usable", server=config.name) from None


def native(error: BaseException) -> Exception:
    """Give what `Faults` knows for what aiohttp raised."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientHttpProxyError():
            return ProxyError("refused", error.status)
        case aiohttp.ClientProxyConnectionError():
            return ProxyError(error.os_error.strerror or type(error.os_error).__name__)
        case aiohttp.ClientConnectorError():
            return error.os_error
        case OSError() if not isinstance(error, aiohttp.ClientError):
            return error
        case _:
            named = (made for kind, made in _NAMED if isinstance(error, kind))
            return next(named, OSError)(type(error).__name__)


_NAMED: Final[tuple[tuple[type[BaseException], type[Exception]], ...]] = (
    (HttpProcessingError, NotHttpError),
    (aiohttp.ClientResponseError, NotHttpError),
    (TimeoutError, TimeoutError),
    (aiohttp.ServerDisconnectedError, DisconnectedError),
    (aiohttp.ClientPayloadError, BrokenOffError),
)
