"""Streamable HTTP: one POST for each message, and an answer, or a stream of them, for each POST.

Both eras: sessions, the server's own stream (``listening.py``) and resumption belong to the handshake, mirrored headers
to the stateless one. Connections are in ``pool.py``; what a message means is the connection's business, but for one
thing: its stream is read until the inbox says that the request is settled.
Source: 2026-07-28 basic/transports/streamable-http; 2025-11-25 basic/transports#streamable-http.
"""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    CannotConnect,
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    HttpError,
    MalformedMessage,
    OutcomeUnknown,
    RequestTimeout,
    SessionExpired,
)
from dragoman.protocol.headers import encode_value
from dragoman.protocol.jsonrpc import decode, decode_batch, excerpt, guess_id
from dragoman.protocol.sse import Event, EventParser, OversizeEvent
from dragoman.protocol.versions import Revision, revision
from dragoman.transports.base import Inbox, Outgoing
from dragoman.transports.listening import EVENT_STREAM, Listener, pause, too_large
from dragoman.transports.network import address_of, configured_headers
from dragoman.transports.pool import Pool, open_pool
from dragoman.transports.request import Head, Request
from dragoman.transports.statuses import TOLD_BYTES, follow, refusal

if TYPE_CHECKING:
    from dragoman.transports.answer import Answer

__all__ = ["StreamableHttp"]

log: Final = logging.getLogger("dragoman")

_JSON: Final = "application/json"
_SETTLED: Final = frozenset({"accept", "accept-encoding", "content-type"})
_POST_FIELDS: Final = {"Accept": f"{_JSON}, {EVENT_STREAM}", "Content-Type": _JSON}
_VERSION_HEADER: Final = "MCP-Protocol-Version"
_SESSION_HEADER: Final = "Mcp-Session-Id"
_SESSION_ID: Final = re.compile(r"[\x21-\x7e]+")
_EVENT_ID: Final = re.compile(r"[^\x00-\x1f\x7f]+")

#: Statuses that tell more than a JSON-RPC error in their body: who asks, and when to ask again.
_STATUS_WINS: Final = frozenset({401, 403, 429, 503})
_MAX_FAILURES: Final = 6


