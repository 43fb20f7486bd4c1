"""The stdio transport against real processes: talking, failing, pushing back, ending."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncGenerator, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    CommandNotFound,
    ConfigError,
    ConnectionClosed,
    ConnectionLost,
    MalformedMessage,
    MessageTooLarge,
    ServerExited,
)
from dragoman.protocol.jsonrpc import encode_request
from dragoman.transports.base import Outgoing
from dragoman.transports.stdio import StdioTransport
from tests.servers import scripted
from tests.transports.recording import RecordingInbox, alive, ask, call, gone, send

MEGABYTE = 1_000_000

# The first loop of libuv opens a pipe for signals, which stays for the life of the process.
uvloop.new_event_loop().close()


def configuration(*words: str, **settings: Any) -> ServerConfig:
    """Give the settings of a scripted server, with little patience at its end."""
    command, *args = scripted(*words)
    settings.setdefault("shutdown_timeout", 0.5)
    return ServerConfig(name="scripted", command=command, args=tuple(args), **settings)


@contextlib.asynccontextmanager
async def opened(*words: str, **settings: Any) -> AsyncGenerator[tuple[StdioTransport, RecordingInbox]]:
    """Open a transport to a scripted server, and close it."""
    transport, inbox = StdioTransport(configuration(*words, **settings)), RecordingInbox()
    await transport.open(inbox)
    try:
        yield transport, inbox
    finally:
        await transport.aclose()


async def about(transport: StdioTransport, inbox: RecordingInbox) -> dict[str, Any]:
    """Give what the scripted server tells of itself."""
    answer = await ask(transport, inbox, call(1_000_001, "about"))
    return answer["result"]["structuredContent"]


# Talking.


async def test_an_answer_comes_back_for_a_request() -> None:
    """A message goes out as one line and its answer comes in as one."""
    async with opened() as (transport, inbox):
        answer = await ask(transport, inbox, call(1, "echo", message="héllo\n\u2028"))
        assert answer["result"]["content"] == [{"type": "text", "text": "héllo\n\u2028"}]
        assert (transport.kind, transport.exchanges) == ("stdio", False)


async def test_thousands_of_requests_at_once_are_all_answered_in_order() -> None:
    """A burst is written in few pieces without losing or mixing a message."""
    async with opened() as (transport, inbox):
        sizes = [number * 37 % 4000 for number in range(3000)]
        for number, size in enumerate(sizes):
            await send(transport, call(number, "echo", message="x" * size))
        await inbox.until(lambda: len(inbox.lines) == len(sizes))
        answers = [json.loads(line) for line in inbox.lines]
        assert [answer["id"] for answer in answers] == list(range(len(sizes)))
        assert [len(answer["result"]["content"][0]["text"]) for answer in answers] == sizes


async def test_a_message_larger_than_the_pipe_arrives_whole() -> None:
    """Ten megabytes go out in many pieces and come back in many pieces."""
    async with opened() as (transport, inbox):
        words = "".join(str(number) for number in range(MEGABYTE))
        await send(transport, call(1, "echo", message=words))
        await send(transport, call(2, "echo", message="after"))
        assert (await inbox.answer(1))["result"]["content"][0]["text"] == words
        assert (await inbox.answer(2))["result"]["content"][0]["text"] == "after"


async def test_a_message_with_line_breaks_goes_out_as_one_line() -> None:
    """A caller's own JSON may be laid out over several lines."""
    async with opened() as (transport, inbox):
        data = call(1, "echo", message="hi").data.replace(b",", b",\r\n  ").replace(b"}", b"\n}")
        assert data.count(b"\n") > 3
        for number in (1, 2):  # written in place, and with a burst
            await send(transport, Outgoing(data.replace(b'"id":1', b'"id":%d' % number), "tools/call", number))
        for number in (1, 2):
            assert (await inbox.answer(number))["result"]["content"][0]["text"] == "hi"


def shell(script: str) -> StdioTransport:
    """Give a transport to a server that is a few lines of shell."""
    return StdioTransport(ServerConfig(name="shell", command="sh", args=("-c", script), shutdown_timeout=0.5))


