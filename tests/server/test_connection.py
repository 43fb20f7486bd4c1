"""Calls on one connection: many at once, given up, out of time, cut off by its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc

import pytest

from dragoman import Server, connect
from dragoman.errors import ConnectionClosed, ConnectionLost, DragomanError, OutcomeUnknown, RequestTimeout
from dragoman.protocol.types import Progress
from dragoman.transports.base import Outgoing, Transport
from tests.server.conftest import Clock, quiet
from tests.server.peer import HANDSHAKE, STATELESS, Json, Peer, Request, RpcError, over_memory, silence, text

FAMILIES = ["channel", "exchanges", "memory"]


async def echo(request: Request) -> Json:
    """Give the message back, after others had their turn."""
    await asyncio.sleep(0)
    return text(str(request.arguments["message"]))


def make_peer(*versions: str, family: str = "channel") -> Peer:
    """Give a server with a tool that answers and one that does not."""
    peer = Peer(*versions, exchanges=family == "exchanges")
    peer.tools.update(echo=echo, silent=silence)
    return peer


def way_to(peer: Peer, family: str) -> Transport:
    """Give the transport over which the server is met."""
    return over_memory(peer) if family == "memory" else peer.transport


async def outcome(call: asyncio.Task[object]) -> DragomanError:
    """Give the error that a call ends with."""
    with pytest.raises(DragomanError) as caught:
        await call
    return caught.value


async def still_works(server: Server) -> None:
    """Call once more: the connection goes on."""
    assert (await server.call_tool("echo", {"message": "on it goes"})).text == "on it goes"


# Many at once.


@pytest.mark.parametrize("family", FAMILIES)
async def test_thousands_of_tasks_get_their_own_answers_on_one_connection(family: str, neighbour: Server) -> None:
    """Five thousand calls at once: none is lost, none gets another's answer."""
    peer = make_peer(family=family)
    async with connect(way_to(peer, family)) as server, asyncio.TaskGroup() as group:
        calls = [group.create_task(server.call_tool("echo", {"message": n})) for n in range(5000)]
    assert [call.result().text for call in calls] == [str(n) for n in range(5000)]


async def test_answers_may_come_in_any_order(neighbour: Server) -> None:
    """The last one asked is answered first."""
    peer = make_peer()
    gates = [asyncio.Event() for _ in range(101)]

    async def turn(request: Request) -> Json:
        number: int = request.arguments["number"]
        await gates[number + 1].wait()
        gates[number].set()
        return text(str(number))

    peer.tools["turn"] = turn
    async with connect(peer.transport) as server, asyncio.TaskGroup() as group:
        calls = [group.create_task(server.call_tool("turn", {"number": n})) for n in range(100)]
        gates[-1].set()
    assert [call.result().text for call in calls] == [str(n) for n in range(100)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
async def test_calls_leave_nothing_behind(version: str, family: str, neighbour: Server) -> None:
    """Answers, errors, progress, questions, time-outs and cancellations: after thousands, memory is where it was."""
    peer = make_peer(version, family=family)

    async def refuse(request: Request) -> Json:
        request.progress(1)
        raise RpcError(-32000, "no", {"data": "x" * 1000})

    peer.tools["refuse"] = refuse
    heard: list[float] = []

    def note(progress: Progress) -> None:
        heard.append(progress.progress)

    async def round_of_calls(server: Server) -> None:
        calls = [asyncio.create_task(server.call_tool("silent", timeout=0.001)) for _ in range(10)]
        calls += [asyncio.create_task(server.call_tool("silent")) for _ in range(10)]
        calls += [asyncio.create_task(server.call_tool("refuse", on_progress=note)) for _ in range(10)]
        calls += [asyncio.create_task(server.call_tool("echo", {"message": "x" * 1000})) for _ in range(70)]
        await asyncio.wait(calls[20:])
        for call in calls[10:20]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        peer.received.clear()
        peer.broken_off.clear()
        heard.clear()

    async with connect(way_to(peer, family)) as server:
        for _ in range(3):
            await round_of_calls(server)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(3):
                await round_of_calls(server)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(20):
                await round_of_calls(server)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert after - before < 30_000


# Given up by the caller.


async def test_a_cancelled_call_is_told_to_the_server_and_the_connection_goes_on(neighbour: Server) -> None:
    """Over a channel the server learns of it by a notification that names the request."""
    peer = make_peer()
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("silent"))
        await peer.got("tools/call")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await peer.got("notifications/cancelled"))["requestId"] == peer.ids("tools/call")[0]
        await still_works(server)


