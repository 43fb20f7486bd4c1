"""What we say against the specification's schemas: every request, notification and answer of every revision."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult, Root, SamplingRequest, SamplingResult
from dragoman.protocol.metadata import ClientInfo
from dragoman.protocol.types import PromptReference, ResourceReference
from dragoman.server.callbacks import QuestionContext
from dragoman.server.connect import connect
from dragoman.server.server import Server
from tests import spec
from tests.server.peer import META, STATELESS, Json, Peer, Request, a_tool, always, silence, text

HANDSHAKES = [revision for revision in spec.REVISIONS if revision != STATELESS]

REQUESTS = {
    "completion/complete": "CompleteRequest",
    "initialize": "InitializeRequest",
    "logging/setLevel": "SetLevelRequest",
    "notifications/cancelled": "CancelledNotification",
    "notifications/initialized": "InitializedNotification",
    "notifications/roots/list_changed": "RootsListChangedNotification",
    "ping": "PingRequest",
    "prompts/get": "GetPromptRequest",
    "prompts/list": "ListPromptsRequest",
    "resources/list": "ListResourcesRequest",
    "resources/read": "ReadResourceRequest",
    "resources/subscribe": "SubscribeRequest",
    "resources/templates/list": "ListResourceTemplatesRequest",
    "resources/unsubscribe": "UnsubscribeRequest",
    "server/discover": "DiscoverRequest",
    "subscriptions/listen": "SubscriptionsListenRequest",
    "tasks/cancel": "CancelTaskRequest",
    "tasks/get": "GetTaskRequest",
    "tasks/list": "ListTasksRequest",
    "tasks/result": "GetTaskPayloadRequest",
    "tasks/update": "UpdateTaskRequest",
    "tools/call": "CallToolRequest",
    "tools/list": "ListToolsRequest",
}

ANSWERS = {
    "elicitation/create": "ElicitResult",
    "sampling/createMessage": "CreateMessageResult",
    "roots/list": "ListRootsResult",
}

NONE_OFFERED: Json = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}


async def sample(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
    """Answer as a model would."""
    return SamplingResult(model="parrot", content=f"{len(request.messages)} heard", stop_reason="endTurn")


async def elicit(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Fill every form with the same entry."""
    return ElicitationResult("accept", {"name": "octocat"}) if request.mode == "form" else ElicitationResult("accept")


