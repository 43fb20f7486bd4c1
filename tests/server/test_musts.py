"""Rules of the specification that only a server with odd manners shows: what a client must and must not do then."""

from __future__ import annotations

import asyncio
import json

import pytest

from dragoman import connect
from dragoman.errors import RequestTimeout, UnknownResultType
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult
from dragoman.server.callbacks import QuestionContext
from tests.server.conftest import Clock, quiet
from tests.server.peer import HANDSHAKE, Json, Peer, Request, always, silence, text

QUESTION: Json = {
    "method": "elicitation/create",
    "params": {"message": "Go on?", "requestedSchema": {"type": "object"}},
}
STATE = ' {"opaque":\t"w\\u00f6rld \\/ 1e400"} '
"""What a server may choose as its state: text that would change if anyone read and wrote it as JSON."""


async def accept(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Accept, and give back the mode that was understood."""
    assert request.mode == "form"
    return ElicitationResult("accept", {})


@pytest.mark.requirement("STDIO-3", "HTTP-6")
@pytest.mark.parametrize("exchanges", [False, True])
async def test_a_stateless_server_that_asks_gets_no_response(*, exchanges: bool) -> None:
    """Requests of the server's own do not exist in this era; the call during which one came goes on."""
    peer = Peer(exchanges=exchanges)

    async def ask(request: Request) -> Json:
        peer.send({"id": "q", "method": "ping"}, during=request.id)
        peer.send({"id": "r", "method": "roots/list"}, during=request.id)
        return text("done")

    peer.tools["ask"] = ask
    async with connect(peer.transport, roots=["/srv"]) as server:
        assert (await server.call_tool("ask")).text == "done"
        await quiet()
    assert [message for message in peer.received if "method" not in message] == []


@pytest.mark.requirement("PING-1", "OFFER-1")
async def test_a_handshake_server_that_asks_gets_a_response() -> None:
    """``ping`` is answered; what was not offered is refused as unknown."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport):
        assert (await peer.ask("ping"))["result"] == {}
        assert (await peer.ask("sampling/createMessage"))["error"]["code"] == -32601
    assert peer.params("initialize")[0]["capabilities"].keys().isdisjoint({"sampling", "elicitation", "roots"})


@pytest.mark.requirement("ELICIT-1", "ELICIT-2")
async def test_a_question_without_a_mode_is_a_form_and_an_unknown_mode_is_refused() -> None:
    """The mode may be left out; one that was not declared is an error, not a guess."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, elicitation=accept):
        assert (await peer.ask(**QUESTION))["result"] == {"action": "accept", "content": {}}
        answer = await peer.ask("elicitation/create", {**QUESTION["params"], "mode": "hologram"})
        assert answer["error"]["code"] == -32602


@pytest.mark.requirement("CANCEL-3")
async def test_a_handshake_that_times_out_is_not_cancelled(clock: Clock) -> None:
    """Whoever gives up ``initialize`` says nothing more."""
    peer = Peer(HANDSHAKE)
    peer.answers["initialize"] = silence

    async def open_it() -> None:
        async with connect(peer.transport):
            raise AssertionError("it can't open")

    opening = asyncio.create_task(open_it())
    await peer.got("initialize")
    await clock.forward(61)
    with pytest.raises(RequestTimeout):
        await opening
    assert peer.params("notifications/cancelled") == []


@pytest.mark.requirement("CANCEL-4")
async def test_an_answer_after_the_cancellation_disturbs_nobody() -> None:
    """Both may cross on the way; the answer is dropped, the next call gets its own."""
    peer = Peer(HANDSHAKE)
    late = asyncio.Event()

    async def answer_anyway(request: Request) -> Json:
        try:
            return await silence(request)
        except asyncio.CancelledError:
            late.set()
            return text("too late")

    peer.tools["slow"] = answer_anyway
    peer.tools["next"] = always(text("next"))
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("slow"))
        await peer.got("tools/call")
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await late.wait()
        assert (await server.call_tool("next")).text == "next"


@pytest.mark.requirement("RESULT-1", "RESULT-2")
async def test_a_result_is_complete_unless_it_says_otherwise() -> None:
    """No type means complete; a type that nobody has heard of is an error of that call alone."""
    peer = Peer()
    peer.tools["old"] = always({**text("old"), "resultType": None})
    peer.tools["odd"] = always({**text("odd"), "resultType": "hologram"})
    async with connect(peer.transport) as server:
        assert (await server.call_tool("old")).text == "old"
        with pytest.raises(UnknownResultType) as unknown:
            await server.call_tool("odd")
        assert unknown.value.result_type == "hologram"
        assert (await server.call_tool("old")).text == "old"


@pytest.mark.requirement("MRTR-2", "MRTR-3")
@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
@pytest.mark.parametrize("state", [STATE, "", None])
async def test_state_goes_back_as_it_came_or_not_at_all(method: str, state: str | None) -> None:
    """The retry has the very bytes, for each method that may ask; without a state, it has none."""
    peer = Peer()
    told = {} if state is None else {"requestState": state}
    final: Json = {"contents": [], "messages": [], "content": []}

    async def ask_once(request: Request) -> Json:
        if "inputResponses" in request.params:
            return final
        return {"resultType": "input_required", "inputRequests": {"go": QUESTION}, **told}

    peer.answers[method] = ask_once
    async with connect(peer.transport, elicitation=accept) as server:
        calls = {
            "tools/call": lambda: server.call_tool("t", {"a": 1}),
            "prompts/get": lambda: server.get_prompt("p"),
            "resources/read": lambda: server.read_resource("u:r"),
        }
        await calls[method]()
    first, retry = peer.params(method)
    assert retry.pop("inputResponses") == {"go": {"action": "accept", "content": {}}}
    assert ("requestState" in retry, retry.pop("requestState", None)) == (state is not None, state)
    assert retry == first
    one, other = peer.ids(method)
    assert one != other


@pytest.mark.requirement("PAGE-1")
@pytest.mark.parametrize("cursor", ["", " ", "é\u2028", '{"page": 2}'])
async def test_any_text_is_a_cursor(cursor: str) -> None:
    """It goes back as it came; an empty one is not the end."""
    peer = Peer()

    async def pages(request: Request) -> Json:
        first = "cursor" not in request.params
        return {"prompts": [{"name": "one" if first else "two"}], **({"nextCursor": cursor} if first else {})}

    peer.answers["prompts/list"] = pages
    async with connect(peer.transport) as server:
        assert [prompt.name for prompt in await server.list_prompts()] == ["one", "two"]
    assert [params.get("cursor") for params in peer.params("prompts/list")] == [None, cursor]


@pytest.mark.requirement("SCHEMA-1")
async def test_a_schema_of_an_unknown_dialect_costs_only_its_own_check(caplog: pytest.LogCaptureFixture) -> None:
    """Results of such a tool are not checked, and the log says why; others are."""
    peer = Peer()
    odd = {"$schema": "https://example.com/no-such-dialect", "type": "object"}
    peer.listed = [{"name": "odd", "inputSchema": {"type": "object"}, "outputSchema": odd}]
    peer.tools["odd"] = always({**text("{}"), "structuredContent": {"a": 1}})
    async with connect(peer.transport) as server:
        result = await server.call_tool("odd")
    assert result.structured == {"a": 1}
    assert "odd" in caplog.text
    assert json.loads(result.text) == {}
