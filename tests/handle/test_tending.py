"""Whether a server is there: asked after trouble and when it is quiet, lost when it is silent, spared when it works."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from dragoman.config.model import ServerConfig
from dragoman.config.supervision import Restart
from dragoman.errors import ConnectionLost, DragomanError, OutcomeUnknown, RequestTimeout, ServerError, ServerNotReady
from dragoman.events import ServerLost, ServerRecovered
from dragoman.handle import tending
from tests.handle.stage import LONG, SOON, http, listing_http, stage, stdio
from tests.server.peer import Json, Peer, Request, RpcError, silence, text
from tests.servers.http_faults import FaultyServer, Script, Visit, free_port, serving


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask more often, and wait for less."""
    monkeypatch.setattr(tending, "_PATIENCE", 0.05)
    monkeypatch.setattr(tending, "_PAUSE", 0.02)


async def reset(visit: Visit) -> None:
    """Break the connection."""
    visit.reset()


async def hang(visit: Visit) -> None:
    """Never answer."""
    await visit.hang()


async def overloaded(visit: Visit) -> None:
    """Answer as a proxy does whose server is gone."""
    await visit.answer(status="502 Bad Gateway", kind=None)


async def broken(visit: Visit) -> None:
    """Answer as a server does that fails within."""
    await visit.answer(status="500 Internal Server Error", kind=None)


def methods(server: FaultyServer, method: str) -> int:
    """Count the requests of a method."""
    return sum(visit.method == method for visit in server.visits)


# Servers behind an address have no connection that ends.


@pytest.mark.parametrize("away", [reset, overloaded, broken, hang])
async def test_a_server_behind_an_address_that_is_away_is_lost_and_comes_back(away: Script) -> None:
    """A call that fails makes the handle ask; the server is lost, tried again, listed anew, and calls work."""
    async with serving(listing_http()) as server, stage(http("a", server.url, timeout=0.2)) as on:
        await on.until_listed("a")
        listings = methods(server, "tools/list")
        server.script = away
        with pytest.raises(DragomanError):
            await on.call("a", timeout=0.2)
        await on.until(lambda: on.events(ServerLost, "a"))
        await on.until_state("a", "waiting")
        assert all(entry.stale for entry in on.catalogue.all_tools("a"))
        if away is not reset:
            assert "degraded" in on.course("a")
        server.script = listing_http(tools=("echo", "another"))
        await on.until(lambda: on.events(ServerRecovered, "a"))
        assert methods(server, "tools/list") == listings + 1
        assert on.tools("a") == ["echo", "another"]
        assert not any(entry.stale for entry in on.catalogue.all_tools("a"))
        assert await on.call("a", message="hello") == "hello"
        course = on.course("a")
        assert course.index("ServerLost") < course.index("waiting") < course.index("ServerRecovered")


async def test_a_real_server_that_is_killed_and_started_again_is_found_again() -> None:
    """A process behind a port: refused meanwhile, and the call in between waits for it."""
    port = free_port()

    async def start() -> asyncio.subprocess.Process:
        words = [sys.executable, "-m", "dragoman.samples.notes", "--http", str(port)]
        process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
        assert process.stdout is not None
        await process.stdout.readline()
        return process

    process = await start()
    try:
        async with stage(http("notes", f"http://127.0.0.1:{port}/mcp", health_interval=0.05)) as on:
            await on.until_listed("notes")
            process.kill()
            await process.wait()
            await on.until_state("notes", "waiting")  # nobody called: the quiet server was asked
            process = await start()
            await on.until(lambda: on.events(ServerRecovered, "notes"))
            assert await on.call("notes", "find_notes", text="nothing") is not None
    finally:
        process.kill()
        await process.wait()


async def test_a_server_that_wants_a_new_login_is_no_more_ready() -> None:
    """A token that has expired shows with the next question, and no attempt is made by itself."""

    async def unauthorised(visit: Visit) -> None:
        await visit.answer(status="401 Unauthorized", kind=None)

    async with serving(listing_http()) as server, stage(http("a", server.url, health_interval=0.05)) as on:
        await on.until_listed("a")
        server.script = unauthorised
        status = await on.until_state("a", "needs_login")
        assert status.code == "auth.login_required"
        assert "degraded" not in on.course("a")
        attempts = on.attempts["a"]
        with pytest.raises(ServerNotReady):
            await on.call("a")
        assert on.attempts["a"] - attempts <= 1


