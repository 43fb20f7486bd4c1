"""`dragoman call`: arguments typed by the real tool's schema, and the fewest messages that do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import ODD, misbehaving, run

TYPED: list[tuple[list[str], dict[str, Any]]] = [
    (["text=5"], {"text": "5"}),
    (["count=5", "ratio=.5", "flag=yes"], {"count": 5, "ratio": 0.5, "flag": True}),
    (["maybe=null"], {"maybe": None}),
    (["maybe=4", "either=4"], {"maybe": 4, "either": 4}),
    (["either=four"], {"either": "four"}),
    (["tags=a", "tags=b", "numbers=1"], {"tags": ["a", "b"], "numbers": [1]}),
    (["numbers=[1,2]"], {"numbers": [1, 2]}),
    (["place.city=Rome", "place.lat=41.9"], {"place": {"city": "Rome", "lat": 41.9}}),
    (["with.dot=x"], {"with.dot": "x"}),
    (["colour=red", 'tags:=["x"]'], {"colour": "red", "tags": ["x"]}),
    (["count=2", "--args", '{"count": 1, "text": "t"}'], {"count": 2, "text": "t"}),
]


@pytest.mark.parametrize(("words", "arguments"), TYPED)
def test_the_tool_gets_what_was_meant(words: list[str], arguments: dict[str, Any]) -> None:
    """The server says what it got."""
    done = run("call", "types", *words, "-s", ODD)
    assert json.loads(done.out) == arguments, done.err


def test_arguments_come_from_stdin_and_from_files(tmp_path: Path) -> None:
    """`--args -` and `--args @file`."""
    (tmp_path / "args.json").write_text('{"text": "from a file"}')
    assert json.loads(run("call", "types", "--args", "-", "-s", ODD, stdin='{"count": 3}').out) == {"count": 3}
    assert (
        json.loads(run("call", "types", "--args", "@args.json", "-s", ODD, cwd=tmp_path).out)["text"] == "from a file"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["strict", "--args", "{}"], None),
        (["strict"], "argument 'message' is missing. Add message=…;"),
        (["strict", "mesage=hi"], "there is no argument 'mesage'. Did you mean 'message'? It has message, level;"),
        (["strict", "level=high"], "argument 'message' is missing. Add message=…;"),
        (
            ["strict", "message=x", "level=hihg"],
            "argument 'level' must be one of low, high (did you mean high?), not 'hihg'.",
        ),
        (["types", "count=many"], "argument 'count' must be an integer, not 'many'."),
        (["types", "place.lat=1"], "argument 'place.city' is missing."),
        (["typos", "count=1"], "there is no tool 'typos'. Did you mean 'types'?"),
    ],
)
def test_a_slip_is_told_before_it_is_sent(words: list[str], told: str | None) -> None:
    """With the server, the tool and the way out; with JSON alone, the server itself says what it lacks."""
    done = run("call", *words, "-s", ODD)
    if told is None:
        assert (done.status, done.out) == (1, "argument 'message' is missing\n")
        return
    assert done.status == 2
    assert told in done.err
    assert done.err.startswith("dragoman: odd_server.py")


def test_unchecked_arguments_are_sent_as_they_are() -> None:
    """`--no-check` leaves the verdict to the server."""
    done = run("call", "strict", "mesage=5", "--no-check", "-s", ODD)
    assert (done.status, done.out) == (1, "argument 'message' is missing\n")


def test_a_call_with_json_alone_asks_for_no_list() -> None:
    """One round trip after the opening; text costs the listing of the tools."""
    plain = run("call", "types", "count:=1", "--args", '{"text": "x"}', "--debug", "-s", ODD).err
    typed = run("call", "types", "count=1", "--debug", "-s", ODD).err
    assert [method for method in ("tools/list", "tools/call") if f'"method":"{method}"' in plain] == ["tools/call"]
    assert [method for method in ("tools/list", "tools/call") if f'"method":"{method}"' in typed] == [
        "tools/list",
        "tools/call",
    ]


def test_a_failed_tool_says_so_in_words_and_in_status() -> None:
    """Its content is the result all the same; with --json, the object tells."""
    done = run("call", "fail", "message=broken", "-s", misbehaving())
    assert done.status == 1
    assert done.out == "broken\n"
    assert "the tool 'fail' reported an error" in done.err
    exact = run("call", "fail", "message=broken", "--json", "-s", misbehaving())
    assert exact.status == 1
    assert json.loads(exact.out)["isError"] is True


def test_a_tool_that_becomes_a_task_is_waited_for() -> None:
    """The user sees its result, not its handle."""
    from tests.cli.program import CLOCK

    assert run("call", "timer", "seconds=0.2", "-s", CLOCK).out == "0.2 s are over.\n"


def test_a_task_that_takes_too_long_is_told_with_the_setting_that_bounds_it() -> None:
    """Which is not --timeout."""
    from tests.cli.program import CLOCK

    done = run("call", "timer", "seconds=9", "--timeout", "0.2", "--set", "max_timeout=0.4", "-s", CLOCK)
    assert done.status == 4
    assert (
        "within 0.4 s. Give it more time with --set max_timeout=SECONDS (--timeout does not bound a task)" in done.err
    )


def test_a_number_too_large_for_the_wire_is_told() -> None:
    """Never a traceback."""
    done = run("call", "types", f"count={10**30}", "-s", ODD)
    assert done.status in (0, 2)
    assert "unforeseen" not in done.err
