"""WebSocket: each message one frame, both ways, over one connection with the subprotocol ``mcp``.

A channel: its end is the end of the conversation. No revision of the specification tells of this transport; what
servers in use do is followed. It imports aiohttp, so the registry imports it when a server needs it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import WSMsgType

from dragoman.config.model import ServerConfig
from dragoman.errors import ConnectionClosed, ConnectionLost, OutcomeUnknown
from dragoman.transports.base import Inbox, Outgoing
from dragoman.transports.network import address_of, configured_headers, proxy_for
from dragoman.transports.proxied import FOREIGN_FAULTS, ProxiedPool, native

__all__ = ["WebSocketTransport"]

SUBPROTOCOL: Final = "mcp"
HEARTBEAT: Final = 30.0
"""Seconds of silence after which the server is asked whether it is there; ``sse_read_timeout`` if that is shorter."""

_TOO_LARGE: Final = 1009
_ABNORMAL: Final = 1006


class WebSocketTransport:
    """One conversation over one WebSocket."""

    kind: Final = "websocket"
    exchanges: Final = False

    _inbox: Inbox
    _pool: ProxiedPool
    _socket: aiohttp.ClientWebSocketResponse[bool]

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._address = address_of(config)
        self._fields = configured_headers(config, self._address, settled=())
        self._reader: asyncio.Task[None] | None = None
        self._lost: str | None = None
        self._opened = False
        self._closed = False

    async def open(self, inbox: Inbox) -> None:
        """Open the WebSocket.

        Raises:
            CannotConnect: nobody answers there; `HandshakeFailed` if what answers is no WebSocket.
            HttpError: a status came in place of one.
        """
        self._inbox = inbox
        self._pool = ProxiedPool(self._config, self._address, proxy_for(self._config, self._address))
        self._opened = True
        self._socket = await self._pool.websocket(
            self._fields, protocol=SUBPROTOCOL, heartbeat=min(HEARTBEAT, self._config.sse_read_timeout)
        )
        self._reader = asyncio.get_running_loop().create_task(
            self._read(), name=f"dragoman {self._config.name} websocket"
        )

    def negotiated(self, version: str) -> None:
        """See `Transport`; there is nothing to show the version in."""

    def last_words(self) -> str:
        """Give nothing: there is no stderr."""
        return ""

    async def _read(self) -> None:
        """Take all that comes, until the WebSocket closes or breaks."""
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                data = message.data
                self._inbox.message_received(data.encode() if isinstance(data, str) else data)
            elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                break
        closed = message.type is WSMsgType.CLOSE
        self._lost = self._why_closed(message.data, message.extra) if closed else self._why_broken()
        if not self._closed:
            self._inbox.connection_lost(ConnectionLost(self._lost, server=self._config.name, hint="Connect again."))

    @staticmethod
    def _why_closed(code: object, reason: object) -> str:
        told = f": {str(reason)[:200]}" if reason else ""
        return f"the server closed the WebSocket (code {code}{told})"

    def _why_broken(self) -> str:
        code = self._socket.close_code or _ABNORMAL
        if code == _TOO_LARGE:
            return f"a message was over the bound of {self._config.max_message_bytes:,} bytes; the WebSocket was closed"
        if isinstance(self._socket.exception(), TimeoutError):
            return "the server stopped answering pings; the WebSocket was closed"
        return f"the WebSocket broke (code {code})"

    async def send(self, message: Outgoing) -> None:
        """Send one message as a text frame, at the server's pace. See `Transport`.

        Raises:
            ConnectionLost: it was not sent.
            OutcomeUnknown: the WebSocket broke while it was sent.
        """
        if self._closed:
            raise ConnectionClosed("the connection was closed", server=self._config.name)
        if self._lost is not None or self._socket.closed:
            raise ConnectionLost(self._lost or "the WebSocket broke", server=self._config.name)
        try:
            await self._socket.send_frame(message.data, WSMsgType.TEXT)
        except FOREIGN_FAULTS as error:
            what = f"the WebSocket broke while {message.method or 'an answer'} was sent"
            raise OutcomeUnknown(what, method=message.method, server=self._config.name) from native(error)

    async def aclose(self) -> None:
        """See `Transport`; the server has ``shutdown_timeout`` seconds to say goodbye."""
        if self._closed:
            return
        self._closed = True
        if not self._opened:
            return
        try:
            if self._reader is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._config.shutdown_timeout):
                        await self._socket.close()
                self._reader.cancel()
                await asyncio.wait({self._reader})
        finally:
            await self._pool.aclose()
