"""Opening and closing: from any task, in any order, at any moment; and what becomes of a forgotten connection."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Awaitable

import pytest
import uvloop

from dragoman import Server, connect
from dragoman.errors import ConnectionClosed, ConnectionLost, HandshakeFailed, OutcomeUnknown, RequestTimeout
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult
from dragoman.protocol.metadata import ClientInfo
from dragoman.protocol.types import LogMessage
from dragoman.server.callbacks import QuestionContext
from dragoman.transports.base import Inbox
from tests.parts import ROOT
from tests.server.conftest import Clock, quiet
from tests.server.http_peer import honest
from tests.server.peer import HANDSHAKE, META, STATELESS, Json, Peer, Request, always, silence, text
from tests.servers import scripted
from tests.servers.http_faults import Visit, serving

# The first loop of libuv opens a pipe for signals, which stays for the life of the process.
uvloop.new_event_loop().close()


def make_peer(*versions: str, exchanges: bool = False) -> Peer:
    """Give a server with a tool that answers and one that does not."""
    peer = Peer(*versions, exchanges=exchanges)
    peer.tools.update(echo=always(text("hello")), silent=silence)
    return peer


# Opening and closing.


async def test_a_connection_opens_and_closes_with_its_block(neighbour: Server) -> None:
    """Within the block it is connected; after it, the transport was closed once."""
    peer = make_peer()
    async with connect(peer.transport, name="block") as server:
        assert server.is_connected
        assert (server.name, server.era, server.protocol_version) == ("block", "stateless", STATELESS)
        assert (await server.call_tool("echo")).text == "hello"
    assert not server.is_connected
    assert peer.transport.closings == 1


async def test_a_connection_can_be_awaited_and_closed_by_hand(neighbour: Server) -> None:
    """The same without a block; a `Server` is a block of its own, too."""
    peer = make_peer(HANDSHAKE)
    server = await connect(peer.transport)
    assert (server.era, server.protocol_version) == ("handshake", HANDSHAKE)
    await server.aclose()
    assert peer.transport.closed
    other = make_peer()
    async with await connect(other.transport):
        pass
    assert other.transport.closed


async def test_what_fails_in_the_block_leaves_it_and_closes_the_connection(neighbour: Server) -> None:
    """The user's own error comes out as it is."""
    peer = make_peer()
    with pytest.raises(ZeroDivisionError):
        async with connect(peer.transport):
            raise ZeroDivisionError
    assert peer.transport.closed


async def test_any_task_may_open_call_and_close(neighbour: Server) -> None:
    """Opened in one task, called from others, closed in yet another, while the first is long gone."""
    peer = make_peer()

    async def open_it() -> Server:
        return await connect(peer.transport)

    async def call(server: Server) -> str:
        return (await server.call_tool("echo")).text

    server = await asyncio.create_task(open_it())
    calls = [asyncio.create_task(call(server)) for _ in range(10)]
    assert await asyncio.gather(*calls) == ["hello"] * 10
    await asyncio.create_task(server.aclose())
    assert peer.transport.closed


async def test_two_connections_close_in_any_order(neighbour: Server) -> None:
    """The first one opened may be closed first: the second still answers."""
    first, second = make_peer(), make_peer(HANDSHAKE)
    one, other = await connect(first.transport), await connect(second.transport)
    await one.aclose()
    assert (await other.call_tool("echo")).text == "hello"
    await other.aclose()


async def test_a_hundred_tasks_may_close_at_once_and_again(neighbour: Server) -> None:
    """All of them wait for the same end; the transport is closed once."""
    peer = make_peer()
    server = await connect(peer.transport)
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(server.aclose())
    await server.aclose()
    assert peer.transport.closings == 1


