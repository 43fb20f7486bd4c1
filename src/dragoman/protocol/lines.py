"""Cuts a byte stream into lines, with a bound on each and no byte looked at twice.

Pure: it is fed and gives back. Blank lines are passed over; a line over the bound is dropped and told of by its ends.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LineSplitter", "OversizeLine"]

_END_BYTES = 512


@dataclass(frozen=True, slots=True)
class OversizeLine:
    """A line that went over the bound: its length in bytes and its two ends (up to 512 bytes each)."""

    size: int
    head: bytes
    tail: bytes


class LineSplitter:
    """Feed it chunks, take whole lines.

    ``limit`` bounds one line in bytes; at most that much (and one chunk) is ever held.
    """

    __slots__ = ("_chunks", "_head", "_held", "_limit", "_oversize", "_tail")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
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
        return self._feed_slowly(data)

    def _feed_slowly(self, data: bytes) -> list[bytes | OversizeLine]:
        lines: list[bytes | OversizeLine] = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._hold(data[start:end])
            start = end + 1
            line = self._take()
            if isinstance(line, OversizeLine) or (line and not line.isspace()):
                lines.append(line)
        if start < len(data):
            self._hold(data[start:] if start else data)
        return lines

    def finish(self) -> bytes | OversizeLine | None:
        """Give what is left when the stream ended without a line end; None if nothing is."""
        if not self._held:
            return None
        line = self._take()
        return line if isinstance(line, OversizeLine) or not line.isspace() else None

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._oversize:
            self._tail = (self._tail + piece)[-_END_BYTES:]
            return
        self._chunks.append(piece)
        if self._held > self._limit:
            self._oversize = True
            self._head = self._ends(self._chunks)[:_END_BYTES]
            self._tail = self._ends(self._chunks[::-1], last=True)[-_END_BYTES:]
            self._chunks = []

    @staticmethod
    def _ends(chunks: list[bytes], *, last: bool = False) -> bytes:
        gathered = b""
        for chunk in chunks:
            gathered = chunk[-_END_BYTES:] + gathered if last else gathered + chunk[:_END_BYTES]
            if len(gathered) >= _END_BYTES:
                break
        return gathered

    def _take(self) -> bytes | OversizeLine:
        line: bytes | OversizeLine
        if self._oversize:
            line = OversizeLine(self._held, self._head, self._tail)
        else:
            line = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = []
        self._held = 0
        self._oversize = False
        self._head = self._tail = b""
        return line