async def test_a_server_that_is_asked_too_much_is_there() -> None:
    """429 is an answer; nobody is lost for being busy."""

    async def too_many(visit: Visit) -> None:
        await visit.answer(status="429 Too Many Requests", kind=None)

    limited = listing_http()
    async with serving(limited) as server, stage(http("a", server.url, health_interval=0.02)) as on:
        await on.until_listed("a")
        server.script = too_many
        asked = methods(server, "server/discover")
        await server.until(lambda: methods(server, "server/discover") >= asked + 4)
        assert (on.status("a").state, on.attempts["a"]) == ("ready", 1)


async def test_a_connection_that_somebody_else_closed_is_replaced() -> None:
    """Whoever holds the server may close it; that is a loss, not idleness."""
    async with stage(stdio("a", health_interval=0.01)) as on:
        await on.until_listed("a")
        connected = on.handle("a").server
        assert connected is not None
        await connected.aclose()
        await on.until(lambda: on.events(ServerRecovered, "a"))
        assert on.events(ServerLost, "a")[0].reason == "the connection was closed"


async def test_a_quiet_server_is_asked_and_a_busy_one_is_not() -> None:
    """The interval counts from the last answer, whoever got it."""
    async with serving(listing_http()) as server, stage(http("a", server.url, health_interval=0.15)) as on:
        await on.until_listed("a")
        asked = methods(server, "server/discover")
        await server.until(lambda: methods(server, "server/discover") >= asked + 2)
        asked = methods(server, "server/discover")
        ended = time.monotonic() + 0.5
        while time.monotonic() < ended:
            await on.call("a")
            await asyncio.sleep(0.01)
        assert methods(server, "server/discover") - asked <= 1


async def test_a_server_that_fails_all_calls_is_asked_all_the_same() -> None:
    """Failures are no signs of life, however many there are."""
    failing = listing_http({"echo": broken})
    async with serving(failing) as server, stage(http("a", server.url, health_interval=0.05)) as on:
        await on.until_listed("a")
        asked = methods(server, "server/discover")
        handle = on.handle("a")
        async with asyncio.timeout(5):
            while methods(server, "server/discover") < asked + 2:
                handle.enter()
                connected = handle.server
                assert connected is not None
                with pytest.raises(DragomanError):
                    await connected.call_tool("echo")
                handle.leave()


@pytest.mark.usefixtures("impatient")
async def test_many_calls_that_fail_make_few_questions() -> None:
    """A hundred callers ask no more than one would."""

    async def unavailable(visit: Visit) -> None:
        await visit.answer(status="503 Service Unavailable", kind=None)

    async with serving(listing_http({"echo": unavailable})) as server, stage(http("a", server.url)) as on:
        await on.until_listed("a")
        asked = methods(server, "server/discover")
        began = time.monotonic()
        for _ in range(10):
            await asyncio.gather(*(on.call("a") for _ in range(20)), return_exceptions=True)
        bound = (time.monotonic() - began) / 0.02 + 2
        assert 1 <= methods(server, "server/discover") - asked <= bound
        assert on.status("a").state == "ready"


# Processes.


async def test_a_stopped_process_is_found_out_killed_and_replaced() -> None:
    """SIGSTOP closes nothing; time-outs and unanswered questions tell, and the next call is answered."""
    async with stage(stdio("a", timeout=0.2)) as on:
        await on.until_listed("a")
        pid = await on.pid("a")
        await on.kill("a", signal.SIGSTOP)
        with pytest.raises(RequestTimeout):
            await on.call("a", timeout=0.2)
        await on.until(lambda: on.events(ServerLost, "a"))
        assert "degraded" in on.course("a")
        assert await on.call("a", message="hello") == "hello"
        assert await on.pid("a") != pid


async def test_a_quiet_process_is_asked_in_the_way_of_its_era() -> None:
    """A process that hangs without a call is found out by its health check, in either era."""
    words = ["era=handshake"], ["era=stateless"]
    names = ["handshake", "stateless"]
    configs = [stdio(name, *word, timeout=0.1, health_interval=0.05) for name, word in zip(names, words, strict=True)]
    async with stage(*configs) as on:
        for name in names:
            await on.until_listed(name)
            await on.kill(name, signal.SIGSTOP)
        for name in names:
            await on.until(lambda: on.events(ServerRecovered, name))  # noqa: B023 - used at once


# Signs of life.


