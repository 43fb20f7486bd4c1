"""A server written with the official SDK before version 2: handshake era only, core tasks, WebSocket.

It runs in the environment of the part "old-sdk", whose modules the type checker doesn't see; hence `import_module`.
Run as ``python -m tests.real.servers.old_sdk stdio`` or ``… http``. Knows nothing of Dragoman.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute

from tests.real.servers.serve import serve

types: Any = import_module("mcp.types")
lowlevel: Any = import_module("mcp.server.lowlevel")
stdio: Any = import_module("mcp.server.stdio")
sse: Any = import_module("mcp.server.sse")
websocket: Any = import_module("mcp.server.websocket")
manager: Any = import_module("mcp.server.streamable_http_manager")

FORM = {
    "type": "object",
    "properties": {"depth": {"type": "integer", "title": "Depth", "default": 3}},
    "required": ["depth"],
}


def schema(**properties: str) -> dict[str, Any]:
    """The schema of arguments, each told by its type."""
    members = {name: {"type": kind} for name, kind in properties.items()}
    return {"type": "object", "properties": members, "required": list(members)}


def said(text: str) -> Any:
    """A tool's answer."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


def build() -> Any:
    """Make one server; each transport has its own."""
    server = lowlevel.Server("old-school", version="0.9")
    server.experimental.enable_tasks()
    offer_tools(server)
    offer_resources(server)

    @server.list_prompts()
    async def list_prompts() -> list[Any]:
        argument = types.PromptArgument(name="tone", description="How to say it", required=True)
        return [types.Prompt(name="greet", description="Greets.", arguments=[argument])]

    @server.get_prompt()
    async def get_prompt(name: str, arguments: dict[str, str] | None) -> Any:
        text = types.TextContent(type="text", text=f"Greet me, {(arguments or {}).get('tone')}.")
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=text)])

    @server.completion()
    async def complete(ref: Any, argument: Any, context: Any) -> Any:
        return types.Completion(values=[v for v in ("kindly", "kingly", "rudely") if v.startswith(argument.value)])

    return server


def offer_tools(server: Any) -> None:
    """Add the tools."""
    tools = [
        types.Tool(name="echo", inputSchema=schema(text="string")),
        types.Tool(name="steps", inputSchema=schema(count="integer")),
        types.Tool(name="think", inputSchema=schema(prompt="string")),
        types.Tool(name="order", inputSchema=schema()),
        types.Tool(name="roots", inputSchema=schema()),
        types.Tool(name="touch", inputSchema=schema(uri="string")),
        types.Tool(
            name="dig", inputSchema=schema(ask="boolean"), execution=types.ToolExecution(taskSupport="required")
        ),
        types.Tool(name="fail_later", inputSchema=schema(), execution=types.ToolExecution(taskSupport="optional")),
        types.Tool(name="wait", inputSchema=schema(), execution=types.ToolExecution(taskSupport="required")),
    ]

    @server.list_tools()
    async def list_tools() -> list[Any]:
        return tools

    @server.call_tool()
    async def call_tool(name: str, arguments: dict[str, Any]) -> Any:
        context = server.request_context
        if name in ("dig", "fail_later", "wait"):
            return await as_task(context, name, arguments)
        return await at_once(context, name, arguments)


async def at_once(context: Any, name: str, arguments: dict[str, Any]) -> Any:
    """Do what a tool that is no task does."""
    session = context.session
    match name:
        case "echo":
            return said(arguments["text"])
        case "steps":
            for step in range(1, arguments["count"] + 1):
                await session.send_progress_notification(
                    context.meta.progressToken, step, arguments["count"], related_request_id=str(context.request_id)
                )
            return said("done")
        case "think":
            text = types.TextContent(type="text", text=arguments["prompt"])
            asked = [types.SamplingMessage(role="user", content=text)]
            answer = await session.create_message(asked, max_tokens=9, related_request_id=context.request_id)
            return said(f"{answer.model}: {answer.content.text}")
        case "order":
            answer = await session.elicit("How deep?", FORM, related_request_id=context.request_id)
            return said(f"{answer.action} {answer.content}")
        case "roots":
            answer = await session.list_roots()
            return said(" ".join(str(root.uri) for root in answer.roots))
        case _:
            await session.send_resource_updated(arguments["uri"])
            return said("touched")


async def as_task(context: Any, name: str, arguments: dict[str, Any]) -> Any:
    """Do what a tool that becomes a task does."""

    async def work(task: Any) -> Any:
        if name == "fail_later":
            raise RuntimeError("the shovel broke")
        if name == "wait":
            await anyio.sleep_forever()
        await task.update_status("Digging.")
        depth: Any = 1
        if arguments["ask"]:
            answer = await task.elicit("How deep?", FORM)
            depth = answer.content["depth"]
        return said(f"dug {depth}")

    return await context.experimental.run_task(work)


def offer_resources(server: Any) -> None:
    """Add a resource, and subscription to it."""

    @server.list_resources()
    async def list_resources() -> list[Any]:
        return [types.Resource(uri="note://old", name="old", mimeType="text/plain")]

    @server.read_resource()
    async def read_resource(uri: Any) -> str:
        return f"old {uri}"

    @server.subscribe_resource()
    async def subscribe(uri: Any) -> None:
        """Everyone is told of everything."""

    @server.unsubscribe_resource()
    async def unsubscribe(uri: Any) -> None:
        """Nobody was remembered."""


async def run(server: Any, streams: tuple[Any, Any]) -> None:
    """Serve one connection."""
    await server.run(*streams, server.create_initialization_options())


def http_app() -> Starlette:
    """Streamable HTTP, with a session for each client."""
    sessions = manager.StreamableHTTPSessionManager(build())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with sessions.run():
            yield

    return Starlette(routes=[Mount("/mcp", app=sessions.handle_request)], lifespan=lifespan)


def sse_app() -> Starlette:
    """HTTP with SSE, as of 2024-11-05."""
    transport = sse.SseServerTransport("/messages/")

    async def listen(request: Any) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as streams:
            await run(build(), streams)
        return Response()

    return Starlette(routes=[Route("/sse", listen), Mount("/messages/", app=transport.handle_post_message)])


def websocket_app() -> Starlette:
    """WebSocket, which the specification never had."""

    async def talk(socket: Any) -> None:
        async with websocket.websocket_server(socket.scope, socket.receive, socket._send) as streams:
            await run(build(), streams)

    return Starlette(routes=[WebSocketRoute("/ws", talk)])


async def talk_stdio() -> None:
    """Serve stdin and stdout."""
    async with stdio.stdio_server() as streams:
        await run(build(), streams)


def main() -> None:
    """Serve on the transport that the command line names."""
    warnings.simplefilter("ignore", DeprecationWarning)
    if sys.argv[1] == "stdio":
        anyio.run(talk_stdio)
    else:
        serve({"http": http_app(), "legacy": sse_app(), "socket": websocket_app()})


if __name__ == "__main__":
    main()
