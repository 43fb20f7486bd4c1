"""The sample clock over the transports that the samples lack: HTTP+SSE at `/sse`, WebSocket at `/ws`.

`python docs_src/older_server.py [PORT]` serves on this machine (8322; 0: any free port) until it is interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from dragoman.samples.clock import Clock
from dragoman.samples.conversation import Conversation

clock = Clock()
posted: dict[str, Conversation] = {}


def conversation(write: Callable[[str], Awaitable[None]]) -> Conversation:
    """Give a conversation whose messages go through `write`, whichever thread they come from."""
    loop = asyncio.get_running_loop()

    async def carry(message: dict[str, Any]) -> None:
        await write(json.dumps(message))

    def send(message: dict[str, Any], _: int | str | None) -> None:
        asyncio.run_coroutine_threadsafe(carry(message), loop)

    return Conversation(clock, send)


async def stream(request: web.Request) -> web.StreamResponse:
    """Tell where to post to, then everything else."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)

    async def write(text: str) -> None:
        await response.write(f"event: message\ndata: {text}\n\n".encode())

    key = str(len(posted))
    posted[key] = conversation(write)
    await response.write(f"event: endpoint\ndata: /messages?session={key}\n\n".encode())
    while not (request.transport is None or request.transport.is_closing()):
        await asyncio.sleep(0.05)
    return response


async def post(request: web.Request) -> web.Response:
    """Take one message."""
    posted[request.query["session"]].receive(await request.json())
    return web.Response(status=202)


async def talk(request: web.Request) -> web.WebSocketResponse:
    """Serve one WebSocket."""
    socket = web.WebSocketResponse(protocols=["mcp"])
    await socket.prepare(request)
    client = conversation(socket.send_str)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            client.receive(json.loads(message.data))
    return socket


async def serve(port: int) -> None:
    """Serve, and tell the addresses."""
    app = web.Application()
    app.add_routes([web.get("/sse", stream), web.post("/messages", post), web.get("/ws", talk)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, shutdown_timeout=0.1).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    print(f"clock listens on http://{host}/sse and ws://{host}/ws", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8322))
