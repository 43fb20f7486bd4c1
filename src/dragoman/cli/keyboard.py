"""Lines that a person types, read without blocking the event loop, so that an interruption gets through."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

__all__ = ["Keyboard"]


class Keyboard:
    """stdin, as a terminal in its line mode."""

    def __init__(self) -> None:
        self._kept = b""

    def forget(self) -> None:
        """Drop what was typed so far: it was meant for something else than the question that comes now."""
        import termios

        self._kept = b""
        with contextlib.suppress(termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)

    async def line(self) -> str | None:
        """Wait for a line and give it without its end; None when the person ended the input (Ctrl-D)."""
        loop = asyncio.get_running_loop()
        descriptor = sys.stdin.fileno()
        while b"\n" not in self._kept:
            ready: asyncio.Future[bytes] = loop.create_future()

            def read(ready: asyncio.Future[bytes] = ready) -> None:
                loop.remove_reader(descriptor)
                if not ready.done():
                    ready.set_result(os.read(descriptor, 65536))

            loop.add_reader(descriptor, read)
            try:
                data = await ready
            finally:
                loop.remove_reader(descriptor)
            if not data:
                return None
            self._kept += data
        line, _, self._kept = self._kept.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r")
