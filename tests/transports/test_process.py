"""How a server ends: closed, dead, or left alone by a client that does not close."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from dragoman.errors import (
    ConnectionClosed,
    ServerExited,
)
from dragoman.transports.stdio import StdioTransport
from tests.transports.recording import RecordingInbox, alive, ask, call, gone, send
from tests.transports.started import about, configuration, opened, run_on, shell

# The first loop of libuv opens a pipe for signals, which stays for the life of the process.
uvloop.new_event_loop().close()


# The end.


async def test_a_polite_server_is_closed_at_once() -> None:
    """The end of stdin is enough; nobody waits longer than the server needs."""
    async with opened(shutdown_timeout=30.0) as (transport, inbox):
        await ask(transport, inbox, call(1, "echo"))
        started = time.monotonic()
        await transport.aclose()
        assert time.monotonic() - started < 1
        assert inbox.lost == []
        with pytest.raises(ConnectionClosed):
            transport.send(call(2, "echo"))


async def test_a_server_that_ignores_everything_is_killed_in_bounded_time() -> None:
    """Stdin closed, SIGTERM, SIGKILL: each after the time-out."""
    async with opened("stubborn", shutdown_timeout=0.2) as (transport, inbox):
        pid = (await about(transport, inbox))["pid"]
        started = time.monotonic()
        await transport.aclose()
        assert 0.4 <= time.monotonic() - started < 2
        assert not alive(pid)


async def test_a_stopped_server_is_killed_too() -> None:
    """A process under SIGSTOP hears no SIGTERM, but SIGKILL."""
    async with opened(shutdown_timeout=0.1) as (transport, inbox):
        pid = (await about(transport, inbox))["pid"]
        os.kill(pid, signal.SIGSTOP)
        await transport.aclose()
        assert not alive(pid)


@pytest.mark.parametrize("words", [("stubborn",), ()], ids=["stubborn-server", "polite-server"])
@pytest.mark.parametrize("kinds", ["plain", "stubborn", "session", "both", "plain,stubborn,session,both"])
async def test_grandchildren_end_with_their_server(words: tuple[str, ...], kinds: str) -> None:
    """Those in the group, those that ignore SIGTERM, and those in a session of their own."""
    async with opened(f"children={kinds}", *words, shutdown_timeout=0.2) as (transport, inbox):
        told = await about(transport, inbox)
        await transport.aclose()
        assert [pid for pid in (told["pid"], *told["children"]) if alive(pid)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="setsid is a program of Linux")
async def test_a_grandchild_that_comes_while_the_server_ends_is_found() -> None:
    """The server's tree is looked at again before each signal."""
    transport, inbox = shell("trap '' TERM; cat; setsid sleep 1000 & sleep 1000"), RecordingInbox()
    await transport.open(inbox)
    await transport.aclose()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt")
async def test_the_dead_that_nobody_reaps_hold_up_nothing() -> None:
    """In a container whose first process does not reap, a dead grandchild stays in the group for ever."""
    set_child_subreaper = 36
    libc = ctypes.CDLL(None)
    assert libc.prctl(set_child_subreaper, 1, 0, 0, 0) == 0
    try:
        async with opened("children=plain", shutdown_timeout=30.0) as (transport, inbox):
            (child,) = (await about(transport, inbox))["children"]
            started = time.monotonic()
            await transport.aclose()
            assert time.monotonic() - started < 5
        assert psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        os.waitpid(child, 0)
    finally:
        libc.prctl(set_child_subreaper, 0, 0, 0, 0)


async def test_grandchildren_end_when_the_server_dies_by_itself() -> None:
    """Nobody has to close for that; closing then has nothing left to do."""
    async with opened("children=plain,stubborn", shutdown_timeout=0.2) as (transport, inbox):
        children = (await about(transport, inbox))["children"]
        await send(transport, call(1, "die"))
        await inbox.loss()
        await gone(*children)


async def test_closing_works_from_any_task_and_any_number_of_times() -> None:
    """Each caller waits for the one end; a cancelled caller does not stop it."""
    transport, inbox = StdioTransport(configuration("stubborn", shutdown_timeout=0.2)), RecordingInbox()
    await transport.open(inbox)
    pid = (await about(transport, inbox))["pid"]
    impatient = asyncio.create_task(transport.aclose())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await asyncio.gather(*(transport.aclose() for _ in range(5)))
    assert not alive(pid)
    await transport.aclose()


async def test_closing_before_opening_is_allowed() -> None:
    """A transport that was closed can't be opened any more."""
    transport = StdioTransport(configuration())
    await transport.aclose()
    with pytest.raises(ConnectionClosed):
        await transport.open(RecordingInbox())


async def test_a_last_message_is_written_before_closing() -> None:
    """A burst that still waits for the loop's next turn is not dropped."""
    async with opened() as (transport, inbox):
        pid = (await about(transport, inbox))["pid"]
        transport.send(call(1, "echo"))
        transport.send(call(2, "about"))
        transport.send(call(3, "die"))
        await transport.aclose()
        assert transport.last_words() == "dying as asked\n"
        assert not alive(pid)


