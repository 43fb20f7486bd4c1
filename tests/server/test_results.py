"""Tools' results held against what the tools promise, and what is done when promise or result can't be used."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dragoman import Server, ServerConfig, connect
from dragoman.errors import InvalidResult
from tests.server.conftest import Clock
from tests.server.peer import HANDSHAKE, STATELESS, Json, Peer, Request, RpcError, a_tool, always, silence, text
from tests.servers import scripted

SUM: Json = {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]}


def adding(result: Any, *, schema: Any = SUM, version: str = STATELESS) -> Peer:
    """Give a server whose one tool has an output schema and gives one result."""
    peer = Peer(version)
    peer.listed = [a_tool("add", outputSchema=schema)]
    peer.tools["add"] = always(result)
    return peer


@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
async def test_a_result_that_keeps_the_promise_is_given(version: str, neighbour: Server) -> None:
    """Structured content and text stand side by side."""
    peer = adding(text("5", structuredContent={"sum": 5}), version=version)
    async with connect(peer.transport) as server:
        await server.list_tools()
        result = await server.call_tool("add")
    assert (result.structured, result.text) == ({"sum": 5}, "5")


@pytest.mark.parametrize(
    ("structured", "path", "told"),
    [
        ({"sum": "five"}, "/sum", "number"),
        ({}, "", "sum"),
        ([], "", "object"),
        (None, "", "object"),
    ],
)
async def test_a_result_that_breaks_the_promise_is_an_error(
    structured: Any, path: str, told: str, neighbour: Server
) -> None:
    """The error names server and tool, and points at what does not fit; the connection goes on."""
    peer = adding(text("?", structuredContent=structured))
    async with connect(peer.transport, name="liar") as server:
        await server.list_tools()
        with pytest.raises(InvalidResult, match=rf"^liar: tool add: .*{told}") as caught:
            await server.call_tool("add")
        assert caught.value.path == path
        await server.ping()


async def test_promised_content_that_is_missing_is_an_error(neighbour: Server) -> None:
    """A tool with an output schema has to give structured content."""
    peer = adding(text("5"))
    async with connect(peer.transport, name="liar") as server:
        await server.list_tools()
        with pytest.raises(InvalidResult, match="promises structured content and gave none"):
            await server.call_tool("add")


async def test_a_tool_s_own_error_is_held_against_nothing(neighbour: Server) -> None:
    """A failure needs no structured content, and may have any."""
    for result in (text("no", isError=True), text("no", isError=True, structuredContent=[1])):
        peer = adding(result)
        async with connect(peer.transport) as server:
            await server.list_tools()
            assert (await server.call_tool("add")).is_error


@pytest.mark.parametrize("value", ["text", 5, 1.5, True, None, [], [1, {"a": None}], {}])
async def test_structured_content_may_be_any_value(value: Any, neighbour: Server) -> None:
    """A tool without a schema may give whatever JSON can hold; null is content, too."""
    peer = adding(text("", structuredContent=value), schema={})
    async with connect(peer.transport) as server:
        result = await server.call_tool("add")
    assert result.structured == value
    assert result.structured_raw is not None


# When the listing is not known yet.


async def test_the_listing_is_fetched_once_when_a_result_needs_it(neighbour: Server) -> None:
    """A hundred first results at once cost one listing; later ones none."""
    peer = adding(text("5", structuredContent={"sum": 5}))
    async with connect(peer.transport) as server:
        await asyncio.gather(*(server.call_tool("add") for _ in range(100)))
        await server.call_tool("add")
    assert len(peer.params("tools/list")) == 1


async def test_a_listing_fetched_for_a_result_counts(neighbour: Server) -> None:
    """The promise is kept even by the very first call."""
    peer = adding(text("?", structuredContent={"sum": "five"}))
    async with connect(peer.transport) as server:
        with pytest.raises(InvalidResult):
            await server.call_tool("add")


async def test_no_listing_is_fetched_for_results_that_need_none(neighbour: Server) -> None:
    """Plain text promises nothing that could be checked, nor do a tool's errors."""
    peer = adding(text("hello"))
    peer.tools["fail"] = always(text("no", isError=True, structuredContent={}))
    async with connect(peer.transport) as server:
        await server.call_tool("add")
        await server.call_tool("fail")
    assert peer.params("tools/list") == []


async def test_a_listing_that_fails_leaves_the_result_alone(
    neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The tool did its work: its result is given, unchecked, and that is logged; no call asks again."""
    peer = adding(text("5", structuredContent={"sum": "five"}))

    async def refuse(_: Request) -> Json:
        raise RpcError(-32603, "no listing today")

    peer.answers["tools/list"] = refuse
    async with connect(peer.transport, name="shy") as server:
        for _ in range(3):
            assert (await server.call_tool("add")).structured == {"sum": "five"}
    assert len(peer.params("tools/list")) == 1
    assert "shy: results are not checked: tools/list was answered with error -32603" in caplog.text


async def test_a_listing_that_never_comes_does_not_keep_the_result(clock: Clock, neighbour: Server) -> None:
    """After the listing's own time-out, the result is given."""
    peer = adding(text("5", structuredContent={"sum": 5}))
    peer.answers["tools/list"] = silence
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("add"))
        await peer.got("tools/list")
        await clock.forward(61)
        assert (await call).text == "5"


