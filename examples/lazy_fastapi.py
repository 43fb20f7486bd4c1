"""A FastAPI application that starts at once: each server is connected when the first request needs it.

`python examples/lazy_fastapi.py` serves it, and so does `uvicorn --app-dir examples lazy_fastapi:app`. Then:

    curl localhost:8000/tools/clock.now -H 'content-type: application/json' -d '{"offset_hours": 2}'
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request

from dragoman import Hub, ServerConfig
from dragoman.errors import DragomanError, RequestTimeout, UnknownName, UsageError

SERVERS = [
    ServerConfig(name=name, command="python", args=("-m", f"dragoman.samples.{name}"), start="on_use", idle_timeout=600)
    for name in ("clock", "notes")
]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Keep one hub for the whole application; nothing is started yet."""
    async with Hub(SERVERS) as hub:
        app.state.hub = hub
        yield


def the_hub(request: Request) -> Hub:
    """Give the application's hub."""
    return request.app.state.hub


app = FastAPI(lifespan=lifespan)
HubOfApp = Annotated[Hub, Depends(the_hub)]


@app.get("/servers")
async def servers(hub: HubOfApp) -> dict[str, str]:
    """Tell how each server is."""
    return {name: status.state for name, status in hub.status().items()}


@app.post("/tools/{name}")
async def call(name: str, arguments: dict[str, Any], hub: HubOfApp) -> dict[str, Any]:
    """Call a tool by its full name."""
    try:
        result = await hub.call_tool(name, arguments, timeout=10)
    except DragomanError as error:
        raise HTTPException(status_of(error), {"code": error.code, "message": str(error)}) from error
    return {"text": result.text, "structured": result.structured, "is_error": result.is_error}


def status_of(error: DragomanError) -> int:
    """Give the HTTP status that tells whose fault it was."""
    match error:
        case UnknownName():
            return 404
        case UsageError():
            return 422
        case RequestTimeout():
            return 504
        case _:
            return 502


if __name__ == "__main__":
    uvicorn.run(app, port=8000)
