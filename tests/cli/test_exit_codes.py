"""Every kind of end has its exit status, told in one table and reached by the real program."""

from __future__ import annotations

import inspect
import shlex
import signal
import sys

import pytest

from dragoman import errors
from dragoman.cli.exit_codes import STATUSES, exit_status
from tests.cli.program import CLOCK, NOTES, misbehaving, run
from tests.servers.http_faults import Visit, free_port, serving

ALL_ERRORS = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.DragomanError)
]

NEAREST = [
    (errors.ServerExited, 3),
    (errors.VersionMismatch, 3),
    (errors.ConnectionClosed, 3),
    (errors.RateLimited, 3),
    (errors.Unavailable, 3),
    (errors.MethodNotFound, 1),
    (errors.InvalidResult, 1),
    (errors.CommandNotFound, 2),
    (errors.InvalidArguments, 2),
    (errors.NotSupported, 2),
]

REACHED: dict[str, tuple[int, list[str]]] = {
    "done": (0, ["ping", "-s", NOTES]),
    "tool error": (1, ["call", "face", "hour:=99", "-s", CLOCK]),
    "unknown tool": (2, ["call", "nothing", "-s", CLOCK]),
    "unknown tool, unlisted": (1, ["call", "nothing", "--args", "{}", "-s", CLOCK]),
    "error answer": (1, ["call", "refuse", "--args", '{"code": -32000}', "-s", misbehaving()]),
    "unknown result type": (1, ["call", "result_type", "--args", '{"name": "novel"}', "-s", misbehaving()]),
    "no command": (2, []),
    "unknown command": (2, ["cal"]),
    "no tool": (2, ["call"]),
    "unknown option": (2, ["info", "--nothing"]),
    "no server": (2, ["info"]),
    "no program": (2, ["info", "-s", "no-such-program-anywhere"]),
    "broken JSON": (2, ["call", "face", "-s", CLOCK, "--args", "["]),
    "misfit": (2, ["call", "face", "hour=noon", "-s", CLOCK]),
    "exits at once": (3, ["info", "-s", misbehaving("exit=3")]),
    "refused": (3, ["info", "-s", f"http://127.0.0.1:{free_port()}/"]),
    "no version": (3, ["info", "-s", misbehaving("era=stateless"), "--protocol-version", "2024-11-05"]),
    "no answer": (4, ["call", "silent", "--timeout", "0.2", "-s", misbehaving()]),
    "no opening": (4, ["info", "--connect-timeout", "0.3", "-s", misbehaving("mute")]),
    "outcome unknown": (7, ["call", "die", "-s", misbehaving()]),
}


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[errors.DragomanError]) -> None:
    """Of its own or of the class that it is a kind of; the root is the last resort only."""
    nearest = next(base for base in kind.__mro__ if base in STATUSES)
    assert nearest is not errors.DragomanError or kind is errors.DragomanError


@pytest.mark.parametrize(("kind", "status"), NEAREST)
def test_a_kind_of_an_error_has_the_status_of_its_family(kind: type[errors.DragomanError], status: int) -> None:
    """The nearest class in the table decides."""
    error = kind.__new__(kind)
    assert exit_status(error) == status


@pytest.mark.parametrize(("status", "words"), REACHED.values(), ids=REACHED.keys())
def test_the_program_ends_with_the_status(status: int, words: list[str]) -> None:
    """A failure says why on stderr, in one paragraph that begins with the program's name, and shows no traceback."""
    done = run(*words)
    assert done.status == status, done.err
    if status not in (0, 1) and words:
        assert "dragoman: " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("http", "status", "told"),
    [
        ("401 Unauthorized", 6, "Log in"),
        ("403 Forbidden", 5, "Ask for access"),
        ("503 Unavailable", 3, "Try again later"),
    ],
)
async def test_an_http_status_has_its_own_end(http: str, status: int, told: str) -> None:
    """Login and denial can be told apart by a script."""
    import asyncio

    async def script(visit: Visit) -> None:
        await visit.answer(b"go away", status=http, kind="text/plain")

    async with serving(script) as server:
        done = await asyncio.to_thread(run, "info", "-s", server.url)
    assert done.status == status
    assert told in done.err
    assert "it said: go away" in done.err


def test_a_server_that_ends_by_a_signal_is_told() -> None:
    """With its last words."""
    done = run(
        "info",
        "-s",
        shlex.join([sys.executable, "-c", "import os, sys; sys.stderr.write('oh no'); os.kill(os.getpid(), 9)"]),
    )
    assert done.status == 3
    assert "| oh no" in done.err
    assert signal.SIGKILL.name in done.err or "signal 9" in done.err
