"""A server of FastMCP: listings in pages, questions in both eras, and tasks by the extension."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import dragoman
from dragoman import Server, ServerConfig
from dragoman.errors import DragomanError, ServerError, TaskFailed
from dragoman.protocol.content import TextContent
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult
from dragoman.protocol.tasks import TASKS_EXTENSION
from dragoman.protocol.types import Progress
from dragoman.server.callbacks import QuestionContext
from tests.real.programs import fixture_config, fixture_server
from tests.real.waiting import until

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

everywhere = pytest.mark.parametrize("place", PLACES, ids="-".join)
where_streams = pytest.mark.parametrize("place", [p for p in PLACES if p[0] != "json"], ids="-".join)
where_stateless = pytest.mark.parametrize("place", [p for p in PLACES if p[1] == STATELESS], ids="-".join)


async def traveller(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Answer any form: a city and a colour where one is asked for, and nothing that has a default."""
    asked = (request.requested_schema or {}).get("properties", {})
    return ElicitationResult("accept", {"city": "Ulm"} if "city" in asked else {})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The server over HTTP, for all tests here."""
    with fixture_server("fast") as address:
        yield address


@pytest.fixture
def config(place: tuple[str, str], address: str) -> ServerConfig:
    """How the server is reached at a place."""
    return fixture_config("fast", address, *place)


@pytest.fixture
async def server(config: ServerConfig) -> AsyncIterator[Server]:
    """The server, connected, with someone who answers forms."""
    async with dragoman.connect(config, elicitation=traveller) as server:
        yield server


@pytest.mark.requirement("PAGE-1")
@everywhere
async def test_all_pages_are_listed(server: Server) -> None:
    """Listings that come three at a time come whole."""
    tools = [tool.name for tool in await server.list_tools()]
    assert len(tools) == len(set(tools)) == 16
    assert {f"tool_{n}" for n in range(7)} < set(tools)
    assert [each.uri for each in await server.list_resources()] == [f"page://{n}" for n in range(7)]
    assert [each.name for each in await server.list_prompts()] == ["greet"]


@everywhere
async def test_tools_resources_and_prompts_answer(server: Server) -> None:
    """The plain things work."""
    assert (await server.call_tool("echo", {"text": "wörld"})).text == "wörld"
    failed = await server.call_tool("fail", {"reason": "no luck"})
    assert failed.is_error
    assert "no luck" in failed.text
    assert (await server.read_resource("page://4")).text == "4"
    with pytest.raises(ServerError):
        await server.read_resource("page://99")
    [message] = (await server.get_prompt("greet", {"name": "you"})).messages
    assert isinstance(message.content, TextContent)
    assert message.content.text == "Hello, you!"


@where_streams
async def test_progress_is_heard(server: Server) -> None:
    """Progress reaches the call that it belongs to."""
    heard: list[float] = []

    def on_progress(progress: Progress) -> None:
        heard.append(progress.progress)

    assert (await server.call_tool("steps", {"count": 3}, on_progress=on_progress)).structured == {"result": 3}
    assert heard == [1, 2, 3]


@pytest.mark.parametrize(
    ("place", "tool", "told"),
    [
        (("stdio", HANDSHAKE), "travel", "Ulm 3"),
        (("http", HANDSHAKE), "travel", "Ulm 3"),
        (("legacy", HANDSHAKE), "travel", "Ulm 3"),
        (("stdio", STATELESS), "paint", "green, brush in hand"),
        (("http", STATELESS), "paint", "green, brush in hand"),
        (("json", STATELESS), "paint", "green, brush in hand"),
    ],
)
async def test_questions_are_answered(server: Server, tool: str, told: str) -> None:
    """Each era asks in its own way; state goes back as it came."""
    assert (await server.call_tool(tool)).text == told


@pytest.mark.requirement("TASK-1")
@where_stateless
async def test_a_task_is_followed_to_its_result(server: Server) -> None:
    """A call that becomes a task looks like any other call."""
    assert TASKS_EXTENSION in (server.capabilities.extensions or {})
    assert (await server.call_tool("work", {"loops": 5})).structured == {"loops": 5}
    failed = await server.call_tool("work_and_fail")
    assert failed.is_error
    assert "the hammer broke" in failed.text


@pytest.mark.requirement("TASK-2")
@where_stateless
async def test_a_task_asks_and_goes_on(server: Server) -> None:
    """Questions of a task are answered through the same handler as any other."""
    assert (await server.call_tool("work_and_ask")).text == "green, half done"


@pytest.mark.requirement("TASK-1")
@where_stateless
async def test_a_task_is_held_by_its_handle(server: Server) -> None:
    """States can be watched, and the result fetched by another handle of the same id."""
    task = await server.start_task("work", {"loops": 10})
    assert task.id
    states = [update.status async for update in task.updates()]
    assert states[-1] == "completed"
    assert set(states) <= {"working", "completed"}
    assert (await server.task(task.id).result()).structured == {"loops": 10}


@pytest.mark.requirement("TASK-4")
@where_stateless
async def test_a_task_is_cancelled(server: Server) -> None:
    """Cancelling ends it, and its result is an error that says so."""
    task = await server.start_task("work_for_ever")
    assert not (await task.status()).ended
    await task.cancel()

    async def ended() -> bool:
        return (await task.status()).ended

    await until(ended)
    with pytest.raises(TaskFailed) as failure:
        await task.result()
    assert failure.value.status == "cancelled"


async def test_a_task_outlives_the_connection(address: str) -> None:
    """A later connection comes back to it by its id."""
    config = fixture_config("fast", address, "http", STATELESS)
    async with dragoman.connect(config) as server:
        task_id = (await server.start_task("work", {"loops": 3})).id
    async with dragoman.connect(config) as server:
        assert (await server.task(task_id).result(timeout=10)).structured == {"loops": 3}


@where_stateless
async def test_an_unknown_task_is_an_error(server: Server) -> None:
    """An id that means nothing to the server fails, without a wait."""
    with pytest.raises(TaskFailed):
        await server.task("no-such-task").result(timeout=10)


@pytest.mark.requirement("TASK-8")
async def test_tasks_need_an_era_that_has_them(address: str) -> None:
    """Where the extension isn't spoken, a tool that must be a task can't be called, and that is told."""
    async with dragoman.connect(fixture_config("fast", address, "http", HANDSHAKE)) as server:
        with pytest.raises(DragomanError):
            await server.call_tool("work", {"loops": 1})
        with pytest.raises(DragomanError):
            await server.start_task("work", {"loops": 1})
