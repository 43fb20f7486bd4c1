"""Clients that are killed, that fork, that use threads: their servers never outlive them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest

from dragoman.transports.orphans import WATCHER_SCRIPT
from dragoman.transports.stdio import StdioTransport
from tests.transports.recording import RecordingInbox, alive, wait_until
from tests.transports.started import about, configuration

#: The watcher gives servers 0.5 s to end on their own and 1 s after SIGTERM; the rest is a slow machine's.
SOON = 6.0


class Client:
    """A client in a process of its own: its id, those of its server and of what that started, and what it prints."""

    def __init__(self, process: subprocess.Popen[str], lines: Iterator[str]) -> None:
        self.pid = process.pid
        self.lines = lines
        self.family = [int(word) for word in next(lines).split()]

    def wait_until_its_family_is_gone(self) -> None:
        wait_until(lambda: not any(alive(pid) for pid in self.family), SOON)


@contextlib.contextmanager
def client(ending: str, *words: str) -> Generator[Client]:
    """Run a client with one scripted server; ``ending`` is what it does once the server answers."""
    program = """
        import asyncio, atexit, gc, os, psutil, signal, time
        from dragoman.transports.stdio import StdioTransport
        from tests.transports.recording import RecordingInbox
        from tests.transports.started import about, configuration

        async def main():
            transport, inbox = StdioTransport(configuration(*WORDS)), RecordingInbox()
            await transport.open(inbox)
            told = await about(transport, inbox)
            print(*[told["pid"], *told["children"]], flush=True)
            ENDING

        asyncio.run(main())
    """
    program = textwrap.dedent(program).replace("WORDS", repr(words))
    program = program.replace("    ENDING", textwrap.indent(textwrap.dedent(ending).strip(), " " * 4))
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Client(process, iter(process.stdout))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def watchers() -> list[psutil.Process]:
    """Give the living watchers of this process."""
    living = (child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE)
    return [child for child in living if WATCHER_SCRIPT in child.cmdline()]


@pytest.mark.parametrize("words", [("stubborn",), ()], ids=["stubborn-server", "polite-server"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_client_takes_its_server_and_grandchildren_along(number: int, words: tuple[str, ...]) -> None:
    """Nothing can run in the client any more, so its watcher does it."""
    with client("await asyncio.sleep(60)", "children=plain,stubborn", *words) as killed:
        assert len(killed.family) == 3
        os.kill(killed.pid, number)
        killed.wait_until_its_family_is_gone()


def test_a_killed_clients_grandchild_in_its_own_session_is_found() -> None:
    """As long as the server lives, what hangs on its tree is found through it."""
    with client("await asyncio.sleep(60)", "children=session,both", "stubborn") as killed:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait_until_its_family_is_gone()


@pytest.mark.parametrize("ending", ["os._exit(0)", "os.execv('/bin/true', ['true'])"], ids=["exit", "exec"])
def test_a_client_that_vanishes_takes_its_server_along(ending: str) -> None:
    """Neither an exit without clean-up nor another program in its place leaves the server running."""
    with client(ending, "stubborn", "children=plain") as vanished:
        vanished.wait_until_its_family_is_gone()


def test_a_forked_child_of_the_client_neither_keeps_nor_ends_the_server() -> None:
    """The child's clean-up and end change nothing; the client's end counts although a child lives on."""
    ending = """
        if not (short := os.fork()):
            transport._finalizer()
            atexit._run_exitfuncs()
            del transport, inbox
            gc.collect()
            os._exit(0)
        os.waitpid(short, 0)
        if not (long := os.fork()):
            signal.pause()
        await about(transport, inbox)
        print(long, flush=True)
        await asyncio.sleep(60)
    """
    with client(ending, "stubborn") as forked:
        child = int(next(forked.lines))
        os.kill(forked.pid, signal.SIGKILL)
        forked.wait_until_its_family_is_gone()
        assert alive(child)
        os.kill(child, signal.SIGKILL)


def test_closing_is_not_held_up_by_a_forked_child() -> None:
    """The child's copy of the pipe would keep the server from seeing the end of its stdin."""
    ending = """
        if not (child := os.fork()):
            signal.pause()
        started = time.monotonic()
        await transport.aclose()
        took = time.monotonic() - started
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(took, flush=True)
    """
    with client(ending) as forked:
        assert float(next(forked.lines)) < 0.4


