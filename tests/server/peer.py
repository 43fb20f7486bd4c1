"""A server in this process: each method is answered by a function of the test, every message is kept to be looked at.

It speaks over a transport of its own: one channel for everything, or (``exchanges``) an answer stream for each request,
as HTTP has; or over the library's own memory transport. Real processes and sockets are elsewhere (`tests/servers`);
here a test holds both ends of the conversation and decides what happens when.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from dragoman.errors import DragomanError
from dragoman.transports.base import Inbox, Outgoing
from dragoman.transports.memory import MemoryPeer, MemoryTransport

Json: TypeAlias = dict[str, Any]

STATELESS = "2026-07-28"
HANDSHAKE = "2025-11-25"
META = "io.modelcontextprotocol/"
CAPABILITIES: Json = {
    "tools": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "logging": {},
}
PATIENCE = 10.0
"""Seconds after which something that a test waits for is taken for missing."""


class RpcError(Exception):
    """A method answers with a JSON-RPC error."""

    def __init__(self, code: int, message: str = "refused", data: object = None) -> None:
        super().__init__(message)
        self.wire: Json = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Request:
    """One request while it is answered."""

    def __init__(self, peer: Peer, message: Json, sent: Outgoing) -> None:
        self.peer = peer
        self.id: int = message["id"]
        self.method: str = message["method"]
        self.params: Json = message.get("params") or {}
        self.meta: Json = self.params.get("_meta") or {}
        self.sent = sent

    @property
    def arguments(self) -> Json:
        """The arguments of a tool call."""
        return self.params.get("arguments") or {}

    def notify(self, method: str, **params: Any) -> None:
        """Send a notification on this request's own stream, where there is one."""
        self.peer.send({"method": f"notifications/{method}", "params": params}, during=self.id)

    def progress(self, done: float, **more: Any) -> None:
        """Tell how far this request is."""
        self.notify("progress", progressToken=self.meta.get("progressToken", self.id), progress=done, **more)

    def ask(self, method: str, params: Json | None = None) -> Awaitable[Json]:
        """Ask the client something on this request's own stream; the whole answer comes."""
        return self.peer.ask(method, params, during=self.id)


Answer: TypeAlias = Callable[[Request], Awaitable[Json]]


def always(result: Json) -> Answer:
    """Answer every time with the same result."""

    async def answer(_: Request) -> Json:
        return result

    return answer


async def silence(_: Request) -> Json:
    """Never answer."""
    return await asyncio.get_running_loop().create_future()


def text(words: str, **more: Any) -> Json:
    """Give a tool's result that is one text."""
    return {"content": [{"type": "text", "text": words}], **more}


def a_tool(name: str, **more: Any) -> Json:
    """Give a tool as a listing shows it."""
    return {"name": name, "inputSchema": {"type": "object"}, **more}


class Peer:
    """The server's end. ``answers`` maps methods to functions; ``tools`` maps tools' names to such functions.

    ``versions`` of the stateless era make it answer ``server/discover``, others ``initialize``.
    """

    def __init__(self, *versions: str, exchanges: bool = False, capabilities: Json | None = None) -> None:
        self.versions = versions or (STATELESS,)
        self.capabilities = CAPABILITIES if capabilities is None else capabilities
        self.tools: dict[str, Answer] = {}
        self.listed: list[Json] = []
        self.answers: dict[str, Answer] = {
            "ping": always({}),
            "tools/list": self._list_tools,
            "tools/call": self._call_tool,
        }
        if STATELESS in self.versions:
            self.answers["server/discover"] = self._discover
        if any(version != STATELESS for version in self.versions):
            self.answers["initialize"] = self._initialize
        self.transport = PeerTransport(self, exchanges=exchanges)
        self.received: list[Json] = []
        self.broken_off: list[int] = []
        self._news = asyncio.Event()
        self._asked: dict[int | str, asyncio.Future[Json]] = {}
        self._numbers = itertools.count(1)
        self._work: dict[int, asyncio.Task[None]] = {}

    # What the client sent.

    def params(self, method: str) -> list[Json]:
        """Give the parameters of all requests and notifications of a method, in order."""
        return [message.get("params") or {} for message in self.received if message.get("method") == method]

    def ids(self, method: str) -> list[int]:
        """Give the ids of all requests of a method, in order."""
        return [message["id"] for message in self.received if message.get("method") == method]

    async def got(self, method: str, count: int = 1) -> Json:
        """Wait until a method has come so often; give the parameters of the last."""
        await self.until(lambda: len(self.params(method)) >= count)
        return self.params(method)[count - 1]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. It is looked at whenever something came."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def stir(self) -> None:
        """Have conditions looked at again."""
        self._news.set()

    # What the server sends.

    def send(self, message: Json, *, during: int | None = None) -> None:
        """Send any message."""
        self.send_bytes(json.dumps({"jsonrpc": "2.0", **message}).encode(), during=during)

    def send_bytes(self, data: bytes, *, during: int | None = None) -> None:
        """Send any bytes as one message."""
        self.transport.deliver(data, during if self.transport.exchanges else None)

    def notify(self, method: str, **params: Any) -> None:
        """Send a notification that belongs to no request."""
        self.send({"method": f"notifications/{method}", "params": params})

    async def ask(self, method: str, params: Json | None = None, *, during: int | None = None) -> Json:
        """Ask the client and wait for the whole answer."""
        number = f"q{next(self._numbers)}"
        self._asked[number] = asyncio.get_running_loop().create_future()
        self.send({"id": number, "method": method, "params": params or {}}, during=during)
        return await self._asked[number]

    def lose(self, error: DragomanError) -> None:
        """Break the connection."""
        self.transport.lose(error)

    # The conversation.

    def take(self, sent: Outgoing) -> asyncio.Task[None] | None:
        """Take a message that came, and give the task that answers it."""
        message = json.loads(sent.data)
        self.received.append(message)
        self._news.set()
        if "method" not in message:
            future = self._asked.get(message["id"])
            if future is not None and not future.done():
                future.set_result(message)
        elif "id" in message:
            task = asyncio.create_task(self._answer(Request(self, message, sent)))
            self._work[message["id"]] = task
            task.add_done_callback(lambda _: self._work.pop(message["id"], None))
            return task
        elif message["method"] == "notifications/cancelled":
            work = self._work.get(message["params"]["requestId"])
            if work is not None:
                work.cancel()
        return None

    async def _answer(self, request: Request) -> None:
        answer = self.answers.get(request.method, _unknown)
        try:
            result = await answer(request)
        except RpcError as error:
            self.send({"id": request.id, "error": error.wire}, during=request.id)
        else:
            kind = {} if META + "protocolVersion" not in request.meta else {"resultType": "complete"}
            self.send({"id": request.id, "result": {**kind, **result}}, during=request.id)

    async def close(self) -> None:
        """End all work."""
        work = list(self._work.values())
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        for future in self._asked.values():
            future.cancel()

    async def _discover(self, _: Request) -> Json:
        info = {META + "serverInfo": {"name": "peer", "version": "1"}}
        return {"supportedVersions": list(self.versions), "capabilities": self.capabilities, "_meta": info}

    async def _initialize(self, request: Request) -> Json:
        wanted = request.params["protocolVersion"]
        spoken = [version for version in self.versions if version != STATELESS]
        version = wanted if wanted in spoken else spoken[0]
        info = {"name": "peer", "version": "1"}
        return {"protocolVersion": version, "capabilities": self.capabilities, "serverInfo": info}

    async def _list_tools(self, _: Request) -> Json:
        return {"tools": self.listed}

    async def _call_tool(self, request: Request) -> Json:
        tool = self.tools.get(request.params["name"])
        if tool is None:
            raise RpcError(-32602, f"no tool {request.params['name']}")
        return await tool(request)