async def test_a_pipe_that_takes_a_part_gets_the_rest_later() -> None:
    """A server may speak while it does not read; what is sent then is cut by the pipe, not by us."""
    transport, inbox = shell("echo 1; sleep 0.2; echo 2; sleep 0.2; exec cat"), RecordingInbox()
    await transport.open(inbox)
    sent = [b"%d" % number * 50_000 for number in range(4)]
    await inbox.until(lambda: len(inbox.lines) == 1)
    transport.send(Outgoing(sent[0]))
    await inbox.until(lambda: len(inbox.lines) == 2)
    for data in sent[1:]:
        transport.send(Outgoing(data))
    await inbox.until(lambda: len(inbox.lines) == 2 + len(sent))
    assert inbox.lines[2:] == sent
    await transport.aclose()


async def test_answers_that_come_while_much_waits_do_not_upset_the_order() -> None:
    """A message never overtakes, or lands within, one that is half written."""
    async with opened() as (transport, inbox):
        for number in range(9):
            await send(transport, call(number, "echo", message="x" * 100_000))
        for number in range(9, 200):
            await inbox.until(lambda number=number: len(inbox.lines) > (number - 9) // 20)
            await send(transport, call(number, "echo", message="small"))
        await inbox.until(lambda: len(inbox.lines) == 200)
        assert [json.loads(line)["id"] for line in inbox.lines] == list(range(200))


async def test_a_server_that_starts_slowly_gets_what_was_sent_before() -> None:
    """What is sent before the server reads waits in the pipe."""
    async with opened("start_after=0.3") as (transport, inbox):
        assert (await ask(transport, inbox, call(1, "echo", message="early")))["id"] == 1


def test_it_works_on_uvloop() -> None:
    """Talking, the exit and the end work on another event loop."""

    async def main() -> None:
        async with opened("children=plain") as (transport, inbox):
            assert (await ask(transport, inbox, call(1, "echo", message="x" * MEGABYTE)))["id"] == 1
            family = [(told := await about(transport, inbox))["pid"], *told["children"]]
            await send(transport, call(2, "die", status=4))
            error = await inbox.loss()
            assert isinstance(error, ServerExited)
            assert error.returncode == 4
        await gone(*family)

    run_on(uvloop.new_event_loop(), main())


# What is started.


async def test_the_servers_environment_is_ours_and_the_configured() -> None:
    """`env` is laid over this process's environment, and `cwd` is where the server runs."""
    async with opened(env={"GREETING": "hello"}, cwd="/") as (transport, inbox):
        told = await about(transport, inbox)
        assert told["env"]["GREETING"] == "hello"
        assert told["env"]["PATH"] == os.environ["PATH"]
        assert told["cwd"] == "/"


async def test_a_closed_environment_passes_only_what_programs_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `inherit_env` off, a secret of this process stays here."""
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    monkeypatch.setenv("LC_TIME", "C")
    async with opened(inherit_env=False, env={"GREETING": "hello"}) as (transport, inbox):
        env = (await about(transport, inbox))["env"]
        assert "SECRET_TOKEN" not in env
        assert (env["GREETING"], env["LC_TIME"], env["PATH"]) == ("hello", "C", os.environ["PATH"])


async def test_a_relative_command_is_relative_to_its_directory(tmp_path: Path) -> None:
    """A command with a slash starts from `cwd`."""
    program = tmp_path / "run.sh"
    program.write_text('#!/bin/sh\nexec "$@"\n')
    program.chmod(0o755)
    transport, inbox = (
        StdioTransport(ServerConfig(command="./run.sh", args=tuple(scripted()), cwd=str(tmp_path))),
        (RecordingInbox()),
    )
    await transport.open(inbox)
    assert (await ask(transport, inbox, call(1, "echo", message="hi")))["id"] == 1
    await transport.aclose()


async def refused(**settings: Any) -> ConfigError:
    """Give the error with which opening fails."""
    transport = StdioTransport(ServerConfig(name="files", **settings))
    with pytest.raises(ConfigError) as caught:
        await transport.open(RecordingInbox())
    await transport.aclose()
    assert caught.value.server == "files"
    return caught.value


async def test_a_command_that_is_nowhere_is_named_with_the_path_searched(tmp_path: Path) -> None:
    """The server's own PATH counts, and the error shows it."""
    error = await refused(command="no-such-server", env={"PATH": f"{tmp_path}:/nonexistent"})
    assert isinstance(error, CommandNotFound)
    assert "'no-such-server'" in str(error)
    assert f"{tmp_path}:/nonexistent" in str(error)


@pytest.mark.parametrize(
    ("command", "advice"),
    [("npx", "Install Node.js"), ("uvx", "Install uv"), ("npx -y thing", "Put the arguments into args")],
)
async def test_a_missing_launcher_comes_with_advice(tmp_path: Path, command: str, advice: str) -> None:
    """What users lack most often, and get wrong most often, is told with its cure."""
    error = await refused(command=command, env={"PATH": str(tmp_path)})
    assert advice in str(error)


async def test_a_misspelt_command_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """A slip of the finger is recognised."""
    (tmp_path / "mcp-server-time").touch(mode=0o755)
    error = await refused(command="mcp-sever-time", env={"PATH": str(tmp_path)})
    assert "Did you mean mcp-server-time?" in str(error)


async def test_what_can_not_be_executed_is_told_apart(tmp_path: Path) -> None:
    """Not executable, a directory, no interpreter, no format: each is a mistake of its own."""
    plain, bad, odd = tmp_path / "plain", tmp_path / "bad", tmp_path / "odd"
    plain.write_text("#!/bin/sh\n")
    bad.write_text("#!/nonexistent/interpreter\n")
    odd.write_bytes(b"\x00\x01\x02")
    bad.chmod(0o755)
    odd.chmod(0o755)
    assert "is not executable" in str(await refused(command=str(plain)))
    assert "is not executable" in str(await refused(command="plain", env={"PATH": str(tmp_path)}))
    assert "is a directory" in str(await refused(command=str(tmp_path)))
    assert "does not exist" in str(await refused(command=str(tmp_path / "none")))
    assert "interpreter" in str(await refused(command=str(bad)))
    assert "#!" in str(await refused(command=str(odd)))


async def test_a_missing_directory_and_a_bad_environment_are_told_without_secrets() -> None:
    """The error names the key, never a value of `env`."""
    assert "cwd: '/nonexistent'" in str(await refused(command="cat", cwd="/nonexistent"))
    error = await refused(command="cat", env={"TOKEN": "hush\0hush"})
    assert "hush" not in str(error)


async def test_without_descriptors_left_it_can_not_connect_and_leaves_none() -> None:
    """A system without room is no mistake in the configuration, and what was opened by then is closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 4, hard))
    try:
        transport = StdioTransport(configuration())
        with pytest.raises(Exception, match="Too many open files"):
            await transport.open(RecordingInbox())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await transport.aclose()


async def test_other_systems_are_told_that_stdio_needs_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the error says so, with what to do instead."""
    transport = StdioTransport(configuration())
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        with pytest.raises(ConfigError) as caught:
            await transport.open(RecordingInbox())
    assert "POSIX" in str(caught.value)


# What the server does wrong.


async def test_a_server_that_exits_at_once_is_told_with_status_and_stderr() -> None:
    """The error of a failed start has what one needs to mend it."""
    async with opened("stderr=no such key: API_TOKEN", "exit=3") as (transport, inbox):
        error = await inbox.loss()
        assert isinstance(error, ServerExited)
        assert error.returncode == 3
        assert error.stderr == "no such key: API_TOKEN"
        assert "exited with status 3" in str(error)
        with pytest.raises(ConnectionLost):
            transport.send(call(1, "echo"))


async def test_death_during_the_handshake_is_a_failure_to_connect() -> None:
    """As long as no version was negotiated, the error is about connecting, whatever was said before."""
    async with opened("die_on=initialize") as (transport, inbox):
        await ask(transport, inbox, call(1, "echo", message="hi"))
        await send(transport, Outgoing(encode_request(2, "initialize", b"{}"), "initialize", 2))
        assert isinstance(await inbox.loss(), ServerExited)


@pytest.mark.parametrize(("arguments", "told"), [({"status": 9}, "status 9"), ({"signal": 9}, "SIGKILL")])
async def test_death_in_the_middle_of_a_call_is_a_loss(arguments: dict[str, int], told: str) -> None:
    """After the handshake, the inbox learns once how the server ended and what it wrote last."""
    async with opened() as (transport, inbox):
        transport.negotiated("2025-11-25")
        await send(transport, call(1, "die", **arguments))
        error = await inbox.loss()
        assert type(error) is ConnectionLost
        assert told in str(error)
        if "status" in arguments:
            assert error.stderr == "dying as asked\n"
        assert error.server == "scripted"


async def test_death_is_noticed_although_a_grandchild_holds_the_pipe() -> None:
    """The end of the process counts, not the end of its output."""
    async with opened("children=stubborn") as (transport, inbox):
        children = (await about(transport, inbox))["children"]
        started = time.monotonic()
        await send(transport, call(1, "die"))
        await inbox.loss()
        assert time.monotonic() - started < 1
        assert all(alive(child) for child in children)
    await gone(*children)


async def test_what_a_server_said_before_it_died_is_heard_first() -> None:
    """An answer, even without its line end, comes before the loss."""
    answers = "read line; printf '%s\\n%s' '{\"id\":1}' '{\"id\":2}'"
    for how in ("exit 0", "exec >&-; sleep 10"):
        transport, inbox = shell(f"{answers}; {how}"), RecordingInbox()
        await transport.open(inbox)
        await send(transport, Outgoing(b"{}"))
        await inbox.loss()
        assert inbox.lines == [b'{"id":1}', b'{"id":2}']
        await transport.aclose()


async def test_half_a_line_is_no_answer_and_the_loss_follows() -> None:
    """What there was of it is told as rejected: the loss decides the fate of the request."""
    async with opened() as (transport, inbox):
        await send(transport, call(1, "half"))
        await inbox.loss()
        ((number, error),) = inbox.rejected
        assert number is None
        assert isinstance(error, MalformedMessage)
        assert error.excerpt == '{"jsonrpc":"2.0","id":1,"result":{"cont'
        assert inbox.lines == []


async def test_rubbish_is_handed_on_and_hurts_no_answer() -> None:
    """What is no message is the connection's affair; the lines after it are whole."""
    async with opened("rubbish") as (transport, inbox):
        answer = await ask(transport, inbox, call(1, "rubbish", lines=1000))
        assert answer["result"]["content"][0]["text"] == "after the rubbish"
        assert len(inbox.lines) == 8 + 1000 + 1
        await send(transport, call(2, "invalid_utf8"))
        await inbox.until(lambda: len(inbox.lines) == 8 + 1000 + 2)
        assert b"caf\xe9 \xff" in inbox.lines[-1]


async def test_a_line_over_the_limit_is_dropped_and_told_with_its_id() -> None:
    """Two hundred megabytes cost neither memory nor the connection."""
    async with opened(max_message_bytes=MEGABYTE) as (transport, inbox):
        before = psutil.Process().memory_info().rss
        await send(transport, call(7, "big", bytes=200 * MEGABYTE))
        await inbox.until(lambda: bool(inbox.rejected))
        ((number, error),) = inbox.rejected
        assert number == 7
        assert isinstance(error, MessageTooLarge)
        assert error.limit == MEGABYTE
        assert (await ask(transport, inbox, call(8, "echo", message="still here")))["id"] == 8
        assert psutil.Process().memory_info().rss - before < 20 * MEGABYTE


async def test_a_flood_on_stderr_neither_blocks_the_server_nor_fills_memory() -> None:
    """All is read, the last 64 KiB are kept."""
    async with opened("flood_stderr=5000000") as (transport, inbox):
        before = psutil.Process().memory_info().rss
        await ask(transport, inbox, call(1, "flood_stderr", bytes=30 * MEGABYTE))
        assert psutil.Process().memory_info().rss - before < 10 * MEGABYTE
        await send(transport, call(2, "die"))
        error = await inbox.loss()
        assert isinstance(error, ServerExited)
        assert error.stderr.endswith("stderr \ndying as asked\n") or error.stderr.endswith("dying as asked\n")
        assert len(transport.last_words()) == 64 * 1024


async def test_a_server_that_closes_its_output_is_lost_and_ended() -> None:
    """Nothing can come any more, so the process has no reason to live."""
    async with opened() as (transport, inbox):
        transport.negotiated("2025-11-25")
        pid = (await about(transport, inbox))["pid"]
        await send(transport, call(1, "hang_up"))
        error = await inbox.loss()
        assert "closed its output" in str(error)
        await gone(pid)


async def test_a_server_that_closes_its_input_is_lost_at_the_next_message() -> None:
    """The message that could not be written was not sent, and says so."""
    async with opened() as (transport, inbox):
        transport.negotiated("2025-11-25")
        await ask(transport, inbox, call(1, "close_stdin"))
        with pytest.raises(ConnectionLost, match="stopped reading its input"):
            transport.send(call(2, "echo"))
        assert isinstance(await inbox.loss(), ConnectionLost)
        assert inbox.failed == {}


# Back-pressure.


async def test_a_server_that_stops_reading_pushes_back_and_memory_stays_bounded() -> None:
    """Beyond a megabyte of waiting bytes, the sender waits; who gives up takes the message back."""
    async with opened() as (transport, inbox):
        await ask(transport, inbox, call(1, "stop_reading"))
        waiting: list[asyncio.Future[None]] = []
        for number in range(1000):
            sending = transport.send(call(number, "echo", message="x" * 100_000))
            if sending is None:
                assert not waiting
            else:
                waiting.append(sending)
        assert 980 < len(waiting) < 995
        done, _ = await asyncio.wait(waiting, timeout=0.1)
        assert not done
        for sending in waiting:
            sending.cancel()
        await asyncio.sleep(0)
        assert transport.send(call(2000, "echo")) is not None


async def test_who_waits_gets_in_as_soon_as_the_server_reads_again() -> None:
    """Back-pressure ends by itself, nothing is lost and the order is kept."""
    async with opened("start_after=0.5") as (transport, inbox):
        sendings = [transport.send(call(number, "echo", message="x" * 100_000)) for number in range(60)]
        assert any(sending is not None for sending in sendings)
        for sending in sendings:
            if sending is not None:
                await sending
        await inbox.until(lambda: len(inbox.lines) == 60)
        assert [json.loads(line)["id"] for line in inbox.lines] == list(range(60))


async def test_what_was_not_written_is_told_apart_from_what_may_have_been_read() -> None:
    """After a death, a request of which a byte was written has an unknown fate; the others were not sent."""
    async with opened("deaf") as (transport, inbox):
        transport.negotiated("2025-11-25")
        sendings = {number: transport.send(call(number, "echo", message="x" * 100_000)) for number in range(20)}
        await asyncio.sleep(0)
        outside = {number: sending for number, sending in sendings.items() if sending is not None}
        assert outside
        (server,) = (child for child in psutil.Process().children() if "deaf" in child.cmdline())
        server.kill()
        error = await inbox.loss()
        assert "SIGKILL" in str(error)
        # The pipe holds less than one of them, so the fate of the first alone is unknown.
        assert sorted(inbox.failed) == list(range(1, 20))
        for told in inbox.failed.values():
            assert type(told) is ConnectionLost
        for sending in outside.values():
            with pytest.raises(ConnectionLost, match="before the message was written"):
                await sending


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


def run_on(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, Any]) -> Any:
    """Run ``main`` on a loop and close the loop as it is, without cancelling what is left on it."""
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


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
        from tests.transports.test_stdio import *

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
