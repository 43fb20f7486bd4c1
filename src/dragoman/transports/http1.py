"""One HTTP/1.1 connection: a request is written whole, and its answer's head and body come as they arrive.

It knows neither pools nor MCP (see ``pool.py``). The grammar is llhttp's, through httptools; what is here is the order
of things: one request at a time, reading stopped while nobody takes the body, and what an end of the stream means.
Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import httptools

from dragoman.transports.faults import BrokenOffError, DisconnectedError, NotHttpError

__all__ = ["AnswerHead", "Body", "Fields", "HttpConnection"]

_READ_BYTES: Final = 64 * 1024
_HIGH_BYTES: Final = 256 * 1024
#: So much may come in a row, in whole reads, without any of it being content: heads, interim answers, trailers.
_MOST_HEAD_BYTES: Final = 64 * 1024
_INFLATED_BYTES: Final = 256 * 1024
_SWITCHING_PROTOCOLS: Final = 101
_GZIP_BEGIN: Final = 0x1F


class Fields:
    """The headers of an answer, names in any case, in the order they came."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs

    def get(self, key: str, /, default: str) -> str:
        """Give the first value."""
        wanted = key.lower().encode()
        for name, value in self._pairs:
            if name.lower() == wanted:
                return value.decode("latin-1").strip()
        return default

    def getall(self, key: str, /, default: Sequence[str]) -> Sequence[str]:
        """Give all values."""
        wanted = key.lower().encode()
        found = [value.decode("latin-1").strip() for name, value in self._pairs if name.lower() == wanted]
        return found or default


