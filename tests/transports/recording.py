"""An inbox that records what a transport tells it, and small helpers to talk through one and to look at processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import psutil

from dragoman.errors import DragomanError
from dragoman.protocol.jsonrpc import RequestId, encode_request
from dragoman.transports.base import Outgoing, Transport

#: Seconds that anything here may take before a test fails.
BOUND = 10.0


def settles(data: bytes, request_id: RequestId | None) -> bool:
    """Whether a message, or one of a batch, is the answer to that request."""
    try:
        found: Any = json.loads(data)
    except ValueError:
        return False
    listed = cast("list[Any]", found if isinstance(found, list) else [found])
    parts = [cast("dict[str, Any]", part) for part in listed if isinstance(part, dict)]
    return any("method" not in part and part.get("id") in (None, request_id, str(request_id)) for part in parts)


class RecordingInbox:
    """Keeps everything in the order in which it came."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.failed: dict[RequestId, DragomanError] = {}
        self.rejected: list[tuple[RequestId | None, DragomanError]] = []
        self.lost: list[DragomanError] = []
        self.held: list[tuple[RequestId, bool]] = []
        self._news = asyncio.Event()
        self._looked_at = 0
        self._answers: dict[RequestId, Any] = {}

    def message_received(self, data: bytes, request_id: RequestId | None = None) -> bool:
        """See `Inbox`."""
        self.lines.append(data)
        self._news.set()
        return settles(data, request_id)

    def request_held(self, request_id: RequestId, *, held: bool) -> None:
        """See `Inbox`."""
        self.held.append((request_id, held))
        self._news.set()

    def request_failed(self, request_id: RequestId, error: DragomanError) -> None:
        """See `Inbox`."""
        self.failed[request_id] = error
        self._news.set()

    def message_rejected(self, error: DragomanError, request_id: RequestId | None = None) -> None:
        """See `Inbox`."""
        self.rejected.append((request_id, error))
        self._news.set()

    def connection_lost(self, error: DragomanError) -> None:
        """See `Inbox`."""
        self.lost.append(error)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is asked again whenever something came."""
        async with asyncio.timeout(BOUND):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def answer(self, request_id: RequestId) -> Any:
        """Give the answer to a request, as soon as it is here."""
        await self.until(lambda: request_id in self.answers())
        return self._answers[request_id]

    def answers(self) -> dict[RequestId, Any]:
        """Give the answers that came, by id; lines that are no JSON objects are passed over."""
        for line in self.lines[self._looked_at :]:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                message = json.loads(line)
                self._answers[message["id"]] = message
        self._looked_at = len(self.lines)
        return self._answers

    async def loss(self) -> DragomanError:
        """Give the error with which the connection was lost, as soon as it is."""
        await self.until(lambda: bool(self.lost))
        assert len(self.lost) == 1
        return self.lost[0]


def call(number: int, tool: str, **arguments: object) -> Outgoing:
    """Give a call of one of the scripted server's tools."""
    params = json.dumps({"name": tool, "arguments": arguments}).encode()
    return Outgoing(encode_request(number, "tools/call", params), "tools/call", number)


async def ask(transport: Transport, inbox: RecordingInbox, message: Outgoing) -> Any:
    """Send a request and give its answer."""
    await send(transport, message)
    assert message.id is not None
    return await inbox.answer(message.id)


async def send(transport: Transport, message: Outgoing) -> None:
    """Send a message and wait until it is on its way."""
    sending: Awaitable[None] | None = transport.send(message)
    if sending is not None:
        await sending


def alive(pid: int) -> bool:
    """Tell whether a process is there and not dead already."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def gone(*pids: int) -> None:
    """Wait until no process of these lives."""
    async with asyncio.timeout(BOUND):
        while any(alive(pid) for pid in pids):
            await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], bool], bound: float = BOUND) -> None:
    """Wait, without an event loop, until the condition holds; fail after ``bound`` seconds."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)
