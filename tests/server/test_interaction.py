"""Questions that a server of the handshake era asks by requests of its own: who answers, what is checked or refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dragoman import Server, connect
from dragoman.errors import NotSupported, RequestTimeout
from dragoman.protocol.content import ImageContent, TextContent, UnknownContent
from dragoman.protocol.interaction import (
    ElicitationRequest,
    ElicitationResult,
    Root,
    SamplingRequest,
    SamplingResult,
)
from dragoman.server.callbacks import QuestionContext
from tests.server.conftest import Clock, quiet
from tests.server.peer import HANDSHAKE, STATELESS, Json, Peer, Request, silence, text

FORM: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "spam": {"type": "boolean", "default": False},
    },
    "required": ["name"],
}


async def accept(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Fill in only what has to be."""
    return ElicitationResult(action="accept", content={"name": "Ada"})


def giving(**answer: Any) -> Any:
    """Give a handler with a fixed answer."""

    async def handler(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        return ElicitationResult(**answer)

    return handler


# Elicitation.


async def test_a_form_is_answered_with_its_defaults_filled_in(neighbour: Server) -> None:
    """What the person left out and the form has a default for goes along."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, elicitation=accept):
        answer = await peer.ask("elicitation/create", {"message": "Who?", "requestedSchema": FORM})
    content = {"name": "Ada", "colour": "red", "spam": False}
    assert answer["result"] == {"action": "accept", "content": content}


async def test_a_default_does_not_replace_what_was_said(neighbour: Server) -> None:
    """A person's own words win, falsy ones too."""
    peer = Peer(HANDSHAKE)
    handler = giving(action="accept", content={"name": "Ada", "colour": "blue", "spam": True, "age": 0})
    async with connect(peer.transport, elicitation=handler):
        answer = await peer.ask("elicitation/create", {"message": "Who?", "requestedSchema": FORM})
    assert answer["result"]["content"] == {"name": "Ada", "colour": "blue", "spam": True, "age": 0}


@pytest.mark.parametrize("content", [{}, None, {"name": ""}, {"name": "Ada", "age": -1}, {"name": "Ada", "colour": 1}])
async def test_an_answer_that_does_not_fit_the_form_is_refused(content: Json | None, neighbour: Server) -> None:
    """The server never sees it; it is told that its question could not be answered properly."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, elicitation=giving(action="accept", content=content)):
        answer = await peer.ask("elicitation/create", {"message": "Who?", "requestedSchema": FORM})
    assert answer["error"]["code"] == -32602
    assert "does not fit the requested schema" in answer["error"]["message"]


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_no_is_an_answer_without_content(action: str, neighbour: Server) -> None:
    """Neither the person's words nor the form's defaults go along."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, elicitation=giving(action=action, content={"name": "Ada"})):
        answer = await peer.ask("elicitation/create", {"message": "Who?", "requestedSchema": FORM})
    assert answer["result"] == {"action": action}


async def test_a_page_to_visit_is_answered_with_consent_only(neighbour: Server) -> None:
    """The handler sees the whole address; nothing that was typed there passes through here."""
    peer = Peer(HANDSHAKE)
    seen: list[ElicitationRequest] = []

    async def consent(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        seen.append(request)
        return ElicitationResult(action="accept", content={"secret": "no"})

    page = {"mode": "url", "message": "Pay", "url": "https://xn--e1afmkfd.example/?a=1", "elicitationId": "e1"}
    async with connect(peer.transport, elicitation=consent):
        answer = await peer.ask("elicitation/create", page)
    assert answer["result"] == {"action": "accept"}
    assert (seen[0].mode, seen[0].url, seen[0].elicitation_id) == ("url", page["url"], "e1")


@pytest.mark.parametrize(
    "params",
    [
        {"mode": "telepathy", "message": "?"},
        {"mode": "form"},
        {"message": 5},
        {"message": "?", "requestedSchema": "none"},
        {"message": "?", "requestedSchema": {"type": "nonsense"}},
        {"message": "?", "requestedSchema": {"$ref": "https://example.com/schema.json"}},
        {"message": "?", "requestedSchema": {"type": "object", "properties": []}},
        {"message": "?", "requestedSchema": {"type": "object", "properties": {"a": "default"}}},
        {"message": "?", "requestedSchema": {"type": "object", "properties": "name"}},
    ],
)
async def test_a_malformed_question_is_refused(params: Json, neighbour: Server) -> None:
    """Code -32602, whatever is wrong with it, and nothing is fetched."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, elicitation=accept):
        answer = await peer.ask("elicitation/create", params)
    assert answer["error"]["code"] == -32602


# Sampling.


async def test_a_model_continues_the_conversation(neighbour: Server) -> None:
    """Text, pictures and blocks of unknown types reach the handler; its text becomes a block."""
    peer = Peer(HANDSHAKE)
    seen: list[SamplingRequest] = []

    async def sample(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
        seen.append(request)
        return SamplingResult(model="abacus", content="4", stop_reason="endTurn")

    one = {"role": "user", "content": {"type": "text", "text": "2+2?"}}
    image = {"type": "image", "data": "AAE=", "mimeType": "image/png"}
    many = {"role": "user", "content": [image, {"type": "smell", "of": "roses"}]}
    params = {"messages": [one, many], "maxTokens": 100, "systemPrompt": "Be brief.", "temperature": 0.5}
    async with connect(peer.transport, sampling=sample):
        answer = await peer.ask("sampling/createMessage", params)
    text_block = {"type": "text", "text": "4"}
    assert answer["result"] == {
        "role": "assistant",
        "content": text_block,
        "model": "abacus",
        "stopReason": "endTurn",
    }
    request = seen[0]
    assert (request.max_tokens, request.system_prompt, request.temperature) == (100, "Be brief.", 0.5)
    first, second = (message.content for message in request.messages)
    assert isinstance(first[0], TextContent)
    assert isinstance(second[0], ImageContent)
    assert isinstance(second[1], UnknownContent)
    assert second[1].data["of"] == "roses"


async def test_a_model_may_answer_with_blocks(neighbour: Server) -> None:
    """Blocks go as they are: for tool use, several are allowed."""
    peer = Peer(HANDSHAKE)
    block = {"type": "tool_use", "id": "1", "name": "add", "input": {"a": 2}}

    async def sample(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
        return SamplingResult(model="abacus", content=[block], stop_reason="toolUse")

    async with connect(peer.transport, sampling=sample):
        answer = await peer.ask("sampling/createMessage", {"messages": [], "maxTokens": 1})
    assert answer["result"]["content"] == [block]
    assert peer.params("initialize")[0]["capabilities"]["sampling"] == {"tools": {}}


# Roots.


async def test_roots_are_named_as_addresses(tmp_path: Path, neighbour: Server) -> None:
    """Paths become addresses, addresses and `Root` values stay."""
    peer = Peer(HANDSHAKE)
    roots = [str(tmp_path / "a b"), tmp_path, "file:///srv", Root("file:///home", name="Home")]
    async with connect(peer.transport, roots=roots):
        answer = await peer.ask("roots/list")
    assert answer["result"]["roots"] == [
        {"uri": f"{tmp_path.as_uri()}/a%20b"},
        {"uri": tmp_path.as_uri()},
        {"uri": "file:///srv"},
        {"uri": "file:///home", "name": "Home"},
    ]
    assert peer.params("initialize")[0]["capabilities"]["roots"] == {"listChanged": True}


async def test_roots_may_change_and_the_server_is_told(neighbour: Server) -> None:
    """A function is asked each time; `roots_changed` announces that it is worth asking."""
    peer = Peer(HANDSHAKE)
    places = ["file:///a"]

    async def roots() -> list[str]:
        return places

    async with connect(peer.transport, roots=roots) as server:
        before = await peer.ask("roots/list")
        places.append("file:///b")
        await server.roots_changed()
        await peer.got("notifications/roots/list_changed")
        after = await peer.ask("roots/list")
    assert [len(answer["result"]["roots"]) for answer in (before, after)] == [1, 2]


async def test_the_stateless_era_has_no_notice_of_roots(neighbour: Server) -> None:
    """The call is refused before anything is sent."""
    peer = Peer(STATELESS)
    async with connect(peer.transport, name="new", roots=["/"]) as server:
        with pytest.raises(NotSupported, match=r"^new: "):
            await server.roots_changed()


# Refusals.


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list", "tools/call", "x"])
async def test_what_was_not_offered_is_refused_as_unknown(method: str, neighbour: Server) -> None:
    """Code -32601 for each method without a handler."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport):
        answer = await peer.ask(method)
    assert answer["error"]["code"] == -32601
    assert method in answer["error"]["message"]


async def test_a_ping_is_answered_always_and_at_once(neighbour: Server) -> None:
    """Without any handler, and while a thousand calls wait."""
    peer = Peer(HANDSHAKE)
    peer.tools["silent"] = silence
    server = await connect(peer.transport)
    calls = [asyncio.create_task(server.call_tool("silent")) for _ in range(1000)]
    assert (await peer.ask("ping"))["result"] == {}
    await server.aclose()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_handler_that_raises_is_told_without_its_words(
    neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Code -32603 and the kind of failure; the text goes to the log of this side only."""
    peer = Peer(HANDSHAKE)

    async def fail(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        raise KeyError("my password")

    async with connect(peer.transport, elicitation=fail) as server:
        answer = await peer.ask("elicitation/create", {"message": "?"})
        assert answer["error"] == {"code": -32603, "message": "the client's handler failed (KeyError)"}
        await server.ping()
    assert "my password" in caplog.text


@pytest.mark.parametrize("result", [None, {"action": "accept"}, "accept"])
async def test_a_handler_that_gives_something_else_is_a_failed_handler(
    result: Any, neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is guessed; the connection goes on."""
    peer = Peer(HANDSHAKE)

    async def odd(request: ElicitationRequest, context: QuestionContext) -> Any:
        return result

    async with connect(peer.transport, elicitation=odd) as server:
        assert (await peer.ask("elicitation/create", {"message": "?"}))["error"]["code"] == -32603
        await server.ping()


# Many, and the end of one.


async def test_a_question_that_the_server_takes_back_ends_its_handler_unanswered(neighbour: Server) -> None:
    """The handler is cancelled; no answer follows; the same id may be used again."""
    peer = Peer(HANDSHAKE)
    asked, ended = asyncio.Event(), asyncio.Event()

    async def never(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        if request.message == "again":
            return ElicitationResult(action="decline")
        asked.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async with connect(peer.transport, elicitation=never):
        peer.send({"id": "mine", "method": "elicitation/create", "params": {"message": "?"}})
        await asked.wait()
        peer.notify("cancelled", requestId="mine")
        async with asyncio.timeout(5):
            await ended.wait()
        await quiet()
        assert [message for message in peer.received if message.get("id") == "mine"] == []
        peer.send({"id": "mine", "method": "elicitation/create", "params": {"message": "again"}})
        await peer.until(lambda: peer.received[-1].get("id") == "mine")
        assert peer.received[-1]["result"] == {"action": "decline"}


async def test_a_question_taken_back_in_the_same_breath_leaves_no_trace(neighbour: Server) -> None:
    """Asked and cancelled before the handler could begin, seventy times: no place is lost, no clock stands still."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, elicitation=accept):
        assert peer.transport.inbox is not None
        for number in range(70):
            question = b'{"jsonrpc":"2.0","id":"s%d","method":"elicitation/create","params":{"message":"?"}}'
            taken_back = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"s%d"}}'
            peer.transport.inbox.message_received(question % number)
            peer.transport.inbox.message_received(taken_back % number)
        await quiet()
        answer = await peer.ask("elicitation/create", {"message": "?"})
        assert answer["result"]["action"] == "accept"


async def test_questions_have_a_bound(neighbour: Server) -> None:
    """Sixty-four at once are asked; the next is refused, and finds a place once another is answered."""
    peer = Peer(HANDSHAKE)
    gate = asyncio.Event()
    begun = 0

    async def wait(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        nonlocal begun
        begun += 1
        await gate.wait()
        return ElicitationResult(action="cancel")

    async with connect(peer.transport, elicitation=wait):
        asked = [asyncio.create_task(peer.ask("elicitation/create", {"message": "?"})) for _ in range(100)]
        await quiet()
        refused = [task.result() for task in asked if task.done()]
        assert (begun, len(refused)) == (64, 36)
        assert {answer["error"]["code"] for answer in refused} == {-32603}
        gate.set()
        answers = await asyncio.gather(*asked)
        assert len([answer for answer in answers if "result" in answer]) == 64
        assert "result" in await peer.ask("elicitation/create", {"message": "?"})


async def test_a_question_under_an_id_that_is_in_use_is_dropped(neighbour: Server) -> None:
    """An answer to it would be taken for the answer to the first; that one is answered."""
    peer = Peer(HANDSHAKE)
    gate = asyncio.Event()

    async def wait(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        await gate.wait()
        return ElicitationResult(action="cancel")

    async with connect(peer.transport, elicitation=wait):
        for _ in range(2):
            peer.send({"id": "mine", "method": "elicitation/create", "params": {"message": "?"}})
        await quiet()
        gate.set()
        await peer.until(lambda: peer.received[-1].get("id") == "mine")
        await quiet()
        answers = [message for message in peer.received if message.get("id") == "mine"]
        assert [answer["result"] for answer in answers] == [{"action": "cancel"}]


@pytest.mark.parametrize("family", ["channel", "exchanges"])
async def test_no_clock_runs_while_a_person_is_asked(family: str, clock: Clock, neighbour: Server) -> None:
    """A call that waits for a person outlives its time-out; a call made meanwhile has its own."""
    peer = Peer(HANDSHAKE, exchanges=family == "exchanges")
    thinking, begun = asyncio.Event(), asyncio.Event()

    async def ask(request: Request) -> Json:
        await asyncio.sleep(4)
        answer = await request.ask("elicitation/create", {"message": "?"})
        await asyncio.sleep(4)
        return text(answer["result"]["action"])

    async def think(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        assert context.during == ("tools/call" if family == "exchanges" else None)
        begun.set()
        await thinking.wait()
        return ElicitationResult(action="cancel")

    peer.tools["ask"], peer.tools["silent"] = ask, silence
    async with connect(peer.transport, elicitation=think) as server:
        call = asyncio.create_task(server.call_tool("ask", timeout=10))
        await peer.got("tools/call")
        await clock.forward(4)
        await begun.wait()
        await clock.forward(1_000)
        late = asyncio.create_task(server.call_tool("silent", timeout=10))
        await peer.got("tools/call", 2)
        await clock.forward(11)
        with pytest.raises(RequestTimeout):
            await late
        thinking.set()
        await quiet()
        await clock.forward(5)
        assert (await call).text == "cancel"


async def test_a_question_that_nobody_answers_holds_its_call_only_so_long(clock: Clock, neighbour: Server) -> None:
    """A server can't switch off the time-outs by asking and asking: the clock stands for ``max_timeout`` at most."""
    peer = Peer(HANDSHAKE)
    begun = asyncio.Event()

    async def ask(request: Request) -> Json:
        await request.ask("elicitation/create", {"message": "?"})
        return text("never")

    async def think(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        begun.set()
        await asyncio.Event().wait()
        return ElicitationResult(action="cancel")

    peer.tools["ask"] = ask
    async with connect(peer.transport, elicitation=think) as server:
        call = asyncio.create_task(server.call_tool("ask", timeout=10))
        await begun.wait()
        await clock.forward(server.config.max_timeout)
        assert not call.done()
        await clock.forward(11)
        with pytest.raises(RequestTimeout):
            await call
