"""Calls that become tasks: the extension of the stateless era, and the core tasks of 2025-11-25."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dragoman import Server, connect
from dragoman.errors import (
    InvalidResult,
    MethodNotFound,
    NotSupported,
    OutcomeUnknown,
    ProtocolError,
    RateLimited,
    RequestTimeout,
    ServerError,
    TaskFailed,
    UnknownResultType,
)
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult
from dragoman.server.callbacks import QuestionContext
from dragoman.transports.base import Outgoing
from tests.server.conftest import Clock, quiet
from tests.server.peer import CAPABILITIES, HANDSHAKE, STATELESS, Json, Peer, Request, RpcError, a_tool, always, text

TASKS = "io.modelcontextprotocol/tasks"
FORM: Json = {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": {"type": "object"}}}
CORE: Json = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}


async def accept(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Answer every form."""
    return ElicitationResult(action="accept", content={"name": "Ada"})


class Worker(Peer):
    """A server of the extension: its tool ``work`` becomes a task, whose states are told one after the other."""

    def __init__(self, *states: Json, exchanges: bool = False, poll: int | None = 50) -> None:
        super().__init__(STATELESS, exchanges=exchanges, capabilities={**CAPABILITIES, "extensions": {TASKS: {}}})
        self.states = list(states)
        self.poll = poll
        self.tools["work"] = always({"resultType": "task", **self.seed("working")})
        self.tools["quick"] = always(text("at once"))
        self.answers["tasks/get"] = self._get
        self.answers["tasks/update"] = self.answers["tasks/cancel"] = always({})

    def seed(self, status: str) -> Json:
        """Give what every state of the task has."""
        polls = {} if self.poll is None else {"pollIntervalMs": self.poll}
        return {"taskId": "t1", "status": status, "createdAt": "2026-07-28T00:00:00Z", "ttlMs": None, **polls}

    async def _get(self, request: Request) -> Json:
        if request.params["taskId"] != "t1":
            raise RpcError(-32602, "no such task")
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        return {**self.seed(state["status"]), **state}


def done(words: str = "done") -> Json:
    """Give the state of a completed task."""
    return {"status": "completed", "result": text(words)}


WORKING: Json = {"status": "working"}


# The extension.


@pytest.mark.parametrize("exchanges", [False, True], ids=["channel", "exchanges"])
async def test_a_call_that_becomes_a_task_gives_its_result(
    exchanges: bool,  # noqa: FBT001 - a column of the table
    neighbour: Server,
) -> None:
    """The caller of `call_tool` need not know: it is followed to its end. The id is mirrored for routing."""
    peer = Worker(WORKING, WORKING, done("at last"), exchanges=exchanges)
    routed: list[str | None] = []
    get = peer.answers["tasks/get"]

    async def note(request: Request) -> Json:
        routed.append(request.sent.name)
        return await get(request)

    peer.answers["tasks/get"] = note
    async with connect(peer.transport) as server:
        assert (await server.call_tool("work")).text == "at last"
    assert routed == ["t1"] * 3
    offered = peer.params("tools/call")[0]["_meta"]["io.modelcontextprotocol/clientCapabilities"]
    assert offered["extensions"] == {TASKS: {}}


async def test_a_task_is_asked_for_as_often_as_the_server_likes(clock: Clock, neighbour: Server) -> None:
    """Its interval is kept, from the creation on, and when it changes."""
    peer = Worker(WORKING, WORKING | {"pollIntervalMs": 60_000}, done(), poll=10_000)
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("work"))
        await peer.got("tools/call")
        for seconds, polls in [(9, 0), (2, 1), (8, 1), (3, 2), (50, 2), (11, 3)]:
            await clock.forward(seconds)
            assert len(peer.params("tasks/get")) == polls
        assert (await call).text == "done"


async def test_a_task_outlives_the_time_out_of_a_call(clock: Clock, neighbour: Server) -> None:
    """Each request has its own time-out; the task as a whole is bounded by the hard maximum."""
    peer = Worker(WORKING, poll=600_000)
    async with connect(peer.transport, name="slow") as server:
        call = asyncio.create_task(server.call_tool("work", timeout=5))
        await peer.got("tools/call")
        for _ in range(5):
            await clock.forward(700)
            assert not call.done()
        await clock.forward(200)
        with pytest.raises(RequestTimeout, match=r"^slow: task t1 has not ended within 3600 s.*It goes on"):
            await call


