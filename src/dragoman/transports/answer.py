"""An HTTP answer whose body is still to come, and what becomes of its connection.

Made by ``pool.py`` or ``proxied.py``, read by the transports. It does not know what the body means.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from msgspec import Struct

from dragoman.errors import DragomanError, MessageTooLarge
from dragoman.transports.faults import FAULTS, Faults
from dragoman.transports.network import Headers

__all__ = ["KEEP_ALIVE", "Answer", "Content", "Holder", "Lingering", "Received"]

KEEP_ALIVE: Final = 4.0
"""Seconds that an idle connection is used again: less than servers keep theirs (5 s is usual), so that a request seldom
meets a connection that is just being closed, whose fate nobody could tell."""

LINGER: Final = 1.0
"""Seconds that an event stream may take to end after its answer, to save the connection for the next request."""

PATIENCE: Final = 1.0
"""Seconds that the body of a refusal, which is only for telling people, may take."""


class Holder(Protocol):
    """What an answer came on, to be given back or closed."""

    def release(self) -> object:
        """Use it again, if it can be."""
        ...

    def close(self) -> object:
        """Close it."""
        ...


class Content(Protocol):
    """A body on its way."""

    async def readany(self) -> bytes:
        """Give all that is there, waiting for the first of it; nothing at the end. Raises what `FAULTS` names."""
        ...

    def at_eof(self) -> bool:
        """Whether all of it has been taken."""
        ...

    def on_eof(self, watcher: Callable[[], None], /) -> None:
        """Let what still comes be thrown away, and call ``watcher`` at the end."""
        ...


class Received(Struct, frozen=True):
    """What has come of an answer: its head, and the stream that its body comes on."""

    status: int
    reason: str
    headers: Headers
    content: Content


class Answer:
    """Read it to its end, or close it. ``label`` names the request in errors."""

    __slots__ = ("_content", "_faults", "_holder", "_lingering", "headers", "label", "reason", "status")

    def __init__(self, received: Received, holder: Holder, label: str, faults: Faults, lingering: Lingering) -> None:
        self.status = received.status
        self.reason = received.reason
        self.label = label
        self.headers = received.headers
        self._content = received.content
        self._holder: Holder | None = holder
        self._faults = faults
        self._lingering = lingering

    @property
    def kind(self) -> str:
        """The content type in lower case, without parameters; empty if there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """Give a header's value; empty if it is not there."""
        return self.headers.get(name, "")

    @property
    def ended(self) -> bool:
        """Whether the body has been read to its end, or was closed."""
        return self._holder is None

    async def chunk(self) -> bytes:
        """Give the next bytes of the body as they come, or nothing at its end.

        Raises:
            OutcomeUnknown: the body broke off.
        """
        content = self._content
        try:
            data = await content.readany()
        except FAULTS as error:
            self.close()
            raise self._faults.broken(error, self.label) from error
        if content.at_eof():
            self._release()
        return data

    async def body(self, limit: int) -> bytes:
        """Give the whole body.

        Raises:
            MessageTooLarge: it has more than ``limit`` bytes.
            OutcomeUnknown: it broke off.
        """
        pieces: list[bytes] = []
        size = 0
        while not self.ended and size <= limit:
            pieces.append(await self.chunk())
            size += len(pieces[-1])
        if size > limit:
            self.close()
            told = f"the answer to {self.label} has more than {limit:,} bytes"
            raise MessageTooLarge(told, limit=limit, server=self._faults.config.name)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def beginning(self, limit: int) -> bytes:
        """Give the body's first bytes, about ``limit`` at most, of what comes within `PATIENCE`; for telling people."""
        begin = bytearray()
        # The status is what matters, and it is known: a body that breaks, or does not end, must not hide it.
        with contextlib.suppress(DragomanError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not self.ended and len(begin) < limit:
                    begin += await self.chunk()
        self.close()
        return bytes(begin[:limit])

    def linger(self) -> None:
        """Let the body end by itself for a short while, unread, so that the connection can be used again."""
        holder, self._holder = self._holder, None
        if holder is not None:
            self._lingering.add(holder, self._content)

    def close(self) -> None:
        """Let go of what has not been read, and of the connection with it. Safe to repeat."""
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.close()

    def _release(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.release()


class Lingering:
    """Connections whose answers are over for the caller while the bodies have yet to end.

    One timer closes those that do not end.
    """

    def __init__(self) -> None:
        self._until: dict[Holder, float] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, holder: Holder, content: Content) -> None:
        """Take a connection for at most `LINGER` seconds (twice that, at worst)."""
        self._until[holder] = self._loop.time() + LINGER
        content.on_eof(partial(self._ended, holder))
        if self._timer is None and self._until:
            self._timer = self._loop.call_later(LINGER, self._sweep)

    def _ended(self, holder: Holder) -> None:
        if self._until.pop(holder, None) is not None:
            holder.release()

    def _sweep(self) -> None:
        self._timer = None
        now = self._loop.time()
        for holder in [holder for holder, until in self._until.items() if until <= now]:
            del self._until[holder]
            holder.close()
        if self._until:
            self._timer = self._loop.call_later(LINGER, self._sweep)

    def close(self) -> None:
        """Close them all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for holder in self._until:
            holder.close()
        self._until.clear()
