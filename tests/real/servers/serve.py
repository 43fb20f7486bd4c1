"""Serves ASGI applications from one process, each under its own path, on a port that the system chooses.

The port is the first line on stdout, written when connections are already accepted. Knows no SDK, so that servers of
any SDK and environment can use it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount


def serve(apps: Mapping[str, Starlette]) -> None:
    """Serve each application under its name as the first path segment, until the process is told to end."""

    @asynccontextmanager
    async def all_lifespans(_: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    routes = [Mount(f"/{name}", app=app) for name, app in apps.items()]
    config = uvicorn.Config(
        Starlette(routes=routes, lifespan=all_lifespans), log_level="warning", timeout_graceful_shutdown=1
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
