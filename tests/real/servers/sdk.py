"""A server written with the official SDK that has one of everything, in both eras.

Run as ``python -m tests.real.servers.sdk stdio`` or ``… http``; the latter serves three transports, see `serve`. What
the tools do is told by their names; `tests/real/test_*.py` rely on it. Knows nothing of Dragoman.
"""

from __future__ import annotations

import base64
import sys
import warnings
from functools import partial
from typing import Annotated, Any

import anyio
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, Image, ListRoots, MCPServer, Resolve, Sample
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.shared.exceptions import MCPDeprecationWarning
from pydantic import BaseModel, Field

from tests.real.servers.serve import serve

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
LANGUAGES = ["go", "perl", "prolog", "python", "rust"]
LEVELS: tuple[types.LoggingLevel, ...] = ("debug", "info", "error")


class Weather(BaseModel):
    """The structured answer of ``weather``."""

    city: str
    degrees: float
    windy: bool = False


class Order(BaseModel):
    """The form of ``order``."""

    dish: str = Field(description="What to eat", default="soup")
    spoons: int = Field(description="How many", default=1, ge=1, le=9)


class Memory(EventStore):
    """Keeps the events of all streams, so that a broken one can be resumed."""

    def __init__(self) -> None:
        self.events: list[tuple[StreamId, types.JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: types.JSONRPCMessage | None) -> EventId:
        """Keep one event; its id is its place."""
        self.events.append((stream_id, message))
        return str(len(self.events) - 1)

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send what the stream of that event had afterwards."""
        last = int(last_event_id)
        stream = self.events[last][0]
        for place, (owner, message) in enumerate(self.events[last + 1 :], last + 1):
            if owner == stream and message is not None:
                await send_callback(EventMessage(message, str(place)))
        return stream


def build() -> MCPServer[Any]:
    """Make one server; each transport has its own."""
    server = MCPServer(
        "one-of-everything",
        title="One of Everything",
        version="1.2.3",
        instructions="Try it.",
        log_level="ERROR",
        cache_hints={"tools/list": CacheHint(ttl_ms=1000, scope="public")},
    )
    plain_tools(server)
    content_tools(server)
    busy_tools(server)
    asking_tools(server)
    changing_tools(server)
    resources_and_prompts(server)
    low = lower(server)
    everything = NotificationOptions(tools_changed=True, resources_changed=True, prompts_changed=True)
    options = partial(low.create_initialization_options, everything)
    low.create_initialization_options = options  # pyright: ignore[reportAttributeAccessIssue] - takes no more arguments
    return server


def lower(server: MCPServer[Any]) -> Server[Any]:
    """The server below, which takes handlers that the upper one has no name for."""
    return server._lowlevel_server  # pyright: ignore[reportPrivateUsage]


def plain_tools(server: MCPServer[Any]) -> None:
    """Add tools that answer at once."""

    @server.tool(annotations=types.ToolAnnotations(read_only_hint=True, title="Echo"))
    def echo(text: str) -> str:
        """Give the text back."""
        return text

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def weather(city: str) -> Weather:
        """Tell the weather."""
        return Weather(city=city, degrees=21.5)

    @server.tool()
    def nothing() -> None:
        """Answer without content."""

    @server.tool()
    def fail(reason: str) -> str:
        """Report an error of the tool's own."""
        raise ToolError(reason)

    @server.tool()
    def big(size: int) -> str:
        """Give so many characters."""
        return "x" * size

    @server.tool()
    def region(
        name: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
        floor: Annotated[int, Field(json_schema_extra={"x-mcp-header": "Floor"})] = 0,
    ) -> str:
        """Take arguments that are mirrored into headers, which this SDK checks."""
        return f"{name} {floor}"


def content_tools(server: MCPServer[Any]) -> None:
    """Add tools that answer with more than text."""

    @server.tool(structured_output=False)
    def mixed() -> types.CallToolResult:
        """Answer with a block of every kind."""
        data = base64.b64encode(PIXEL).decode()
        page = types.TextResourceContents(uri="note://greeting", mime_type="text/plain", text="hello")
        return types.CallToolResult(
            content=[
                types.TextContent(type="text", text="first"),
                types.ImageContent(type="image", data=data, mime_type="image/png"),
                types.AudioContent(type="audio", data=data, mime_type="audio/wav"),
                types.ResourceLink(type="resource_link", uri="note://greeting", name="greeting"),
                types.EmbeddedResource(type="resource", resource=page),
            ],
            _meta={"example.com/kept": 1},
        )

    @server.tool()
    def mirror(value: Any, note: str = "") -> types.CallToolResult:
        """Give any JSON value back, with its type's name."""
        text = types.TextContent(type="text", text=type(value).__name__)
        return types.CallToolResult(content=[text], structured_content={"value": value, "note": note})

    @server.tool()
    def picture() -> Image:
        """Give a picture."""
        return Image(data=PIXEL, format="png")


def busy_tools(server: MCPServer[Any]) -> None:
    """Add tools that take their time: progress, log lines, cancellation, a stream that breaks."""
    hanging: dict[str, str] = {}

    @server.tool()
    async def steps(count: int, ctx: Context) -> str:
        """Report progress that often."""
        for step in range(1, count + 1):
            await ctx.report_progress(step, count, f"step {step}")
        return f"{count} steps"

    @server.tool()
    async def say(text: str, ctx: Context) -> str:
        """Log the text at three levels."""
        for level in LEVELS:
            await ctx.log(level, {"text": text}, logger_name="mouth")  # pyright: ignore[reportDeprecated]
        return "said"

    @server.tool()
    async def hang(name: str) -> str:
        """Never answer; remember under the name whether the caller gave up."""
        hanging[name] = "waiting"
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            hanging[name] = "cancelled"
            raise
        return "never"

    @server.tool()
    def hung(name: str) -> str:
        """Tell what became of ``hang``."""
        return hanging.get(name, "unknown")

    breaking: dict[str, anyio.Event] = {}

    @server.tool()
    async def break_stream(name: str, ctx: Context) -> str:
        """Say a word, wait until it was heard, close the stream that the answer was to come on, then answer."""
        breaking[name] = anyio.Event()
        await ctx.report_progress(1)
        await breaking[name].wait()
        await ctx.close_sse_stream()
        return "resumed"

    @server.tool()
    def heard(name: str) -> None:
        """Let ``break_stream`` go on."""
        breaking[name].set()


def ask_order() -> Elicit[Order]:
    """Ask for an order."""
    return Elicit("What would you like?", Order)


def ask_model(prompt: str) -> Sample:
    """Ask the client's model."""
    text = types.TextContent(type="text", text=prompt)
    return Sample([types.SamplingMessage(role="user", content=text)], max_tokens=50, system_prompt="Be short.")


def ask_roots() -> ListRoots:
    """Ask for the client's roots."""
    return ListRoots()


def asking_tools(server: MCPServer[Any]) -> None:
    """Add tools that ask the client's side; the SDK asks as the era wants it."""

    @server.tool()
    async def order(answer: Annotated[ElicitationResult[Order], Resolve(ask_order)]) -> str:
        """Ask by a form."""
        return f"{answer.action} {answer.data.model_dump_json() if answer.action == 'accept' else ''}".strip()

    @server.tool()
    async def visit(ctx: Context) -> str | types.InputRequiredResult:
        """Ask to visit a page."""
        if (ctx.protocol_version or "") < "2026":
            answer = await ctx.elicit_url("Log in, please.", "https://example.com/login?state=1", "login-1")
            return answer.action
        if ctx.input_responses is None:
            page = types.ElicitRequestURLParams(
                mode="url", message="Log in, please.", url="https://example.com/login?state=1", elicitation_id="login-1"
            )
            return types.InputRequiredResult(input_requests={"login": types.ElicitRequest(params=page)})
        reply = ctx.input_responses["login"]
        return reply.action if isinstance(reply, types.ElicitResult) else "not an answer"

    @server.tool()
    async def think(prompt: str, answer: Annotated[types.CreateMessageResult, Resolve(ask_model)]) -> str:
        """Ask the client's model."""
        said = answer.content.text if isinstance(answer.content, types.TextContent) else "?"
        return f"{answer.model}: {said}"

    @server.tool()
    async def roots(answer: Annotated[types.ListRootsResult, Resolve(ask_roots)]) -> list[str]:
        """Ask where to work."""
        return [str(root.uri) for root in answer.roots]


def changing_tools(server: MCPServer[Any]) -> None:
    """Add tools that change what the server offers and tell so, each era in its own way."""
    low = lower(server)
    subscribed: set[str] = set()

    async def subscribe(_: Any, params: types.SubscribeRequestParams) -> types.EmptyResult:
        subscribed.add(str(params.uri))
        return types.EmptyResult()

    async def unsubscribe(_: Any, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        subscribed.discard(str(params.uri))
        return types.EmptyResult()

    async def set_level(_: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
        return types.EmptyResult()

    low.add_request_handler("resources/subscribe", types.SubscribeRequestParams, subscribe)
    low.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, unsubscribe)
    low.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)

    @server.tool()
    async def grow(name: str, ctx: Context) -> str:
        """Add a tool of that name, and say that the lists changed."""
        server.add_tool(lambda: name, name=name, description="Grown.")
        await ctx.notify_tools_changed()
        await ctx.notify_prompts_changed()
        await ctx.notify_resources_changed()
        await ctx.session.send_tool_list_changed()
        await ctx.session.send_prompt_list_changed()
        await ctx.session.send_resource_list_changed()
        return "grown"

    @server.tool()
    async def touch(uri: str, ctx: Context) -> str:
        """Say that a resource changed, to those who subscribed."""
        await ctx.notify_resource_updated(uri)
        if uri in subscribed:
            await ctx.session.send_resource_updated(uri)
        return "touched"


def resources_and_prompts(server: MCPServer[Any]) -> None:
    """Add a text, a blob, a template, a prompt, and completion for the latter two."""

    @server.resource("note://greeting", mime_type="text/plain")
    def greeting() -> str:
        """Greet."""
        return "hello, wörld"

    @server.resource("note://pixel", mime_type="image/png")
    def pixel() -> bytes:
        """Give a picture."""
        return PIXEL

    @server.resource("note://by/{author}", mime_type="text/plain")
    def note(author: str) -> str:
        """Give an author's note."""
        return f"by {author}"

    @server.prompt()
    def review(code: str, language: str = "python") -> str:
        """Ask for a review."""
        return f"Review this {language}: {code}"

    @server.completion()
    async def complete(
        ref: types.PromptReference | types.ResourceTemplateReference,
        argument: types.CompletionArgument,
        context: types.CompletionContext | None,
    ) -> types.Completion:
        known = LANGUAGES if argument.name == "language" else ["ada", "alan"]
        given = (context.arguments or {}) if context else {}
        values = [*(v for v in known if v.startswith(argument.value)), *given.values()]
        return types.Completion(values=values, total=len(values), has_more=False)


def main() -> None:
    """Serve on the transport that the command line names."""
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    if sys.argv[1] == "stdio":
        build().run()
        return
    serve(
        {
            "http": build().streamable_http_app(event_store=Memory(), retry_interval=20),
            "json": build().streamable_http_app(json_response=True),
            "legacy": build().sse_app(),
        }
    )


if __name__ == "__main__":
    main()