async def test_a_tool_that_is_not_listed_is_not_checked(neighbour: Server) -> None:
    """Nothing was promised."""
    peer = adding(text("5"))
    peer.tools["hidden"] = always(text("", structuredContent={"sum": "five"}))
    async with connect(peer.transport) as server:
        await server.list_tools()
        assert (await server.call_tool("hidden")).structured == {"sum": "five"}


# Promises that can't be used.


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/nowhere"},
        {"properties": {"sum": {"pattern": "("}}},
        "object",
        None,
        5,
        {"$schema": "https://example.com/draft-99"},
    ],
)
async def test_a_schema_that_can_not_be_used_is_logged_once_and_hurts_nobody(
    schema: Any, neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The tool stays listed and its results are given, unchecked. Nothing is fetched."""
    peer = adding(text("5", structuredContent={"sum": 5}), schema=schema)
    async with connect(peer.transport, name="vague") as server:
        assert [tool.name for tool in await server.list_tools()] == ["add"]
        for _ in range(2):
            assert (await server.call_tool("add")).structured == {"sum": 5}
    assert len([record for record in caplog.records if "results of add are not checked" in record.getMessage()]) <= 1


async def test_a_new_listing_brings_new_promises(neighbour: Server) -> None:
    """A schema that changed holds from the next listing on."""
    peer = adding(text("5", structuredContent={"sum": 5}))
    async with connect(peer.transport) as server:
        await server.list_tools()
        await server.call_tool("add")
        peer.listed = [a_tool("add", outputSchema={"type": "object", "required": ["total"]})]
        await server.list_tools()
        with pytest.raises(InvalidResult, match="total"):
            await server.call_tool("add")


@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
async def test_a_listing_that_is_announced_to_be_another_is_fetched_when_it_is_needed(
    version: str, neighbour: Server
) -> None:
    """A result is not held against a promise that was taken back; between announcements nothing is listed."""
    peer = adding(text("5", structuredContent={"sum": 5}), version=version)
    peer.tools["plain"] = always(text("plain"))
    async with connect(peer.transport) as server:
        await server.list_tools()
        await server.call_tool("add")
        peer.listed = [a_tool("add")]
        peer.tools["add"] = always(text("five"))
        peer.notify("tools/list_changed")
        await server.ping()
        assert (await server.call_tool("plain")).text == "plain"
        assert len(peer.params("tools/list")) == 1
        for _ in range(3):
            assert (await server.call_tool("add")).text == "five"
        assert len(peer.params("tools/list")) == 2


async def test_checking_can_be_turned_off(neighbour: Server) -> None:
    """With ``validate_results=False`` nothing is checked and nothing listed for it."""
    command, *args = scripted()
    config = ServerConfig(command=command, args=tuple(args), validate_results=False)
    sent: list[bytes] = []
    async with connect(config, on_message=lambda _, data: sent.append(data)) as server:
        assert (await server.call_tool("add", {"a": 1, "b": 2})).structured == {"sum": 3}
    assert not any(b"tools/list" in message for message in sent)


# What a result is.


async def test_the_exact_bytes_are_kept(neighbour: Server) -> None:
    """Blanks, order, repeated and unknown members: `raw` is what the server wrote."""
    peer = Peer()
    body = b'{ "content": [ ] ,"x":1.0,"x":1e400, "resultType":"complete","\\u0061":"\\u00e9" }'

    async def answer(request: Request) -> Json:
        peer.send_bytes(b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (request.id, body))
        return await silence(request)

    peer.tools["odd"] = answer
    async with connect(peer.transport) as server:
        assert (await server.call_tool("odd")).raw == body


@pytest.mark.parametrize("result", ["null", "[]", "5", '"text"', "true"])
async def test_a_result_that_is_no_object_is_an_error_of_that_call(result: str, neighbour: Server) -> None:
    """The error names the server."""
    peer = Peer()

    async def answer(request: Request) -> Json:
        peer.send_bytes(b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (request.id, result.encode()))
        return await silence(request)

    peer.tools["odd"] = answer
    async with connect(peer.transport, name="odd") as server:
        with pytest.raises(InvalidResult, match=r"^odd: "):
            await server.call_tool("odd")
        await server.ping()


@pytest.mark.parametrize(
    "result", [{"content": {}}, {"content": [5]}, {"isError": "no"}, {"content": [{"type": "text"}]}]
)
async def test_a_broken_result_is_told_when_it_is_looked_at(result: Json, neighbour: Server) -> None:
    """The bytes are there whatever they hold; the error names the server."""
    peer = Peer()
    peer.tools["odd"] = always(result)
    async with connect(peer.transport, name="odd") as server:
        given = await server.call_tool("odd")
        assert given.raw
        with pytest.raises(InvalidResult, match=r"^odd: "):
            assert given.is_error is given.text


@pytest.mark.parametrize("answer", [{}, {"contents": 5}, {"messages": {}}])
async def test_what_does_not_fit_names_the_server_everywhere(answer: Json, neighbour: Server) -> None:
    """Resources, prompts and completions too."""
    peer = Peer()
    for method in ("resources/read", "prompts/get", "completion/complete"):
        peer.answers[method] = always(answer)
    async with connect(peer.transport, name="odd") as server:
        with pytest.raises(InvalidResult, match=r"^odd: what resource file:///a holds"):
            await server.read_resource("file:///a")
        if "messages" in answer:
            with pytest.raises(InvalidResult, match=r"^odd: prompt p"):
                await server.get_prompt("p")
