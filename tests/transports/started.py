"""Transports to servers that a test starts: scripted ones, and ones that are a few lines of shell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from dragoman.config.model import ServerConfig
from dragoman.transports.stdio import StdioTransport
from tests.servers import scripted
from tests.transports.recording import RecordingInbox, ask, call


def configuration(*words: str, **settings: Any) -> ServerConfig:
    """Give the settings of a scripted server, with little patience at its end."""
    command, *args = scripted(*words)
    settings.setdefault("shutdown_timeout", 0.5)
    return ServerConfig(name="scripted", command=command, args=tuple(args), **settings)


@contextlib.asynccontextmanager
async def opened(*words: str, **settings: Any) -> AsyncGenerator[tuple[StdioTransport, RecordingInbox]]:
    """Open a transport to a scripted server, and close it."""
    transport, inbox = StdioTransport(configuration(*words, **settings)), RecordingInbox()
    await transport.open(inbox)
    try:
        yield transport, inbox
    finally:
        await transport.aclose()


async def about(transport: StdioTransport, inbox: RecordingInbox) -> dict[str, Any]:
    """Give what the scripted server tells of itself."""
    answer = await ask(transport, inbox, call(1_000_001, "about"))
    return answer["result"]["structuredContent"]


def shell(script: str) -> StdioTransport:
    """Give a transport to a server that is a few lines of shell."""
    return StdioTransport(ServerConfig(name="shell", command="sh", args=("-c", script), shutdown_timeout=0.5))


def run_on(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, Any]) -> Any:
    """Run ``main`` on a loop and close the loop as it is, without cancelling what is left on it."""
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
