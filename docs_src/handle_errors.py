"""What to do about each kind of error, and how to repeat a call only where that is safe."""

from __future__ import annotations

import asyncio
from typing import Any

from dragoman import DragomanError, Server, connect
from dragoman.errors import (
    CannotConnect,
    ConfigError,
    ConnectionLost,
    HttpError,
    OutcomeUnknown,
    RequestTimeout,
    ServerError,
)
from dragoman.protocol.results import ToolResult

CLOCK = "python -m dragoman.samples.clock"


async def ask(target: str, tool: str, arguments: dict[str, Any]) -> str:
    """Say in one sentence what came of a call."""
    try:
        async with connect(target, name="it") as server:
            result = await server.call_tool(tool, arguments, timeout=0.5)
    except ConfigError as error:
        return f"fix the settings: {error.hint}"
    except HttpError as error:
        return f"HTTP {error.status}; wait {error.retry_after or 0} s; it wants {error.challenges}"
    except CannotConnect as error:
        return f"look at the server: {error.what}"
    except ServerError as error:
        return f"the server refuses: {error.rpc_code} {error.rpc_message}"
    except RequestTimeout as error:
        return f"nothing within {error.timeout} s"
    except OutcomeUnknown as error:
        return f"nobody knows whether {error.method} was done"
    except DragomanError as error:
        return f"{error.code}: {error}"
    return f"the tool failed: {result.text}" if result.is_error else "done"


async def call_safely(server: Server, tool: str, arguments: dict[str, Any]) -> ToolResult:
    """Call a tool, and once more if nothing of the first call can have had an effect.

    `ConnectionLost`: it was not sent. `OutcomeUnknown`: only you know whether doing it twice does harm.
    """
    harmless = tool in {"now", "face"}
    try:
        return await server.call_tool(tool, arguments)
    except ConnectionLost:
        pass
    except OutcomeUnknown:
        if not harmless:
            raise
    async with connect(server.config) as again:
        return await again.call_tool(tool, arguments)


async def main() -> None:
    """Meet some of them."""
    print(await ask(CLOCK, "face", {"hour": 10}))
    print(await ask(CLOCK, "face", {"hour": 25}))
    print(await ask(CLOCK, "fase", {"hour": 10}))
    print(await ask(CLOCK, "countdown", {"steps": 9, "pause": 9}))
    print(await ask("http://127.0.0.1:9/mcp", "now", {}))

    server = await connect(CLOCK, name="clock")
    calling = asyncio.create_task(server.call_tool("countdown", {"steps": 9, "pause": 9}))
    await asyncio.sleep(0.2)
    await server.aclose()
    try:
        await calling
    except OutcomeUnknown as error:
        print(error)
    print((await call_safely(server, "face", {"hour": 10})).text)


if __name__ == "__main__":
    asyncio.run(main())
