"""One supervised server: its states, who waits for it and how long, its stops and starts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time

import pytest

from dragoman.config.model import ServerConfig
from dragoman.config.supervision import Restart
from dragoman.errors import (
    CommandNotFound,
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    LoginRequired,
    OutcomeUnknown,
    RequestTimeout,
    ServerExited,
    ServerNotReady,
)
from dragoman.events import ServerChanged, ServerLost, ServerRecovered
from tests.handle.stage import LONG, SOON, http, listing_http, stage, stdio
from tests.server.peer import Json, Peer, Request, text
from tests.servers.http_faults import Visit, free_port, serving


async def outcome(work: asyncio.Task[str]) -> str:
    """Give what became of a call: its text, or its error's kind."""
    try:
        return await work
    except DragomanError as error:
        return type(error).__name__


def echoing() -> Peer:
    """Give a server in this process with one tool, which gives its message back."""
    peer = Peer(capabilities={"tools": {}})

    async def echo(request: Request) -> Json:
        await asyncio.sleep(0.002)
        return text(request.arguments["message"])

    peer.tools["echo"] = echo
    return peer


# States, told truly.


async def test_a_server_comes_up_and_tells_its_course() -> None:
    """Each state is told once, in order, with what was agreed when it is connected."""
    before = time.time()
    async with stage(stdio("a")) as on:
        assert on.status("a").state == "configured"
        await on.until_listed("a")
        status = on.status("a")
        assert [step for step in on.course("a") if step != "CatalogueChanged"] == ["ServerAdded", "connecting", "ready"]
        assert before <= (status.connected_at or 0) <= time.time()
        assert before <= status.since <= time.time()
        assert (status.transport, status.era, status.code, status.failures) == ("stdio", "stateless", "", 0)
        assert (status.connections, status.tools, status.retry_at) == (1, len(on.tools("a")), None)
    assert on.handle("a").state == "stopped"
    assert on.handle("a").status().connected_at is None


async def test_a_command_that_is_not_there_fails_for_good() -> None:
    """Nothing is tried by itself; the reason and its code are told, to callers as well."""
    config = ServerConfig(name="a", command="dragoman-has-no-such-command", restart=SOON)
    async with stage(config) as on:
        status = await on.until_state("a", "failed")
        assert status.code == CommandNotFound.code
        assert "dragoman-has-no-such-command" in status.reason
        assert status.retry_at is None
        with pytest.raises(ServerNotReady) as refused:
            await on.call("a")
        assert refused.value.state == "failed"
        assert refused.value.retry_in is None
        assert isinstance(refused.value.__cause__, CommandNotFound)


async def test_a_server_that_wants_a_login_says_so() -> None:
    """401 is a state of its own, and the caller who waited for the attempt gets the very error."""

    async def unauthorised(visit: Visit) -> None:
        await visit.answer(status="401 Unauthorized", kind=None)

    async with serving(unauthorised) as server, stage(http("a", server.url, restart=LONG)) as on:
        with pytest.raises(LoginRequired):
            await on.call("a")
        assert on.status("a").state == "needs_login"
        assert on.status("a").code == LoginRequired.code
        with pytest.raises(ServerNotReady, match="needs a login"):
            await on.call("a")
        assert on.attempts["a"] == 1


async def test_a_server_at_rest_is_tried_again_by_a_call_after_the_longest_delay_only() -> None:
    """Callers make no attempts before; afterwards one call is enough to bring it back."""
    opened = False

    async def gatekeeper(visit: Visit) -> None:
        if opened:
            await listing_http()(visit)
        else:
            await visit.answer(status="401 Unauthorized", kind=None)

    rest = Restart(first_delay=0.01, longest_delay=0.3)
    async with serving(gatekeeper) as server, stage(http("a", server.url, restart=rest)) as on:
        await on.until_state("a", "needs_login")
        opened = True
        for _ in range(20):
            with pytest.raises(ServerNotReady):
                await on.call("a")
            on.handle("a").want()
        await asyncio.sleep(0.03)
        assert on.attempts["a"] == 1
        await asyncio.sleep(0.3)  # the rest itself is what is shown
        assert await on.call("a", message="hello") == "hello"
        assert on.attempts["a"] == 2