async def test_fifty_stubborn_servers_are_closed_in_parallel() -> None:
    """The time is that of one."""
    servers = [StdioTransport(configuration("stubborn", shutdown_timeout=0.5)) for _ in range(50)]
    inboxes = [RecordingInbox() for _ in servers]
    for transport, inbox in zip(servers, inboxes, strict=True):
        await transport.open(inbox)
    tellings = (about(transport, inbox) for transport, inbox in zip(servers, inboxes, strict=True))
    pids = [told["pid"] for told in await asyncio.gather(*tellings)]
    started = time.monotonic()
    await asyncio.gather(*(transport.aclose() for transport in servers))
    assert time.monotonic() - started < 4
    assert [pid for pid in pids if alive(pid)] == []


async def test_without_pidfd_the_exit_is_noticed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older kernels and other systems are asked from time to time."""
    monkeypatch.delattr(os, "pidfd_open")
    async with opened("children=stubborn", shutdown_timeout=0.2) as (transport, inbox):
        children = (await about(transport, inbox))["children"]
        await send(transport, call(1, "die", status=6))
        error = await inbox.loss()
        assert isinstance(error, ServerExited)
        assert error.returncode == 6
    assert [pid for pid in children if alive(pid)] == []


# Nobody closes.


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_loop_closed_without_closing_takes_the_server_along(new_loop: Any) -> None:
    """When the transport is garbage, its server is ended, without a warning."""

    async def main() -> list[int]:
        transport, inbox = StdioTransport(configuration("stubborn", "children=stubborn")), RecordingInbox()
        await transport.open(inbox)
        told = await about(transport, inbox)
        return [told["pid"], *told["children"]]

    pids = run_on(new_loop(), main())
    gc.collect()
    assert [pid for pid in pids if alive(pid)] == []


def test_a_transport_kept_beyond_its_loop_can_still_be_closed() -> None:
    """Closing on another loop ends the server in place."""
    kept: list[StdioTransport] = []

    async def main() -> int:
        transport, inbox = StdioTransport(configuration("stubborn")), RecordingInbox()
        await transport.open(inbox)
        kept.append(transport)
        return (await about(transport, inbox))["pid"]

    pid = run_on(asyncio.new_event_loop(), main())
    assert alive(pid)
    run_on(asyncio.new_event_loop(), kept[0].aclose())
    assert not alive(pid)


def test_a_loop_that_cancels_the_end_still_ends_the_server() -> None:
    """`asyncio.run` cancels what is left; the end is then finished in place."""

    async def main() -> int:
        transport, inbox = StdioTransport(configuration("stubborn", shutdown_timeout=30.0)), RecordingInbox()
        await transport.open(inbox)
        pid = (await about(transport, inbox))["pid"]
        closing = asyncio.create_task(transport.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        return pid

    assert not alive(asyncio.run(main()))


def run_program(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a process of its own."""
    command = [sys.executable, *options, "-c", textwrap.dedent(program)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(3)", "raise KeyError('boom')"])
def test_the_interpreters_end_takes_the_servers_along_quietly(ending: str) -> None:
    """With all warnings on, the client says nothing of its own at its end, and no server outlives it."""
    ended = run_program(
        f"""
        import asyncio
        from dragoman.transports.stdio import StdioTransport
        from tests.transports.recording import RecordingInbox
        from tests.transports.started import about, configuration

        async def main():
            transport, inbox = StdioTransport(configuration("stubborn", "children=session")), RecordingInbox()
            await transport.open(inbox)
            told = await about(transport, inbox)
            print(*[told["pid"], *told["children"]], flush=True)
            return transport

        kept = asyncio.run(main())
        {ending}
        """,
        "-X",
        "dev",
    )
    pids = [int(word) for word in ended.stdout.split()]
    assert len(pids) == 2
    assert [pid for pid in pids if alive(pid)] == []
    noise = [line for line in ended.stderr.splitlines() if "Warning" in line or "never" in line or "unclosed" in line]
    assert noise == []


def test_two_hundred_idle_servers_cost_no_thread_and_little_memory() -> None:
    """The whole client, interpreter included, stays under 35 MB."""
    ended = run_program(
        """
        import asyncio, os, threading
        from pathlib import Path
        from dragoman.config.model import ServerConfig
        from dragoman.transports.base import Outgoing
        from dragoman.transports.stdio import StdioTransport

        class Inbox:
            lines = 0
            def message_received(self, data, request_id=None):
                self.lines += 1

        async def main():
            inbox = Inbox()
            servers = [StdioTransport(ServerConfig(command="cat")) for _ in range(200)]
            for server in servers:
                await server.open(inbox)
                server.send(Outgoing(b"{}"))
            while inbox.lines < len(servers):
                await asyncio.sleep(0.01)
            memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
            print(len(os.listdir("/proc/self/task")), memory // 1000)
            await asyncio.gather(*(server.aclose() for server in servers))

        asyncio.run(main())
        """
    )
    assert ended.stderr == ""
    threads, kilobytes = (int(word) for word in ended.stdout.split())
    assert threads == 1
    assert kilobytes <= 35_000
