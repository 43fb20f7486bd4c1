"""A server of the official SDK that speaks first: progress, log lines, questions, changes, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import dragoman
from dragoman import ServerConfig
from dragoman.errors import RequestTimeout, ServerError
from dragoman.protocol.changes import PromptsChanged, ResourcesChanged, ResourceUpdated, ToolsChanged
from dragoman.protocol.content import TextContent
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult, Root, SamplingRequest, SamplingResult
from dragoman.protocol.types import LogMessage, Progress
from dragoman.server.callbacks import QuestionContext
from tests.real.programs import fixture_config, fixture_server
from tests.real.test_sdk import HANDSHAKE, PLACES, STATELESS
from tests.real.waiting import take, until

STREAMING = [place for place in PLACES if place[0] != "json"]
"""Places where a server can speak while it works; plain JSON answers can't."""

ASKING = [place for place in PLACES if place != ("json", HANDSHAKE)]
"""Places where a server can ask; with plain JSON answers only the stateless era can."""

streaming = pytest.mark.parametrize("place", STREAMING, ids="-".join)
asking = pytest.mark.parametrize("place", ASKING, ids="-".join)
everywhere = pytest.mark.parametrize("place", PLACES, ids="-".join)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The server over HTTP, for all tests here."""
    with fixture_server("sdk") as address:
        yield address


@pytest.fixture
def config(place: tuple[str, str], address: str) -> ServerConfig:
    """How the server is reached at a place."""
    return fixture_config("sdk", address, *place)


class Person:
    """Answers forms and pages in one way, and remembers what was asked."""

    def __init__(self, answer: ElicitationResult) -> None:
        self.answer = answer
        self.asked: list[ElicitationRequest] = []
        self.contexts: list[QuestionContext] = []

    async def __call__(self, request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        """Answer."""
        self.asked.append(request)
        self.contexts.append(context)
        return self.answer


@pytest.mark.requirement("PROGRESS-1")
@streaming
async def test_progress_is_heard_in_order(config: ServerConfig) -> None:
    """Every step reaches the caller whose call it belongs to, before the answer."""
    heard: list[tuple[float, float | None, str | None]] = []

    def on_progress(progress: Progress) -> None:
        heard.append((progress.progress, progress.total, progress.message))

    async with dragoman.connect(config) as server:
        result = await server.call_tool("steps", {"count": 5}, on_progress=on_progress)
    assert result.text == "5 steps"
    assert heard == [(step, 5, f"step {step}") for step in range(1, 6)]


@streaming
async def test_log_lines_are_heard(config: ServerConfig) -> None:
    """Lines of the level asked for arrive, with their data and logger."""
    heard: list[LogMessage] = []
    async with dragoman.connect(config, on_log=heard.append) as server:
        await server.set_log_level("info")
        await server.call_tool("say", {"text": "hello"})
        await until(lambda: len(heard) >= 2)
    levels = [line.level for line in heard]
    assert levels[-2:] == ["info", "error"]
    assert (heard[-1].logger, heard[-1].data) == ("mouth", {"text": "hello"})


async def test_the_stateless_era_logs_only_on_request(address: str) -> None:
    """Without a level nothing is sent; with one, nothing below it."""
    heard: list[LogMessage] = []
    async with dragoman.connect(fixture_config("sdk", address, "http", STATELESS), on_log=heard.append) as server:
        await server.call_tool("say", {"text": "unheard"})
        assert heard == []
        await server.set_log_level("error")
        await server.call_tool("say", {"text": "heard"})
        await until(lambda: len(heard) >= 1)
    assert [line.level for line in heard] == ["error"]


@pytest.mark.requirement("MRTR-1", "ELICIT-3")
@asking
async def test_a_form_is_answered(config: ServerConfig) -> None:
    """The question comes with its form, the answer goes back, defaults are filled in, and one may decline or cancel."""
    person = Person(ElicitationResult("accept"))
    answers = [
        (ElicitationResult("accept", {"dish": "fish", "spoons": 2}), 'accept {"dish":"fish","spoons":2}'),
        (ElicitationResult("accept", {"spoons": 3}), 'accept {"dish":"soup","spoons":3}'),
        (ElicitationResult("decline"), "decline"),
        (ElicitationResult("cancel"), "cancel"),
    ]
    async with dragoman.connect(config, elicitation=person) as server:
        for person.answer, told in answers:
            assert (await server.call_tool("order")).text == told
    question = person.asked[0]
    assert (question.message, question.mode) == ("What would you like?", "form")
    assert question.requested_schema is not None
    assert set(question.requested_schema["properties"]) == {"dish", "spoons"}
    assert {context.server for context in person.contexts} == {"sdk"}


@pytest.mark.requirement("ELICIT-4")
@asking
async def test_a_page_is_offered(config: ServerConfig) -> None:
    """An elicitation by URL shows the whole address and sends no content back."""
    person = Person(ElicitationResult("accept"))
    async with dragoman.connect(config, elicitation=person) as server:
        assert (await server.call_tool("visit")).text == "accept"
    assert [(each.mode, each.url) for each in person.asked] == [("url", "https://example.com/login?state=1")]


@asking
async def test_a_model_is_asked(config: ServerConfig) -> None:
    """Sampling carries the conversation there and the answer back."""
    asked: list[SamplingRequest] = []

    async def sample(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
        asked.append(request)
        return SamplingResult(model="parrot", content="42", stop_reason="endTurn")

    async with dragoman.connect(config, sampling=sample) as server:
        assert (await server.call_tool("think", {"prompt": "6 times 7?"})).text == "parrot: 42"
    [request] = asked
    assert (request.max_tokens, request.system_prompt) == (50, "Be short.")
    [block] = request.messages[0].content
    assert isinstance(block, TextContent)
    assert block.text == "6 times 7?"


@asking
async def test_roots_are_told(config: ServerConfig) -> None:
    """Roots given as values or by a function reach the server."""

    async def places() -> list[Root | str]:
        return [Root("file:///srv/data", "data"), "/tmp"]

    async with dragoman.connect(config, roots=places) as server:
        assert (await server.call_tool("roots")).structured == {"result": ["file:///srv/data", "file:///tmp"]}


@pytest.mark.requirement("OFFER-1")
@asking
async def test_what_nobody_answers_is_not_offered(config: ServerConfig) -> None:
    """Without a handler the server learns that it can't ask, and says so."""
    async with dragoman.connect(config) as server:
        for tool, arguments in (("order", {}), ("think", {"prompt": "p"}), ("roots", {})):
            try:
                result = await server.call_tool(tool, arguments)
            except ServerError:
                continue
            assert result.is_error