def working(peer: Peer, busy: asyncio.Event) -> Peer:
    """Let a peer do one thing at a time: while ``busy`` is set, it answers nothing but its work."""
    discover = peer.answers["server/discover"]
    unanswered = 0

    async def answer(request: Request) -> Json:
        nonlocal unanswered
        if busy.is_set():
            unanswered += 1
            peer.stir()
            await silence(request)
        return await discover(request)

    async def work(_: Request) -> Json:
        busy.set()
        await peer.until(lambda: unanswered == 4)  # and the last of them is still waited for
        busy.clear()
        return text("worked")

    peer.answers["server/discover"] = answer
    peer.tools["work"] = work
    peer.tools["silent"] = silence
    return peer


def local(**settings: object) -> ServerConfig:
    """Give the settings of a server in this process."""
    return ServerConfig(name="local", transport="peer", restart=SOON, **settings)  # pyright: ignore[reportArgumentType]


@pytest.mark.usefixtures("impatient")
async def test_a_server_at_work_is_not_taken_for_dead() -> None:
    """It does one thing at a time; another caller's short time-out does not cost the one who waits his answer."""
    busy = asyncio.Event()
    config = local(timeout=5.0, health_interval=0.05)
    async with stage(config, peers={"local": lambda: working(Peer(capabilities={"tools": {}}), busy)}) as on:
        await on.until_listed("local")
        patient = asyncio.create_task(on.call("local", "work"))
        await busy.wait()
        with pytest.raises(RequestTimeout):
            await on.call("local", "silent", timeout=0.05)
        await on.until_state("local", "degraded")
        assert await patient == "worked"
        await on.until_state("local", "ready")
        assert on.attempts["local"] == 1
        assert on.status("local").code == ""


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_is_silent_for_a_whole_time_out_is_lost_whoever_waits_for_it() -> None:
    """Calls under way keep it for as long as one may take by its configuration, and no longer."""
    busy = asyncio.Event()
    config = local(timeout=0.3)
    async with stage(config, peers={"local": lambda: working(Peer(capabilities={"tools": {}}), busy)}) as on:
        await on.until_listed("local")
        hanging = asyncio.create_task(on.call("local", "silent"))
        await on.until(lambda: on.handle("local").in_flight)
        busy.set()
        on.handle("local").suspect()
        with pytest.raises(OutcomeUnknown):
            await hanging
        busy.clear()
        await on.until(lambda: on.events(ServerRecovered, "local"))


@pytest.mark.usefixtures("impatient")
async def test_a_question_that_is_answered_with_an_error_is_answered() -> None:
    """A server that does not know ``ping`` is there."""

    def unwilling() -> Peer:
        peer = Peer("2025-11-25", capabilities={"tools": {}})

        async def refuse(_: Request) -> Json:
            raise RpcError(-32601)

        peer.answers["ping"] = refuse
        peer.tools["silent"] = silence
        return peer

    async with stage(local(), peers={"local": unwilling}) as on:
        await on.until_listed("local")
        with pytest.raises(RequestTimeout):
            await on.call("local", "silent", timeout=0.02)
        await on.until(lambda: on.made["local"][0].params("ping"))
        with pytest.raises(ServerError):
            await on.call("local", "unknown")
        assert (on.status("local").state, on.attempts["local"]) == ("ready", 1)


async def test_a_connection_that_ends_while_the_server_is_asked_is_lost_at_once() -> None:
    """Nobody waits for the answer of a server that is gone."""
    async with stage(stdio("a", restart=LONG)) as on:
        await on.until_listed("a")
        pid = await on.pid("a")
        await on.kill("a", signal.SIGSTOP)
        on.handle("a").suspect()
        await asyncio.sleep(0.05)
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        status = await on.until_state("a", "waiting")
        assert time.monotonic() - began < 2
        assert status.reason == "the server was ended by SIGKILL"


async def test_a_server_that_breaks_by_itself_opens_the_breaker() -> None:
    """No call asked for it: what failed was its stream of changes, so the row of failures grows."""
    peers: list[Peer] = []

    def anew() -> Peer:
        peers.append(Peer(capabilities={"tools": {}}))
        return peers[-1]

    restart = Restart(first_delay=0.01, longest_delay=0.02, breaker=3)
    config = ServerConfig(name="local", transport="peer", restart=restart)
    async with stage(config, peers={"local": anew}) as on:
        await on.until_listed("local")
        for count in range(1, 5):
            on.handle("local").check()
            peers[-1].lose(ConnectionLost("it broke"))
            await on.until(lambda count=count: len(on.events(ServerRecovered, "local")) == count)
        assert on.status("local").failures == 4