async def test_who_gives_up_closing_does_not_keep_it_open(neighbour: Server) -> None:
    """A cancelled `aclose` leaves the end under way, and others may wait for it."""
    peer = make_peer()
    server = await connect(peer.transport)
    closing = asyncio.create_task(server.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await server.aclose()
    assert peer.transport.closed


async def test_a_lost_connection_is_cleared_away_without_being_closed(neighbour: Server) -> None:
    """Nobody has to call `aclose` for a transport that broke to be closed; doing so later is harmless."""
    peer = make_peer()
    server = await connect(peer.transport)
    peer.lose(ConnectionLost("it broke"))
    await quiet()
    assert peer.transport.closed
    await server.aclose()


# Closing from within.


async def test_a_handler_of_questions_may_close_the_connection(neighbour: Server) -> None:
    """The handler goes on after `aclose` undisturbed; the call that led to it has an unknown outcome."""
    peer = make_peer(HANDSHAKE)
    held: list[Server] = []
    steps: list[str] = []

    async def close(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        await held[0].aclose()
        steps.append("closed")
        await asyncio.sleep(0)
        steps.append("done")
        return ElicitationResult(action="cancel")

    async def ask(request: Request) -> Json:
        return await request.ask("elicitation/create", {"message": "?", "requestedSchema": {"type": "object"}})

    peer.tools["ask"] = ask
    held.append(await connect(peer.transport, elicitation=close))
    with pytest.raises(OutcomeUnknown):
        await held[0].call_tool("ask")
    await held[0].aclose()
    await quiet()
    assert steps == ["closed", "done"]


async def test_a_handler_of_log_lines_may_close_the_connection(neighbour: Server) -> None:
    """The same from a handler that nobody waits for."""
    peer = make_peer(HANDSHAKE)
    held: list[Server] = []
    closed = asyncio.Event()

    async def close(message: LogMessage) -> None:
        await held[0].aclose()
        closed.set()

    held.append(await connect(peer.transport, on_log=close))
    peer.notify("message", level="emergency", data="the end is near")
    async with asyncio.timeout(5):
        await closed.wait()
    assert peer.transport.closed


async def test_closing_ends_handlers_that_still_wait(neighbour: Server) -> None:
    """A person who is still being asked keeps no connection open; the handler sees a cancellation."""
    peer = make_peer(HANDSHAKE)
    asked, ended = asyncio.Event(), asyncio.Event()

    async def never(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        asked.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    server = await connect(peer.transport, elicitation=never)
    question = asyncio.create_task(peer.ask("elicitation/create", {"message": "?"}))
    await asked.wait()
    await server.aclose()
    assert ended.is_set()
    with pytest.raises(asyncio.CancelledError):
        await question


async def test_a_handler_that_ignores_its_cancellation_does_not_hold_up_the_end(
    clock: Clock, neighbour: Server
) -> None:
    """Closing is bounded in time, whatever users' code does."""
    peer = make_peer(HANDSHAKE)
    asked, release = asyncio.Event(), asyncio.Event()

    async def stubborn(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        asked.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return ElicitationResult(action="cancel")

    server = await connect(peer.transport, elicitation=stubborn)
    question = asyncio.create_task(peer.ask("elicitation/create", {"message": "?"}))
    await asked.wait()
    closing = asyncio.create_task(server.aclose())
    await quiet()
    await clock.forward(2)
    await closing
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await question


# Giving up while it opens.


@pytest.mark.parametrize("family", ["channel", "exchanges"])
@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
async def test_a_connection_given_up_while_it_opens_leaves_nothing(
    version: str, family: str, neighbour: Server
) -> None:
    """Cancelled in the middle of the handshake or of the probe: the transport is closed before the caller goes on."""
    peer = make_peer(version, exchanges=family == "exchanges")
    method = "server/discover" if version == STATELESS else "initialize"
    peer.answers[method] = silence
    opening = asyncio.create_task(_opened(connect(peer.transport)))
    await peer.got(method)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert peer.transport.closed


async def test_a_connection_given_up_at_any_moment_of_its_opening_leaves_nothing(neighbour: Server) -> None:
    """However many turns of the loop the opening has had: it is either closed, or was never opened."""
    for turns in range(40):
        peer = make_peer(HANDSHAKE)
        opening = asyncio.create_task(_opened(connect(peer.transport)))
        for _ in range(turns):
            await asyncio.sleep(0)
        if opening.done():
            await opening.result().aclose()
            break
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert peer.transport.closed or peer.transport.inbox is None
    else:
        pytest.fail("it never opened")


async def test_a_silent_server_fails_the_opening_in_time(clock: Clock, neighbour: Server) -> None:
    """Neither probe nor handshake answered: a time-out that names the server and its patience."""
    peer = make_peer()
    peer.answers["server/discover"] = peer.answers["initialize"] = silence
    opening = asyncio.create_task(_opened(connect(peer.transport, name="mute")))
    await peer.got("server/discover")
    await clock.forward(3.1)
    await peer.got("initialize")
    await clock.forward(58)
    with pytest.raises(RequestTimeout, match=r"^mute: no conversation came about within 60 s") as caught:
        await opening
    assert caught.value.timeout == 60
    assert peer.transport.closed


async def test_a_transport_that_fails_to_open_is_closed_and_its_error_comes_out(neighbour: Server) -> None:
    """Even an error that no transport should raise reaches the caller as it is."""
    peer = make_peer()

    async def fail(inbox: Inbox) -> None:
        raise PermissionError("not yours")

    peer.transport.open = fail
    with pytest.raises(PermissionError, match="not yours"):
        await connect(peer.transport)
    assert peer.transport.closed


async def test_a_refused_handshake_names_the_server_and_what_was_tried(neighbour: Server) -> None:
    """The answer of the server is the cause."""
    peer = Peer("0000-00-00")
    del peer.answers["initialize"]
    with pytest.raises(HandshakeFailed, match=r"^stranger: the handshake failed: .*-32601"):
        await connect(peer.transport, name="stranger")
    assert peer.transport.closed


# Forgotten.


async def test_a_dropped_server_is_closed_with_a_warning(neighbour: Server) -> None:
    """Who forgets to close is told so, and nothing stays open."""
    peer = make_peer()
    server = await connect(peer.transport, name="forgotten")
    held = [server]
    del server
    with pytest.warns(ResourceWarning, match="the connection to 'forgotten' was never closed"):
        held.clear()
    await quiet()
    assert peer.transport.closed


async def test_a_dropped_server_that_was_closed_or_lost_warns_nobody(neighbour: Server) -> None:
    """Warnings are errors in these tests."""
    peer = make_peer()
    server = await connect(peer.transport)
    await server.aclose()
    del server
    lost = make_peer()
    other = await connect(lost.transport)
    lost.lose(ConnectionLost("it broke"))
    del other
    gc.collect()
    await quiet()


PROGRAM = """
import asyncio, json, os, signal, sys
from dragoman import ServerConfig, connect

def config(*words):
    command, *args = json.loads(sys.argv[1])
    return ServerConfig(command=command, args=(*args, *words), shutdown_timeout=0.1)

async def connected(*words):
    return await connect(config(*words))

async def main():
    server = await connected()
    print((await server.call_tool("about")).structured["pid"], flush=True)
    {activity}

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
"""

ACTIVITIES: dict[str, tuple[str, int]] = {
    "returns": ("return server", 0),
    "drops it": ("del server", 0),
    "calls": ("call = asyncio.create_task(server.call_tool('silent')); await asyncio.sleep(0.05)", 0),
    "listens": ("await server.listen(tools=True).__aenter__()", 0),
    "begins to listen": ("listening = asyncio.create_task(server.listen(tools=True).__aenter__())", 0),
    "opens another": ("opening = asyncio.create_task(connected('mute')); await asyncio.sleep(0.2)", 0),
    "begins to open another": ("opening = asyncio.create_task(connected('mute')); await asyncio.sleep(0)", 0),
    "closes": ("closing = asyncio.create_task(server.aclose()); await asyncio.sleep(0)", 0),
    "fails": ("raise SystemExit(3)", 3),
    "is interrupted": ("os.kill(os.getpid(), signal.SIGINT); await server.call_tool('silent')", 130),
}


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_a_program_that_ends_without_closing_leaves_no_process_and_no_noise(activity: str) -> None:
    """The loop is shut down around an open connection: the server ends, stderr has at most a `ResourceWarning`."""
    code, status = ACTIVITIES[activity]
    command = [sys.executable, "-W", "default", "-c", PROGRAM.format(activity=code), json.dumps(scripted("stubborn"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, check=False)
    assert done.returncode == status
    assert done.stdout.strip().isdecimal()
    noise = [line for line in done.stderr.splitlines() if "ResourceWarning" not in line and not line.startswith("  ")]
    assert noise == []


def test_the_engine_works_on_uvloop() -> None:
    """Another event loop: open, call, time out, give up and close, over pipes and over sockets."""

    async def hang(visit: Visit) -> None:
        await visit.hang()

    async def converse(target: str | list[str]) -> None:
        async with connect(target) as server:
            assert (await server.call_tool("echo", {"message": "hello"})).text == "hello"
            with pytest.raises(RequestTimeout):
                await server.call_tool("silent", timeout=0.05)
            call = asyncio.create_task(server.call_tool("silent"))
            await server.call_tool("echo")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            waiting = asyncio.create_task(server.call_tool("silent"))
            await server.call_tool("echo")
        with pytest.raises(OutcomeUnknown):
            await waiting

    async def main() -> None:
        await converse(scripted())
        async with serving(honest(instead={"silent": hang})) as served:
            await converse(served.url)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


# What is told.


async def test_the_client_tells_who_it_is_and_only_what_it_can_do(neighbour: Server) -> None:
    """No handler, no capability; with handlers, theirs."""
    bare, able = make_peer(HANDSHAKE), make_peer()

    async def elicit(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        return ElicitationResult(action="cancel")

    async with connect(bare.transport):
        told = bare.params("initialize")[0]
        assert told["clientInfo"]["name"] == "dragoman"
        assert told["capabilities"] == {}
    async with connect(able.transport, elicitation=elicit, roots=["/"], client_info=ClientInfo("mine", "9")):
        meta = able.params("server/discover")[0]["_meta"]
        assert meta[META + "clientInfo"] == {"name": "mine", "version": "9"}
        assert meta[META + "clientCapabilities"] == {
            "elicitation": {"form": {}, "url": {}},
            "roots": {},
            "extensions": {"io.modelcontextprotocol/tasks": {}},
        }


@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
async def test_a_watcher_sees_every_message_in_both_directions(version: str, neighbour: Server) -> None:
    """``on_message`` gets exactly the bytes that travelled."""
    peer = make_peer(version)
    seen: list[tuple[str, bytes]] = []

    def watch(direction: str, data: bytes) -> None:
        seen.append((direction, data))

    async with connect(peer.transport, on_message=watch) as server:
        await server.call_tool("echo")
    assert [json.loads(data) for direction, data in seen if direction == "out"] == peer.received
    assert b'"hello"' in seen[-1][1]
    assert seen[-1][0] == "in"


async def test_closing_fails_later_calls_only(neighbour: Server) -> None:
    """A result that was received stays readable."""
    peer = make_peer()
    async with connect(peer.transport) as server:
        result = await server.call_tool("echo")
    assert result.text == "hello"
    with pytest.raises(ConnectionClosed):
        await server.ping()


async def _opened(connecting: Awaitable[Server]) -> Server:
    return await connecting
