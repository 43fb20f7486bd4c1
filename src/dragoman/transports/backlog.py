"""Messages on their way out that the other side has not taken yet, with a bound on how many bytes wait.

Pure book-keeping: it writes nothing. `stdio.py` empties it in chunks, `memory.py` message by message.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from dragoman.errors import DragomanError
from dragoman.transports.base import Outgoing

__all__ = ["CHUNK", "Backlog"]

#: Above so many bytes waiting, nobody else gets in; below the second number, those outside do again.
_HIGH_WATER: Final = 1024 * 1024
_LOW_WATER: Final = 256 * 1024

#: The most that `Backlog.chunk` gives at once, give or take one message: what a pipe holds.
CHUNK: Final = 64 * 1024


class Backlog:
    """A queue in two parts: messages that are in and will be written, and messages that still wait outside for room.

    Those outside cost no memory that their callers don't hold anyway; when a caller gives up, its message is gone.
    One message of any size gets in when there is room at all, so the bound is the high water plus one message.
    """

    __slots__ = ("_inside", "_outside", "_size", "_written")

    def __init__(self) -> None:
        self._inside: deque[Outgoing] = deque()
        self._outside: OrderedDict[asyncio.Future[None], Outgoing] = OrderedDict()
        self._size = 0
        self._written = 0

    def __bool__(self) -> bool:
        return bool(self._inside)

    def add(self, message: Outgoing) -> asyncio.Future[None] | None:
        """Take a message in, or let it wait: then a future is given, which is done as soon as the message got in."""
        if self._size < _HIGH_WATER and not self._outside:
            self._enter(message)
            return None
        entry: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outside[entry] = message
        entry.add_done_callback(self._gave_up)
        return entry

    def begin(self, message: Outgoing, written: int) -> None:
        """Take in a message of which the first ``written`` bytes are on their way already. Nothing else may be in."""
        self._enter(message)
        self._written = written

    def take(self) -> bytes:
        """Give the next whole message and count it as written."""
        message = self._inside.popleft()
        self._size -= len(message.data) + 1
        self._admit()
        return message.data

    def chunk(self) -> bytes | memoryview:
        """Give the next bytes to write, each message with its line end; `wrote` tells how many went."""
        first = self._inside[0].data
        if len(first) >= CHUNK:
            return memoryview(first)[self._written : self._written + CHUNK] if self._written < len(first) else b"\n"
        lines: list[bytes] = []
        size = 0
        for message in self._inside:
            if size + len(message.data) > CHUNK:
                break
            lines.append(message.data)
            size += len(message.data) + 1
        lines.append(b"")
        joined = b"\n".join(lines)
        return joined[self._written :] if self._written else joined

    def wrote(self, count: int) -> None:
        """Count ``count`` bytes of the last chunk as written."""
        self._written += count
        while self._inside and self._written > len(self._inside[0].data):
            whole = len(self._inside.popleft().data) + 1
            self._written -= whole
            self._size -= whole
        self._admit()

    def turn_away(self, reason: Callable[[], DragomanError]) -> list[Outgoing]:
        """Give the messages that wait outside and forget them; their callers get the reason."""
        turned_away = list(self._outside.values())
        for entry in self._outside:
            if not entry.done():
                entry.set_exception(reason())
                entry.exception()  # so that nothing is logged if nobody awaits it any more
        self._outside.clear()
        return turned_away

    def abandon(self, reason: Callable[[], DragomanError]) -> list[Outgoing]:
        """Give all messages of which no byte was written and forget everything; callers outside get the reason."""
        if self._written:
            self._inside.popleft()
        unwritten = [*self._inside, *self.turn_away(reason)]
        self._inside.clear()
        self._size = self._written = 0
        return unwritten

    def _enter(self, message: Outgoing) -> None:
        self._inside.append(message)
        self._size += len(message.data) + 1

    def _admit(self) -> None:
        if self._size >= _LOW_WATER:
            return
        while self._outside and self._size < _HIGH_WATER:
            entry, message = self._outside.popitem(last=False)
            if not entry.done():
                self._enter(message)
                entry.set_result(None)

    def _gave_up(self, entry: asyncio.Future[None]) -> None:
        self._outside.pop(entry, None)
