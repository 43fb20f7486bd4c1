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
    assert terminal.text.count("interrupted") == 1
    assert "interrupted; ending the server (Ctrl-C again: at once)" in terminal.text
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
    assert "Your name: ^C\ninterrupted; ending the server" in terminal.text
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


@pytest.mark.parametrize("words", [["call", "now", "-s", CLOCK], ["tools", "--json", "-s", CLOCK], ["--help"], ["-V"]])
def test_output_that_is_not_taken_is_told(words: list[str]) -> None:
    """A full disk has a sentence and a status of its own."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=PATIENCE, check=False
        )
    assert done.returncode == 74
    assert done.stderr.decode().startswith("dragoman: the output can't be written (No space left on device).")
    assert done.stderr.count(b"\n") == 1


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


def test_a_time_out_waits_longer_for_a_tool_that_tells_progress() -> None:
    """In a pipe as at a terminal."""
    words = ["call", "countdown", "steps=6", "pause=0.2", "--timeout", "0.9", "-s", CLOCK]
    done = subprocess.run([*COMMAND, *words], capture_output=True, env=environment(), timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def messages_sent(heard: Path) -> list[object]:
    """The methods of what a server was sent; none if it was not started."""
    return [message.get("method") for message in messages(heard)] if heard.exists() else []


@pytest.mark.parametrize(
    "words",
    [
        ["call", "echo", "--save", "/nowhere/at/all"],
        ["call", "echo", "--save", "/etc/passwd"],
        ["read", "note:///x", "-o", "/nowhere/at/all"],
        ["read", "note:///x", "-o", "/etc"],
    ],
)
def test_a_place_for_files_is_looked_at_before_anything_is_sent(tmp_path: Path, words: list[str]) -> None:
    """A tool that can't be called twice is not called for a result that can't be kept."""
    target, heard = recorded(tmp_path)
    done = subprocess.run(
        [*COMMAND, *words, "-s", target], capture_output=True, env=environment(), timeout=PATIENCE, check=False
    )
    assert done.returncode == 2
    assert b"dragoman: " in done.stderr
    assert messages_sent(heard) == []
