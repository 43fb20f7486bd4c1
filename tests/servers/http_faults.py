"""An HTTP server that does to each request what a test says, down to the bytes: resets, halves, trickles, silence.

It runs in the test's own loop on real sockets and knows neither Dragoman nor an HTTP library, so it can break every
rule that a library would keep.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias

JSON = "application/json"
EVENTS = "text/event-stream"


class Visit:
    """One request, and the means to answer it. Header names are in lower case."""

    def __init__(self, line: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        self.verb, self.target, _version = line.split(" ")
        self.headers = headers
        self.body = body
        self.done = False
        self._writer = writer

    @property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message that came."""
        return json.loads(self.body)

    @property
    def id(self) -> int:
        """The request's id."""
        return self.message["id"]

    @property
    def method(self) -> str:
        """The message's method; empty for an answer or an empty body."""
        return self.message.get("method", "") if self.body else ""

    def result(self, **result: object) -> bytes:
        """An answer with that result, as JSON."""
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "result": result}).encode()

    def error(self, code: int, **members: object) -> bytes:
        """An error answer, as JSON; ``id=None`` replaces the id."""
        return json.dumps(
            {"jsonrpc": "2.0", "id": self.message.get("id"), "error": {"code": code, "message": "no"}} | members
        ).encode()

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(
        self,
        body: bytes = b"",
        *,
        status: str = "200 OK",
        kind: str | None = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole answer."""
        await self.head(status=status, kind=kind, headers={"Content-Length": str(len(body)), **(headers or {})})
        await self.write(body)

    async def head(
        self, *, status: str = "200 OK", kind: str | None = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send status line and headers only."""
        fields = {**({} if kind is None else {"Content-Type": kind}), **(headers or {})}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
        await self.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())

    async def stream(self, *, headers: Mapping[str, str] | None = None) -> None:
        """Begin an event stream, in chunks."""
        await self.head(kind=EVENTS, headers={"Transfer-Encoding": "chunked", **(headers or {})})

    async def chunk(self, data: bytes) -> None:
        """Send one chunk of a stream; an empty one ends it."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, data: bytes, *, id: str | None = None, retry: int | None = None) -> None:
        """Send one event."""
        extra = (f"id: {id}\n" if id is not None else "") + (f"retry: {retry}\n" if retry is not None else "")
        await self.chunk(extra.encode() + b"data: " + data + b"\n\n")

    async def end(self) -> None:
        """End the stream."""
        await self.chunk(b"")

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection after what was sent."""
        self._writer.close()

    async def hang(self) -> None:
        """Do nothing until the client goes away."""
        await asyncio.Event().wait()


Script: TypeAlias = Callable[[Visit], Awaitable[None]]


class FaultyServer:
    """What the server has seen so far. ``visits`` are the requests, ``connections`` counts all that were opened."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None) -> None:
        self.script = script
        self.visits: list[Visit] = []
        self.connections = 0
        self.open = 0
        self.origin = ""
        self._tls = tls
        self._tasks: set[asyncio.Task[Any]] = set()
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        """The address of its MCP endpoint."""
        return f"{self.origin}/mcp"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is asked again whenever something happened here."""
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def of(self, verb: str) -> list[Visit]:
        """The requests with that verb."""
        return [visit for visit in self.visits if visit.verb == verb]

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            while (visit := await self._read(reader, writer)) is not None:
                self.visits.append(visit)
                self._news.set()
                await self._serve(visit, reader)
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # asyncio logs what a server's task raises, its cancellation too
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()
            self.open -= 1
            self._tasks.discard(task)
            self._news.set()

    async def _serve(self, visit: Visit, reader: asyncio.StreamReader) -> None:
        """Run the script; a client that goes away meanwhile ends it."""
        work = asyncio.ensure_future(self.script(visit))
        watch = asyncio.ensure_future(_away(reader))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
        visit.done = True

    @staticmethod
    async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Visit | None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")[:-2]
        headers: dict[str, str] = {}
        for field in fields:
            name, _colon, value = field.partition(":")
            assert name.lower() not in headers, f"{name} came twice"
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Visit(line, headers, body, writer)

    async def run(self) -> None:
        """Begin to serve."""
        self._server = await asyncio.start_server(self.connected, "127.0.0.1", 0, ssl=self._tls, limit=1 << 20)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.origin = f"{'https' if self._tls else 'http'}://{host}:{port}"

    async def close(self) -> None:
        """Go away: take no connection any more, and end those that are open."""
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()


async def _away(reader: asyncio.StreamReader) -> None:
    """Wait until the client closes; it sends nothing while an answer is due, so nothing is lost by waiting."""
    while not reader.at_eof() and reader.exception() is None:
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[FaultyServer]:
    """Serve with that script on a free port of the loopback."""
    served = FaultyServer(script, tls)
    await served.run()
    try:
        yield served
    finally:
        await served.close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
