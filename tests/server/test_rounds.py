"""Calls that come back with questions: rounds of the stateless era, from the first question to the result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dragoman import Server, connect
from dragoman.errors import (
    ConnectionClosed,
    InvalidResult,
    RequestTimeout,
    ServerError,
    TooManyRounds,
    UnknownResultType,
)
from dragoman.protocol.interaction import (
    ElicitationRequest,
    ElicitationResult,
    SamplingRequest,
    SamplingResult,
)
from dragoman.protocol.types import PromptReference
from dragoman.server.callbacks import QuestionContext
from tests.server.conftest import Clock, quiet
from tests.server.peer import HANDSHAKE, Answer, Json, Peer, Request, RpcError, text

FAMILIES = ["channel", "exchanges"]
FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def needs(state: str | None = None, **questions: Json) -> Json:
    """Give an ``input_required`` result."""
    asked: Json = {"resultType": "input_required"}
    if questions:
        asked["inputRequests"] = questions
    return asked if state is None else asked | {"requestState": state}


def form(message: str = "Who are you?") -> Json:
    """Give a question to a person."""
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": FORM}}


SAMPLE: Json = {
    "method": "sampling/createMessage",
    "params": {"messages": [{"role": "user", "content": {"type": "text", "text": "2+2?"}}], "maxTokens": 5},
}
ROOTS: Json = {"method": "roots/list"}


def rounds(*results: Json) -> tuple[Answer, list[Request]]:
    """Answer with one result after the other, keeping the requests; the last is repeated."""
    seen: list[Request] = []

    async def answer(request: Request) -> Json:
        seen.append(request)
        return results[min(len(seen), len(results)) - 1]

    return answer, seen


async def say_ada(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Answer every form."""
    return ElicitationResult(action="accept", content={"name": "Ada"})