async def test_waking_tries_a_server_at_rest_at_once_and_a_call_waits_for_it() -> None:
    """A call right after it waits for that attempt instead of hearing of the last one."""
    opened = False

    async def gatekeeper(visit: Visit) -> None:
        if opened:
            await listing_http()(visit)
        else:
            await visit.answer(status="403 Forbidden", kind=None)

    async with serving(gatekeeper) as server, stage(http("a", server.url, restart=LONG)) as on:
        await on.until_state("a", "failed")
        opened = True
        on.handle("a").start()
        on.handle("a").wake()
        assert on.status("a").state == "configured"
        assert on.status("a").code == ""
        assert await on.call("a", message="hello") == "hello"


async def test_waking_ends_a_long_back_off() -> None:
    """A server that waits is tried at once, and a call waits for that attempt."""
    port = free_port()
    async with stage(http("a", f"http://127.0.0.1:{port}/mcp", restart=LONG)) as on:
        status = await on.until_state("a", "waiting")
        assert (status.retry_at or 0) - time.time() > 1
        on.handle("a").wake()
        with pytest.raises(DragomanError) as raised:
            await on.call("a")
        assert not isinstance(raised.value, ServerNotReady)
        assert on.attempts["a"] == 2


async def test_a_disabled_server_is_never_started() -> None:
    """Neither start, wake, a call nor a stop changes that, or what is told of it."""
    async with stage(stdio("a", disabled=True)) as on:
        handle = on.handle("a")
        handle.start()
        handle.wake()
        await asyncio.sleep(0.02)
        with pytest.raises(ServerNotReady, match="switched off in the configuration"):
            await on.call("a")
        await handle.stop()
        assert (handle.state, on.attempts) == ("disabled", {})
        assert on.status("a").reason == "it is switched off in the configuration"
    assert on.course("a") == ["ServerAdded"]


# On use, and idle.


async def test_a_server_on_use_starts_with_its_first_call() -> None:
    """Nothing is started before."""
    async with stage(stdio("a", start="on_use")) as on:
        await asyncio.sleep(0.05)
        assert (on.status("a").state, on.attempts) == ("configured", {})
        assert await on.call("a", message="hello") == "hello"
        assert on.attempts["a"] == 1


async def test_an_idle_server_is_closed_and_woken_by_a_call() -> None:
    """It tells so, comes back for a call, and for nothing else."""
    async with stage(stdio("a", idle_timeout=0.1)) as on:
        await on.until_state("a", "ready")
        await on.until(lambda: on.status("a").reason == "it was idle; the next call wakes it")
        on.handle("a").wake()
        await on.until_state("a", "ready")
        on.handle("a").want()  # it is there already: nobody needs it more than now
        on.handle("a").wake()
        await on.until_state("a", "configured")
        await asyncio.sleep(0.1)
        assert on.attempts["a"] == 2
        assert await on.call("a", message="hello") == "hello"
        assert on.attempts["a"] == 3
        assert not on.events(ServerLost, "a")


async def test_a_server_with_calls_under_way_or_listeners_is_not_idle() -> None:
    """Long calls and held connections count as use, however quiet they are."""
    async with stage(stdio("a", idle_timeout=0.05)) as on:
        assert await on.call("a", "wait", seconds=0.3) == "done"
        on.handle("a").held += 1
        await on.call("a")
        await asyncio.sleep(0.2)
        assert (on.status("a").state, on.attempts["a"]) == ("ready", 1)
        on.handle("a").held -= 1
        await on.until_state("a", "configured")


async def test_no_call_is_lost_between_idle_closing_and_waking() -> None:
    """Calls that come just as the connection is closed for idleness are answered, every one."""
    idle = 0.005
    local = ServerConfig(name="local", transport="peer", idle_timeout=idle, restart=SOON)
    async with stage(stdio("process", idle_timeout=idle), local, peers={"local": echoing}) as on:

        async def hammer(name: str, count: int) -> None:
            for number in range(count):
                assert await on.call(name, message=str(number)) == str(number)
                await asyncio.sleep(idle + (number % 20 - 10) / 10_000)

        await asyncio.gather(hammer("process", 40), hammer("local", 250))
        assert on.attempts["process"] > 3
        assert on.attempts["local"] > 10


# Who waits, and how long.


async def test_a_call_to_a_connecting_server_waits_within_its_time_out() -> None:
    """A short one ends with a time-out of its own that tells the state, a long one is answered."""
    async with stage(stdio("a", "start_after=0.3")) as on:
        await on.until_state("a", "connecting")
        patient = asyncio.create_task(on.call("a", message="hello"))
        with pytest.raises(RequestTimeout, match="it is connecting") as late:
            await on.call("a", timeout=0.05)
        assert 0.04 < late.value.timeout < 0.3
        assert await patient == "hello"
        assert on.attempts["a"] == 1


