"""At a terminal: tables, colours, a line that tells what is going on, and nothing of a server's that acts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.program import CLOCK, NOTES, ODD, Terminal, misbehaving

OWN_ESCAPES = re.compile(r"\x1b\[(?:[0-9;]*m|K)")
"""Colours and erasing a line: all that the program itself ever sends."""


def shown(*words: str, columns: int = 100, env: dict[str, str] | None = None, cwd: Path | None = None) -> Terminal:
    """A finished run at a terminal."""
    with Terminal(words, columns=columns, env=env, cwd=cwd) as terminal:
        terminal.finish()
    return terminal


def test_tools_are_a_table() -> None:
    """With heads, aligned, and a hint on what comes next."""
    lines = shown("tools", "-s", NOTES).text.splitlines()
    assert lines[0].split() == ["Tool", "Arguments", "What", "it", "does"]
    assert lines[1].index("title") == lines[2].index("[text]") == lines[0].index("Arguments")
    assert lines[-1] == "3 tools · `dragoman tools NAME` shows one in full"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_fits_the_terminal(columns: int) -> None:
    """However wide it is."""
    *table, _ = shown("tools", "-s", CLOCK, columns=columns).text.splitlines()
    assert max(map(len, table)) <= columns


def test_a_narrow_terminal_stacks_the_entries() -> None:
    """Names and words stay whole where columns would break them."""
    lines = shown("tools", "-s", NOTES, columns=40).text.splitlines()
    assert lines[:2] == ["add_note", "  title text [tags]"]
    assert "delete_note" in lines


def test_instructions_are_broken_between_words() -> None:
    """As everything that is read."""
    text = shown("info", "-s", CLOCK, columns=40).text
    assert "  Tells the time, counts down, draws a\n  clock face and rings." in text


def test_one_tool_is_a_page() -> None:
    """Title, description, arguments with types, hints and result."""
    text = shown("tools", "add_note", "-s", NOTES).text
    assert text.startswith("add_note  Add a note\nKeep a note; one with the same title is replaced.\n")
    assert re.search(r"^title +string +required +What the note is called", text, re.MULTILINE)
    assert re.search(r"^tags +string\[\] += \[\] +Words to find it by", text, re.MULTILINE)


def test_a_tool_that_tells_little_is_a_short_page() -> None:
    """Without hints and without a result's schema."""
    with Terminal(["tools", "strict", "-s", ODD]) as terminal:
        assert terminal.finish() == 0
    assert "\nstrict\n" in terminal.text


def test_structure_is_laid_out_in_colours() -> None:
    """Keys and values apart; what the text only repeats is shown once."""
    raw = shown("call", "now", "-s", CLOCK).raw
    assert '\x1b[36m"weekday"\x1b[0m: \x1b[32m"' in raw
    assert shown("call", "repeated", "-s", ODD).text == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize(("env", "words"), [({"NO_COLOR": "1"}, ()), ({"TERM": "dumb"}, ()), ({}, ("--no-color",))])
def test_colours_can_be_turned_off(env: dict[str, str], words: tuple[str, ...]) -> None:
    """By the environment's ways and by ours; the table stays a table."""
    for command in (("tools",), ("call", "now")):
        raw = shown(*command, *words, "-s", CLOCK, env=env).raw
        assert not re.search(r"\x1b\[[0-9;]*m", raw)
    assert "What it does" in shown("tools", *words, "-s", CLOCK, env=env).text


WORDS_FOR_ODD = {
    "info": ["info"],
    "tools": ["tools"],
    "tool": ["tools", "escapes"],
    "resources": ["resources"],
    "read": ["read", "odd:///text"],
    "text": ["call", "escapes"],
    "structure": ["call", "structured"],
    "unknown": ["call", "unknown"],
    "link": ["call", "link"],
    "file": ["call", "sound"],
    "json": ["call", "escapes", "--json"],
    "json structure": ["call", "structured", "--json"],
    "json listing": ["tools", "--json"],
    "declined": ["call", "fill", "--debug"],
}


@pytest.mark.parametrize("words", WORDS_FOR_ODD.values(), ids=WORDS_FOR_ODD.keys())
def test_nothing_of_a_server_acts_on_the_terminal(words: list[str], tmp_path: Path) -> None:
    """Colours of our own are the only escapes; everything that would act is written out."""
    with Terminal([*words, "-s", ODD], cwd=tmp_path) as terminal:
        if words[1:2] == ["fill"]:
            terminal.expect("Your name: ")
            terminal.type("\x04")
        terminal.finish()
    left = OWN_ESCAPES.sub("", terminal.raw)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", left), ascii(left)
    assert "\r" not in left.replace("\r\n", "").replace("\r", "", left.count("\r") if words[1:2] == ["fill"] else 0)


def test_errors_are_one_paragraph_that_fits() -> None:
    """Broken between words, with the server's last words below."""
    terminal = shown("info", "-s", misbehaving("stderr=cannot \x1b[31mread the file", "exit=3"), columns=60)
    lines = terminal.text.splitlines()
    assert lines[0].startswith("dragoman: scripted.py: ")
    assert max(map(len, lines)) <= 60
    assert lines[-1] == "  | cannot \\x1b[31mread the file"


def test_progress_is_a_bar_that_goes_away() -> None:
    """With the server's words; the result stands alone in the end."""
    with Terminal(["call", "countdown", "steps=12", "pause=0.1", "-s", CLOCK]) as terminal:
        terminal.expect("━")
        terminal.expect("to go")
        assert terminal.finish() == 0
    assert terminal.raw.rpartition("\r\x1b[K")[2].startswith("Lift-off.")


def test_waiting_is_told_after_a_moment() -> None:
    """First for the connection, then for the call."""
    with Terminal(["call", "silent", "--timeout", "1", "-s", misbehaving("start_after=0.8")]) as terminal:
        terminal.expect("connecting to scripted.py")
        terminal.expect("calling silent")
        assert terminal.finish() == 4


@pytest.mark.parametrize("words", [("--quiet",), ("-q",)])
def test_quiet_shows_no_line(words: tuple[str, ...]) -> None:
    """Nor progress, nor log lines."""
    command = ("call", "countdown", "steps=5", "pause=0.1", "--log-level", "debug")
    assert "Lift-off." in shown(*command, *words, "-s", CLOCK).text.splitlines()[0]


def test_a_terminal_without_utf8_gets_what_it_can_show() -> None:
    """Escapes instead of failures, and a plain bar."""
    env = {"PYTHONUTF8": "0", "LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    terminal = shown("call", "countdown", "steps=8", "pause=0.1", "-s", CLOCK, env=env)
    assert terminal.raw.isascii()
    assert "#" in terminal.text
    assert "Lift-off." in terminal.text


def test_results_can_go_elsewhere_while_the_terminal_watches(tmp_path: Path) -> None:
    """What goes into a file is exact, with the line of progress still on the terminal."""
    with (tmp_path / "out").open("wb") as out:
        words = ["call", "countdown", "steps=6", "pause=0.1", "--json", "-s", CLOCK]
        with Terminal(words, stdout=out.fileno()) as terminal:
            terminal.expect("to go")
            assert terminal.finish() == 0
    assert (tmp_path / "out").read_bytes().endswith(b"}\n")
