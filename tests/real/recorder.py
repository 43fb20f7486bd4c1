"""A relay between a client and a real HTTP server that writes down every request as it went over the wire.

It changes nothing and understands only so much of HTTP/1.1 as it needs to tell requests apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request. Header names are in lower case."""

    verb: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message; empty if the request carried none."""
        return json.loads(self.body) if self.body else {}


@dataclass
class Recorder:
    """What was recorded, in the order of arrival, and where to connect to."""

    address: str
    requests: list[Request] = field(default_factory=list[Request])

    @property
    def posts(self) -> list[Request]:
        """The requests that carried a message."""
        return [request for request in self.requests if request.verb == "POST"]

    def sent(self, method: str) -> list[Request]:
        """The requests that carried a message of that method."""
        return [request for request in self.posts if request.message.get("method") == method]


@asynccontextmanager
async def recording(address: str) -> AsyncGenerator[Recorder]:
    """Relay to the server at ``address`` until the block ends, and then until all connections have ended."""
    upstream = urlsplit(address)
    relays: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
    recorder = Recorder("")

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        relays[task] = writer
        there, back = await asyncio.open_connection(upstream.hostname, upstream.port)
        await asyncio.gather(copy(there, writer), record(reader, back, recorder.requests))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        recorder.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield recorder
        for writer in relays.values():
            writer.close()
        await asyncio.gather(*relays)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on all that comes; the end of it ends the other side's connection too."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close one side of a relay, and wait until it is."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[Request]) -> None:
    """Pass requests on, one by one, and write each down before the server sees it."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            verb, target, _ = first.split(" ")
            requests.append(Request(verb=verb, target=target, headers=headers, body=body))
            writer.write(head + body)
            await writer.drain()
    await close(writer)
