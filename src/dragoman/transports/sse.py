"""HTTP+SSE, the transport of 2024-11-05: one event stream for all that comes, one POST for each message that goes.

A channel: answers come on the stream, whose end is the end of the conversation. The stream's first event tells where to
POST to. Connections are in ``pool.py``; later revisions use ``http.py``.
Source: 2024-11-05 basic/transports#http-with-sse.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    HandshakeFailed,
    RequestTimeout,
)
from dragoman.protocol.jsonrpc import excerpt
from dragoman.protocol.sse import Event, EventParser, OversizeEvent
from dragoman.protocol.versions import Revision, revision
from dragoman.transports.base import Inbox, Outgoing
from dragoman.transports.listening import EVENT_STREAM, deliver
from dragoman.transports.network import Address, address_of, configured_headers
from dragoman.transports.pool import Pool, open_pool
from dragoman.transports.request import Head, Request
from dragoman.transports.statuses import TOLD_BYTES, follow, refusal

if TYPE_CHECKING:
    from dragoman.transports.answer import Answer

__all__ = ["SseTransport"]

#: Bytes of an endpoint's address; no server in use tells a longer one.
_LONGEST_ENDPOINT: Final = 8 * 1024
_SETTLED: Final = frozenset({"accept", "accept-encoding", "content-type"})


class SseTransport:
    """One conversation over one event stream."""

    kind: Final = "sse"
    exchanges: Final = False

    _inbox: Inbox
    _pool: Pool
    _head: Head
    _endpoint: asyncio.Future[Address]

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._address = address_of(config)
        self._fields = configured_headers(config, self._address, settled=_SETTLED)
        self._revision: Revision | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lost: str | None = None
        self._opened = False
        self._closed = False

    async def open(self, inbox: Inbox) -> None:
        """Open the stream and wait for the event that tells where to POST to.

        Raises:
            CannotConnect: nobody answers there; `HandshakeFailed` if what answers is no such stream.
            HttpError: a status came in place of the stream.
        """
        self._inbox = inbox
        self._pool = open_pool(self._config, self._address)
        self._opened = True
        self._endpoint = asyncio.get_running_loop().create_future()
        patience = self._config.connect_timeout
        try:
            async with asyncio.timeout(patience):
                answer = await self._stream()
                self._reader = asyncio.get_running_loop().create_task(
                    self._read(answer), name=f"dragoman {self._config.name} stream"
                )
                endpoint = await asyncio.shield(self._endpoint)
        except TimeoutError:
            raise HandshakeFailed(
                f"the event stream told no endpoint within {patience:g} s", server=self._config.name
            ) from None
        if endpoint.origin != self._address.origin:
            what = f"the event stream names an endpoint at another origin, {endpoint.origin}; nothing was sent there"
            raise HandshakeFailed(what, server=self._config.name)
        self._renew_head()

    def negotiated(self, version: str) -> None:
        """See `Transport`."""
        self._revision = revision(version)
        self._pool.stands()
        self._renew_head()

    def last_words(self) -> str:
        """Give nothing: there is no stderr."""
        return ""

    async def _stream(self) -> Answer:
        head = self._pool.head({**self._fields, "Accept": EVENT_STREAM, "Cache-Control": "no-store"})
        silence = self._config.sse_read_timeout
        request = Request("GET", self._address.target, head, "the event stream", silence=silence)
        answer = await self._pool.request(request)
        if 300 <= answer.status < 400:
            answer, self._address = await follow(self._config, self._address, request, answer, self._pool.request)
        if answer.status != 200:
            raise refusal(self._config, answer, await answer.beginning(TOLD_BYTES))
        if answer.kind != EVENT_STREAM:
            shown = excerpt(await answer.beginning(TOLD_BYTES))
            what = f"what answers is no event stream but {answer.kind or 'of no told type'}: {shown}"
            raise HandshakeFailed(what, server=self._config.name)
        return answer

    async def _read(self, answer: Answer) -> None:
        """Take all that comes on the stream, until it ends."""
        parser = EventParser(self._config.max_message_bytes)
        told = "the server ended the event stream"
        try:
            while not answer.ended:
                for event in parser.feed(await answer.chunk()):
                    self._take(event)
        except DragomanError as error:
            told = error.what
        finally:
            answer.close()
        self._lost = told
        if not self._endpoint.done():
            what = f"the event stream told no endpoint: {told}"
            self._endpoint.set_exception(HandshakeFailed(what, server=self._config.name))
        elif not self._closed:
            self._inbox.connection_lost(ConnectionLost(told, server=self._config.name, hint="Connect again."))

    def _take(self, event: Event | OversizeEvent) -> None:
        if isinstance(event, Event) and event.type == "endpoint":
            if len(event.data) <= _LONGEST_ENDPOINT and not self._endpoint.done():
                told = self._address.joined(event.data.decode("utf-8", "replace"))
                if told is not None:
                    self._endpoint.set_result(told)
            return
        deliver(self._inbox, self._config, event)

    def _renew_head(self) -> None:
        fields = {**self._fields, "Accept": "*/*", "Content-Type": "application/json"}
        if self._revision is not None and self._revision.version_header:
            fields["MCP-Protocol-Version"] = self._revision.version
        self._head = self._pool.head(fields)

    async def send(self, message: Outgoing) -> None:
        """Send one message; its answer comes on the stream. See `Transport`.

        Raises:
            ConnectionLost: it was not sent.
            OutcomeUnknown: it was sent, and whether it was accepted is not known.
            HttpError: it was not accepted.
            RequestTimeout: it was not accepted in time: a notification within ``timeout``, a request ``max_timeout``.
        """
        if self._closed:
            raise ConnectionClosed("the connection was closed", server=self._config.name)
        if self._lost is not None:
            raise ConnectionLost(self._lost, server=self._config.name)
        # An answer may come on the stream before its POST is accepted; a POST that never is must not hold the caller.
        seconds = self._config.timeout if message.id is None else self._config.max_timeout
        try:
            async with asyncio.timeout(seconds):
                await self._post(message)
        except TimeoutError:
            what = f"{message.method or 'an answer'} was not accepted within {seconds:g} s"
            raise RequestTimeout(what, timeout=seconds, method=message.method, server=self._config.name) from None

    async def _post(self, message: Outgoing) -> None:
        target = self._endpoint.result().target
        answer = await self._pool.request(
            Request("POST", target, self._head, message.method or "a reply", None, message.data)
        )
        try:
            body = await answer.beginning(TOLD_BYTES)
            if not 200 <= answer.status < 300:
                raise refusal(self._config, answer, body)
        finally:
            answer.close()

    async def aclose(self) -> None:
        """See `Transport`."""
        if self._closed:
            return
        self._closed = True
        if not self._opened:
            return
        try:
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.wait({self._reader})
        finally:
            await self._pool.aclose()
            if not self._endpoint.done():
                self._endpoint.cancel()
            elif not self._endpoint.cancelled():
                self._endpoint.exception()