SAMPLING: Json = {"messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}], "maxTokens": 9}
FORM: Json = {
    "message": "Who are you?",
    "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
}
PAGE: Json = {"mode": "url", "message": "Log in", "url": "https://a.example/login", "elicitationId": "e1"}


def speaking(revision: str) -> Peer:
    """A server of that revision that offers everything."""
    peer = Peer(revision)
    peer.listed = [a_tool("echo")]
    peer.tools["echo"] = always(text("done"))
    peer.tools["stuck"] = silence
    empty: Json = {"prompts": [], "resources": [], "resourceTemplates": [], **NONE_OFFERED}
    for method in ("prompts/list", "resources/list", "resources/templates/list"):
        peer.answers[method] = paged(empty)
    peer.answers |= {
        "completion/complete": always({"completion": {"values": ["a"]}}),
        "logging/setLevel": always({}),
        "prompts/get": always({"messages": []}),
        "resources/read": always({"contents": []}),
        "resources/subscribe": always({}),
        "resources/unsubscribe": always({}),
    }
    return peer


def paged(last: Json) -> Callable[[Request], Awaitable[Json]]:
    """Answer with a cursor first, then with the last page."""

    async def answer(request: Request) -> Json:
        return last if "cursor" in request.params else {**last, "nextCursor": "page 2"}

    return answer


async def talk(server: Server) -> None:
    """Use everything that every revision has."""
    await server.list_tools()
    await server.list_prompts()
    await server.list_resources()
    await server.list_resource_templates()
    await server.call_tool("echo")
    await server.call_tool("echo", {"message": "h\u00e9\U0001f600"}, on_progress=print, meta={"a.example/trace": [1]})
    await server.read_resource("file:///a")
    await server.get_prompt("review")
    await server.get_prompt("review", {"code": "x = 1"})
    await server.complete(PromptReference("review"), "language", "py", context={"framework": "none"})
    await server.complete(ResourceReference("file:///{path}"), "path")
    await server.set_log_level("debug")
    await server.ping()


def assert_fit(peer: Peer, revision: str, *, tasks: str | None = None) -> set[str]:
    """Check each message that the peer received against the schema of its kind; give their methods."""
    for message in peer.received:
        method = message.get("method")
        if method is None:
            assert spec.misfits(revision, "JSONRPCResponse", json.dumps(message).encode()) == [], message
            continue
        of = STATELESS if method == "server/discover" else revision
        kind = "JSONRPCRequest" if "id" in message else "JSONRPCNotification"
        assert spec.misfits(of, kind, json.dumps(message).encode()) == [], message
        if tasks and method.startswith("tasks/"):
            of = tasks
        assert spec.misfits(of, REQUESTS[method], json.dumps(message).encode()) == [], message
    return {message["method"] for message in peer.received if "method" in message}


@pytest.mark.parametrize("revision", spec.REVISIONS)
async def test_every_request_fits_the_schema_of_its_revision(revision: str) -> None:
    """Listings with cursors, calls, reads, prompts, completions, log levels, pings: as each revision defines them."""
    peer = speaking(revision)
    async with connect(peer.transport, sampling=sample, elicitation=elicit, roots=["file:///a"]) as server:
        assert server.protocol_version == revision
        await talk(server)
    spoken = assert_fit(peer, revision)
    of_the_era = (
        {"ping", "initialize", "notifications/initialized", "logging/setLevel"}
        if revision in HANDSHAKES
        else set[str]()
    )
    assert of_the_era | {"completion/complete", "resources/templates/list", "tools/call"} <= spoken


@pytest.mark.parametrize("revision", HANDSHAKES)
async def test_subscriptions_of_the_handshake_era_fit_their_schema(revision: str) -> None:
    """Subscribing, unsubscribing and news of roots are what their revisions define."""
    peer = speaking(revision)
    async with connect(peer.transport, roots=["file:///a"]) as server:
        async with server.listen(tools=True, uris=["file:///a"]):
            pass
        await server.roots_changed()
    assert {"resources/subscribe", "resources/unsubscribe", "notifications/roots/list_changed"} <= assert_fit(
        peer, revision
    )


async def test_listening_in_the_stateless_era_fits_its_schema() -> None:
    """The filter of ``subscriptions/listen`` names what is asked for, and nothing else."""
    peer = speaking(STATELESS)

    async def listen(request: Request) -> Json:
        request.notify(
            "subscriptions/acknowledged",
            _meta={META + "subscriptionId": request.id},
            notifications=request.params["notifications"],
        )
        return await silence(request)

    peer.answers["subscriptions/listen"] = listen
    async with (
        connect(peer.transport) as server,
        server.listen(tools=True, prompts=True, resources=True, uris=["file:///a"]),
    ):
        pass
    assert "subscriptions/listen" in assert_fit(peer, STATELESS)


@pytest.mark.parametrize("revision", spec.REVISIONS)
async def test_a_cancellation_fits_its_schema(revision: str) -> None:
    """Giving up a call is told as each revision defines it."""
    peer = speaking(revision)
    async with connect(peer.transport) as server:
        with pytest.raises(Exception, match="no answer to tools/call"):
            await server.call_tool("stuck", timeout=0.01)
        await peer.got("notifications/cancelled")
    assert "notifications/cancelled" in assert_fit(peer, revision)


QUESTIONS: list[tuple[str, str, Json]] = [
    (revision, method, params)
    for method, params, since in (
        ("sampling/createMessage", SAMPLING, "2024-11-05"),
        ("roots/list", {}, "2024-11-05"),
        ("elicitation/create", FORM, "2025-06-18"),
        ("elicitation/create", PAGE, "2025-11-25"),
    )
    for revision in HANDSHAKES
    if revision >= since
]


@pytest.mark.parametrize(("revision", "method", "params"), QUESTIONS)
async def test_every_answer_fits_the_schema_of_its_revision(revision: str, method: str, params: Json) -> None:
    """What a model, a person or a list of places says reaches the server in the form it expects."""
    peer = speaking(revision)
    async with connect(peer.transport, sampling=sample, elicitation=elicit, roots=[Root("file:///a", "A")]):
        answer = await peer.ask(method, params)
    assert spec.misfits(revision, ANSWERS[method], json.dumps(answer["result"]).encode()) == []
    assert_fit(peer, revision)


async def test_a_further_round_fits_its_schema() -> None:
    """Answers and state of a round come back where the stateless era wants them."""
    peer = speaking(STATELESS)
    questions: dict[str, Json] = {
        "who": {"method": "elicitation/create", "params": {"mode": "form", **FORM}},
        "what": {"method": "sampling/createMessage", "params": SAMPLING},
        "where": {"method": "roots/list", "params": {}},
    }

    async def ask(request: Request) -> Json:
        if "inputResponses" in request.params:
            return text("thanks")
        return {"resultType": "input_required", "inputRequests": questions, "requestState": "st\u00e4te \\u0041"}

    peer.tools["ask"] = ask
    async with connect(peer.transport, sampling=sample, elicitation=elicit, roots=["file:///a"]) as server:
        assert (await server.call_tool("ask", {"a": 1})).text == "thanks"
    assert_fit(peer, STATELESS)
    _, again = peer.params("tools/call")
    assert again["arguments"] == {"a": 1}
    assert again["requestState"] == "st\u00e4te \\u0041"
    assert spec.misfits(STATELESS, "InputResponses", json.dumps(again["inputResponses"]).encode()) == []
    for key, question in questions.items():
        assert (
            spec.misfits(STATELESS, ANSWERS[question["method"]], json.dumps(again["inputResponses"][key]).encode())
            == []
        )


async def test_core_tasks_fit_their_schema() -> None:
    """Begun, looked at, listed, fetched and cancelled as 2025-11-25 defines it."""
    revision = "2025-11-25"
    state = {"taskId": "t1", "status": "working", "createdAt": "2026-01-01T00:00:00Z", "ttl": None}
    peer = speaking(revision)
    peer.capabilities = {**peer.capabilities, "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}}
    peer.listed = [a_tool("slow", execution={"taskSupport": "optional"})]
    peer.tools["slow"] = always({"task": state})
    peer.answers["tasks/get"] = always({**state, "status": "completed"})
    peer.answers["tasks/list"] = always({"tasks": [state]})
    peer.answers["tasks/cancel"] = always({**state, "status": "cancelled"})
    peer.answers["tasks/result"] = always(text("done"))
    async with connect(peer.transport) as server:
        await server.list_tools()
        await server.list_tasks()
        handle = await server.start_task("slow", {"a": 1}, ttl=60)
        await handle.cancel()
        assert (await handle.result()).text == "done"
    spoken = assert_fit(peer, revision)
    assert {"tasks/get", "tasks/list", "tasks/cancel", "tasks/result"} <= spoken


async def test_the_tasks_extension_fits_its_schema() -> None:
    """Followed, answered and cancelled as the extension defines it."""
    state = {
        "taskId": "t1",
        "status": "working",
        "createdAt": "2026-01-01T00:00:00Z",
        "lastUpdatedAt": "2026-01-01T00:00:00Z",
        "ttlMs": None,
        "pollIntervalMs": 1,
    }
    question = {"who": {"method": "elicitation/create", "params": {"mode": "form", **FORM}}}
    updates: list[Json] = []

    async def get(request: Request) -> Json:
        if not updates:
            return {**state, "status": "input_required", "inputRequests": question}
        return {**state, "status": "completed", "result": {"resultType": "complete", **text("done")}}

    async def update(request: Request) -> Json:
        updates.append(request.params)
        return {}

    peer = speaking(STATELESS)
    peer.capabilities = {**peer.capabilities, "extensions": {"io.modelcontextprotocol/tasks": {}}}
    peer.tools["slow"] = always({"resultType": "task", **state})
    peer.answers |= {"tasks/get": get, "tasks/update": update, "tasks/cancel": always({})}
    async with connect(peer.transport, elicitation=elicit) as server:
        assert (await server.call_tool("slow")).text == "done"
        await (await server.start_task("slow")).cancel()
    assert {"tasks/get", "tasks/update", "tasks/cancel"} <= assert_fit(peer, STATELESS, tasks=spec.TASKS)


@pytest.mark.parametrize("revision", spec.REVISIONS)
async def test_a_client_may_introduce_itself_with_all_it_is(revision: str) -> None:
    """A title and a website are members that the schema knows, or leaves room for."""
    peer = speaking(revision)
    told = ClientInfo("inspector", "2.0", title="The Inspector", website_url="https://a.example/inspector")
    async with connect(peer.transport, client_info=told) as server:
        await server.list_tools()
    assert_fit(peer, revision)
    meta: dict[str, Any] = peer.params("server/discover")[0]["_meta"]
    assert meta[META + "clientInfo"] == {
        "name": "inspector",
        "version": "2.0",
        "title": "The Inspector",
        "websiteUrl": "https://a.example/inspector",
    }
