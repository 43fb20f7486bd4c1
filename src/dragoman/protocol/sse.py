"""Cuts a byte stream into server-sent events, with a bound on each and no byte looked at twice.

Pure: it is fed and gives back; whoever reconnects asks it for ``last_event_id`` and ``retry``. Data stays bytes.
Source: the event stream format of the WHATWG HTML standard, section 9.2 (server-sent events).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

__all__ = ["Event", "EventParser", "OversizeEvent"]

_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 13
_LF: Final = 10
_SPACE: Final = 32
_COLON: Final = 58
_END_BYTES: Final = 512

_DATA: Final = b"data:"
_TELLING: Final = len(_DATA) + 1
"""Bytes at a line's begin that tell whether it is a data line and where its value starts."""

_LONGEST_ID: Final = 4 * 1024
"""Bytes of an event id that is kept: it goes back in a header, which has no room for more."""

_RETRY_DIGITS: Final = 9
"""Digits of ``retry`` that are believed: eleven days in milliseconds."""

#: What is known of a line whose end has not come: nothing is open, its data goes to the event, it is passed over, or
#: it is held until it is whole.
_Open: TypeAlias = Literal["", "data", "ignored", "held"]


class Event(Struct, frozen=True, gc=False):
    """One event: its ``data`` (lines joined by a line feed) and its ``type``, which is ``message`` if it names none."""

    data: bytes
    type: str


class OversizeEvent(Struct, frozen=True, gc=False):
    """An event whose data went over the bound: its length in bytes and its two ends (up to 512 bytes each)."""

    size: int
    head: bytes
    tail: bytes


class EventParser:
    """Feed it chunks, take whole events.

    ``limit`` bounds one event's data in bytes; at most that much (and one chunk) is ever held. ``last_event_id`` is the
    id of the last event that was complete, at first that of an earlier stream which this one resumes. ``retry`` is the
    reconnection time in milliseconds that the stream asked for, or None. What follows the last blank line is no event.
    """

    def __init__(self, limit: int, *, last_event_id: str = "", retry: int | None = None) -> None:
        self.last_event_id = last_event_id
        self.retry = retry
        self._limit = limit
        self._bom: bytes | None = b""
        self._after_cr = False
        self._open: _Open = ""
        self._held = bytearray()
        self._id = last_event_id
        self._type = ""
        self._data: bytes | bytearray | None = None
        self._size = 0
        self._ends: tuple[bytes, bytes] | None = None

    def feed(self, chunk: bytes) -> list[Event | OversizeEvent]:
        """Give the events that ``chunk`` completes."""
        if self._bom is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == _LF:
                chunk = chunk[1:]
        if not chunk:
            return []
        lines = chunk.splitlines()
        last = chunk[-1]
        self._after_cr = last == _CR
        rest = b"" if last in (_LF, _CR) else lines.pop()
        events: list[Event | OversizeEvent] = []
        for line in lines:
            if self._open:
                self._continue(line)
                self._close()
            elif line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                events.append(event)
        if rest:
            self._continue(rest) if self._open else self._begin(rest)
        return events

    def _without_bom(self, chunk: bytes) -> bytes:
        begin = (self._bom or b"") + chunk
        if len(begin) < len(_BOM) and _BOM.startswith(begin):
            self._bom = begin
            return b""
        self._bom = None
        return begin.removeprefix(_BOM)

    # A line whose end has not come.

    def _begin(self, piece: bytes) -> None:
        if piece[0] == _COLON:
            self._open = "ignored"
        elif piece.startswith(_DATA) and len(piece) >= _TELLING:
            self._open = "data"
            self._data_line(piece)
        else:
            self._open = "held"
            self._held = bytearray(piece)

    def _continue(self, piece: bytes) -> None:
        if self._open == "data":
            self._add(piece)
        elif self._open == "held" and len(self._held) < _TELLING:
            self._begin(bytes(self._held) + piece)
        elif self._open == "held":
            self._held += piece
            if len(self._held) > self._limit:
                self._open = "ignored"
                self._held = bytearray()

    def _close(self) -> None:
        if self._open == "held":
            self._field(bytes(self._held))
            self._held = bytearray()
        self._open = ""

    # Whole lines.

    def _field(self, line: bytes) -> None:
        if line.startswith(_DATA):
            self._data_line(line)
            return
        name, _colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data_line(_DATA)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value and len(value) <= _LONGEST_ID:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            digits = value.lstrip(b"0") or b"0"
            self.retry = int(digits) if len(digits) <= _RETRY_DIGITS else 10**_RETRY_DIGITS - 1

    def _data_line(self, line: bytes) -> None:
        if self._data is not None:
            self._add(b"\n")
        spaced = len(line) >= _TELLING and line[len(_DATA)] == _SPACE
        self._add(line[_TELLING:] if spaced else line[len(_DATA) :])

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        data = self._data
        if self._ends is not None:
            head, tail = self._ends
            if len(head) < _END_BYTES:
                head = (head + piece[:_END_BYTES])[:_END_BYTES]
            self._ends = head, (tail + piece[-_END_BYTES:])[-_END_BYTES:]
            return
        if data is None:
            self._data = data = piece
        elif isinstance(data, bytearray):
            data += piece
        else:
            self._data = data = bytearray(data) + piece
        if self._size > self._limit:
            self._ends = bytes(data[:_END_BYTES]), bytes(data[-_END_BYTES:])
            self._data = b""

    def _dispatch(self) -> Event | OversizeEvent | None:
        self.last_event_id = self._id
        data, size, ends = self._data, self._size, self._ends
        kind = self._type or "message"
        self._type = ""
        self._data = self._ends = None
        self._size = 0
        if ends is not None:
            return OversizeEvent(size, *ends)
        return None if data is None else Event(bytes(data), kind)
