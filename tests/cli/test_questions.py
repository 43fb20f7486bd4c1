"""A server's questions, put to a person at a terminal: forms, pages, refusals."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import NOTES, ODD, Terminal

ERAS = ["2026-07-28", "2025-11-25"]


def answered(terminal: Terminal) -> dict[str, Any]:
    """What the server got, which it says last."""
    terminal.finish()
    line = terminal.text.strip().splitlines()[-1]
    return json.loads(line[line.index("{") :])


@pytest.mark.parametrize("era", ERAS)
def test_a_form_is_asked_field_by_field_and_sent_when_it_was_seen(era: str) -> None:
    """With defaults, choices, and another go where an answer does not fit."""
    with Terminal(["call", "fill", "-s", ODD, "--protocol-version", era]) as terminal:
        head = terminal.expect("Your name: ")
        assert "odd_server.py asks" in head
        assert "Who are you? red \\x1b[31malert" in head
        terminal.type("A\n")
        terminal.expect("That must have at least 2 characters.")
        terminal.type("Ada\n")
        terminal.expect("age (an integer, 18 to 120, may be left out): ")
        terminal.type("17\n")
        terminal.expect("That must be an integer, 18 to 120.")
        terminal.type("36\n")
        terminal.expect("mail (name@host, may be left out): ")
        terminal.type("\n")
        terminal.expect("day (YYYY-MM-DD, may be left out) [2026-01-31]: ")
        terminal.type("\n")
        terminal.expect("sure (y/n, may be left out) [no]: ")
        terminal.type("y\n")
        terminal.expect("3) blue")
        terminal.expect("colour (a number or a name): ")
        terminal.type("\n")
        terminal.expect("That is needed.")
        terminal.type("2\n")
        terminal.expect("size (a number or a name, may be left out) [Small]: ")
        terminal.type("large\n")
        terminal.expect("toppings (")
        terminal.type("1, capers\n")
        review = terminal.expect("Send it? yes (y), edit (e), decline (d), cancel (c): ")
        assert "This would go to odd_server.py:" in review
        assert "mail" in review
        terminal.type("y\n")
        content = {"name": "Ada", "age": 36, "day": "2026-01-31", "sure": True, "colour": "green", "size": "l"}
        assert answered(terminal) == {"action": "accept", "content": {**content, "toppings": ["olives", "capers"]}}


def test_answers_can_be_changed_before_they_are_sent() -> None:
    """The second go offers what was typed in the first."""
    with Terminal(["call", "delete_note", "title=welcome", "-s", NOTES]) as terminal:
        terminal.expect("Delete it (y/n) [no]: ")
        terminal.type("y\n")
        terminal.expect("edit (e)")
        terminal.type("e\n")
        terminal.expect("Delete it (y/n) [yes]: ")
        terminal.type("n\n")
        terminal.expect("Delete it  no")
        terminal.expect("edit (e)")
        terminal.type("y\n")
        terminal.expect("Kept the note 'welcome'.")
        assert terminal.finish() == 0


@pytest.mark.parametrize(("typed", "action"), [("/decline\n", "decline"), ("/cancel\n", "cancel"), ("\x04", "cancel")])
def test_a_form_can_be_refused_at_any_field(typed: str, action: str) -> None:
    """No and not now are different answers."""
    with Terminal(["call", "fill", "-s", ODD]) as terminal:
        terminal.expect("Your name: ")
        terminal.type("Ada\n")
        terminal.expect("age (")
        terminal.type(typed)
        assert answered(terminal) == {"action": action}


@pytest.mark.parametrize(
    ("typed", "action"),
    [
        ("y", "accept"),
        ("YES", "accept"),
        ("no", "decline"),
        ("d", "decline"),
        ("cancel", "cancel"),
        ("what?\ny", "accept"),
        ("yellow\nn", "decline"),
        ("clear\ny", "accept"),
    ],
)
def test_a_form_without_fields_is_a_plain_question(typed: str, action: str) -> None:
    """Yes, no, or not now."""
    with Terminal(["call", "confirm", "-s", ODD]) as terminal:
        terminal.expect("Go on?")
        terminal.expect("yes (y), decline (d), cancel (c): ")
        terminal.type(f"{typed}\n")
        assert answered(terminal)["action"] == action


def test_several_questions_come_one_after_the_other() -> None:
    """What was typed ahead of one is no answer to it."""
    with Terminal(["call", "read_title", "-s", ODD]) as terminal:
        terminal.expect("First title?")
        terminal.expect("title: ")
        terminal.type("one\n")
        terminal.expect("cancel (c): ")
        terminal.type("y\nstray\ny\n")
        terminal.expect("Second title?")
        terminal.expect("title: ")
        terminal.type("two\n")
        terminal.expect("cancel (c): ")
        terminal.type("y\n")
        terminal.finish()
    assert json.loads(terminal.text[terminal.text.rindex("[{") :]) == [{"title": "one"}, {"title": "two"}]


def test_what_is_pasted_into_a_form_does_not_send_it() -> None:
    """It may fill the fields; whether they are sent is asked after they were seen."""
    with Terminal(["call", "delete_note", "title=welcome", "-s", NOTES]) as terminal:
        terminal.expect("Delete it (y/n) [no]: ")
        terminal.type("y\ny\n")
        terminal.expect("cancel (c): ")
        terminal.type("n\n")
        terminal.finish()
    assert "Deleted" not in terminal.text


def browser(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """A browser that only notes which address it was given."""
    visited = tmp_path / "visited"
    program = tmp_path / "browser"
    program.write_text(f"#!{sys.executable}\nimport sys\nopen({str(visited)!r}, 'a').write(sys.argv[1])\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"BROWSER": f"{program} %s"}, visited


@pytest.mark.parametrize("era", ERAS)
def test_a_page_is_opened_only_after_a_yes(tmp_path: Path, era: str) -> None:
    """The whole address is shown first, with its host marked."""
    env, visited = browser(tmp_path)
    url = "https://login.example.com/start?state=1"
    with Terminal(
        ["call", "visit", f"url={url}", "--no-check", "-s", ODD, "--protocol-version", era], env=env
    ) as terminal:
        text = terminal.expect("cancel (c): ")
        assert "odd_server.py wants you to visit a page" in text
        assert url in text
        assert "https://\x1b[1;33mlogin.example.com\x1b[0m/start?state=1" in terminal.raw
        assert "Host: login.example.com" in text
        assert "Careful" not in text
        assert not visited.exists()
        terminal.type("o\n")
        assert answered(terminal) == {"action": "accept"}
    assert visited.read_text() == url


@pytest.mark.parametrize(
    ("typed", "action"),
    [("v", "accept"), ("vague\nn", "decline"), ("d", "decline"), ("c", "cancel"), ("\x04", "cancel")],
)
def test_a_page_can_be_visited_by_hand_or_refused(tmp_path: Path, typed: str, action: str) -> None:
    """No browser is started then."""
    env, visited = browser(tmp_path)
    with Terminal(["call", "visit", "url=https://example.com/", "--no-check", "-s", ODD], env=env) as terminal:
        terminal.expect("cancel (c): ")
        terminal.type(typed if typed == "\x04" else f"{typed}\n")
        assert answered(terminal) == {"action": action}
    assert not visited.exists()


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("https://xn--pple-43d.com/", "letters of other scripts"),
        ("https://bank.example@evil.example/", "the host is evil.example"),
        ("http://example.com/", "not encrypted"),
    ],
)
def test_a_suspicious_page_is_warned_of(url: str, warning: str) -> None:
    """Before it is asked whether to open it."""
    with Terminal(["call", "visit", f"url={url}", "--no-check", "-s", ODD], columns=200) as terminal:
        text = terminal.expect("decline (d)")
        assert "Careful: " in text
        assert warning in text
        terminal.type("d\n")
        assert answered(terminal) == {"action": "decline"}


def test_an_address_forges_no_line_of_the_question() -> None:
    """A line end in it is written out, and it can only be refused."""
    url = "https://evil.example/\n\n  Host: bank.example\n"
    arguments = json.dumps({"url": url})
    with Terminal(["call", "visit", "--args", arguments, "--no-check", "-s", ODD], columns=200) as terminal:
        text = terminal.expect("cancel (c): ")
        assert "https://evil.example/\\x0a\\x0a\\x20\\x20Host:\\x20bank.example\\x0a" in text
        assert "Careful: it has white space or invisible characters" in text
        assert "open it" not in text.replace("not be opened", "")
        assert not any(line.lstrip().startswith("Host:") for line in text.splitlines())
        terminal.type("d\n")
        assert answered(terminal) == {"action": "decline"}


def test_what_is_no_page_is_never_opened(tmp_path: Path) -> None:
    """It can only be refused."""
    env, visited = browser(tmp_path)
    with Terminal(["call", "visit", "url=file:///etc/passwd", "--no-check", "-s", ODD], env=env) as terminal:
        assert "open it" not in terminal.expect("cancel (c): ")
        terminal.type("o\nv\nd\n")
        assert answered(terminal) == {"action": "decline"}
    assert not visited.exists()


def test_a_browser_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    """The person can still go there by hand."""
    env = {"BROWSER": str(tmp_path / "none"), "PATH": str(tmp_path), "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    with Terminal(["call", "visit", "url=https://example.com/", "--no-check", "-s", ODD], env=env) as terminal:
        terminal.expect("cancel (c): ")
        terminal.type("o\n")
        terminal.expect("No browser could be started: open it by hand.")
        terminal.expect("cancel (c): ")
        terminal.type("v\n")
        assert answered(terminal) == {"action": "accept"}


def test_a_word_that_is_no_option_is_told_with_what_is() -> None:
    """Its first letter decides nothing, least of all a deletion."""
    with Terminal(["call", "delete_note", "title=welcome", "-s", NOTES]) as terminal:
        terminal.expect("Delete it (y/n) [no]: ")
        terminal.type("y\n")
        terminal.expect("cancel (c): ")
        terminal.type("yellow\n")
        terminal.expect("Nothing is done yet. Type one of these: yes or y, edit or e, decline or d, cancel or c.")
        terminal.expect("cancel (c): ")
        terminal.type("n\n")
        assert terminal.finish() != 0 or "Kept" in terminal.text


def test_a_long_form_tells_where_one_is_and_answers_can_be_taken_back() -> None:
    """An optional field is left out again then; one that is needed can't be."""
    with Terminal(["call", "fill", "-s", ODD], columns=120) as terminal:
        terminal.expect("/clear forgets it")
        terminal.expect("1 of 8 · Your name: ")
        terminal.type("/clear\n")
        terminal.expect("That is needed.")
        terminal.type("Ada\n36\n\n\n\nred\n\nolives\n")
        terminal.expect("cancel (c): ")
        terminal.type("edit\n")
        terminal.type("\n")
        terminal.expect("2 of 8 · age (an integer, 18 to 120, may be left out) [36]: ")
        terminal.type("/clear\n\n\n\n\n\n\n")
        terminal.expect("cancel (c): ")
        terminal.type("y\n")
        told = answered(terminal)
    assert told["action"] == "accept"
    assert set(told["content"]) == {"name", "day", "sure", "colour", "size", "toppings"}


def test_questions_fit_a_narrow_terminal() -> None:
    """Words stay whole, and so does the host of an address."""
    url = "http://user:password-x@evil.example/" + "x" * 60
    with Terminal(["call", "visit", f"url={url}", "--no-check", "-s", ODD], columns=36) as terminal:
        text = terminal.expect("cancel (c): ")
        terminal.type("d\n")
        terminal.finish()
    lines = text.splitlines()
    start = next(line for line in lines if "user:pass" in line)
    assert start == "  http://user:password-x@"
    assert any(line.startswith("  evil.example/") for line in lines)
    assert [line for line in lines if len(line) > 36 and "xxx" not in line] == []
