"""A server of the official SDK, met over every transport it has, in both eras: what it is, offers and answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest

import dragoman
from dragoman import Server
from dragoman.errors import InvalidParams, MethodNotFound, ServerError
from dragoman.protocol.content import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
)
from dragoman.protocol.types import PromptReference, ResourceReference
from dragoman.protocol.versions import HANDSHAKE_VERSIONS
from tests.real.programs import fixture_config, fixture_server
from tests.real.servers.sdk import LANGUAGES, PIXEL

HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"

PLACES = [
    ("stdio", HANDSHAKE),
    ("stdio", STATELESS),
    ("http", HANDSHAKE),
    ("http", STATELESS),
    ("json", HANDSHAKE),
    ("json", STATELESS),
    ("legacy", HANDSHAKE),
]
"""Each transport with each revision that it can speak; ``json`` is HTTP with plain answers, ``http`` with streams."""

TOOLS = {
    *("echo", "add", "weather", "nothing", "fail", "big", "region", "mixed", "mirror", "picture"),
    *("steps", "say", "hang", "hung", "break_stream", "heard", "order", "visit", "think", "roots", "grow", "touch"),
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The server over HTTP, for all tests here."""
    with fixture_server("sdk") as address:
        yield address


@pytest.fixture(params=PLACES, ids="-".join)
async def server(request: pytest.FixtureRequest, address: str) -> AsyncIterator[Server]:
    """The server at each place, connected."""
    async with dragoman.connect(fixture_config("sdk", address, *request.param)) as server:
        yield server


async def test_it_says_what_it_is(server: Server) -> None:
    """Identity, capabilities and guidance arrive, whichever way the era tells them."""
    assert (server.info.name, server.info.title, server.info.version) == (
        "one-of-everything",
        "One of Everything",
        "1.2.3",
    )
    assert server.instructions == "Try it."
    assert server.protocol_version == server.config.protocol_version
    assert server.era == ("stateless" if server.protocol_version == STATELESS else "handshake")
    offered = server.capabilities
    assert None not in (offered.tools, offered.resources, offered.prompts, offered.completions)
    assert server.is_connected


async def test_everything_is_listed(server: Server) -> None:
    """Tools, resources, templates and prompts come whole."""
    tools = {tool.name: tool for tool in await server.list_tools()}
    assert tools.keys() >= TOOLS
    echo = tools["echo"]
    assert echo.annotations is not None
    assert (echo.annotations.read_only_hint, echo.annotations.title) == (True, "Echo")
    assert echo.input_schema["properties"]["text"]["type"] == "string"
    assert tools["weather"].output_schema is not None
    assert {each.uri for each in await server.list_resources()} == {"note://greeting", "note://pixel"}
    assert [each.uri_template for each in await server.list_resource_templates()] == ["note://by/{author}"]
    [prompt] = await server.list_prompts()
    assert [(each.name, each.required) for each in prompt.arguments] == [("code", True), ("language", False)]
    assert server.problems == []


@pytest.mark.requirement("HTTP-2")
async def test_tools_answer(server: Server) -> None:
    """Text, structured values, nothing at all, and the tool's own error."""
    assert (await server.call_tool("echo", {"text": "ö — 世界 \u2028 🎈"})).text == "ö — 世界 \u2028 🎈"
    assert (await server.call_tool("add", {"a": 2, "b": -5})).structured == {"result": -3}
    weather = await server.call_tool("weather", {"city": "Ulm"})
    assert weather.structured == {"city": "Ulm", "degrees": 21.5, "windy": False}
    assert json.loads(weather.text) == weather.structured
    assert (await server.call_tool("nothing")).content == []
    failed = await server.call_tool("fail", {"reason": "no luck"})
    assert failed.is_error
    assert "no luck" in failed.text


async def test_every_kind_of_content_arrives(server: Server) -> None:
    """Each block has its type, binary data is intact, and what the client doesn't know is kept."""
    result = await server.call_tool("mixed")
    assert [type(block) for block in result.content] == [
        TextContent,
        ImageContent,
        AudioContent,
        ResourceLink,
        EmbeddedResource,
    ]
    image = result.content[1]
    assert isinstance(image, ImageContent)
    assert image.decoded() == PIXEL
    assert json.loads(result.raw)["_meta"]["example.com/kept"] == 1


async def test_a_large_result_arrives(server: Server) -> None:
    """Five megabytes are no trouble, on any transport."""
    assert len((await server.call_tool("big", {"size": 5_000_000})).text) == 5_000_000


