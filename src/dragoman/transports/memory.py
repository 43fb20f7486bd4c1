"""Talks to a server in the same process: no bytes leave it, yet messages are bytes as everywhere.

For tests and for servers that are Python objects. It knows no message's meaning. Neighbour: `backlog.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from dragoman.errors import ConnectionClosed, ConnectionLost, DragomanError
from dragoman.transports.backlog import Backlog
from dragoman.transports.base import Inbox, Outgoing

__all__ = ["MemoryPeer", "MemoryTransport", "Serve", "memory_pair"]


class MemoryPeer:
    """The server's end: whole messages, one at a time. For one task that receives; any may send."""

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport
        self._arrived = asyncio.Event()

    async def receive(self) -> bytes | None:
        """Give the client's next message; None when there will be no more."""
        transport = self._transport
        while not transport.backlog:
            if transport.over is not None:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return transport.backlog.take()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (data := await self.receive()) is not None:
            yield data

    async def send(self, data: bytes) -> None:
        """Send one message to the client; waits until the client has opened its end.

        Raises:
            ConnectionLost: the client has closed its end.
        """
        await self._transport.opened.wait()
        # The client's callbacks may have much to do now; a server that sends without end must not shut others out.
        await asyncio.sleep(0)
        self._transport.deliver(data)

    def close(self) -> None:
        """Hang up: the client learns that its connection is lost. Safe to repeat."""
        self._transport.lose("the server in this process hung up")

    def wake(self) -> None:
        """Let `receive` look again. The transport calls it."""
        self._arrived.set()


#: A server in this process: it gets its end of the connection, and the connection ends when it returns.
Serve: TypeAlias = Callable[[MemoryPeer], Awaitable[None]]


class MemoryTransport:
    """The client's end. With ``serve``, opening starts that server as a task, and closing ends it.

    ``name`` is the server's name, for errors; ``shutdown_timeout`` is how long, in seconds, the server may take after
    its input has ended until its task is cancelled, and how long it may take after that.
    """

    kind: str = "memory"
    exchanges: bool = False

    def __init__(self, serve: Serve | None = None, *, name: str = "memory", shutdown_timeout: float = 2.0) -> None:
        self.peer = MemoryPeer(self)
        self.backlog = Backlog()
        self.opened = asyncio.Event()
        self.over: DragomanError | None = None
        self._serve = serve
        self._name = name
        self._shutdown_timeout = shutdown_timeout
        self._inbox: Inbox | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, inbox: Inbox) -> None:
        """Start the server, if there is one to start.

        Raises:
            ConnectionClosed: it was closed before.
        """
        if self.over is not None:
            raise self._refusal()
        self._inbox = inbox
        self.opened.set()
        if self._serve is not None:
            self._task = asyncio.create_task(self._run(self._serve), name=f"server {self._name}")

    def send(self, message: Outgoing) -> asyncio.Future[None] | None:
        """Send one message. A future is given when the server leaves too much unread, and is done when it is in.

        Raises:
            ConnectionLost: the server is gone.
        """
        if self.over is not None:
            raise self._refusal()
        entry = self.backlog.add(message)
        self.peer.wake()
        return entry

    def negotiated(self, version: str) -> None:
        """Learn the protocol version, which makes no difference here."""

    def last_words(self) -> str:
        """Give nothing: there is no stderr."""
        return ""

    async def aclose(self) -> None:
        """End the server's input, then wait for its task, then cancel it. Safe to call twice, from any task."""
        if self.over is None:
            self.over = ConnectionClosed("the connection was closed", server=self._name)
            # What got in is on its way, as in a pipe: the server may still take it.
            self._end(self.backlog.turn_away(self._refusal))
        task = self._task
        if task is None or task is asyncio.current_task():
            return
        await asyncio.wait((task,), timeout=self._shutdown_timeout)
        if task.cancel():
            await asyncio.wait((task,), timeout=self._shutdown_timeout)

    def deliver(self, data: bytes) -> None:
        """Hand a message of the server to the inbox. The peer calls it.

        Raises:
            ConnectionLost: this end is closed.
        """
        if self.over is not None or self._inbox is None:
            raise ConnectionLost("the client closed the connection", server=self._name)
        self._inbox.message_received(data)

    def lose(self, why: str) -> None:
        """End because the server does. The peer calls it."""
        if self.over is not None:
            return
        self.over = error = ConnectionLost(why, server=self._name, hint="Connect again.")
        self._end(self.backlog.abandon(self._refusal))
        if self._inbox is not None:
            self._inbox.connection_lost(error)

    async def _run(self, serve: Serve) -> None:
        try:
            await serve(self.peer)
        except asyncio.CancelledError:
            self.lose("the server in this process was cancelled")
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the server's end, and told as that
            self.lose(f"the server in this process failed ({type(error).__name__}: {error})")
        else:
            self.lose("the server in this process returned")

    def _end(self, unsent: list[Outgoing]) -> None:
        for message in unsent:
            if message.id is not None and self._inbox is not None:
                self._inbox.request_failed(message.id, self._refusal())
        self.opened.set()
        self.peer.wake()

    def _refusal(self) -> ConnectionLost:
        """Give a new error for a message that the server did not get."""
        if isinstance(self.over, ConnectionClosed):
            return ConnectionClosed(self.over.what, server=self._name)
        why = self.over.what if self.over is not None else "the connection ended"
        return ConnectionLost(f"{why} before it took the message", server=self._name)


def memory_pair(*, name: str = "memory") -> tuple[MemoryTransport, MemoryPeer]:
    """Give both ends of a connection within this process; the server's end is driven by the caller."""
    transport = MemoryTransport(name=name)
    return transport, transport.peer