@pytest.mark.parametrize(("version", "told"), [(STATELESS, 0), (HANDSHAKE, 1)])
async def test_a_cancelled_call_closes_its_answer_stream(version: str, told: int, neighbour: Server) -> None:
    """In the stateless era that alone tells the server; in the handshake era a notification goes with it."""
    peer = make_peer(version, family="exchanges")
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("silent"))
        await peer.got("tools/call")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert peer.broken_off == peer.ids("tools/call")
        await still_works(server)
        assert len(peer.params("notifications/cancelled")) == told


async def test_an_answer_that_comes_after_the_cancellation_is_nobody_s(neighbour: Server) -> None:
    """A late answer neither fails nor reaches another call."""
    peer = make_peer()
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("silent"))
        await peer.got("tools/call")
        number = peer.ids("tools/call")[0]
        call.cancel()
        await peer.got("notifications/cancelled")
        peer.send({"id": number, "result": text("too late")})
        await still_works(server)
        assert call.cancelled()


async def test_a_call_cancelled_as_its_answer_arrives_is_cancelled(neighbour: Server) -> None:
    """Whichever came first in the same turn of the loop: a caller who was cancelled sees that, and nobody is told."""
    peer = make_peer()
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("silent"))
        await peer.got("tools/call")
        assert peer.transport.inbox is not None
        answer = b'{"jsonrpc":"2.0","id":%d,"result":{}}' % peer.ids("tools/call")[0]
        peer.transport.inbox.message_received(answer)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await still_works(server)
        assert peer.params("notifications/cancelled") == []


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_time_limit_of_the_caller_ends_the_call_as_the_caller_expects(
    family: str, clock: Clock, neighbour: Server
) -> None:
    """`asyncio.timeout` around a call raises `TimeoutError` and leaves the task uncancelled."""
    peer = make_peer(family=family)
    async with connect(way_to(peer, family)) as server:

        async def impatient() -> str:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await server.call_tool("silent")
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling()
            return (await server.call_tool("echo", {"message": "after all"})).text

        call = asyncio.create_task(impatient())
        await peer.got("tools/call")
        await clock.forward(6)
        assert await call == "after all"


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_failing_neighbour_in_a_task_group_cancels_the_call(family: str, neighbour: Server) -> None:
    """Structured concurrency holds: the group ends with the error that was raised, and no call is left."""
    peer = make_peer(family=family)

    async def fail_later() -> None:
        await peer.got("tools/call")
        raise ValueError("mine")

    async def work(server: Server) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.call_tool("silent"))
            group.create_task(fail_later())

    async with connect(way_to(peer, family)) as server:
        with pytest.raises(ExceptionGroup) as caught:
            await work(server)
        assert [type(error) for error in caught.value.exceptions] == [ValueError]
        await still_works(server)


# Out of time.


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_call_without_an_answer_times_out_and_the_server_is_told(
    family: str, clock: Clock, neighbour: Server
) -> None:
    """The error tells server, method and patience; the connection goes on and the caller's task is not cancelled."""
    peer = make_peer(family=family)
    async with connect(way_to(peer, family), name="sleepy") as server:
        call = asyncio.create_task(server.call_tool("silent", timeout=10))
        await peer.got("tools/call")
        await clock.forward(9)
        assert not call.done()
        await clock.forward(1.1)
        error = await outcome(call)
        assert isinstance(error, RequestTimeout)
        assert (error.server, error.method, error.timeout) == ("sleepy", "tools/call", 10)
        assert not call.cancelled()
        assert not call.cancelling()
        if family == "exchanges":
            assert peer.broken_off == peer.ids("tools/call")
        else:
            assert (await peer.got("notifications/cancelled"))["requestId"] == peer.ids("tools/call")[0]
        await still_works(server)


async def test_each_call_has_its_own_time(clock: Clock, neighbour: Server) -> None:
    """A short patience set after a long one rings first, and the long one still rings."""
    peer = make_peer()
    async with connect(peer.transport) as server:
        long = asyncio.create_task(server.call_tool("silent", timeout=30))
        await peer.got("tools/call")
        short = asyncio.create_task(server.call_tool("silent", timeout=5))
        await peer.got("tools/call", 2)
        await clock.forward(6)
        assert isinstance(await outcome(short), RequestTimeout)
        assert not long.done()
        await clock.forward(25)
        assert isinstance(await outcome(long), RequestTimeout)


async def test_progress_extends_the_patience_up_to_the_hard_maximum(clock: Clock, neighbour: Server) -> None:
    """A call that shows progress lives longer than its time-out, but never longer than ``max_timeout`` (an hour)."""
    peer = make_peer()
    heard: list[float] = []
    requests: list[Request] = []

    async def busy(request: Request) -> Json:
        requests.append(request)
        return await silence(request)

    def note(progress: Progress) -> None:
        heard.append(progress.progress)

    peer.tools["busy"] = busy
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("busy", timeout=100, on_progress=note))
        await peer.got("tools/call")
        for step in range(44):
            await clock.forward(80)
            assert not call.done()
            requests[0].progress(step)
            await quiet()
        await clock.forward(79)
        assert not call.done()
        requests[0].progress(44)
        await clock.forward(2)
        assert isinstance(await outcome(call), RequestTimeout)
        assert heard == list(range(45))


