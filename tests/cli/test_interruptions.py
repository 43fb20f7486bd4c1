"""Whoever stops the program, or stops listening to it: the server is told, and nothing is left."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.program import CLOCK, COMMAND, NOTES, ODD, PATIENCE, Terminal, environment, misbehaving
from tests.servers import scripted


def recorded(tmp_path: Path, *words: str) -> tuple[str, Path]:
    """A command line for the scripted server behind `tee`, and the file with what it was sent."""
    heard = tmp_path / "heard"
    return shlex.join(["sh", "-c", f"tee {shlex.quote(str(heard))} | {shlex.join(scripted(*words))}"]), heard


def messages(heard: Path) -> list[dict[str, object]]:
    """What the server was sent."""
    return [json.loads(line) for line in heard.read_text().splitlines()]


def test_an_interruption_cancels_the_call(tmp_path: Path) -> None:
    """Ctrl-C: the server hears of it, everything ends, and the status says so."""
    target, heard = recorded(tmp_path)
    with Terminal(["call", "silent", "-s", target]) as terminal:
        terminal.expect("calling silent")
        terminal.type("\x03")
        assert terminal.finish() == 130
    assert "interrupted" in terminal.text
    assert "Traceback" not in terminal.text
    sent = messages(heard)
    call = next(message for message in sent if message.get("method") == "tools/call")
    cancelled = next(message for message in sent if message.get("method") == "notifications/cancelled")
    assert cancelled["params"] == {"requestId": call["id"], "reason": "the caller gave up"} or (
        isinstance(cancelled["params"], dict) and cancelled["params"]["requestId"] == call["id"]
    )


def test_an_interruption_while_connecting_ends_at_once() -> None:
    """Before there is anything to cancel."""
    with Terminal(["info", "-s", misbehaving("mute")]) as terminal:
        terminal.expect("connecting to")
        terminal.type("\x03")
        assert terminal.finish() == 130


def test_an_interruption_of_a_question_ends_the_call() -> None:
    """Ctrl-C while something is asked is no answer."""
    with Terminal(["call", "fill", "-s", ODD]) as terminal:
        terminal.expect("Your name")
        terminal.type("\x03")
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_signal_does_the_same(tmp_path: Path, number: signal.Signals) -> None:
    """The status is the shell's for that signal."""
    target, heard = recorded(tmp_path)
    with Terminal(["call", "silent", "-s", target]) as terminal:
        terminal.expect("calling silent")
        terminal.send(number)
        assert terminal.finish() == 128 + number
    assert "notifications/cancelled" in [message.get("method") for message in messages(heard)]


def test_a_stubborn_server_does_not_outlive_an_interruption() -> None:
    """One that ignores the end of its stdin and SIGTERM is killed."""
    with Terminal(["call", "silent", "--set", "shutdown_timeout=0.2", "-s", misbehaving("stubborn")]) as terminal:
        terminal.expect("calling silent")
        terminal.type("\x03")
        assert terminal.finish() == 130


@pytest.mark.parametrize(
    "words", [["tools", "-s", misbehaving("tools=5000")], ["read", "note:///welcome", "-s", NOTES]]
)
def test_a_reader_that_went_away_is_no_error(words: list[str]) -> None:
    """Quiet, with the status that shells give to SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, *words], stdout=writing, stderr=subprocess.PIPE, env=environment(), timeout=PATIENCE, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(closed: str) -> None:
    """Started without stdin, stdout or stderr, the program still works, and their numbers go to nobody else."""
    command = f"{shlex.join([*COMMAND, 'ping', '-s', CLOCK])} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=environment(), timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_second_interruption_waits_for_nothing() -> None:
    """Whoever presses Ctrl-C again is not kept by a server that takes its time to end; it is gone all the same."""
    with Terminal(["call", "silent", "--set", "shutdown_timeout=8", "-s", misbehaving("stubborn")]) as terminal:
        terminal.expect("calling silent")
        terminal.type("\x03")
        terminal.expect("closing")
        begun = time.monotonic()
        terminal.type("\x03")
        assert terminal.finish() == 130
    assert time.monotonic() - begun < 5
    assert "Traceback" not in terminal.text
