"""What goes over the wire to real servers keeps the specification's rules, whatever is done with them.

One busy conversation in each era is recorded as it passes; each test then looks at all of it for one rule.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

import dragoman
from dragoman import Server
from dragoman.errors import ServerError
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult, SamplingRequest, SamplingResult
from dragoman.protocol.types import PromptReference
from dragoman.server.callbacks import QuestionContext
from tests.real.programs import fixture_config, fixture_server
from tests.real.recorder import Recorder, Request, recording
from tests.real.waiting import take, until

HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"
META = "io.modelcontextprotocol/"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


async def answer(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Accept."""
    return ElicitationResult("accept", {})


async def think(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
    """Stand in for a model."""
    return SamplingResult(model="parrot", content="Hm.")


@pytest.fixture(scope="module")
def sdk() -> Iterator[str]:
    """A server of the official SDK."""
    with fixture_server("sdk") as address:
        yield address


@pytest.fixture(scope="module")
def fast() -> Iterator[str]:
    """A server of FastMCP, which has tasks."""
    with fixture_server("fast") as address:
        yield address


async def converse(server: Server) -> None:
    """Do a bit of everything, some of it at once."""
    await server.list_tools()
    await server.list_resources()
    await server.read_resource("note://by/w%C3%B6rld")
    await server.get_prompt("review", {"code": "ü"})
    await server.complete(PromptReference("review"), "language", "p")
    await server.set_log_level("info")
    await asyncio.gather(
        *(server.call_tool("steps", {"count": 2}, on_progress=lambda _: None) for _ in range(3)),
        *(server.call_tool("echo", {"text": text}) for text in ("a", "ü\n", "\u2028")),
        server.call_tool("order"),
        server.call_tool("think", {"prompt": "?"}),
        server.call_tool("roots"),
    )
    await server.call_tool("region", {"name": "wörld"})
    async with server.listen(tools=True, uris=["note://greeting"]) as changes:
        await server.call_tool("touch", {"uri": "note://greeting"})
        await take(changes, 1)
    await give_up(server)
    await server.ping()


async def give_up(server: Server) -> None:
    """Cancel a call that the server is at work on."""
    name = f"wire {server.protocol_version}"
    call = asyncio.create_task(server.call_tool("hang", {"name": name}))

    async def told(state: str) -> bool:
        return (await server.call_tool("hung", {"name": name})).text == state

    await until(lambda: told("waiting"))
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await until(lambda: told("cancelled"))


async def recorded(address: str, version: str) -> Recorder:
    """The conversation over HTTP, in one revision."""
    async with recording(address) as recorder:
        config = fixture_config("sdk", recorder.address, "http", version)
        async with dragoman.connect(config, elicitation=answer, sampling=think, roots=["/srv"]) as server:
            await converse(server)
    return recorder


def requests_of(recorder: Recorder) -> list[Request]:
    """The posts that carried a request."""
    return [post for post in recorder.posts if "method" in post.message and "id" in post.message]


def decoded(value: str) -> str:
    """A header's value, out of its Base64 form if it has that."""
    if value.startswith("=?base64?"):
        return base64.b64decode(value[len("=?base64?") : -len("?=")]).decode()
    return value


@pytest.mark.requirement("BASE-1", "BASE-2", "HTTP-1", "HTTP-2", "PROGRESS-1")
@pytest.mark.parametrize("version", [HANDSHAKE, STATELESS])
async def test_every_message_is_well_formed(sdk: str, version: str) -> None:
    """One JSON-RPC message per POST; ids and progress tokens are used once; both kinds of answers are accepted."""
    recorder = await recorded(sdk, version)
    assert recorder.posts
    for post in recorder.posts:
        assert post.message["jsonrpc"] == "2.0"
        assert {"application/json", "text/event-stream"} <= set(post.headers["accept"].replace(" ", "").split(","))
        assert post.headers["content-type"] == "application/json"
    asked = requests_of(recorder)
    ids = [post.message["id"] for post in asked]
    assert all(isinstance(number, int | str) for number in ids)
    assert len(set(ids)) == len(ids)
    metas = (post.message.get("params", {}).get("_meta", {}) for post in asked)
    tokens = [meta["progressToken"] for meta in metas if "progressToken" in meta]
    assert len(tokens) == len(set(tokens)) >= 3
    assert all(isinstance(token, int | str) for token in tokens)


@pytest.mark.requirement("META-1", "HTTP-3", "HTTP-4", "HTTP-5")
async def test_every_stateless_request_tells_its_own_context(sdk: str) -> None:
    """Version and capabilities in the body, version, method and name in the headers, and they agree."""
    for post in (await recorded(sdk, STATELESS)).posts:
        message = post.message
        meta: dict[str, Any] = message["params"]["_meta"]
        assert meta[f"{META}protocolVersion"] == STATELESS == post.headers["mcp-protocol-version"]
        assert meta[f"{META}clientInfo"]["name"] == "dragoman"
        assert set(meta[f"{META}clientCapabilities"]) >= {"elicitation", "sampling", "roots"}
        assert post.headers["mcp-method"] == message["method"]
        if (member := NAMED.get(message["method"])) is not None:
            assert decoded(post.headers["mcp-name"]) == message["params"][member]
        assert "mcp-session-id" not in post.headers


@pytest.mark.requirement("HTTP-6", "CANCEL-2")
async def test_a_stateless_client_sends_nothing_but_requests(sdk: str) -> None:
    """No responses, no cancellation notifications, no stream or session of its own: closing a stream cancels."""
    recorder = await recorded(sdk, STATELESS)
    assert recorder.requests == recorder.posts == requests_of(recorder)
    assert {post.message["method"] for post in recorder.posts}.isdisjoint(
        {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
    )


@pytest.mark.requirement("HEADER-1")
async def test_marked_arguments_are_mirrored_and_others_are_not(sdk: str) -> None:
    """What the schema marks goes into a header, encoded where it must be; what is absent has none."""
    recorder = await recorded(sdk, STATELESS)
    for post in recorder.sent("tools/call"):
        mirrored = {name: value for name, value in post.headers.items() if name.startswith("mcp-param-")}
        if post.message["params"]["name"] == "region":
            assert mirrored == {"mcp-param-region": f"=?base64?{base64.b64encode('wörld'.encode()).decode()}?="}
        else:
            assert mirrored == {}


@pytest.mark.requirement("MRTR-1", "MRTR-2", "MRTR-3", "MRTR-4")
async def test_rounds_repeat_the_request_with_answers(sdk: str) -> None:
    """A retry is the same request with a new id, the answers and the state as it came; nothing else carries them."""
    recorder = await recorded(sdk, STATELESS)
    retries = [post for post in recorder.posts if {"inputResponses", "requestState"} & set(post.message["params"])]
    assert sorted(post.message["params"]["name"] for post in retries) == ["order", "roots", "think"]
    for retry in retries:
        params = dict(retry.message["params"])
        answers, state = params.pop("inputResponses"), params.pop("requestState")
        assert isinstance(state, str)
        assert answers
        [first] = [post for post in recorder.sent("tools/call") if post.message["params"] == params]
        assert first.message["id"] != retry.message["id"]


@pytest.mark.requirement("LIFE-1", "LIFE-2", "LIFE-3", "HTTP-8", "SESSION-1")
async def test_a_handshake_opens_and_names_the_session(sdk: str) -> None:
    """First initialize alone, then initialized, then anything; afterwards version and session are on everything."""
    recorder = await recorded(sdk, HANDSHAKE)
    first, second, *others = recorder.requests
    assert first.message["method"] == "initialize"
    assert first.message["params"]["protocolVersion"] == HANDSHAKE
    assert set(first.message["params"]) == {"protocolVersion", "capabilities", "clientInfo"}
    assert "mcp-session-id" not in first.headers
    assert second.message["method"] == "notifications/initialized"
    sessions = {request.headers["mcp-session-id"] for request in (second, *others)}
    assert len(sessions) == 1
    assert {request.headers["mcp-protocol-version"] for request in (second, *others)} == {HANDSHAKE}
    streams = [request for request in others if request.verb == "GET"]
    assert [request.headers["accept"] for request in streams] == ["text/event-stream"]
    assert [request.verb for request in others][-1] == "DELETE"


@pytest.mark.requirement("CANCEL-1", "CANCEL-3")
async def test_a_handshake_cancels_what_is_under_way(sdk: str) -> None:
    """Cancellation names a request that was sent and not answered, and never the handshake."""
    recorder = await recorded(sdk, HANDSHAKE)
    [cancelled] = recorder.sent("notifications/cancelled")
    assert "id" not in cancelled.message
    [hanging] = [post for post in recorder.sent("tools/call") if post.message["params"]["name"] == "hang"]
    assert cancelled.message["params"]["requestId"] == hanging.message["id"]


@pytest.mark.parametrize("words", ["x\r\nEvil: 1", "x\nEvil: 1", "x\rEvil: 1", "\0", "\u2028", " x "])
async def test_no_word_of_a_caller_begins_a_header(sdk: str, words: str) -> None:
    """Whatever a method, a tool, a resource or an argument is called, it stays within its own header."""
    async with (
        recording(sdk) as recorder,
        dragoman.connect(fixture_config("sdk", recorder.address, "http", STATELESS)) as server,
    ):
        await server.list_tools()
        attempts = (
            server.request(words),
            server.call_tool(words),
            server.read_resource(words),
            server.call_tool("region", {"name": words}),
        )
        for attempt in attempts:
            with contextlib.suppress(ServerError):
                await attempt
        assert (await server.call_tool("echo", {"text": words})).text == words
    assert all("evil" not in request.headers for request in recorder.requests)
    *_, method, tool, resource, argument, _ = recorder.requests
    assert decoded(method.headers["mcp-method"]) in (words, words.strip())
    assert decoded(tool.headers["mcp-name"]) == decoded(resource.headers["mcp-name"]) == words
    assert decoded(argument.headers["mcp-param-region"]) == words


@pytest.mark.requirement("TASK-3", "TASK-4", "TASK-5")
async def test_requests_about_a_task_name_it(fast: str) -> None:
    """The task's id is in the header; its questions are answered by update; it is cancelled by its own method."""
    async with recording(fast) as recorder:
        config = fixture_config("fast", recorder.address, "http", STATELESS)
        async with dragoman.connect(config, elicitation=answer) as server:
            assert (await server.call_tool("work_and_ask")).text == "green, half done"
            endless = await server.start_task("work_for_ever")
            await endless.cancel()
    [updated] = recorder.sent("tasks/update")
    [reply] = updated.message["params"]["inputResponses"].values()
    assert reply["action"] == "accept"
    [cancelled] = recorder.sent("tasks/cancel")
    assert cancelled.message["params"]["taskId"] == endless.id
    assert recorder.sent("notifications/cancelled") == []
    polled = recorder.sent("tasks/get")
    for post in (updated, cancelled, *polled):
        assert post.headers["mcp-name"] == post.message["params"]["taskId"]
        assert (
            "io.modelcontextprotocol/tasks"
            in post.message["params"]["_meta"][f"{META}clientCapabilities"]["extensions"]
        )


@pytest.mark.requirement("STDIO-1", "STDIO-2", "STDIO-3")
@pytest.mark.parametrize("version", [HANDSHAKE, STATELESS])
async def test_stdin_gets_one_message_per_line(version: str) -> None:
    """Every line is one message, and the only responses are to what the server asked."""
    seen: list[tuple[str, bytes]] = []
    config = fixture_config("sdk", "", "stdio", version)
    async with dragoman.connect(
        config,
        elicitation=answer,
        sampling=think,
        roots=["/srv"],
        on_message=lambda direction, data: seen.append((direction, data)),
    ) as server:
        await converse(server)
    out = [json.loads(data) for direction, data in seen if direction == "out"]
    assert all(b"\n" not in data.rstrip(b"\n") for direction, data in seen if direction == "out")
    came = [json.loads(data) for direction, data in seen if direction == "in"]
    questions = [message["id"] for message in came if "method" in message and "id" in message]
    responses = [message["id"] for message in out if "method" not in message]
    assert sorted(responses) == sorted(questions)
    assert len(questions) == (3 if version == HANDSHAKE else 0)
    cancelled = [
        message["params"]["requestId"] for message in out if message.get("method") == "notifications/cancelled"
    ]
    asked = {message["id"]: message["method"] for message in out if "method" in message and "id" in message}
    expected = ["tools/call"] if version == HANDSHAKE else ["subscriptions/listen", "tools/call"]
    assert [asked[number] for number in cancelled] == expected
