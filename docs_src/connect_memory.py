"""Connects to a server in the same process: for tests, and for servers that are Python objects."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dragoman import connect
from dragoman.transports.memory import MemoryPeer, MemoryTransport

ANSWERS: dict[str, dict[str, Any]] = {
    "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
    "tools/list": {"tools": [{"name": "greet", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "Good day."}]},
}


async def serve(peer: MemoryPeer) -> None:
    """Answer each message; when this returns, the connection is over."""
    async for data in peer:
        message = json.loads(data)
        if "id" in message:
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": ANSWERS[message["method"]]}
            await peer.send(json.dumps(answer).encode())


async def main() -> None:
    """Talk to it as to any other."""
    async with connect(MemoryTransport(serve, name="greeter"), name="greeter") as greeter:
        print((await greeter.call_tool("greet")).text)


if __name__ == "__main__":
    asyncio.run(main())