async def test_a_patience_over_the_hard_maximum_is_its_own_maximum(clock: Clock, neighbour: Server) -> None:
    """Who asks for two hours in one call gets them."""
    peer = make_peer()
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("silent", timeout=7200))
        await peer.got("tools/call")
        await clock.forward(7100)
        assert not call.done()
        await clock.forward(101)
        assert isinstance(await outcome(call), RequestTimeout)


# The end of the connection.


@pytest.mark.parametrize("family", FAMILIES)
async def test_closing_with_a_thousand_calls_in_flight_tells_each_that_its_outcome_is_unknown(
    family: str, neighbour: Server
) -> None:
    """Each gets an error of its own, none is cancelled, none is left waiting."""
    peer = make_peer(family=family)
    server = await connect(way_to(peer, family), name="busy")
    calls = [asyncio.create_task(server.call_tool("silent")) for _ in range(1000)]
    await peer.got("tools/call", 1000)
    await server.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in outcomes} == {OutcomeUnknown}
    assert len({id(error) for error in outcomes}) == 1000
    assert not any(call.cancelling() for call in calls)
    first = outcomes[0]
    assert isinstance(first, OutcomeUnknown)
    assert (first.server, first.method) == ("busy", "tools/call")


@pytest.mark.parametrize("family", ["channel", "exchanges"])
async def test_a_lost_connection_tells_each_call_under_way_and_each_later_one(family: str, neighbour: Server) -> None:
    """What was sent has an unknown outcome, with the server's last words; what comes later was certainly not sent."""
    peer = make_peer(family=family)
    server = await connect(peer.transport, name="frail")
    call = asyncio.create_task(server.call_tool("silent"))
    await peer.got("tools/call")
    peer.lose(ConnectionLost("the server fell over", stderr="Ouch!"))
    assert not server.is_connected
    error = await outcome(call)
    assert isinstance(error, OutcomeUnknown)
    assert (error.server, error.stderr) == ("frail", "Ouch!")
    assert "fell over" in str(error)
    later = await outcome(asyncio.create_task(server.call_tool("echo", {"message": "?"})))
    assert isinstance(later, ConnectionLost)
    assert (later.server, later.stderr) == ("frail", "Ouch!")
    await server.aclose()


async def test_a_call_after_closing_says_that_it_was_closed_here(neighbour: Server) -> None:
    """Closed is not lost: the error names the server and asks for a new connection."""
    peer = make_peer()
    async with connect(peer.transport, name="gone") as server:
        pass
    with pytest.raises(ConnectionClosed, match=r"^gone: the connection was closed\. Open a new connection"):
        await server.call_tool("echo", {"message": "?"})


async def test_a_transport_that_learns_of_its_end_while_it_sends_leaves_the_caller_uncancelled(
    neighbour: Server,
) -> None:
    """The loss is told within the caller's own task; the caller gets the error and goes on undisturbed."""
    peer = make_peer(family="exchanges")
    server = await connect(peer.transport)

    async def fail(message: Outgoing) -> None:
        await asyncio.sleep(0)
        error = ConnectionLost("the line broke")
        peer.lose(error)
        raise ConnectionLost("the line broke while sending")

    peer.transport.carry = fail

    async def caller() -> str:
        with pytest.raises(OutcomeUnknown):
            await server.call_tool("echo", {"message": "?"})
        await asyncio.sleep(0)
        return "undisturbed"

    assert await asyncio.create_task(caller()) == "undisturbed"
    await server.aclose()


async def test_a_cancellation_that_nobody_asked_for_becomes_an_error(neighbour: Server) -> None:
    """When something within the transport is cancelled, the caller is not: its outcome is unknown."""
    peer = make_peer(family="exchanges")
    async with connect(peer.transport, name="odd") as server:

        async def fail(message: Outgoing) -> None:
            inner: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            inner.cancel()
            await inner

        peer.transport.carry = fail
        error = await outcome(asyncio.create_task(server.call_tool("echo", {"message": "?"})))
        assert isinstance(error, OutcomeUnknown)
        assert error.server == "odd"


