"""The limit: a bare pipe or socket on asyncio's event loop, one future per call, msgspec, and nothing else.

No time-outs, no cancellation, no end of the server, no bounds: what no asyncio client can be cheaper than. Its
neighbour `blocking` does without the event loop.
"""

from __future__ import annotations

import asyncio
import os
import sys
from abc import abstractmethod
from asyncio import Future
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from bench.clients.asynchronous import AsyncPeer
from bench.clients.peer import Target
from bench.clients.wire import Result, decode, head, request, tool_names, whole_body


class BareConversation:
    """A `Conversation`; its two kinds below say how a message travels."""

    def __init__(self) -> None:
        self._count = 0

    async def echo(self, message: str) -> str:
        return (await self._ask("tools/call", "echo", {"message": message})).content[0].text

    async def blob(self, size: int) -> str:
        return (await self._ask("tools/call", "blob", {"size": size})).content[0].text

    async def tools(self, *, schemas: bool) -> list[str]:
        return tool_names((await self._ask("tools/list")).tools, schemas=schemas)

    async def discover(self) -> None:
        """Wait for the server's first answer."""
        await self._ask("server/discover")

    async def _ask(self, method: str, name: str = "", arguments: dict[str, Any] | None = None) -> Result:
        self._count += 1
        future: Future[Result] = asyncio.get_running_loop().create_future()
        self._send(request(self._count, method, name, arguments), self._count, future)
        return await future

    @abstractmethod
    def _send(self, message: bytes, number: int, future: Future[Result]) -> None: ...


class Pipe(BareConversation, asyncio.SubprocessProtocol):
    """A server's stdin and stdout."""

    def __init__(self) -> None:
        super().__init__()
        self._futures: dict[int, Future[Result]] = {}
        self._pieces: list[bytes] = []
        self._stdin: asyncio.WriteTransport
        self._exited = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep stdin, and read in pieces that malloc does not give back to the system each time."""
        process = cast("asyncio.SubprocessTransport", transport)
        self._stdin = cast("asyncio.WriteTransport", process.get_pipe_transport(0))
        cast("Any", process.get_pipe_transport(1)).max_size = 65536

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Settle the future of every whole line."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._pieces, lines[0]])
            self._pieces = []
        if rest:
            self._pieces.append(rest)
        for line in lines:
            answer = decode(line)
            self._futures.pop(answer.id).set_result(answer.result)

    def process_exited(self) -> None:
        """Let `close` go on."""
        self._exited.set_result(None)

    async def close(self) -> None:
        """End the server."""
        self._stdin.close()
        await self._exited

    def _send(self, message: bytes, number: int, future: Future[Result]) -> None:
        self._futures[number] = future
        self._stdin.write(message + b"\n")


class Socket(asyncio.Protocol):
    """One keep-alive HTTP connection, which goes back to the free ones when its answer has come."""

    def __init__(self, free: list[Socket]) -> None:
        self._free = free
        self._pieces: list[bytes] = []
        self.future: Future[Result]
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write to."""
        self.transport = cast("asyncio.Transport", transport)
        cast("Any", transport).max_size = 65536

    def data_received(self, data: bytes) -> None:
        """Settle the future when the answer is whole."""
        self._pieces.append(data)
        if (body := whole_body(self._pieces)) is not None:
            self._pieces = []
            self._free.append(self)
            self.future.set_result(decode(body).result)


class Sockets(BareConversation):
    """As many connections as there are requests at once."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._host, self._port, self._head = head(url)
        self._free: list[Socket] = []
        self._opening: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._free:
            connection.transport.close()

    def _send(self, message: bytes, number: int, future: Future[Result]) -> None:
        data = self._head % len(message) + message
        if self._free:
            connection = self._free.pop()
            connection.future = future
            connection.transport.write(data)
            return
        task = asyncio.ensure_future(self._open(data, future))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, data: bytes, future: Future[Result]) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Socket(self._free), self._host, self._port)
        connection.future = future
        connection.transport.write(data)


@asynccontextmanager
async def opened(target: Target) -> AsyncGenerator[BareConversation]:
    """Open a connection for as long as the context lasts."""
    if target.url:
        wire = Sockets(target.url)
    else:
        loop = asyncio.get_running_loop()
        _, wire = await loop.subprocess_exec(Pipe, *target.command, stderr=None, start_new_session=True)
    await wire.discover()
    yield wire
    await wire.close()


def peer() -> AsyncPeer:
    """Give the limit. Processes are watched without a thread for each, which newer Pythons do by themselves."""
    if sys.version_info < (3, 12) and hasattr(os, "pidfd_open"):
        policy = vars(asyncio)["get_event_loop_policy"]()
        policy.set_child_watcher(vars(asyncio)["PidfdChildWatcher"]())  # by name: newer Pythons lack both
    return AsyncPeer(opened)