class AnswerHead:
    """The status line and the headers of an answer."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: Fields) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers


class Body:
    """An answer's body on its way. Only one may read it at a time."""

    __slots__ = ("_connection", "_ended", "_error", "_held", "_inflater", "_pieces", "_silence", "_waiter", "_watcher")

    def __init__(self, connection: HttpConnection, encoding: str, silence: float | None) -> None:
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._error: Exception | None = None
        self._silence = silence
        self._waiter: asyncio.Future[None] | None = None
        self._watcher: Callable[[], None] | None = None
        self._inflater = _Inflater(encoding) if encoding else None

    def put(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._pieces.append(data)
        self._held += len(data)
        if self._held > _HIGH_BYTES:
            self._connection.pause()
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """Take the end of the body, or what broke it off."""
        if self._ended or self._error is not None:
            return
        if error is None:
            self._ended = True
        else:
            self._error = error
        self._wake()
        if self._watcher is not None and not self._pieces:
            self._watcher()

    def at_eof(self) -> bool:
        """Whether all of it has been taken."""
        return self._ended and not self._pieces and (self._inflater is None or self._inflater.complete)

    def on_eof(self, watcher: Callable[[], None]) -> None:
        """Let what still comes be thrown away, and call ``watcher`` at the end."""
        self._pieces.clear()
        self._held = 0
        self._connection.resume()
        if self._ended or self._error is not None:
            watcher()
        else:
            self._watcher = watcher

    async def readany(self) -> bytes:
        """Give all that is there, waiting for the first of it; nothing at the end.

        Raises:
            OSError: the body broke off, or nothing came for too long (`TimeoutError`).
            NotHttpError: it is not encoded as its head says.
        """
        if self._inflater is not None:
            return await self._inflated(self._inflater)
        return await self._taken()

    async def _taken(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            await self._wait()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        self._connection.resume()
        return data

    async def _inflated(self, inflater: _Inflater) -> bytes:
        while True:
            if not inflater.holds:
                taken = await self._taken()
                if not taken:
                    inflater.finish()
                    return b""
                inflater.feed(taken)
            data = inflater.some()
            if data:
                return data

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None if self._silence is None else loop.call_later(self._silence, self._fell_silent)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _fell_silent(self) -> None:
        self.end(TimeoutError())

    def _wake(self) -> None:
        if self._watcher is not None:
            self._pieces.clear()
            self._held = 0
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Unpacker(Protocol):
    """What ``zlib.decompressobj`` gives."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


class _Inflater:
    """Undoes ``gzip`` and ``deflate``, a bounded piece at a time: a small body may inflate a thousandfold."""

    __slots__ = ("_encoding", "_full", "_rest", "_zlib")

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._zlib: _Unpacker | None = None
        self._rest = b""
        self._full = False

    @property
    def holds(self) -> bool:
        """Whether there is more to give without more to take."""
        return bool(self._rest) or self._full

    @property
    def complete(self) -> bool:
        """Whether this may be the end: all was given, and a check sum stood behind it. Nothing at all is complete."""
        return not self.holds and (self._zlib is None or self._zlib.eof)

    def feed(self, data: bytes) -> None:
        """Take encoded bytes."""
        self._rest = data

    def some(self) -> bytes:
        """Give some decoded bytes; nothing if more is needed for that.

        Raises:
            NotHttpError: they are not encoded so.
        """
        unpacker = self._zlib
        if unpacker is None or unpacker.eof:
            unpacker = self._begun(again=unpacker is not None)
            if unpacker is None:
                return b""
        try:
            data = unpacker.decompress(self._rest, _INFLATED_BYTES)
        except zlib.error as error:
            raise NotHttpError from error
        # What was cut for its size may have its rest within zlib, with nothing left to take.
        self._full = len(data) == _INFLATED_BYTES and not unpacker.eof
        self._rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        return data

    def _begun(self, *, again: bool) -> _Unpacker | None:
        """Begin to unpack; a gzip file may have several members. None: what follows the end is none of them."""
        first = self._rest[0]
        if again and (self._encoding != "gzip" or first != _GZIP_BEGIN):
            self._rest = b""
            return None
        # Some servers send bare deflate under that name, without zlib's two bytes at the begin.
        wbits = 31 if self._encoding == "gzip" else 15 if first & 0x0F == 8 else -15
        self._zlib = zlib.decompressobj(wbits)
        return self._zlib

    def finish(self) -> None:
        """Check that it ended where it should.

        Raises:
            BrokenOffError: the end is missing.
        """
        if not self.complete:
            raise BrokenOffError


class HttpConnection(asyncio.BufferedProtocol):
    """A connection to one origin.

    ``on_idle`` learns that it can serve again, ``on_lost`` that it is closed. ``idle_since`` is the owner's to set.
    """

    def __init__(self, on_idle: Callable[[HttpConnection], None], on_lost: Callable[[HttpConnection], None]) -> None:
        self.idle_since = 0.0
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._reason = b""
        self._body: Body | None = None
        self._head: asyncio.Future[tuple[AnswerHead, Body]] | None = None
        self._silence: float | None = None
        self._paused = False
        self._keeps = False
        self._complete = True
        self._ends_with_stream = False

    # For the owner.

    @property
    def usable(self) -> bool:
        """Whether another request can be sent: the last answer has ended, and nobody has closed."""
        return self._complete and self._transport is not None and not self._transport.is_closing()

    @property
    def descriptor(self) -> int:
        """The number of the socket below; negative once it is closed."""
        # Event loops show sockets of different kinds, which have only this in common.
        found = None if self._transport is None else self._transport.get_extra_info("socket")
        return -1 if found is None else found.fileno()

    async def exchange(self, begin: bytes, body: bytes, silence: float | None) -> tuple[AnswerHead, Body]:
        """Write a request and give its answer's head, and the body to come.

        ``silence`` bounds in seconds how long nothing may come. Cancelling it closes the connection.

        Raises:
            DisconnectedError: the server closed instead of answering.
            OSError: the connection broke, or nothing came for too long (`TimeoutError`).
            NotHttpError: what came is no HTTP.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise DisconnectedError
        loop = asyncio.get_running_loop()
        self._complete = False
        self._keeps = False
        self._head_bytes = 0
        self._silence = silence
        head = self._head = loop.create_future()
        if len(body) < _READ_BYTES:
            transport.write(begin + body)
        else:
            transport.write(begin)
            transport.write(body)
        timer = None if silence is None else loop.call_later(silence, self._fail, TimeoutError())
        try:
            return await head
        except BaseException:
            self.close()
            raise
        finally:
            self._head = None
            if timer is not None:
                timer.cancel()

    def release(self) -> None:
        """Give it back after an answer has ended; it is closed if it can't serve again."""
        if self._keeps and self.usable:
            self._on_idle(self)
        else:
            self.close()

    def close(self) -> None:
        """Close it at once. Safe to repeat."""
        self._ends_with_stream = False  # this end is ours, and makes no body whole
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading until `resume`."""
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused and self._transport is not None:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # For the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] - a stream's is an asyncio.Transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        if self._complete:
            self.close()  # nothing is due: rubbish, or a server that says goodbye
            return
        self._head_bytes += nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserUpgrade, httptools.HttpParserError):
            self._fail(NotHttpError())
        else:
            if self._head_bytes > _MOST_HEAD_BYTES and not self._complete:
                self._fail(NotHttpError())

    def eof_received(self) -> bool:
        """See asyncio."""
        self._ended_by_server(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._ended_by_server(exc)
        self._transport = None
        self._on_lost(self)

    def _ended_by_server(self, error: Exception | None) -> None:
        if self._complete:
            return
        if self._body is not None and self._ends_with_stream and error is None:
            self._finish()
        elif self._body is not None:
            self._fail(error if isinstance(error, OSError) else BrokenOffError())
        else:
            self._fail(error if isinstance(error, OSError) else DisconnectedError())

    def _fail(self, error: Exception) -> None:
        self._keeps = False
        if self._head is not None and not self._head.done():
            self._head.set_exception(error)
        elif self._body is not None:
            self._body.end(error)
        self._body = None
        self._complete = True
        self.close()

    # For the parser.

    def on_message_begin(self) -> None:
        """See httptools."""
        if self._complete:
            # A second answer where one was due: it must never pass for the answer to the next request.
            raise NotHttpError
        self._fields = []
        self._reason = b""

    def on_status(self, status: bytes) -> None:
        """See httptools."""
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        if self._body is None:  # else it is a trailer, which nobody needs
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """See httptools."""
        status = self._parser.get_status_code()
        if status < 200 and status != _SWITCHING_PROTOCOLS:  # an interim answer; the real one follows
            return
        headers = Fields(self._fields)
        encoding, self._ends_with_stream = _framing(self._fields)
        body = self._body = Body(self, encoding, self._silence)
        if self._head is not None and not self._head.done():
            self._head.set_result((AnswerHead(status, self._reason.decode("latin-1"), headers), body))

    def on_body(self, data: bytes) -> None:
        """See httptools."""
        self._head_bytes = 0
        if self._body is not None:
            self._body.put(data)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._body is not None:
            self._keeps = self._parser.should_keep_alive()
            self._finish()

    def _finish(self) -> None:
        body, self._body = self._body, None
        self._complete = True
        if self._head is not None and not self._head.done():
            self._head.set_exception(NotHttpError())
        if body is not None:
            body.end()


def _framing(fields: list[tuple[bytes, bytes]]) -> tuple[str, bool]:
    """Give how the body is encoded (empty: as it stands), and whether only the stream's end ends it."""
    encoding, framed = "", False
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-encoding":
            told = value.strip().lower()
            encoding = "gzip" if told in (b"gzip", b"x-gzip") else "deflate" if told == b"deflate" else ""
        elif lower == b"content-length":
            framed = True
        elif lower == b"transfer-encoding":
            framed = _chunked(value) or framed
    return encoding, not framed


def _chunked(transfer_encoding: bytes) -> bool:
    """Whether the body comes in chunks; no other coding was asked for (RFC 9112 section 6.1)."""
    codings = {coding.strip().lower() for coding in transfer_encoding.split(b",")} - {b"", b"identity"}
    if codings - {b"chunked"}:
        raise NotHttpError
    return bool(codings)