@pytest.mark.requirement("BASE-3")
async def test_many_calls_at_once_get_their_own_answers(server: Server) -> None:
    """Answers that come in any order find their callers."""
    results = await asyncio.gather(*(server.call_tool("add", {"a": n, "b": 1}) for n in range(100)))
    assert [result.structured for result in results] == [{"result": n + 1} for n in range(100)]


async def test_wrong_calls_are_told(server: Server) -> None:
    """Unknown tools and methods are errors; arguments that don't fit are the tool's error."""
    with pytest.raises(MethodNotFound):
        await server.request("no/such/method", {})
    assert (await server.call_tool("add", {"a": "x", "b": 1})).is_error
    try:
        unknown = await server.call_tool("no_such_tool")
    except InvalidParams:
        return
    assert unknown.is_error


async def test_resources_are_read(server: Server) -> None:
    """Text, bytes, a template filled in, and one that isn't there."""
    assert (await server.read_resource("note://greeting")).text == "hello, wörld"
    [pixel] = (await server.read_resource("note://pixel")).contents
    assert (pixel.mime_type, pixel.decoded()) == ("image/png", PIXEL)
    assert (await server.read_resource("note://by/ada")).text == "by ada"
    with pytest.raises(ServerError):
        await server.read_resource("note://nowhere")


async def test_prompts_are_filled_in_and_completed(server: Server) -> None:
    """A prompt takes arguments; completion knows what was typed and what is settled."""
    prompt = await server.get_prompt("review", {"code": "x = 1", "language": "rust"})
    [message] = prompt.messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    assert message.content.text == "Review this rust: x = 1"
    with pytest.raises(ServerError):
        await server.get_prompt("no_such_prompt")
    suggested = await server.complete(PromptReference("review"), "language", "p", context={"code": "x"})
    assert suggested.values == (*(name for name in LANGUAGES if name.startswith("p")), "x")
    assert (suggested.total, suggested.has_more) == (4, False)
    assert (await server.complete(ResourceReference("note://by/{author}"), "author", "al")).values == ("alan",)


async def test_the_server_is_there_when_asked(server: Server) -> None:
    """``ping`` works in both eras."""
    await server.ping(timeout=5)


@pytest.mark.parametrize("transport", ["stdio", "http", "json"])
async def test_the_newest_revision_is_agreed_on(address: str, transport: str) -> None:
    """Without a pin, a server that speaks both eras is met in the stateless one."""
    config = fixture_config("sdk", address, transport, STATELESS)
    unpinned = dragoman.ServerConfig(
        name="sdk", command=config.command, args=config.args, cwd=config.cwd, url=config.url
    )
    async with dragoman.connect(unpinned) as server:
        assert (server.protocol_version, server.era) == (STATELESS, "stateless")
        assert (await server.call_tool("echo", {"text": "a"})).text == "a"


@pytest.mark.requirement("VERSION-4")
async def test_the_old_transport_is_found_by_itself(address: str) -> None:
    """An address of HTTP with SSE needs no word about its transport."""
    async with dragoman.connect(f"{address}/legacy/sse") as server:
        assert (server.transport_kind, server.era) == ("sse", "handshake")
        assert (await server.call_tool("echo", {"text": "a"})).text == "a"


@pytest.mark.requirement("LIFE-4")
@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
@pytest.mark.parametrize("transport", ["http", "legacy"])
async def test_every_handshake_is_spoken(address: str, transport: str, version: str) -> None:
    """A pin to an older revision is kept, and the server answers as that revision tells."""
    async with dragoman.connect(fixture_config("sdk", address, transport, version)) as server:
        assert server.protocol_version == version
        assert (await server.call_tool("add", {"a": 1, "b": 2})).text == "3"
        assert (await server.read_resource("note://greeting")).text == "hello, wörld"


@pytest.mark.requirement("HEADER-2")
@pytest.mark.parametrize("transport", ["http", "json"])
async def test_arguments_are_mirrored_into_headers(address: str, transport: str) -> None:
    """The SDK refuses a call whose headers don't fit; one that wasn't listed yet is listed and sent again."""
    async with dragoman.connect(fixture_config("sdk", address, transport, STATELESS)) as server:
        unlisted = await server.call_tool("region", {"name": " wörld ", "floor": -1})
        assert unlisted.text == " wörld  -1"
        await server.list_tools()
        assert (await server.call_tool("region", {"name": "eu west", "floor": 7})).text == "eu west 7"
        assert (await server.call_tool("region", {"name": ""})).text == " 0"