async def test_a_call_to_a_server_that_never_came_up_fails_at_once_with_the_reason() -> None:
    """Whoever waited for the attempt gets its error; whoever comes later is told of it and when the next one is."""
    async with stage(stdio("a", "exit=3", restart=LONG)) as on:
        with pytest.raises(ServerExited):
            await on.call("a", timeout=50.0)  # more than the back-off: it does not wait for the next attempt
        began = time.monotonic()
        with pytest.raises(ServerNotReady, match="it is waiting") as refused:
            await on.call("a", timeout=50.0)
        assert time.monotonic() - began < 0.5
        assert refused.value.state == "waiting"
        assert 1 < (refused.value.retry_in or 0) <= 30
        assert isinstance(refused.value.__cause__, ServerExited)


async def test_each_caller_gets_an_error_of_its_own() -> None:
    """One instance raised in many tasks would gather all their frames."""
    async with stage(stdio("a", "exit=3", "start_after=0.1", restart=LONG)) as on:
        errors = await asyncio.gather(*(on.call("a") for _ in range(5)), return_exceptions=True)
        assert {type(error) for error in errors} == {ServerExited}
        assert len({id(error) for error in errors}) == 5
        assert on.attempts["a"] == 1


async def test_a_call_to_a_lost_server_waits_for_the_next_attempt() -> None:
    """It was connected before, so it is believed to come back; a call without the time for that fails at once."""
    slow = Restart(first_delay=1.0, longest_delay=1.0)
    async with stage(stdio("a", restart=slow)) as on:
        await on.until_listed("a")
        await on.kill("a", signal.SIGKILL)
        await on.until_state("a", "waiting")
        with pytest.raises(ServerNotReady) as refused:
            await on.call("a", timeout=0.001)
        assert refused.value.state == "waiting"
        assert await on.call("a", message="hello") == "hello"
        assert on.attempts["a"] == 2


async def test_an_open_breaker_refuses_calls_at_once() -> None:
    """After so many failures in a row nobody waits any more, and no call makes an attempt."""
    restart = Restart(first_delay=0.02, longest_delay=30.0, breaker=2)
    answering = True

    async def moody(visit: Visit) -> None:
        if answering:
            await listing_http()(visit)
        else:
            visit.reset()

    async with serving(moody) as server, stage(http("a", server.url, restart=restart)) as on:
        await on.until_listed("a")
        answering = False
        with pytest.raises(DragomanError):
            await on.call("a")
        await on.until(lambda: on.status("a").failures >= 7)  # the delays have grown by now
        await on.until_state("a", "waiting")
        attempts = on.attempts["a"]
        began = time.monotonic()
        refusals = await asyncio.gather(*(on.call("a") for _ in range(200)), return_exceptions=True)
        assert time.monotonic() - began < 1.0
        assert {type(error) for error in refusals} == {ServerNotReady}
        assert on.attempts["a"] - attempts <= 1


async def test_a_hundred_calls_to_a_lost_server_make_one_attempt() -> None:
    """Callers wait for the owner's attempt; they make none."""
    async with stage(stdio("a", restart=Restart(first_delay=0.2, longest_delay=0.2))) as on:
        await on.until_listed("a")
        await on.kill("a", signal.SIGKILL)
        await on.until_state("a", "waiting")
        assert await asyncio.gather(*(on.call("a", message="x") for _ in range(100))) == ["x"] * 100
        assert on.attempts["a"] == 2


async def test_a_cancelled_caller_leaves_the_attempt_alone() -> None:
    """Whoever gives up costs nobody else the server."""
    async with stage(stdio("a", "start_after=0.2", start="on_use")) as on:
        first = asyncio.create_task(on.call("a"))
        await on.until_state("a", "connecting")
        second = asyncio.create_task(on.call("a", message="hello"))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second == "hello"
        assert (on.attempts["a"], on.handle("a").in_flight) == (1, 0)


# Coming back.


