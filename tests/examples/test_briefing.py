"""The application of several modules: what it writes, what it survives, what it follows."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from dragoman import connect
from tests.examples.running import line_with, run, started

NOBODY = {"BRIEFING_OFFICE": "http://127.0.0.1:9/mcp"}
"""An address where nothing listens."""

BRIEFING = ("-m", "examples.briefing")


def test_a_briefing_is_written_although_a_server_is_away(tmp_path: Path) -> None:
    """Every section is there, and the report says who is missing and why."""
    file = tmp_path / "today.md"
    printed, told = run(tmp_path, *BRIEFING, "--to", str(file), more=NOBODY)
    assert file.read_text() == printed
    titles = [line[3:] for line in printed.splitlines() if line.startswith("## ")]
    assert titles == ["The time", "Notes about hello", "To ask a model", "The clock", "Tea", "Servers"]
    assert "- home: These notes live in memory; they end with this server." in printed
    assert "- office: waiting: http://127.0.0.1:9 can't be reached" in printed
    assert "Calls: 6 of clock, 1 of home; 0 failed." in printed
    assert (tmp_path / "today-3.png").read_bytes().startswith(b"\x89PNG")
    assert "* office is waiting" in told
    assert "  countdown #### done" in told


def test_a_section_that_fails_costs_no_other_one(tmp_path: Path) -> None:
    """Without a clock there are no times and no tea, and the notes are there all the same."""
    config = tmp_path / "small.yaml"
    config.write_text(
        "servers:\n  home:\n    command: python\n    args: [-m, dragoman.samples.notes]\n"
        "  clock:\n    command: no-such-clock\nbriefing:\n  tag: food\n"
    )
    file = tmp_path / "today.md"
    printed, _ = run(tmp_path, *BRIEFING, "--config", str(config), "--to", str(file), "--quiet")
    assert "- home: Bread, olives, two lemons." in printed
    assert "no server can do this: What time is it?" in printed
    assert "- clock: failed: command 'no-such-clock'" in printed


def test_an_interrupt_ends_the_application_and_its_servers(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a long call: the status says so, and nothing runs on."""
    config = tmp_path / "slow.yaml"
    config.write_text(
        "servers:\n  clock:\n    command: python\n    args: [-m, dragoman.samples.clock]\nbriefing:\n  tea_steps: 900\n"
    )
    words = (*BRIEFING, "--config", str(config), "--to", str(tmp_path / "today.md"))
    with started(tmp_path, *words) as briefing:
        line_with(briefing, "countdown ##")
        briefing.send_signal(signal.SIGINT)
        assert briefing.wait(10) == 130


def test_a_wrong_setting_is_told_before_anything_starts(tmp_path: Path) -> None:
    """With the file, and what was expected."""
    config = tmp_path / "wrong.yaml"
    config.write_text("servers:\n  clock:\n    command: python\nbriefing:\n  tea_steps: many\n")
    _, told = run(tmp_path, *BRIEFING, "--config", str(config), status=2)
    assert told.startswith(f"briefing: {config}: briefing: ")
    assert "int" in told


def test_a_change_of_the_followed_note_makes_a_new_briefing(tmp_path: Path) -> None:
    """Somebody else changes it, over a connection of their own."""
    file = tmp_path / "today.md"
    with started(tmp_path, "-m", "dragoman.samples.notes", "--http", "0") as office:
        url = line_with(office, "http://").split()[-1]
        words = (*BRIEFING, "--to", str(file), "--follow", "2", "--quiet")
        with started(tmp_path, *words, more={"BRIEFING_OFFICE": url}) as briefing:
            line_with(briefing, "briefing 1 is in")
            assert "- office: These notes live in memory" in file.read_text()
            asyncio.run(leave_note(url, "Meeting at ten."))
            line_with(briefing, "briefing 2 is in")
            assert briefing.wait(10) == 0
    assert "- office: Meeting at ten." in file.read_text()


async def leave_note(url: str, text: str) -> None:
    """Change the note that the briefing follows."""
    async with connect(url) as notes:
        await notes.call_tool("add_note", {"title": "welcome", "text": text, "tags": ["hello"]})


def test_a_note_that_nobody_can_tell_of_ends_the_following(tmp_path: Path) -> None:
    """The office is away, so there is nothing to follow; the status says so."""
    words = (*BRIEFING, "--to", str(tmp_path / "today.md"), "--follow", "2", "--quiet")
    _, told = run(tmp_path, *words, status=1, more=NOBODY)
    assert told.startswith("briefing: office: ")
