"""Progress of a call, log lines of a server, its other notifications, its stderr, and the raw messages."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from dragoman import connect
from dragoman.protocol.types import LogMessage, Progress


def progressed(progress: Progress) -> None:
    """Hear how far a call is."""
    print(f"{progress.progress:g} of {progress.total:g}: {progress.message}")


def logged(message: LogMessage) -> None:
    """Hear a log line."""
    print(f"[{message.level}] {message.data}")


def notified(method: str, params: dict[str, Any]) -> None:
    """Hear every other notification."""
    print(method, params)


def saw(direction: str, data: bytes) -> None:
    """See each message as it goes over the wire."""
    if b'"countdown"' in data:
        print(direction, len(data) > 0)


async def main() -> None:
    """Watch one call in every way."""
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("dragoman.stdio").setLevel(logging.DEBUG)
    async with connect(
        "python -m dragoman.samples.clock", name="clock", on_log=logged, on_notification=notified, on_message=saw
    ) as clock:
        await clock.set_log_level("info")
        result = await clock.call_tool("countdown", {"steps": 2}, on_progress=progressed)
        print(result.text)
        print("stderr:", clock.last_words() or "nothing")


if __name__ == "__main__":
    asyncio.run(main())