async def test_one_watcher_comes_with_the_first_server_and_goes_with_the_last() -> None:
    """Nobody pays for a watcher without servers, and two servers share one."""
    first, second = StdioTransport(configuration()), StdioTransport(configuration())
    assert watchers() == []
    await first.open(RecordingInbox())
    (watcher,) = watchers()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        watcher.send_signal(number)  # as a terminal or a service manager may send them to all
    await second.open(RecordingInbox())
    assert watchers() == [watcher]
    await first.aclose()
    assert watchers() == [watcher]
    await second.aclose()
    assert watchers() == []


def test_a_killed_watcher_is_replaced_at_the_next_server() -> None:
    """The new one watches the old servers too, and the dead one is not left behind."""
    ending = """
        (watcher,) = (child for child in psutil.Process().children() if child.name() == "sh")
        watcher.kill()
        watcher.wait()
        other, inbox = StdioTransport(configuration("stubborn")), RecordingInbox()
        await other.open(inbox)
        print((await about(other, inbox))["pid"], flush=True)
        await asyncio.sleep(60)
    """
    with client(ending, "stubborn") as killed:
        killed.family.append(int(next(killed.lines)))
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait_until_its_family_is_gone()


def test_a_watcher_that_hangs_up_does_not_hurt_the_servers_that_live() -> None:
    """A stopped watcher whose pipe is full is killed, never told of the end of its input."""
    ending = """
        from dragoman.transports.orphans import orphan_watch
        (watcher,) = (child for child in psutil.Process().children() if child.name() == "sh")
        watcher.suspend()
        for number in range(20_000):
            orphan_watch.watch(2_000_000_000 + number)
        for number in range(20_000):
            orphan_watch.release(2_000_000_000 + number)
        await about(transport, inbox)
        print(psutil.pid_exists(watcher.pid) and watcher.status() != psutil.STATUS_ZOMBIE, flush=True)
        await asyncio.sleep(60)
    """
    with client(ending, "stubborn") as killed:
        assert next(killed.lines).strip() == "False"
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait_until_its_family_is_gone()


def test_threads_with_loops_of_their_own_share_the_watcher() -> None:
    """Servers may come and go in several event loops at once."""
    problems: list[BaseException] = []

    async def several() -> None:
        for _ in range(5):
            transport, inbox = StdioTransport(configuration()), RecordingInbox()
            await transport.open(inbox)
            await about(transport, inbox)
            await transport.aclose()

    def run() -> None:
        try:
            asyncio.run(several())
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            problems.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert problems == []
    wait_until(lambda: watchers() == [])


SHELLS = [name for name in ("sh", "dash", "bash", "busybox", "ksh", "mksh", "yash", "zsh") if shutil.which(name)]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_understood_by_every_shell(shell: str, tmp_path: Path) -> None:
    """What /bin/sh is differs between systems; those that are here are tried."""
    command = [shell, "sh"] if shell == "busybox" else [shell]
    told_to_live, told_to_die = (
        subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], start_new_session=True)
        for _ in range(2)
    )
    groups = tmp_path / "groups"
    groups.write_text(f"+{told_to_live.pid}\n+{told_to_die.pid}\n-{told_to_live.pid}\n-1000000000\n")
    with groups.open("r+") as listed:
        ended = subprocess.run(
            [*command, "-c", WATCHER_SCRIPT],
            stdin=subprocess.DEVNULL,
            stdout=listed,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    assert ended.stderr == b""
    assert groups.read_text().endswith("\n-1000000000\n")
    assert told_to_die.wait(5) == -signal.SIGKILL
    assert told_to_live.poll() is None
    os.killpg(told_to_live.pid, signal.SIGKILL)
    told_to_live.wait()


async def test_without_a_shell_servers_run_unwatched_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A container without /bin/sh can run servers all the same."""
    real = subprocess.Popen

    def no_shell(args: list[str], **options: object) -> subprocess.Popen[bytes]:
        if args[0] == "/bin/sh":
            raise FileNotFoundError(2, "No such file or directory")
        return real(args, **options)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(subprocess, "Popen", no_shell)
    transport, inbox = StdioTransport(configuration()), RecordingInbox()
    await transport.open(inbox)
    await about(transport, inbox)
    await transport.aclose()
    assert "servers may outlive this process" in caplog.text