async def test_a_failed_task_raises_the_error_it_failed_with(neighbour: Server) -> None:
    """A JSON-RPC error stays one."""
    peer = Worker(WORKING, {"status": "failed", "error": {"code": -32050, "message": "out of paper"}})
    async with connect(peer.transport, name="printer") as server:
        with pytest.raises(ServerError, match=r"^printer: .*out of paper") as caught:
            await server.call_tool("work")
    assert caught.value.rpc_code == -32050


async def test_a_tool_s_own_failure_in_a_task_is_a_result(neighbour: Server) -> None:
    """Completed, with `is_error`: as without a task."""
    peer = Worker({"status": "completed", "result": text("no", isError=True)})
    async with connect(peer.transport) as server:
        assert (await server.call_tool("work")).is_error


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_task_that_ends_without_anything_raises_how(status: str, neighbour: Server) -> None:
    """The status and the server's message are told."""
    peer = Worker({"status": status, "statusMessage": "power cut"})
    async with connect(peer.transport, name="plant") as server:
        with pytest.raises(TaskFailed, match=r"^plant: task t1: power cut") as caught:
            await server.call_tool("work")
    assert (caught.value.task_id, caught.value.status) == ("t1", status)


async def test_a_completed_task_without_a_result_is_an_error(neighbour: Server) -> None:
    """The server broke the protocol."""
    peer = Worker({"status": "completed"})
    async with connect(peer.transport, name="odd") as server:
        with pytest.raises(InvalidResult, match=r"^odd: task t1 completed without a result"):
            await server.call_tool("work")


async def test_a_task_s_result_is_held_against_the_tool_s_schema(neighbour: Server) -> None:
    """As any result."""
    peer = Worker({"status": "completed", "result": text("", structuredContent={"sum": "five"})})
    peer.listed = [a_tool("work", outputSchema={"properties": {"sum": {"type": "number"}}})]
    async with connect(peer.transport) as server:
        await server.list_tools()
        with pytest.raises(InvalidResult, match="tool work: "):
            await server.call_tool("work")