async def _unknown(request: Request) -> Json:
    raise RpcError(-32601, f"no method {request.method}")


def over_memory(peer: Peer) -> MemoryTransport:
    """Give another way to a peer: the library's memory transport."""

    async def serve(end: MemoryPeer) -> None:
        async for data in end:
            peer.take(Outgoing(data))
        await peer.close()

    transport = MemoryTransport(serve)

    def deliver(data: bytes) -> None:
        if transport.over is None:
            transport.deliver(data)

    peer.transport.deliver = lambda data, _: asyncio.get_running_loop().call_soon(deliver, data)
    return transport


class PeerTransport:
    """The way to a `Peer`.

    ``blocked`` makes a channel push back, as if nobody read it, until `unblock`. ``carry`` replaces `send`.
    """

    kind = "peer"

    def __init__(self, peer: Peer, *, exchanges: bool) -> None:
        self.exchanges = exchanges
        self.inbox: Inbox | None = None
        self.closed = False
        self.closings = 0
        self.version = ""
        self.deliver: Callable[[bytes, int | None], object] = self._deliver_soon
        self.carry: Callable[[Outgoing], Coroutine[Any, Any, None]] | None = None
        self.blocked = False
        self.outside: list[tuple[asyncio.Future[None], Outgoing]] = []
        self._streams: dict[int, asyncio.Queue[bytes | None]] = {}
        self._peer = peer

    async def open(self, inbox: Inbox) -> None:
        """See `Transport`."""
        self.inbox = inbox

    def send(self, message: Outgoing) -> Awaitable[None] | None:
        """See `Transport`."""
        if self.carry is not None:
            return self.carry(message)
        if self.exchanges:
            return self.exchange(message)
        if self.blocked:
            entry: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.outside.append((entry, message))
            return entry
        self._peer.take(message)
        return None

    def negotiated(self, version: str) -> None:
        """See `Transport`."""
        self.version = version

    def last_words(self) -> str:
        """See `Transport`."""
        return "famous last words" if self.closed else ""

    async def aclose(self) -> None:
        """See `Transport`."""
        self.closed = True
        self.closings += 1
        await self._peer.close()

    def _deliver_soon(self, data: bytes, request_id: int | None) -> None:
        """Bring a message to the client, in a later turn of the loop as every real transport does."""
        asyncio.get_running_loop().call_soon(self._deliver, data, request_id)

    def lose(self, error: DragomanError) -> None:
        """Tell the client of the end."""
        if self.inbox is not None and not self.closed:
            self.inbox.connection_lost(error)

    def _deliver(self, data: bytes, request_id: int | None) -> None:
        if self.inbox is None or self.closed:
            return
        if request_id is not None and request_id in self._streams:
            self._streams[request_id].put_nowait(data)
        else:
            self.inbox.message_received(data, request_id)

    async def exchange(self, message: Outgoing) -> None:
        """Carry a message and its answer stream, as `send` does for exchanges."""
        task = self._peer.take(message)
        if task is None or message.id is None:
            return
        stream = self._streams[message.id] = asyncio.Queue()
        task.add_done_callback(lambda _: stream.put_nowait(None))
        try:
            while (data := await stream.get()) is not None:
                if self.inbox is not None and self.inbox.message_received(data, message.id):
                    return
        except asyncio.CancelledError:
            self._peer.broken_off.append(message.id or 0)
            task.cancel()
            self._peer.stir()
            raise
        finally:
            del self._streams[message.id]

    def unblock(self) -> None:
        """Take what waited outside, but for what was given up."""
        self.blocked = False
        for entry, message in self.outside:
            if not entry.done():
                entry.set_result(None)
                self._peer.take(message)
        self.outside.clear()