async def test_a_cancelled_caller_of_a_transport_that_swallows_it_is_not_left_marked(
    clock: Clock, neighbour: Server
) -> None:
    """A time-out interrupts a transport that turns the interruption into an error of its own; no mark stays behind."""
    peer = make_peer(family="exchanges")
    async with connect(peer.transport) as server:

        async def swallow(message: Outgoing) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                raise OutcomeUnknown("the stream broke") from None

        peer.transport.carry = swallow
        call = asyncio.create_task(server.call_tool("echo", {"message": "?"}, timeout=5))
        await quiet()
        await clock.forward(6)
        assert isinstance(await outcome(call), RequestTimeout)
        assert not call.cancelling()
        peer.transport.carry = None


async def test_an_answer_stream_that_ends_without_an_answer_leaves_the_outcome_unknown(neighbour: Server) -> None:
    """Nothing more can come on it, so the caller is told at once."""
    peer = make_peer(family="exchanges")
    async with connect(peer.transport) as server:

        async def end(message: Outgoing) -> None:
            await asyncio.sleep(0)

        peer.transport.carry = end
        with pytest.raises(OutcomeUnknown, match="ended without an answer"):
            await server.call_tool("echo", {"message": "?"})


# A server that does not read.


async def test_a_call_that_waits_for_room_times_out_unsent(clock: Clock, neighbour: Server) -> None:
    """The request was never sent, so nothing is told of it, and it is not sent later."""
    peer = make_peer()
    async with connect(peer.transport) as server:
        peer.transport.blocked = True
        call = asyncio.create_task(server.call_tool("echo", {"message": "never"}, timeout=5))
        await quiet()
        await clock.forward(6)
        assert isinstance(await outcome(call), RequestTimeout)
        peer.transport.unblock()
        await still_works(server)
        assert [message["arguments"]["message"] for message in peer.params("tools/call")] == ["on it goes"]
        assert peer.params("notifications/cancelled") == []


async def test_a_call_that_waits_for_room_as_the_connection_closes_was_not_sent(neighbour: Server) -> None:
    """Its fate is known: it may be repeated."""
    peer = make_peer()
    server = await connect(peer.transport)
    peer.transport.blocked = True
    call = asyncio.create_task(server.call_tool("echo", {"message": "never"}))
    await quiet()
    await server.aclose()
    assert isinstance(await outcome(call), ConnectionClosed)


# What belongs to nobody.


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"jsonrpc":"2.0","id":"%s","result":{}}' % (b"1" * 5000), id="an id of 5,000 digits"),
        pytest.param(b'{"jsonrpc":"2.0","result":{"content":[]}}', id="a result without an id"),
        pytest.param(b'{"jsonrpc":"2.0","id":null,"result":{"content":[]}}', id="a result with a null id"),
        pytest.param(b'{"jsonrpc":"2.0","id":99999,"result":{}}', id="an id never used"),
        pytest.param(b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"%s"}}'
                     % (b"9" * 5000), id="a progress token of 5,000 digits"),
        pytest.param(b'{"jsonrpc":"2.0","method":"notifications/progress","params":[]}', id="progress as a list"),
        pytest.param(b'{"jsonrpc":"2.0","method":"notifications/cancelled"}', id="a cancellation of nothing"),
        pytest.param(b'{"jsonrpc":"2.0","method":"notifications/odd","params":%s%s}'
                     % (b"[" * 3000, b"]" * 3000), id="a notification nested 3,000 deep"),
        pytest.param(b'{"jsonrpc":"2.0","method":"notifications/odd","params":{"a":"\xff"}}', id="not UTF-8"),
        pytest.param(b"[]", id="an empty batch"),
        pytest.param(b"[1,{},null]", id="a batch of nothing"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe", id="bytes"),
    ],
)  # fmt: skip
async def test_what_nobody_can_use_disturbs_nobody(
    data: bytes, neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A call under way gets its own answer, whatever comes before it, and nothing is raised in the event loop."""
    peer = make_peer()
    gate = asyncio.Event()

    async def after(request: Request) -> Json:
        await gate.wait()
        return text("mine")

    peer.tools["after"] = after
    heard: list[str] = []
    async with connect(peer.transport, on_notification=lambda method, _: heard.append(method)) as server:
        call = asyncio.create_task(server.call_tool("after"))
        await peer.got("tools/call")
        peer.send_bytes(data)
        await quiet()
        gate.set()
        assert (await call).text == "mine"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_an_error_without_an_id_belongs_to_the_only_request_under_way(neighbour: Server) -> None:
    """A server that could not read the request says so without its id; with one request, whose it is is clear."""
    peer = make_peer()
    async with connect(peer.transport) as server:
        call = asyncio.create_task(server.call_tool("silent"))
        await peer.got("tools/call")
        peer.send({"id": None, "error": {"code": -32700, "message": "Parse error"}})
        assert "-32700" in str(await outcome(call))