async def test_a_server_that_is_away_for_many_attempts_writes_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand attempts that end alike are one line, and the back-off bounds how many there are."""
    tiny = Restart(first_delay=0.0001, longest_delay=0.0002)
    caplog.set_level(logging.INFO, "dragoman")
    async with stage(http("a", f"http://127.0.0.1:{free_port()}/mcp", restart=tiny)) as on:
        await on.until(lambda: on.attempts["a"] >= 1000, patience=30)
        assert on.status("a").failures >= 999
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) <= 3, lines
    assert sum("waiting" in line for line in lines) == 1


async def test_a_crash_loop_backs_off() -> None:
    """A server that connects and crashes at once is no healthy server: the delays grow."""
    restart = Restart(first_delay=0.05, longest_delay=60.0)
    async with stage(stdio("a", "die_on=tools/list", restart=restart)) as on:
        await on.until(lambda: on.status("a").failures >= 4)
        assert on.handle("a").connections >= 3
        waits = [e.status.retry_at - e.at for e in on.events(ServerChanged, "a") if e.status.retry_at is not None]
        assert waits[3] <= 0.4
        assert all(wait >= 0.1 * 0.05 * 2**number - 0.01 for number, wait in enumerate(waits))


async def test_a_server_that_crashes_on_each_call_is_back_promptly_and_others_are_not_refused() -> None:
    """A call that kills the server is its own fault: the breaker stays closed for the next ones."""
    restart = Restart(first_delay=0.02, longest_delay=60.0, breaker=3)
    async with stage(stdio("a", restart=restart)) as on:
        await on.until_listed("a")
        for number in range(1, 7):
            with pytest.raises(OutcomeUnknown):
                await on.call("a", "die")
            await on.until(lambda: len(on.events(ServerRecovered, "a")) == number)  # noqa: B023 - used at once
            assert on.status("a").failures < 3
        assert await on.call("a", message="hello") == "hello"
        assert on.attempts["a"] == 7


async def test_a_call_that_is_answered_ends_a_row_of_failures() -> None:
    """The next loss waits as the first one did."""
    restart = Restart(first_delay=0.01, longest_delay=60.0, breaker=20)
    async with stage(stdio("a", restart=restart)) as on:
        for _ in range(6):
            await on.call("a")
            await on.kill("a", signal.SIGKILL)
            await on.until_state("a", "waiting")
            assert on.status("a").failures == 1


async def test_what_a_503_asks_for_is_waited() -> None:
    """``Retry-After`` counts for more than the own back-off, at the opening as well."""

    async def busy(visit: Visit) -> None:
        await visit.answer(status="503 Service Unavailable", kind=None, headers={"Retry-After": "7"})

    async with serving(busy) as server, stage(http("a", server.url)) as on:
        status = await on.until_state("a", "waiting")
        assert 6 < (status.retry_at or 0) - time.time() <= 7


async def test_a_lost_server_recovers_and_says_so_in_order() -> None:
    """Lost, waiting, connecting, ready; recovered once all is listed anew, with the time that it was away."""
    async with stage(stdio("a")) as on:
        await on.until_listed("a")
        start = len(on.course("a"))
        await on.kill("a", signal.SIGKILL)
        await on.until(lambda: on.events(ServerRecovered, "a"))
        course = [step for step in on.course("a")[start:] if step != "CatalogueChanged"]
        assert course == ["ServerLost", "waiting", "connecting", "ready", "ServerRecovered"]
        recovered = on.events(ServerRecovered, "a")[0]
        lost = on.events(ServerLost, "a")[0]
        assert recovered.away == pytest.approx(recovered.at - lost.at, abs=0.1)


async def test_a_lost_server_on_use_rests_until_somebody_needs_it() -> None:
    """After the back-off it is not tried by itself; its last trouble is still told."""
    async with stage(stdio("a", start="on_use")) as on:
        await on.call("a")
        await on.kill("a", signal.SIGKILL)
        status = await on.until_state("a", "configured")
        assert "the next call tries again" in status.reason
        assert status.code
        assert on.attempts["a"] == 1
        assert await on.call("a", message="hello") == "hello"


# Stops and starts.


async def test_a_stopped_server_refuses_calls_and_comes_back_by_a_start() -> None:
    """The reason is the stop, whatever was wrong before."""
    async with stage(stdio("a", "exit=3", restart=LONG), stdio("b")) as on:
        await on.until_state("a", "waiting")
        await on.until_state("b", "ready")
        for name in "ab":
            await on.handle(name).stop()
            assert (on.status(name).state, on.status(name).reason, on.status(name).code) == (
                "stopped",
                "it was stopped",
                "",
            )
            with pytest.raises(ServerNotReady, match="stopped") as refused:
                await on.call(name)
            assert refused.value.__cause__ is None
            on.handle(name).wake()
            on.handle(name).want()
        assert on.attempts == {"a": 1, "b": 1}
        on.handle("b").start()
        assert await on.call("b", message="hello") == "hello"


async def test_a_stop_lets_calls_end_and_takes_no_new_ones() -> None:
    """What is under way is answered; what comes later is refused at once, although the server still stands."""
    async with stage(stdio("a", shutdown_timeout=2.0)) as on:
        await on.call("a")
        working = asyncio.create_task(on.call("a", "wait", seconds=0.2))
        await on.until(lambda: on.handle("a").in_flight)
        await asyncio.sleep(0.02)
        stopping = asyncio.create_task(on.handle("a").stop())
        await on.until_state("a", "stopped")
        with pytest.raises(ServerNotReady):
            await on.call("a")
        assert await working == "done"
        await stopping
        assert on.handle("a").in_flight == 0


async def test_a_stop_cuts_off_what_does_not_end() -> None:
    """The drain is bounded, and the caller learns that the fate of the call is unknown."""
    async with stage(stdio("a", shutdown_timeout=0.1)) as on:
        await on.call("a")
        hanging = asyncio.create_task(on.call("a", "silent"))
        await on.until(lambda: on.handle("a").in_flight)
        await asyncio.sleep(0.02)
        began = time.monotonic()
        await on.handle("a").stop()
        assert time.monotonic() - began < 1.0
        assert await outcome(hanging) == "OutcomeUnknown"


async def test_a_stop_while_connecting_gives_the_attempt_up() -> None:
    """Those who waited for it are told at once."""
    async with stage(stdio("a", "start_after=60", shutdown_timeout=0.1)) as on:
        waiting = asyncio.create_task(on.call("a"))
        await on.until_state("a", "connecting")
        await on.handle("a").stop()
        assert await outcome(waiting) == "ServerNotReady"
        assert on.status("a").state == "stopped"


async def test_a_start_while_it_is_being_stopped_takes_effect_afterwards() -> None:
    """The last word counts, and never are there two owners or two processes."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.1)) as on:
        pid = await on.pid("a")
        stopping = asyncio.create_task(on.handle("a").stop())
        await on.until_state("a", "stopped")
        on.handle("a").start()
        assert on.status("a").state == "configured"
        assert await on.call("a", message="hello") == "hello"
        assert stopping.done()
        assert await on.pid("a") != pid
        stopping = asyncio.create_task(on.handle("a").stop())
        await on.until_state("a", "stopped")
        on.handle("a").start()
        await on.handle("a").stop()
        await stopping
        assert (on.status("a").state, on.attempts["a"]) == ("stopped", 2)


