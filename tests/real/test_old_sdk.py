"""Servers of the official SDK before version 2, in an environment of their own: an old SDK, WebSocket, core tasks."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import dragoman
from dragoman import Server, ServerConfig
from dragoman.errors import CannotConnect, HttpError, NotSupported, ServerError, TaskFailed
from dragoman.protocol.changes import ResourceUpdated
from dragoman.protocol.content import TextContent
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult, SamplingRequest, SamplingResult
from dragoman.protocol.types import Progress, PromptReference
from dragoman.protocol.versions import HANDSHAKE_VERSIONS, LATEST_STATELESS
from dragoman.server.callbacks import QuestionContext
from tests import parts
from tests.real.programs import fixture_config, fixture_server
from tests.real.waiting import take, until

pytestmark = pytest.mark.external("old-sdk")

PYTHON = parts.old_sdk_program("python")
TRANSPORTS = ["stdio", "http", "legacy", "socket"]
NEWEST = HANDSHAKE_VERSIONS[0]


async def digger(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Accept the form as it is pre-filled."""
    return ElicitationResult("accept", {})


async def parrot(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
    """Say what was said."""
    [block] = request.messages[0].content
    return SamplingResult(model="parrot", content=block.text if isinstance(block, TextContent) else "?")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The server over HTTP and WebSocket, for all tests here."""
    if (reason := parts.absence("old-sdk")) is not None:
        pytest.skip(reason)
    with fixture_server("old_sdk", PYTHON) as address:
        yield address


@pytest.fixture(params=TRANSPORTS)
async def server(request: pytest.FixtureRequest, address: str) -> AsyncIterator[Server]:
    """The server over each transport, connected, with everything that it may ask for."""
    config = fixture_config("old_sdk", address, request.param, NEWEST, PYTHON)
    async with dragoman.connect(config, elicitation=digger, sampling=parrot, roots=["/srv"]) as server:
        yield server


async def test_everything_is_listed_and_answers(server: Server) -> None:
    """What an old server offers works."""
    assert (server.info.name, server.info.version) == ("old-school", "0.9")
    assert {"echo", "dig"} < {tool.name for tool in await server.list_tools()}
    assert (await server.call_tool("echo", {"text": "wörld \u2028"})).text == "wörld \u2028"
    assert [each.uri for each in await server.list_resources()] == ["note://old"]
    assert (await server.read_resource("note://old")).text == "old note://old"
    [prompt] = await server.list_prompts()
    [message] = (await server.get_prompt(prompt.name, {"tone": "kindly"})).messages
    assert isinstance(message.content, TextContent)
    assert message.content.text == "Greet me, kindly."
    assert (await server.complete(PromptReference("greet"), "tone", "kin")).values == ("kindly", "kingly")
    await server.ping()


async def test_arguments_that_do_not_fit_are_told(server: Server) -> None:
    """This SDK checks arguments itself and answers with the tool's error; an unknown method is an error."""
    assert (await server.call_tool("echo", {"text": 1})).is_error
    with pytest.raises(ServerError):
        await server.request("no/such/method", {})


async def test_it_asks_and_reports(server: Server) -> None:
    """Progress, sampling, elicitation and roots in one conversation."""
    heard: list[Progress] = []
    assert (await server.call_tool("steps", {"count": 3}, on_progress=heard.append)).text == "done"
    assert [progress.progress for progress in heard] == [1, 2, 3]
    assert (await server.call_tool("think", {"prompt": "Hm?"})).text == "parrot: Hm?"
    assert (await server.call_tool("order")).text == "accept {'depth': 3}"
    assert (await server.call_tool("roots")).text == "file:///srv"


async def test_updates_are_heard(server: Server) -> None:
    """This SDK takes subscriptions though it says that it doesn't."""
    async with server.listen(uris=["note://old"]) as changes:
        await server.call_tool("touch", {"uri": "note://old"})
        assert await take(changes, 1) == [ResourceUpdated("note://old")]


@pytest.mark.requirement("TASK-6")
async def test_a_core_task_is_followed_to_its_result(server: Server) -> None:
    """A tool that must be a task is called like any other; its questions are answered on the way."""
    assert (await server.call_tool("dig", {"ask": False})).text == "dug 1"  # before it is known that it must be a task
    assert (await server.call_tool("dig", {"ask": True})).text == "dug 3"


async def test_a_core_task_is_held_by_its_handle(server: Server) -> None:
    """It is listed, watched, and its result fetched by id."""
    task = await server.start_task("dig", {"ask": False}, ttl=60)
    assert task.id in {each.task_id for each in await server.list_tasks()}
    states = [update.status async for update in task.updates()]
    assert states[-1] == "completed"
    assert (await server.task(task.id).result(timeout=10)).text == "dug 1"


@pytest.mark.requirement("TASK-9")
async def test_a_core_task_fails_or_is_cancelled(server: Server) -> None:
    """Either end is told."""
    broken = await server.start_task("fail_later")
    with pytest.raises(TaskFailed, match="the shovel broke") as failure:
        await broken.result(timeout=10)
    assert failure.value.status == "failed"
    waiting = await server.start_task("wait")
    await waiting.cancel()

    async def ended() -> bool:
        return (await waiting.status()).ended

    await until(ended)
    with pytest.raises(TaskFailed):
        await waiting.result(timeout=10)


@pytest.mark.requirement("TASK-7", "TASK-8")
async def test_only_what_may_be_a_task_becomes_one(address: str) -> None:
    """A tool that is no task is not asked to be one, and in a revision without tasks nothing is."""
    sent: list[bytes] = []
    config = fixture_config("old_sdk", address, "http", NEWEST, PYTHON)
    async with dragoman.connect(config, on_message=lambda _, data: sent.append(data)) as server:
        await server.list_tools()
        before = len(sent)
        with pytest.raises(NotSupported):
            await server.start_task("echo", {"text": "a"})
        assert len(sent) == before
    earlier = fixture_config("old_sdk", address, "http", HANDSHAKE_VERSIONS[1], PYTHON)
    async with dragoman.connect(earlier) as server:
        with pytest.raises(NotSupported):
            await server.start_task("dig", {"ask": False})


@pytest.mark.requirement("LIFE-4")
@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_every_handshake_is_spoken(address: str, transport: str, version: str) -> None:
    """A pin to an older revision is kept."""
    async with dragoman.connect(fixture_config("old_sdk", address, transport, version, PYTHON)) as server:
        assert server.protocol_version == version
        assert (await server.call_tool("echo", {"text": "a"})).text == "a"


@pytest.mark.requirement("VERSION-2")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_handshake_is_fallen_back_to(address: str, transport: str) -> None:
    """Without a pin, a server that knows only the handshake is met in it."""
    known = fixture_config("old_sdk", address, transport, NEWEST, PYTHON)
    config = ServerConfig(
        name="old", transport=known.transport, command=known.command, args=known.args, cwd=known.cwd, url=known.url
    )
    async with dragoman.connect(config) as server:
        assert (server.era, server.protocol_version) == ("handshake", NEWEST)
        assert (await server.call_tool("echo", {"text": "a"})).text == "a"


@pytest.mark.requirement("VERSION-5")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_revision_that_the_server_lacks_is_refused(address: str, transport: str) -> None:
    """A pin that can't be kept is an error, never quietly another revision."""
    with pytest.raises((CannotConnect, HttpError, ServerError)):
        async with dragoman.connect(fixture_config("old_sdk", address, transport, LATEST_STATELESS, PYTHON)):
            pass


async def test_the_sqlite_server_answers(tmp_path: Path) -> None:
    """A released server on the old SDK: list, call, read, prompt, and its change reaches the listener."""
    database = tmp_path / "test.db"
    command = [parts.old_sdk_program("mcp-server-sqlite"), "--db-path", str(database)]
    async with dragoman.connect(command) as server:
        assert server.era == "handshake"
        assert {"read_query", "write_query", "create_table", "append_insight"} <= {
            tool.name for tool in await server.list_tools()
        }
        await server.call_tool("create_table", {"query": "CREATE TABLE t (n INTEGER, s TEXT)"})
        await server.call_tool("write_query", {"query": "INSERT INTO t VALUES (1, 'wörld')"})
        assert "wörld" in (await server.call_tool("read_query", {"query": "SELECT * FROM t"})).text
        assert (await server.call_tool("read_query", {"query": "DROP TABLE t"})).text.startswith("Error")
        [memo] = await server.list_resources()
        async with server.listen(uris=[]) as changes:
            assert not changes.honoured.tools
            await server.call_tool("append_insight", {"insight": "Numbers are few."})
        assert "Numbers are few." in (await server.read_resource(memo.uri)).text
        [prompt] = await server.list_prompts()
        assert (await server.get_prompt(prompt.name, {"topic": "counting"})).messages
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
    connection.close()