async def test_questions_of_a_task_are_answered_once_each(neighbour: Server) -> None:
    """A key that is still outstanding in later polls is not asked again; a new one is."""
    one: Json = {"status": "input_required", "inputRequests": {"a": FORM}}
    two: Json = {"status": "input_required", "inputRequests": {"a": FORM, "b": FORM}}
    peer = Worker(one, one, two, two, done())
    asked: list[str] = []

    async def elicit(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        asked.append(f"{context.method} during {context.during}")
        return await accept(request, context)

    async with connect(peer.transport, elicitation=elicit) as server:
        assert (await server.call_tool("work")).text == "done"
    assert asked == ["elicitation/create during tools/call"] * 2
    given = {"action": "accept", "content": {"name": "Ada"}}
    updates = peer.params("tasks/update")
    assert [update["inputResponses"] for update in updates] == [{"a": given}, {"b": given}]
    assert {update["taskId"] for update in updates} == {"t1"}


async def test_two_who_wait_for_one_task_ask_a_person_once(neighbour: Server) -> None:
    """They share the handle, and what was answered through it."""
    peer = Worker({"status": "input_required", "inputRequests": {"a": FORM}})
    asked = 0
    gate = asyncio.Event()

    async def elicit(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        nonlocal asked
        asked += 1
        await gate.wait()
        peer.states[:] = [done()]
        return await accept(request, context)

    async with connect(peer.transport, elicitation=elicit) as server:
        task = await server.start_task("work")
        waiting = [asyncio.create_task(task.result()) for _ in range(3)]
        await peer.got("tasks/get", 3)
        gate.set()
        assert [(await each).text for each in waiting] == ["done"] * 3
    assert asked == 1


async def test_people_have_all_the_time_they_need(clock: Clock, neighbour: Server) -> None:
    """The limit of `result` stands still while a person is asked, and goes on afterwards."""
    peer = Worker({"status": "input_required", "inputRequests": {"a": FORM}}, WORKING, poll=5_000)
    begun, gate = asyncio.Event(), asyncio.Event()

    async def think(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        begun.set()
        await gate.wait()
        return await accept(request, context)

    async with connect(peer.transport, elicitation=think) as server:
        task = await server.start_task("work")
        waiting = asyncio.create_task(task.result(timeout=60))
        await clock.forward(6)
        await begun.wait()
        await clock.forward(10_000)
        gate.set()
        await clock.forward(50)
        assert not waiting.done()
        await clock.forward(10)
        with pytest.raises(RequestTimeout):
            await waiting


async def test_answers_that_were_lost_on_the_way_are_sent_again_and_not_asked_for(neighbour: Server) -> None:
    """The person answered; only the delivery is repeated."""
    peer = Worker({"status": "input_required", "inputRequests": {"a": FORM}}, exchanges=True)
    asked = 0
    lost = 0
    transport = peer.transport

    async def elicit(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        nonlocal asked
        asked += 1
        return await accept(request, context)

    async def lose_first(message: Outgoing) -> None:
        nonlocal lost
        if message.method == "tasks/update":
            if not lost:
                lost += 1
                raise OutcomeUnknown("it broke")
            peer.states[:] = [done()]
        await transport.exchange(message)

    transport.carry = lose_first
    async with connect(transport, elicitation=elicit) as server:
        assert (await server.call_tool("work")).text == "done"
    assert (asked, lost, len(peer.params("tasks/update"))) == (1, 1, 1)


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("it broke"), RateLimited("slowly", status=429, retry_after=5)], ids=["lost", "429"]
)
async def test_a_few_lost_answers_do_not_lose_a_task(error: Exception, clock: Clock, neighbour: Server) -> None:
    """To ask for its state is safe at any time; when that fails again and again, the caller is told."""
    peer = Worker(WORKING, exchanges=True)
    transport = peer.transport
    left = 0

    async def fail_some(message: Outgoing) -> None:
        nonlocal left
        if message.method == "tasks/get" and left:
            left -= 1
            raise error
        await transport.exchange(message)

    transport.carry = fail_some
    async with connect(transport) as server:
        for failures, survives in [(3, True), (6, False)]:
            left = failures
            task = server.task("t1")
            peer.states[:] = [done()]
            waiting = asyncio.create_task(task.result())
            for _ in range(8):
                await clock.forward(6)
            if survives:
                assert (await waiting).text == "done"
            else:
                with pytest.raises(type(error)):
                    await waiting


async def test_a_task_is_taken_up_again_by_its_id(neighbour: Server) -> None:
    """Another connection, perhaps of another process, needs nothing but the id."""
    peer = Worker(WORKING)
    async with connect(peer.transport) as server:
        task = await server.start_task("work")
        assert (task.id, task.task.status) == ("t1", "working")
        assert (await task.status()).status == "working"
    again = Worker(WORKING, done("late"))
    async with connect(again.transport) as server:
        task = server.task("t1")
        assert [update.status async for update in task.updates()] == ["working", "completed"]
        assert (await task.result()).text == "late"
    assert again.params("tools/call") == []


async def test_a_task_that_the_server_forgot_is_told_as_such(neighbour: Server) -> None:
    """Its id and what the server says about it."""
    peer = Worker(WORKING)
    async with connect(peer.transport, name="oblivious") as server:
        with pytest.raises(TaskFailed, match=r"^oblivious: task t9: .*no such task") as caught:
            await server.task("t9").result()
        assert caught.value.status == "unknown"


async def test_a_server_in_trouble_did_not_forget_the_task(neighbour: Server) -> None:
    """An internal error says nothing of the task."""
    peer = Worker(WORKING)

    async def trouble(_: Request) -> Json:
        raise RpcError(-32603, "trouble")

    peer.answers["tasks/get"] = trouble
    async with connect(peer.transport) as server:
        with pytest.raises(ServerError, match="trouble") as caught:
            await server.task("t1").status()
        assert not isinstance(caught.value, TaskFailed)


async def test_cancelling_asks_the_server_and_the_end_decides(neighbour: Server) -> None:
    """It may complete nevertheless; a task that has ended is not cancelled."""
    peer = Worker(WORKING, done("too late"))
    async with connect(peer.transport) as server:
        task = await server.start_task("work")
        await task.status()
        await task.cancel()
        assert peer.params("tasks/cancel")[0]["taskId"] == "t1"
        assert (await task.result()).text == "too late"
        await task.cancel()
    assert len(peer.params("tasks/cancel")) == 1


async def test_who_stops_waiting_does_not_stop_the_task(neighbour: Server) -> None:
    """A cancelled `result` sends no ``tasks/cancel``, and no notification in its place."""
    peer = Worker(WORKING)
    async with connect(peer.transport) as server:
        task = await server.start_task("work")
        waiting = asyncio.create_task(task.result())
        await peer.got("tasks/get")
        await quiet()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert peer.params("tasks/cancel") == peer.params("notifications/cancelled") == []
        peer.states[:] = [done()]
        assert (await task.result()).text == "done"


async def test_a_call_answered_directly_is_a_task_that_has_ended(neighbour: Server) -> None:
    """The server decides; the handle has the result and no id."""
    peer = Worker(WORKING)
    async with connect(peer.transport) as server:
        task = await server.start_task("quick")
        assert (task.id, (await task.status()).ended) == ("", True)
        assert (await task.result()).text == "at once"
        await task.cancel()
    assert peer.params("tasks/get") == peer.params("tasks/cancel") == []


async def test_where_nobody_knows_tasks_none_is_begun(neighbour: Server) -> None:
    """Refused before anything is sent."""
    for peer in (Peer(STATELESS), Peer(HANDSHAKE), Peer("2025-06-18", capabilities={"tasks": CORE, "tools": {}})):
        async with connect(peer.transport, name="plain") as server:
            with pytest.raises(NotSupported, match=r"^plain: "):
                await server.start_task("work")
            with pytest.raises(NotSupported, match=r"^plain: "):
                await server.list_tasks()
        assert peer.params("tools/call") == []


@pytest.mark.parametrize("method", ["prompts/get", "resources/read"])
async def test_only_tool_calls_may_become_tasks(method: str, neighbour: Server) -> None:
    """For anything else it is an unknown result."""
    peer = Worker(WORKING)
    peer.answers[method] = always({"resultType": "task", **peer.seed("working")})
    async with connect(peer.transport) as server:
        with pytest.raises(UnknownResultType):
            await (server.get_prompt("p") if method == "prompts/get" else server.read_resource("file:///a"))
    assert peer.params("tasks/get") == []


@pytest.mark.parametrize("result", [{"resultType": "task"}, {"resultType": "task", "taskId": 5}])
async def test_a_task_without_a_usable_id_is_an_error_of_that_call(result: Json, neighbour: Server) -> None:
    """The error names the server."""
    peer = Worker(WORKING)
    peer.tools["work"] = always(result)
    async with connect(peer.transport, name="odd") as server:
        with pytest.raises(InvalidResult, match=r"^odd: the created task"):
            await server.call_tool("work")


# The core tasks of 2025-11-25.


class CoreWorker(Peer):
    """A server of 2025-11-25 whose tool ``work`` has to be a task; ``tasks/result`` waits for its end."""

    def __init__(self, *, support: str = "required", result: Json | RpcError | None = None) -> None:
        super().__init__(HANDSHAKE, capabilities={**CAPABILITIES, "tasks": CORE})
        self.listed = [a_tool("work", execution={"taskSupport": support}), a_tool("plain")]
        self.result = result if result is not None else text("made")
        self.status = "working"
        self.asks = False
        self.answers.update(
            {
                "tools/call": self._call,
                "tasks/get": self._get,
                "tasks/result": self._result,
                "tasks/cancel": self._cancel,
                "tasks/list": self._list,
            }
        )

    def task(self) -> Json:
        """Give the task's state."""
        times = {"createdAt": "2025-11-25T00:00:00Z", "lastUpdatedAt": "2025-11-25T00:00:00Z"}
        return {"taskId": "c1", "status": self.status, "ttl": 60_000, "pollInterval": 50, **times}

    async def _call(self, request: Request) -> Json:
        if request.params["name"] == "plain":
            return text("plain")
        if "task" not in request.params:
            raise RpcError(-32601, "only as a task")
        return {"task": self.task()}

    async def _get(self, request: Request) -> Json:
        before = self.task()
        if self.asks:
            self.status = "input_required"
        elif self.status == "working":
            self.status = "completed"
        return before

    async def _result(self, request: Request) -> Json:
        if self.asks:
            answer = await self.ask("elicitation/create", FORM["params"])
            self.status = "completed"
            return text(answer["result"]["content"]["name"])
        if isinstance(self.result, RpcError):
            raise self.result
        return self.result

    async def _cancel(self, request: Request) -> Json:
        self.status = "cancelled"
        return self.task()

    async def _list(self, request: Request) -> Json:
        if "cursor" not in request.params:
            return {"tasks": [self.task()], "nextCursor": "2"}
        return {"tasks": [{**self.task(), "taskId": "c2"}]}


async def test_a_tool_that_must_be_a_task_is_called_as_one(neighbour: Server) -> None:
    """The listing tells, and is fetched if it is not known; the caller need not know."""
    for lists_first in (True, False):
        peer = CoreWorker()
        async with connect(peer.transport) as server:
            if lists_first:
                await server.list_tools()
            assert (await server.call_tool("work")).text == "made"
            assert (await server.call_tool("plain")).text == "plain"
        assert ["task" in call for call in peer.params("tools/call")] == [True, False]
        assert len(peer.params("tools/list")) == 1


async def test_a_core_task_goes_through_its_states_to_its_result(neighbour: Server) -> None:
    """Begun with a lifetime, polled, fetched by ``tasks/result``."""
    peer = CoreWorker(support="optional")
    async with connect(peer.transport) as server:
        task = await server.start_task("work", {"n": 1}, ttl=90)
        assert (task.id, task.task.status, task.task.poll_seconds) == ("c1", "working", 0.05)
        assert [update.status async for update in task.updates()] == ["working", "completed"]
        assert (await task.result()).text == "made"
    assert peer.params("tools/call")[0]["task"] == {"ttl": 90_000}


async def test_a_core_task_that_needs_input_is_asked_for_its_result_at_once(neighbour: Server) -> None:
    """Questions come while ``tasks/result`` waits, as requests of the server."""
    peer = CoreWorker()
    peer.asks = True
    async with connect(peer.transport, elicitation=accept) as server:
        await server.list_tools()
        assert (await server.call_tool("work")).text == "Ada"


async def test_a_core_task_that_failed_raises_what_the_call_would_have(neighbour: Server) -> None:
    """``tasks/result`` gives the very error."""
    peer = CoreWorker(result=RpcError(-32050, "out of paper"))
    async with connect(peer.transport) as server:
        task = await server.start_task("work")
        with pytest.raises(ServerError, match="out of paper") as caught:
            await task.result()
        assert caught.value.rpc_code == -32050


async def test_a_core_task_can_be_cancelled(neighbour: Server) -> None:
    """Whoever waits for it learns so."""
    peer = CoreWorker()
    async with connect(peer.transport) as server:
        task = await server.start_task("work")
        await task.cancel()
        with pytest.raises(TaskFailed) as caught:
            await task.result()
        assert caught.value.status == "cancelled"


async def test_core_tasks_can_be_listed(neighbour: Server) -> None:
    """Over all pages."""
    peer = CoreWorker()
    async with connect(peer.transport) as server:
        assert [task.task_id for task in await server.list_tasks()] == ["c1", "c2"]


async def test_a_list_of_tasks_that_never_ends_is_refused(neighbour: Server) -> None:
    """A cursor that comes again is the end of it."""
    peer = CoreWorker()
    peer.answers["tasks/list"] = always({"tasks": [], "nextCursor": "again"})
    async with connect(peer.transport, name="endless") as server:
        with pytest.raises(ProtocolError, match=r"^endless: tasks/list: the pages never end"):
            await server.list_tasks()
    assert len(peer.params("tasks/list")) == 2


async def test_a_tool_that_must_not_be_a_task_is_not_made_one(neighbour: Server) -> None:
    """What the listing says holds; a method that is not there stays an error."""
    peer = CoreWorker(support="forbidden")
    async with connect(peer.transport, name="strict") as server:
        await server.list_tools()
        for tool in ("work", "plain"):
            with pytest.raises(NotSupported, match=rf"^strict: tool {tool} "):
                await server.start_task(tool)
        with pytest.raises(MethodNotFound):
            await server.call_tool("work")


@pytest.mark.parametrize("told", [{"tasks": {}}, {"tasks": {"requests": {"tools": {}}}}])
async def test_tasks_without_tool_calls_among_them_are_not_used(told: Any, neighbour: Server) -> None:
    """A server may keep tasks for other requests only."""
    peer = CoreWorker()
    peer.capabilities = {**CAPABILITIES, **told}
    async with connect(peer.transport) as server:
        await server.list_tools()
        with pytest.raises(MethodNotFound):
            await server.call_tool("work")
        with pytest.raises(NotSupported):
            await server.start_task("work")