async def test_a_stop_while_a_lost_connection_is_closed_waits_for_its_end() -> None:
    """A process that outlives its connection is gone when the stop is over."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.15)) as on:
        await on.call("a")
        with contextlib.suppress(DragomanError):
            await on.call("a", "hang_up", timeout=1.0)  # its stdout is closed, and it lives on
        await on.until_state("a", "waiting")
        await on.handle("a").stop()
        assert on.status("a").state == "stopped"


async def test_a_cancelled_stop_goes_on() -> None:
    """The server ends all the same, and the next stop waits for that end."""
    async with stage(stdio("a", "stubborn", shutdown_timeout=0.1)) as on:
        await on.call("a")
        impatient = asyncio.create_task(on.handle("a").stop())
        await on.until_state("a", "stopped")
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await on.handle("a").stop()
        assert on.handle("a").server is None


async def test_stops_starts_and_calls_may_come_in_any_order() -> None:
    """Many tasks at once: each call has its outcome, and the end is one server or none."""
    async with stage(stdio("a", shutdown_timeout=0.2)) as on:
        calls: list[asyncio.Task[str]] = []

        async def disturb(seed: int) -> None:
            for number in range(6):
                if (number + seed) % 3 == 0:
                    await on.handle("a").stop()
                elif (number + seed) % 3 == 1:
                    on.handle("a").start()
                else:
                    on.handle("a").wake()
                calls.append(asyncio.create_task(on.call("a", message="x", timeout=5.0)))
                await asyncio.sleep(0.01 * seed)

        await asyncio.gather(*(disturb(seed) for seed in range(5)))
        on.handle("a").start()
        outcomes = {await outcome(call) for call in calls}
        kinds = {kind.__name__ for kind in (ServerNotReady, ConnectionClosed, ConnectionLost, OutcomeUnknown)}
        assert outcomes <= {"x", *kinds}
        assert await on.call("a", message="hello") == "hello"
        assert on.handle("a").in_flight == 0


async def test_an_owner_survives_what_a_plug_in_raises() -> None:
    """An error of no known kind while connecting is a failed attempt like any other."""

    def odd() -> Peer:
        raise ValueError("odd")

    async with stage(stdio("a", restart=LONG), peers={"a": odd}) as on:
        status = await on.until_state("a", "waiting")
        assert status.reason == "the attempt failed (ValueError: odd)"
