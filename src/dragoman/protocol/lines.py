"""Cuts a byte stream into lines, with a bound on each and no byte looked at twice.

Pure: it is fed and gives back. Blank lines are passed over; a line over the bound is dropped and told of by its ends.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LineSplitter", "OversizeLine"]

_END_BYTES = 512
# A stream that comes in crumbs would otherwise cost fifty bytes of book-keeping for each byte of a long line.
_CRUMB_BYTES = 1024
_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class OversizeLine:
    """A line that went over the bound: its length in bytes and its two ends (up to 512 bytes each)."""

    size: int
    head: bytes
    tail: bytes


class LineSplitter:
    """Feed it chunks, take whole lines.

    ``limit`` bounds one line in bytes; at most that much (and one chunk) is ever held. Lines end with a line feed; a
    carriage return before it stays, as JSON takes it for a space.
    """

    __slots__ = ("_chunks", "_head", "_held", "_limit", "_oversize", "_tail")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes | bytearray] = []
        self._held = 0
        self._oversize = False
        self._head = b""
        self._tail = b""

    def feed(self, data: bytes) -> list[bytes | OversizeLine]:
        """Give the lines that ``data`` completes, without their line ends."""
        if not self._held and data.endswith(b"\n") and len(data) <= self._limit:
            lines = data.split(b"\n")
            lines.pop()
            return [line for line in lines if line and not line.isspace()]
        return self._feed_in_part(data)

    def _feed_in_part(self, data: bytes) -> list[bytes | OversizeLine]:
        """Take a chunk that begins or ends within a line, or may hold one that is too long."""
        lines: list[bytes | OversizeLine] = []
        if self._held:
            end = data.find(b"\n")
            if end < 0:
                self._hold(data)
                return lines
            self._hold(data[:end])
            lines.append(self._take())
            data = data[end + 1 :]
        last = data.rfind(b"\n")
        if last >= 0:
            lines += map(self._bounded, data[:last].split(b"\n"))
        if last + 1 < len(data):
            self._hold(data[last + 1 :])
        return [line for line in lines if isinstance(line, OversizeLine) or (line and not line.isspace())]

    def _bounded(self, line: bytes) -> bytes | OversizeLine:
        if len(line) <= self._limit:
            return line
        return OversizeLine(len(line), line[:_END_BYTES], line[-_END_BYTES:])

    def finish(self) -> bytes | OversizeLine | None:
        """Give what is left when the stream ended without a line end; None if nothing is."""
        if not self._held:
            return None
        line = self._take()
        return line if isinstance(line, OversizeLine) or not line.isspace() else None

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._oversize:
            self._head += piece[: _END_BYTES - len(self._head)]
            self._tail = (self._tail + piece[-_END_BYTES:])[-_END_BYTES:]
            return
        self._append(piece)
        if self._held > self._limit:
            self._oversize = True
            self._head = self._ends(self._chunks)[:_END_BYTES]
            self._tail = self._ends(self._chunks[::-1], last=True)[-_END_BYTES:]
            self._chunks = []

    def _append(self, piece: bytes) -> None:
        last = self._chunks[-1] if self._chunks else b""
        if isinstance(last, bytearray) and len(last) < _BLOCK_BYTES:
            last += piece
        elif len(piece) < _CRUMB_BYTES and last:
            self._chunks.append(bytearray(piece))
        else:
            self._chunks.append(piece)

    @staticmethod
    def _ends(chunks: list[bytes | bytearray], *, last: bool = False) -> bytes:
        gathered = b""
        for chunk in chunks:
            gathered = bytes(chunk[-_END_BYTES:]) + gathered if last else gathered + chunk[:_END_BYTES]
            if len(gathered) >= _END_BYTES:
                break
        return gathered

    def _take(self) -> bytes | OversizeLine:
        whole = OversizeLine(self._held, self._head, self._tail) if self._oversize else b"".join(self._chunks)
        self._chunks = []
        self._held = 0
        self._oversize = False
        self._head = self._tail = b""
        return whole