class StreamableHttp:
    """One conversation with one MCP endpoint.

    `send` runs in its caller's task: a POST, and the reading of all that comes in answer, to the answer itself.
    """

    kind: Final = "streamable_http"
    exchanges: Final = True

    _inbox: Inbox
    _pool: Pool
    _bare: Head
    _head: Head
    _stream_head: Head

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._limit = config.max_message_bytes
        self._address = address_of(config)
        self._fields = configured_headers(config, self._address, settled=_SETTLED)
        self._revision: Revision | None = None
        self._session_id: str | None = None
        self._listener: Listener | None = None
        self._opened = False
        self._closed = False

    async def open(self, inbox: Inbox) -> None:
        """See `Transport`; nothing is sent yet, so an address where nobody answers shows with the first message."""
        self._inbox = inbox
        self._pool = open_pool(self._config, self._address)
        self._bare = self._pool.head(self._fields | _POST_FIELDS)
        self._renew_heads()
        self._opened = True

    def negotiated(self, version: str) -> None:
        """See `Transport`."""
        self._revision = revision(version)
        self._pool.stands()
        self._renew_heads()

    def last_words(self) -> str:
        """Give nothing: there is no stderr."""
        return ""

    def _renew_heads(self) -> None:
        fields: dict[str, str] = {}
        if self._revision is not None and self._revision.version_header:
            fields[_VERSION_HEADER] = self._revision.version
        if self._session_id is not None:
            fields[_SESSION_HEADER] = self._session_id
        self._head = self._pool.head(self._fields | _POST_FIELDS | fields)
        self._stream_head = self._pool.head(self._fields | {"Accept": EVENT_STREAM} | fields)

    async def send(self, message: Outgoing) -> None:
        """Send one message and hand all that comes in answer to the inbox; see `Transport`.

        Raises:
            CannotConnect: no conversation stands yet, and nobody answers.
            ConnectionLost: it was not sent; `SessionExpired` if the server has dropped the session.
            OutcomeUnknown: it was sent, and its answer will not come.
            HttpError: an HTTP status came in place of an answer.
            ProtocolError: something else than an answer came, or one that is too large.
            RequestTimeout: a notification was not accepted within the configuration's ``timeout``.
        """
        if self._closed:
            raise ConnectionClosed("the connection was closed", server=self._config.name)
        if message.id is None:
            await self._tell(message)
            return
        if message.method == "initialize":
            await self._forget_session()
        try:
            await self._ask(message, message.id)
        except OutcomeUnknown as error:
            if not message.lasting:
                raise
            # Nothing was asked to be done, so to listen again is safe.
            raise ConnectionLost(error.what, server=self._config.name, hint="Listen again.") from error

    # Requests.

    async def _ask(self, message: Outgoing, number: int) -> None:
        session = None if message.method == "initialize" else self._session_id
        answer = await self._post(message)
        try:
            if not 200 <= answer.status < 300:
                await self._refused(answer, message, session)
                return
            if message.method == "initialize":
                self._take_session(answer)
            kind = answer.kind
            if kind == _JSON:
                body = await answer.body(self._limit)
                if not self._inbox.message_received(body, number):
                    self._check(body)
            elif kind == EVENT_STREAM:
                await self._stream(answer, message, number)
            else:
                raise await self._no_message(answer)
        finally:
            answer.close()

    def _check(self, body: bytes) -> None:
        """Look at a body that settled nothing; raise why, if it is no message."""
        try:
            for part in decode_batch(body) if body.lstrip()[:1] == b"[" else [body]:
                decode(part)
        except MalformedMessage as error:
            error.server = self._config.name
            raise

    async def _post(self, message: Outgoing) -> Answer:
        head, fields = self._head, None
        if message.method == "initialize":
            head = self._bare
        elif message.version:
            head, fields = self._bare, {_VERSION_HEADER: message.version, **_mirrored(message)}
        elif self._stateless:
            fields = _mirrored(message)
        label, target = message.method or "a reply", self._address.target
        silence = on_held = None
        if message.lasting:
            silence = self._config.sse_read_timeout
        elif message.id is not None:
            # Only these wait for a free connection: they may need the others to be answered.
            on_held = partial(self._held, message.id)
        return await self._request(Request("POST", target, head, label, fields, message.data, silence, on_held))

    def _held(self, number: int, held: bool) -> None:  # noqa: FBT001 - a callback
        self._inbox.request_held(number, held=held)

    async def _request(self, request: Request) -> Answer:
        """Send a request, and again wherever the server sends it within its origin."""
        address = self._address
        answer = await self._pool.request(request)
        if 300 <= answer.status < 400:
            answer, lasting = await follow(self._config, address, request, answer, self._pool.request)
            if lasting is not address:
                self._address = lasting
        return answer

    async def _refused(self, answer: Answer, message: Outgoing, session: str | None) -> None:
        """Take a status other than success: an answer after all, or the reason why there is none."""
        told = answer.kind == _JSON and message.id is not None
        body = await answer.beginning(self._limit if told else TOLD_BYTES)
        if answer.status == 404 and session is not None:
            what = f"the server has dropped the session ({answer.label} was answered with HTTP 404)"
            raise SessionExpired(what, server=self._config.name)
        tells = told and answer.status not in _STATUS_WINS and _is_error(body, message.id)
        if not (tells and self._inbox.message_received(body, message.id)):
            raise refusal(self._config, answer, body)

    async def _no_message(self, answer: Answer) -> MalformedMessage:
        """Give the error for a success without a message: a web page, an empty body, a type that is not told."""
        kind, shown = answer.kind, excerpt(await answer.beginning(TOLD_BYTES))
        came = f"content of type {kind}" if kind else "content of no told type" if shown else "nothing"
        what = f"{answer.label} was answered with {came} (HTTP {answer.status}), not with JSON or an event stream"
        if shown:
            what = f"{what}: {shown}"
        hint = "Check that the address is the server's MCP endpoint."
        return MalformedMessage(what, excerpt=shown, server=self._config.name, hint=hint)

    # Answers as event streams.

    async def _stream(self, answer: Answer, message: Outgoing, number: int) -> None:
        parser = EventParser(self._limit)
        try:
            if await self._read(answer, parser, number):
                return
            what = f"the stream of {message.method} ended without an answer"
            broken = OutcomeUnknown(what, method=message.method, server=self._config.name)
        except OutcomeUnknown as error:
            broken = error
        if self._stateless or message.version or not _EVENT_ID.fullmatch(parser.last_event_id):
            raise broken
        await self._resume(parser, number, broken)

    async def _read(self, answer: Answer, parser: EventParser, number: int) -> bool:
        """Read until the request is answered, or to the stream's end; tell which.

        After the answer nothing more is awaited, only taken if it is there already: the caller need not wait for a
        server that is slow to end its stream.
        """
        while not answer.ended:
            answered = False
            for event in parser.feed(await answer.chunk()):
                answered = self._take(event, number) or answered
            if answered:
                answer.linger()
                return True
        return False

    def _take(self, event: Event | OversizeEvent, number: int) -> bool:
        """Hand an event's message to the inbox; tell whether the request is settled."""
        if not isinstance(event, OversizeEvent):
            if not event.data or event.type != "message":
                return False
            return self._inbox.message_received(event.data, number)
        whose = guess_id(event.head, event.tail)
        ours = whose is None or str(whose) == str(number)  # on its own stream, what is that large is the answer
        self._inbox.message_rejected(too_large(self._config, event), number if ours else None)
        return ours

    async def _resume(self, parser: EventParser, number: int, broken: OutcomeUnknown) -> None:
        """Ask for the rest of a broken stream, as often as it breaks; the request's time-out bounds the whole."""
        failures = 0
        while failures < _MAX_FAILURES:
            await asyncio.sleep(pause(parser.retry, failures))
            try:
                answer = await self._get(parser.last_event_id)
            except (CannotConnect, ConnectionLost, OutcomeUnknown):
                failures += 1
                continue
            except HttpError:  # sent to another origin
                break
            try:
                if answer.status == 200 and answer.kind == EVENT_STREAM:
                    failures = 0
                    parser = EventParser(self._limit, last_event_id=parser.last_event_id, retry=parser.retry)
                    if await self._read(answer, parser, number):
                        return
                elif answer.status < 500 and answer.status != 429:
                    break
                else:
                    failures += 1
            except OutcomeUnknown as error:
                log.debug("%s: a resumed stream broke again (%s)", self._config.name, error.what)
            finally:
                answer.close()
        raise broken

    async def _get(self, last_event_id: str) -> Answer:
        """Open the server's own stream, or what follows the event of that id on the stream it came on."""
        fields = {"Last-Event-ID": last_event_id} if _EVENT_ID.fullmatch(last_event_id) else None
        silence = self._config.sse_read_timeout
        request = Request("GET", self._address.target, self._stream_head, "the stream", fields, None, silence)
        return await self._request(request)

    # Notifications, and answers to the server's requests.

    async def _tell(self, message: Outgoing) -> None:
        label = message.method or "a reply"
        session = self._session_id
        try:
            async with asyncio.timeout(self._config.timeout):
                answer = await self._post(message)
                try:
                    if not 200 <= answer.status < 300:
                        await self._refused(answer, message, session)
                    if answer.kind != EVENT_STREAM:
                        await answer.beginning(TOLD_BYTES)
                finally:
                    answer.close()
        except TimeoutError:
            what = f"{label} was not accepted within {self._config.timeout:g} s"
            raise RequestTimeout(
                what, timeout=self._config.timeout, method=message.method, server=self._config.name
            ) from None
        if message.method == "notifications/initialized" and not self._stateless:
            await self._listen()

    # Sessions of the handshake era.

    @property
    def _stateless(self) -> bool:
        return self._revision is not None and self._revision.era == "stateless"

    def _take_session(self, answer: Answer) -> None:
        session = answer.header(_SESSION_HEADER)
        if not session:
            return
        if not _SESSION_ID.fullmatch(session):
            log.warning("%s: gave a session id that can't be sent back; going on without", self._config.name)
            return
        self._session_id = session
        self._renew_heads()

    async def _forget_session(self) -> None:
        if self._listener is not None:
            await self._listener.stop()
        self._session_id = None
        self._renew_heads()

    async def _listen(self) -> None:
        if self._listener is not None:
            await self._listener.stop()
        if not self._closed:
            self._listener = Listener(self._config, self._inbox, self._get)
            self._listener.start()

    async def aclose(self) -> None:
        """See `Transport`; a session is given back, for which the server has ``shutdown_timeout`` seconds."""
        if self._closed:
            return
        self._closed = True
        if not self._opened:
            return
        try:
            if self._listener is not None:
                await self._listener.stop()
            if self._session_id is not None:
                await self._end_session()
        finally:
            await self._pool.aclose()

    async def _end_session(self) -> None:
        request = Request("DELETE", self._address.target, self._stream_head, "the end of the session")
        try:
            async with asyncio.timeout(self._config.shutdown_timeout):
                answer = await self._request(request)
                await answer.beginning(TOLD_BYTES)
        except (DragomanError, TimeoutError) as error:
            log.debug("%s: could not end the session (%s)", self._config.name, error)


def _mirrored(message: Outgoing) -> dict[str, str]:
    """Give the headers of the stateless era that mirror a message."""
    fields = {"Mcp-Method": encode_value(message.method)}  # any caller may choose it; it must not begin new lines
    if message.name is not None:
        fields["Mcp-Name"] = encode_value(message.name)
    if message.headers:
        fields.update(message.headers)
    return fields


def _is_error(body: bytes, number: int | None) -> bool:
    """Whether a body is a JSON-RPC error for that request; one without an id is."""
    try:
        envelope = decode(body)
    except MalformedMessage:
        return False
    return envelope.error is not UNSET and (envelope.id in (UNSET, None) or str(envelope.id) == str(number))
