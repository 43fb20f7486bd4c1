"""Connects over the old HTTP+SSE transport, and over WebSocket."""

from __future__ import annotations

import asyncio

from dragoman import ServerConfig, connect


async def main(sse_url: str = "http://127.0.0.1:8322/sse", ws_url: str = "ws://127.0.0.1:8322/ws") -> None:
    """Name the transport, let it be found, and take it from the address's scheme."""
    async with connect(ServerConfig(name="named", url=sse_url, transport="sse")) as clock:
        print(clock.name, clock.transport_kind, clock.protocol_version)
    async with connect(sse_url, name="found") as clock:
        print(clock.name, clock.transport_kind, clock.protocol_version)
    async with connect(ws_url, name="socket") as clock:
        print(clock.name, clock.transport_kind, clock.protocol_version)


if __name__ == "__main__":
    asyncio.run(main())