@everywhere
async def test_changes_of_lists_are_heard(config: ServerConfig) -> None:
    """Each list's change arrives once, and the list then has the new entry."""
    async with dragoman.connect(config) as server:
        before = {tool.name for tool in await server.list_tools()}
        name = f"grown_{server.transport_kind}_{server.era}"
        async with server.listen(tools=True, prompts=True, resources=True) as changes:
            assert (changes.honoured.tools, changes.honoured.prompts, changes.honoured.resources) == (True, True, True)
            await server.call_tool("grow", {"name": name})
            heard = await take(changes, 3)
            assert sorted(map(repr, heard)) == sorted(map(repr, [ToolsChanged(), PromptsChanged(), ResourcesChanged()]))
        assert {tool.name for tool in await server.list_tools()} - before == {name}


@everywhere
async def test_updates_of_a_resource_are_heard(config: ServerConfig) -> None:
    """What was subscribed to is told of; what wasn't isn't; afterwards there is silence."""
    async with dragoman.connect(config) as server:
        async with server.listen(uris=["note://greeting", "note://by/ada"]) as changes:
            assert set(changes.honoured.uris) == {"note://greeting", "note://by/ada"}
            for uri in ("note://pixel", "note://greeting", "note://by/ada"):
                await server.call_tool("touch", {"uri": uri})
            assert await take(changes, 2) == [ResourceUpdated("note://greeting"), ResourceUpdated("note://by/ada")]
        async with server.listen(uris=["note://pixel"]) as changes:
            await server.call_tool("touch", {"uri": "note://greeting"})
            await server.call_tool("touch", {"uri": "note://pixel"})
            assert await take(changes, 1) == [ResourceUpdated("note://pixel")]


@pytest.mark.requirement("SUBSCRIBE-1")
@everywhere
async def test_two_listeners_hear_only_their_own(config: ServerConfig) -> None:
    """Each subscription has its own filter, on one connection."""
    async with (
        dragoman.connect(config) as server,
        server.listen(uris=["note://greeting"]) as one,
        server.listen(uris=["note://pixel"], tools=True) as other,
    ):
        await server.call_tool("touch", {"uri": "note://greeting"})
        await server.call_tool("touch", {"uri": "note://pixel"})
        assert await take(one, 1) == [ResourceUpdated("note://greeting")]
        assert await take(other, 1) == [ResourceUpdated("note://pixel")]


@pytest.mark.requirement("STDIO-2", "CANCEL-2")
@streaming
async def test_a_cancelled_call_is_cancelled_at_the_server(config: ServerConfig) -> None:
    """A caller who gives up frees the server; the connection goes on."""
    name = f"cancel {config.protocol_version} {config.transport}"
    async with dragoman.connect(config) as server:
        call = asyncio.create_task(server.call_tool("hang", {"name": name}))
        await until(lambda: told(server, name, "waiting"))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: told(server, name, "cancelled"))


@streaming
async def test_a_call_that_timed_out_is_cancelled_at_the_server(config: ServerConfig) -> None:
    """The time-out is an error of its own, and the server hears of it."""
    name = f"time-out {config.protocol_version} {config.transport}"
    async with dragoman.connect(config) as server:
        with pytest.raises(RequestTimeout):
            await server.call_tool("hang", {"name": name}, timeout=0.3)
        await until(lambda: told(server, name, "cancelled"))


async def told(server: dragoman.Server, name: str, state: str) -> bool:
    """Whether the server says that a hanging call is in that state."""
    return (await server.call_tool("hung", {"name": name})).text == state


@pytest.mark.requirement("HTTP-7")
async def test_a_broken_stream_is_resumed(address: str) -> None:
    """The server closes the stream on which the answer was to come; it comes on the next one."""

    async def broken(name: str) -> str:
        async def hear(_: Progress) -> None:
            await server.call_tool("heard", {"name": name})

        return (await server.call_tool("break_stream", {"name": name}, on_progress=hear)).text

    async with dragoman.connect(fixture_config("sdk", address, "http", HANDSHAKE)) as server:
        assert await broken("alone") == "resumed"
        assert set(await asyncio.gather(*(broken(f"with others {n}") for n in range(10)))) == {"resumed"}
