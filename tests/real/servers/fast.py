"""A server written with FastMCP: listings in pages, elicitation in both eras, tasks by the extension.

Run as ``python -m tests.real.servers.fast stdio`` or ``… http``. Knows nothing of Dragoman.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

os.environ["FASTMCP_CHECK_FOR_UPDATES"] = "off"  # nothing here asks a registry

import anyio
import mcp_types as types
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.tasks import TaskConfig
from fastmcp_tasks import TasksExtension

from tests.real.servers.serve import serve

SOON = timedelta(milliseconds=50)
ALWAYS = TaskConfig(mode="required", poll_interval=SOON)


@dataclass
class Trip:
    """The form of ``travel``."""

    city: str
    days: int = 3


def ask_colour(state: str) -> types.InputRequiredResult:
    """Ask for a colour, as the stateless era does."""
    form = types.ElicitRequestFormParams(
        message="Which colour?",
        requested_schema={
            "type": "object",
            "properties": {"colour": {"type": "string", "enum": ["red", "green"], "default": "green"}},
            "required": ["colour"],
        },
    )
    return types.InputRequiredResult(input_requests={"colour": types.ElicitRequest(params=form)}, request_state=state)


def colour_from(answers: Any) -> str:
    """The colour that the client's side chose, or what it did instead."""
    answer = answers["colour"]
    return answer.content["colour"] if answer.action == "accept" else answer.action


def answering(number: int) -> Callable[[], str]:
    """A function that gives the number."""

    def answer() -> str:
        return str(number)

    return answer


def build() -> FastMCP[Any]:
    """Make one server; each transport has its own."""
    server: FastMCP[Any] = FastMCP("fast", version="4", list_page_size=3, mask_error_details=False)
    server.add_extension(TasksExtension(name=f"tests-{os.getpid()}-{id(server)}"))
    for number in range(7):
        server.tool(answering(number), name=f"tool_{number}")
        server.resource(f"page://{number}", name=f"page {number}")(answering(number))

    @server.tool
    def echo(text: str) -> str:
        """Give the text back."""
        return text

    @server.tool
    def fail(reason: str) -> str:
        """Report an error of the tool's own."""
        raise ToolError(reason)

    @server.tool
    async def steps(count: int, ctx: Context) -> int:
        """Report progress that often."""
        for step in range(1, count + 1):
            await ctx.report_progress(step, count)
        return count

    @server.tool
    async def travel(ctx: Context) -> str:
        """Ask by a form, as the handshake era does."""
        answer = await ctx.elicit("Where to?", response_type=Trip)
        return f"{answer.data.city} {answer.data.days}" if answer.action == "accept" else answer.action

    @server.tool
    async def paint(ctx: Context) -> Any:
        """Ask by a form, as the stateless era does."""
        if ctx.input_responses is None:
            return ask_colour("brush in hand")
        return f"{colour_from(ctx.input_responses)}, {ctx.request_state}"

    @server.prompt
    def greet(name: str) -> str:
        """Greet."""
        return f"Hello, {name}!"

    task_tools(server)
    return server


def task_tools(server: FastMCP[Any]) -> None:
    """Add tools that become tasks."""

    @server.tool(task=ALWAYS)
    async def work(loops: int) -> dict[str, int]:
        """Take a while."""
        for _ in range(loops):
            await anyio.sleep(0.02)
        return {"loops": loops}

    @server.tool(task=ALWAYS)
    async def work_and_fail() -> str:
        """Take a while, and report an error."""
        await anyio.sleep(0.02)
        raise ToolError("the hammer broke")

    @server.tool(task=ALWAYS)
    async def work_for_ever() -> str:
        """Never end."""
        await anyio.sleep_forever()
        return "never"

    @server.tool(task=ALWAYS)
    async def work_and_ask(ctx: Context) -> Any:
        """Ask in the middle."""
        if ctx.input_responses is None:
            return ask_colour("half done")
        return f"{colour_from(ctx.input_responses)}, {ctx.request_state}"


def main() -> None:
    """Serve on the transport that the command line names."""
    if sys.argv[1] == "stdio":
        build().run(show_banner=False, log_level="ERROR")
        return
    serve(
        {
            "http": build().http_app(path="/mcp"),
            "json": build().http_app(path="/mcp", json_response=True),
            "legacy": build().http_app(path="/sse", transport="sse"),
        }
    )


if __name__ == "__main__":
    main()
