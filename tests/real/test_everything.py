"""The reference server that has everything, as released on npm, over its three transports (handshake era)."""

from __future__ import annotations

import base64
import gzip
from collections.abc import AsyncIterator, Iterator

import pytest

import dragoman
from dragoman import Server, ServerConfig
from dragoman.errors import InvalidParams, NotSupported, ServerError, TaskFailed, UrlElicitationRequired
from dragoman.protocol.changes import ResourceUpdated
from dragoman.protocol.content import EmbeddedResource, ImageContent, ResourceLink, TextContent
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult, SamplingRequest, SamplingResult
from dragoman.protocol.types import LogMessage, Progress, PromptReference, ResourceReference
from dragoman.server.callbacks import QuestionContext
from tests import parts
from tests.real.programs import listening_server
from tests.real.waiting import take, until

pytestmark = pytest.mark.external("npm")

TRANSPORTS = ["stdio", "streamable_http", "sse"]
TEXT = "demo://resource/dynamic/text/1"
PAGE = "https://example.com/login"


class Person:
    """Answers everything that may be asked, and remembers the questions."""

    def __init__(self) -> None:
        self.asked: list[ElicitationRequest] = []
        self.heard: list[LogMessage] = []
        self.roots = ["/srv/one"]

    async def answer(self, request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        """Accept; a clarification is a snake, a name is Ada, and the rest has defaults or may be left out."""
        self.asked.append(request)
        known = {"interpretation": "snake", "name": "Ada", "check": True}
        asked = (request.requested_schema or {}).get("properties", {})
        return ElicitationResult("accept", {key: value for key, value in known.items() if key in asked})

    async def think(self, request: SamplingRequest, context: QuestionContext) -> SamplingResult:
        """Stand in for a model."""
        return SamplingResult(model="parrot", content=f"at most {request.max_tokens}")

    async def places(self) -> list[str]:
        """Give the roots of the moment."""
        return self.roots


@pytest.fixture(scope="module", params=TRANSPORTS)
def config(request: pytest.FixtureRequest) -> Iterator[ServerConfig]:
    """How the server is reached over each transport; over HTTP it runs for all tests here."""
    if (reason := parts.absence("npm")) is not None:
        pytest.skip(reason)
    command = parts.npm_program("server-everything")
    if request.param == "stdio":
        # It does not end when its stdin does, so there is no use in waiting for that.
        args = (*command[1:], "stdio")
        yield ServerConfig(name="everything", command=command[0], args=args, shutdown_timeout=0.1)
        return
    mode, path = {"streamable_http": ("streamableHttp", "mcp"), "sse": ("sse", "sse")}[request.param]
    with listening_server([*command, mode], {"PORT": "0"}) as address:
        yield ServerConfig(name="everything", url=f"{address}/{path}", transport=request.param)


@pytest.fixture
def person() -> Person:
    """Who sits at the client's side."""
    return Person()


@pytest.fixture
async def server(config: ServerConfig, person: Person) -> AsyncIterator[Server]:
    """The server, connected, with a person who can do everything."""
    async with dragoman.connect(
        config, elicitation=person.answer, sampling=person.think, roots=person.places, on_log=person.heard.append
    ) as server:
        yield server


async def test_everything_is_listed(server: Server) -> None:
    """It offers all there is, and is met in the handshake era."""
    assert (server.info.name, server.era, server.transport_kind) == (
        "mcp-servers/everything",
        "handshake",
        server.config.transport,
    )
    assert "everything" in (server.instructions or "").lower()
    tools = {tool.name for tool in await server.list_tools()}
    assert {"echo", "get-sum", "trigger-sampling-request", "trigger-elicitation-request", "get-roots-list"} < tools
    assert len(await server.list_resources()) >= 7
    assert len(await server.list_resource_templates()) == 2
    assert {prompt.name for prompt in await server.list_prompts()} == {
        *("simple-prompt", "args-prompt", "completable-prompt", "resource-prompt")
    }
    await server.ping()


async def test_tools_answer(server: Server) -> None:
    """Text, numbers, structured values, pictures, links and embedded resources."""
    assert (await server.call_tool("echo", {"message": "wörld 🎈"})).text == "Echo: wörld 🎈"
    assert "42" in (await server.call_tool("get-sum", {"a": 40, "b": 2})).text
    weather = await server.call_tool("get-structured-content", {"location": "Chicago"})
    assert set(weather.structured) == {"temperature", "conditions", "humidity"}
    image = next(b for b in (await server.call_tool("get-tiny-image")).content if isinstance(b, ImageContent))
    assert image.decoded().startswith(b"\x89PNG")
    links = await server.call_tool("get-resource-links", {"count": 3})
    assert len([block for block in links.content if isinstance(block, ResourceLink)]) == 3
    reference = await server.call_tool("get-resource-reference", {"resourceType": "Text", "resourceId": 1})
    assert [type(block) for block in reference.content] == [TextContent, EmbeddedResource, TextContent]


async def test_wrong_calls_are_told(server: Server) -> None:
    """Arguments that don't fit and unknown tools are errors of either kind, never silence."""
    for name, arguments in (("get-sum", {"a": "x"}), ("no-such-tool", {})):
        try:
            result = await server.call_tool(name, arguments)
        except InvalidParams:
            continue
        assert result.is_error
    with pytest.raises(ServerError):
        await server.read_resource("demo://nowhere")


async def test_resources_are_read(server: Server) -> None:
    """Static documents, a text and a blob by template, and a compressed one made on the way."""
    document = next(each for each in await server.list_resources() if each.uri.endswith("features.md"))
    assert "Everything Server" in (await server.read_resource(document.uri)).text
    assert "Resource 1" in (await server.read_resource(TEXT)).text
    [blob] = (await server.read_resource("demo://resource/dynamic/blob/2")).contents
    assert b"Resource 2" in blob.decoded()
    data = f"data:text/plain;base64,{base64.b64encode(b'to be compressed').decode()}"
    made = await server.call_tool("gzip-file-as-resource", {"name": "x.gz", "data": data, "outputType": "resource"})
    [embedded] = [block for block in made.content if isinstance(block, EmbeddedResource)]
    assert gzip.decompress(embedded.resource.decoded()) == b"to be compressed"


async def test_prompts_are_filled_in_and_completed(server: Server) -> None:
    """Arguments go in; completion takes what is settled into account."""
    prompt = await server.get_prompt("args-prompt", {"city": "Ulm"})
    assert isinstance(prompt.messages[0].content, TextContent)
    assert "Ulm" in prompt.messages[0].content.text
    reference = PromptReference("completable-prompt")
    assert (await server.complete(reference, "department", "S")).values == ("Sales", "Support")
    settled = {"department": "Sales"}
    assert (await server.complete(reference, "name", "", context=settled)).values == ("David", "Eve", "Frank")
    template = ResourceReference("demo://resource/dynamic/text/{resourceId}")
    assert (await server.complete(template, "resourceId", "7")).values == ("7",)


@pytest.mark.requirement("ROOTS-1")
async def test_it_asks_and_is_answered(server: Server, person: Person) -> None:
    """Sampling, a form with many kinds of fields, a page to visit, and roots that change."""
    sampled = await server.call_tool("trigger-sampling-request", {"prompt": "Hm?", "maxTokens": 7})
    assert "at most 7" in sampled.text
    assert "Ada" in (await server.call_tool("trigger-elicitation-request")).text
    assert "completed" in (await server.call_tool("trigger-url-elicitation", {"url": PAGE})).text
    assert [(each.mode, each.url) for each in person.asked] == [("form", None), ("url", PAGE)]
    assert "file:///srv/one" in (await server.call_tool("get-roots-list")).text
    person.roots = ["/srv/two"]
    await server.roots_changed()

    async def told() -> bool:
        return "file:///srv/two" in (await server.call_tool("get-roots-list")).text

    await until(told)


async def test_a_page_that_must_be_visited_first_is_told(server: Server) -> None:
    """The error names the page; the same call then goes through."""
    arguments = {"url": PAGE, "errorPath": True}
    with pytest.raises(UrlElicitationRequired) as required:
        await server.call_tool("trigger-url-elicitation", arguments)
    assert "https://modelcontextprotocol.io" in str(required.value.data)
    assert "completed" in (await server.call_tool("trigger-url-elicitation", arguments)).text


async def test_progress_is_heard(server: Server) -> None:
    """Each step arrives before the answer."""
    heard: list[Progress] = []
    arguments = {"duration": 0.1, "steps": 4}
    result = await server.call_tool("trigger-long-running-operation", arguments, on_progress=heard.append)
    assert "completed" in result.text
    assert [(each.progress, each.total) for each in heard] == [(step, 4) for step in range(1, 5)]


async def test_log_lines_are_heard(server: Server, person: Person) -> None:
    """Lines arrive outside of any call."""
    await server.set_log_level("debug")
    await server.call_tool("toggle-simulated-logging")
    await until(lambda: any("level" in str(line.data).lower() for line in person.heard))
    await server.call_tool("toggle-simulated-logging")


async def test_updates_of_a_resource_are_heard(server: Server) -> None:
    """A subscription brings the resource's updates."""
    async with server.listen(uris=[TEXT]) as changes:
        await server.call_tool("toggle-subscriber-updates")
        assert await take(changes, 1) == [ResourceUpdated(TEXT)]
    await server.call_tool("toggle-subscriber-updates")


@pytest.mark.requirement("TASK-6")
@pytest.mark.parametrize("config", ["stdio", "streamable_http"], indirect=True)  # its stages take four seconds
async def test_a_task_asks_and_is_followed_to_its_result(config: ServerConfig) -> None:
    """A tool that must be a task is called like any other, and its question answered on the way."""
    person = Person()
    async with dragoman.connect(config, elicitation=person.answer) as server:
        await server.list_tools()
        cancelled = await server.start_task("simulate-research-query", {"topic": "maps", "ambiguous": False})
        assert cancelled.id in {task.task_id for task in await server.list_tasks()}
        await cancelled.cancel()
        with pytest.raises(TaskFailed):
            await cancelled.result()
        report = await server.call_tool("simulate-research-query", {"topic": "python", "ambiguous": True})
    assert "python (snake)" in report.text
    assert len(person.asked) == 1


async def test_a_server_without_the_stateless_era_says_so(config: ServerConfig) -> None:
    """What only one era has is refused before anything is sent."""
    async with dragoman.connect(config) as server:
        with pytest.raises((NotSupported, ServerError)):
            await server.request("server/discover", {})
        names = {tool.name for tool in await server.list_tools()}
        assert "trigger-elicitation-request" not in names
