"""Leaves the protocol revision to the negotiation, pins it, and keeps what was agreed for another time."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from dragoman import ServerConfig, connect
from dragoman.protocol.lifecycle import Verdict

CLOCK = ServerConfig(name="clock", command="python", args=("-m", "dragoman.samples.clock"))
HANDSHAKE = ServerConfig(name="clock", command="python", args=("-m", "dragoman.samples.clock"), era="handshake")
PINNED = ServerConfig(
    name="clock", command="python", args=("-m", "dragoman.samples.clock"), protocol_version="2025-06-18"
)


async def remembering(config: ServerConfig, path: Path) -> str:
    """Try first what worked the last time, perhaps in another process."""
    remembered = Verdict(**json.loads(path.read_text())) if path.exists() else None
    async with connect(config, remembered=remembered) as server:
        path.write_text(json.dumps({"version": server.verdict.version, "transport": server.verdict.transport}))
        return server.protocol_version


async def main() -> None:
    """Show all four."""
    for config in (CLOCK, HANDSHAKE, PINNED):
        async with connect(config) as clock:
            print(clock.era, clock.protocol_version)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "clock.json"
        print(await remembering(CLOCK, path), path.read_text())
        print(await remembering(CLOCK, path))


if __name__ == "__main__":
    asyncio.run(main())