async def say_four(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
    """Answer as a model would."""
    return SamplingResult(model="abacus", content="4", stop_reason="endTurn")


@pytest.mark.parametrize("family", FAMILIES)
async def test_all_questions_of_a_round_are_answered_side_by_side(family: str, neighbour: Server) -> None:
    """A form, a sampling and the roots in one round: no handler waits for another; the answers go with a new id."""
    peer = Peer(exchanges=family == "exchanges")
    peer.tools["ask"], seen = rounds(needs("blob", who=form(), sum=SAMPLE, where=ROOTS), text("done"))
    together = asyncio.Barrier(3)

    async def elicit(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        assert (context.server, context.method, context.during) == ("asker", "elicitation/create", "tools/call")
        assert (request.message, request.requested_schema) == ("Who are you?", FORM)
        await together.wait()
        return ElicitationResult(action="accept", content={"name": "Ada"})

    async def sample(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
        await together.wait()
        return await say_four(request, context)

    async def roots() -> list[str]:
        await together.wait()
        return ["file:///home/ada"]

    async with connect(peer.transport, name="asker", elicitation=elicit, sampling=sample, roots=roots) as server:
        async with asyncio.timeout(5):
            result = await server.call_tool("ask", {"n": 1})
    assert result.text == "done"
    first, second = seen
    assert second.id != first.id
    assert second.arguments == first.arguments == {"n": 1}
    assert second.params["requestState"] == "blob"
    assert second.params["inputResponses"] == {
        "who": {"action": "accept", "content": {"name": "Ada"}},
        "sum": {"role": "assistant", "content": {"type": "text", "text": "4"}, "model": "abacus",
                "stopReason": "endTurn"},
        "where": {"roots": [{"uri": "file:///home/ada"}]},
    }  # fmt: skip


@pytest.mark.parametrize("state", ["", " ", 'ünï\u2028cödé \\ " \x7f', "e30=" * 1000, '{"a":1}'])
async def test_the_state_is_echoed_exactly_and_only_where_it_belongs(state: str, neighbour: Server) -> None:
    """What the server gave comes back as it was, in the next round of that request and nowhere else."""
    peer = Peer()
    peer.tools["ask"], seen = rounds(needs(state), needs("other", who=form()), needs(who2=form()), text("done"))
    async with connect(peer.transport, elicitation=say_ada) as server:
        await server.call_tool("ask")
        await server.ping()
    assert [request.params.get("requestState") for request in seen] == [None, state, "other", None]
    assert [sorted(request.params.get("inputResponses", {})) for request in seen] == [[], [], ["who"], ["who2"]]
    assert "requestState" not in peer.params("server/discover")[-1]


ACTS: dict[str, Callable[[Server], Awaitable[object]]] = {
    "prompts/get": lambda server: server.get_prompt("p", {"a": "1"}),
    "resources/read": lambda server: server.read_resource("file:///a"),
    "tools/call": lambda server: server.call_tool("t", {"a": 1}),
}


@pytest.mark.parametrize("method", ACTS)
async def test_every_method_that_may_ask_is_repeated_whole(method: str, neighbour: Server) -> None:
    """Each round has the original parameters, and the answers beside them."""
    peer = Peer()
    empty: Json = {"messages": [], "contents": [], "content": []}
    peer.answers[method], seen = rounds(needs(who=form()), empty)
    async with connect(peer.transport, elicitation=say_ada) as server:
        await ACTS[method](server)
    first, second = seen
    added = {key: value for key, value in second.params.items() if first.params.get(key) != value}
    assert added == {"inputResponses": {"who": {"action": "accept", "content": {"name": "Ada"}}}}


async def test_two_calls_keep_their_rounds_apart(neighbour: Server) -> None:
    """Answers and state belong to the request that asked for them."""
    peer = Peer()

    async def ask(request: Request) -> Json:
        name: str = request.arguments["name"]
        if "inputResponses" not in request.params:
            return needs(f"state of {name}", who=form(name))
        told = request.params["inputResponses"]["who"]["content"]["name"]
        return text(f"{name} {told} {request.params['requestState']}")

    async def repeat(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        await asyncio.sleep(0)
        return ElicitationResult(action="accept", content={"name": request.message})

    peer.tools["ask"] = ask
    async with connect(peer.transport, elicitation=repeat) as server:
        names = [str(number) for number in range(50)]
        results = await asyncio.gather(*(server.call_tool("ask", {"name": name}) for name in names))
    assert [result.text for result in results] == [f"{name} {name} state of {name}" for name in names]


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_may_say_no(action: Any, neighbour: Server) -> None:
    """Declining and cancelling are answers like others: the server decides what follows. No content goes with them."""
    peer = Peer()
    peer.tools["ask"], seen = rounds(needs(who=form()), text("as you like"))

    async def refuse(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        return ElicitationResult(action=action, content={"name": "kept private"})

    async with connect(peer.transport, elicitation=refuse) as server:
        assert (await server.call_tool("ask")).text == "as you like"
    assert seen[1].params["inputResponses"] == {"who": {"action": action}}


@pytest.mark.parametrize("family", FAMILIES)
async def test_rounds_have_a_bound(family: str, neighbour: Server) -> None:
    """A server that asks for ever is given up, with or without questions in it."""
    for result in (needs("again"), needs("again", who=form())):
        peer = Peer(exchanges=family == "exchanges")
        peer.tools["ask"], seen = rounds(result)
        async with connect(peer.transport, name="nosy", elicitation=say_ada) as server:
            with pytest.raises(TooManyRounds, match=r"^nosy: tools/call asked for input 10 times") as caught:
                await server.call_tool("ask")
            assert caught.value.rounds == 10
            assert len(seen) == 11
            await server.ping()


async def test_a_question_without_a_handler_fails_the_call_with_advice(neighbour: Server) -> None:
    """The server asked for what was not offered: the call fails, and no answer is made up."""
    peer = Peer()
    peer.tools["ask"], seen = rounds(needs(who=form()), text("never"))
    async with connect(peer.transport, name="rude") as server:
        with pytest.raises(InvalidResult, match=r"^rude: tools/call asks for elicitation/create.*connect\(\)"):
            await server.call_tool("ask")
        await server.ping()
    assert len(seen) == 1


async def test_a_handler_that_raises_fails_its_call_and_ends_its_siblings(
    neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names the kind of failure, not its text (which may be private); the other handler is cancelled."""
    peer = Peer()
    peer.tools["ask"], seen = rounds(needs(who=form(), sum=SAMPLE), text("never"))
    ended = asyncio.Event()

    async def fail(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        await asyncio.sleep(0)
        raise ValueError("the secret")

    async def slow(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async with connect(peer.transport, name="asker", elicitation=fail, sampling=slow) as server:
        with pytest.raises(InvalidResult, match=r"^asker: .*ValueError") as caught:
            await server.call_tool("ask")
        assert "secret" not in str(caught.value)
        assert ended.is_set()
        await server.ping()
    assert len(seen) == 1
    assert "the secret" in caplog.text


async def test_an_answer_that_does_not_fit_the_form_is_not_sent(neighbour: Server) -> None:
    """The handler's content is held against the requested schema before it leaves."""
    peer = Peer()
    peer.tools["ask"], seen = rounds(needs(who=form()), text("never"))

    async def wrong(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        return ElicitationResult(action="accept", content={"name": 5})

    async with connect(peer.transport, elicitation=wrong) as server:
        with pytest.raises(InvalidResult, match="does not fit the requested schema"):
            await server.call_tool("ask")
    assert len(seen) == 1


@pytest.mark.parametrize(
    "result",
    [
        {"resultType": "input_required"},
        {"resultType": "input_required", "inputRequests": {}},
        {"resultType": "input_required", "inputRequests": []},
        {"resultType": "input_required", "inputRequests": {"a": {"params": {}}}},
        {"resultType": "input_required", "inputRequests": {"a": {"method": "tools/call", "params": {}}}},
        {"resultType": "input_required", "inputRequests": {"a": {"method": "elicitation/create", "params": {}}}},
    ],
)
async def test_a_malformed_question_fails_that_call_only(result: Json, neighbour: Server) -> None:
    """The error names the server; the connection goes on."""
    peer = Peer()
    peer.tools["ask"], _ = rounds(result)
    async with connect(peer.transport, name="odd", elicitation=say_ada) as server:
        with pytest.raises(InvalidResult, match=r"^odd: "):
            await server.call_tool("ask")
        await server.ping()


async def test_a_round_of_too_many_questions_is_refused_before_anybody_is_asked(neighbour: Server) -> None:
    """Sixty-four may be open at once, as with a server's own requests."""
    peer = Peer()
    peer.tools["ask"], seen = rounds(needs(None, **{f"q{number}": form() for number in range(65)}))
    peer.tools["less"], _ = rounds(needs(None, **{f"q{number}": form() for number in range(64)}), text("done"))
    asked: list[str] = []

    async def answer(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        asked.append(request.message)
        return await say_ada(request, context)

    async with connect(peer.transport, name="curious", elicitation=answer) as server:
        with pytest.raises(InvalidResult, match="asks 65 questions at once"):
            await server.call_tool("ask")
        assert (asked, len(seen)) == ([], 1)
        assert (await server.call_tool("less")).text == "done"
        assert len(asked) == 64


async def test_only_three_methods_may_ask(neighbour: Server) -> None:
    """A listing or a completion that asks is an error of that request."""
    peer = Peer()
    peer.answers["completion/complete"], _ = rounds(needs(who=form()))
    peer.answers["tools/list"], _ = rounds(needs(who=form()))
    async with connect(peer.transport, name="odd", elicitation=say_ada) as server:
        with pytest.raises(UnknownResultType, match=r"^odd: tools/list .*'input_required'"):
            await server.list_tools()
        with pytest.raises(UnknownResultType, match=r"^odd: completion/complete .*'input_required'"):
            await server.complete(PromptReference("p"), "a")


async def test_an_unknown_result_type_is_an_error_of_that_call(neighbour: Server) -> None:
    """An absent type means a complete result; an unknown one is not guessed at."""
    peer = Peer()
    peer.tools["odd"], _ = rounds({"resultType": "haiku"} | text("five seven five"))
    async with connect(peer.transport, name="poet") as server:
        with pytest.raises(UnknownResultType, match=r"^poet: .*'haiku'") as caught:
            await server.call_tool("odd")
        assert caught.value.result_type == "haiku"


async def test_each_round_has_its_own_time_and_people_have_all_they_need(clock: Clock, neighbour: Server) -> None:
    """Three hours of thinking are no time-out, of this call or of another; the server's own slowness is."""
    peer = Peer()
    peer.tools["ask"], seen = rounds(needs(who=form()), text("never"))
    thinking = asyncio.Event()
    begun = asyncio.Event()

    async def think(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        begun.set()
        await thinking.wait()
        return await say_ada(request, context)

    async def second_is_silent(request: Request) -> Json:
        if not seen:
            return await first(request)
        return await asyncio.get_running_loop().create_future()

    first, peer.tools["ask"] = peer.tools["ask"], second_is_silent
    async with connect(peer.transport, elicitation=think) as server:
        call = asyncio.create_task(server.call_tool("ask", timeout=10))
        await begun.wait()
        await clock.forward(3 * 3600)
        assert not call.done()
        thinking.set()
        await peer.got("tools/call", 2)
        await clock.forward(9)
        assert not call.done()
        await clock.forward(2)
        with pytest.raises(RequestTimeout):
            await call


async def test_giving_up_while_a_person_is_asked_ends_the_question(neighbour: Server) -> None:
    """The caller is cancelled: so is the handler, and no further round is sent."""
    peer = Peer()
    peer.tools["ask"], seen = rounds(needs(who=form()), text("never"))
    asked, ended = asyncio.Event(), asyncio.Event()

    async def never(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        asked.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async with connect(peer.transport, elicitation=never) as server:
        call = asyncio.create_task(server.call_tool("ask"))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await quiet()
        assert ended.is_set()
        assert len(seen) == 1
        await server.ping()


async def test_closing_while_a_person_is_asked_fails_the_call(neighbour: Server) -> None:
    """The next round can't be sent any more; the handler had its time."""
    peer = Peer()
    peer.tools["ask"], _ = rounds(needs(who=form()), text("never"))
    held: list[Server] = []

    async def close(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        await held[0].aclose()
        return await say_ada(request, context)

    held.append(await connect(peer.transport, elicitation=close))
    with pytest.raises(ConnectionClosed):
        await held[0].call_tool("ask")


async def test_an_error_in_a_later_round_is_the_call_s_error(neighbour: Server) -> None:
    """The server may refuse what a person answered."""
    peer = Peer()

    async def ask(request: Request) -> Json:
        if "inputResponses" not in request.params:
            return needs(who=form())
        raise RpcError(-32602, "not that name")

    peer.tools["ask"] = ask
    async with connect(peer.transport, elicitation=say_ada) as server:
        with pytest.raises(ServerError, match="not that name"):
            await server.call_tool("ask")


async def test_progress_is_heard_in_every_round(neighbour: Server) -> None:
    """Each round has a token of its own, and the same handler."""
    peer = Peer()
    heard: list[float] = []

    async def ask(request: Request) -> Json:
        request.progress(len(heard) + 1)
        return text("done") if "inputResponses" in request.params else needs(who=form())

    peer.tools["ask"] = ask
    async with connect(peer.transport, elicitation=say_ada) as server:
        await server.call_tool("ask", on_progress=lambda told: heard.append(told.progress))
    assert heard == [1, 2]
    tokens = [params["_meta"]["progressToken"] for params in peer.params("tools/call")]
    assert tokens == peer.ids("tools/call")


async def test_rounds_belong_to_the_stateless_era(neighbour: Server) -> None:
    """A handshake server that answers so has broken the protocol; the same handlers would answer, and nothing hangs."""
    peer = Peer(HANDSHAKE)
    peer.tools["ask"], seen = rounds(needs("s", who=form()), text("done"))
    async with connect(peer.transport, elicitation=say_ada) as server:
        assert (await server.call_tool("ask")).text == "done"
    assert len(seen) == 2
