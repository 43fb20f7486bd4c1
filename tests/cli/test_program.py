"""The program as such: what it loads, how it tells of itself, how it refuses what it can't understand."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from dragoman.cli.table import COMMANDS
from tests.cli.program import CLOCK, COMMAND, NOTES, environment, run


def loaded(*words: str) -> set[str]:
    """The modules that a run loads."""
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], *words]
    done = subprocess.run(command, capture_output=True, env=environment(), text=True, timeout=20, check=False)
    return {found[1] for found in re.finditer(r"^import time:.*\|\s+(\S+)$", done.stderr, re.MULTILINE)}


def test_the_version_needs_next_to_nothing() -> None:
    """No parser, no event loop, no JSON."""
    assert run("--version").out == run("-V").out
    assert run("--version").out.startswith("dragoman 0.")
    assert not {"click", "asyncio", "msgspec", "json", "rich", "aiohttp"} & loaded("--version")


def test_help_loads_no_engine() -> None:
    """What a command needs is loaded when it runs."""
    assert not {"asyncio", "rich", "aiohttp", "jsonschema_rs"} & loaded("call", "--help")


def test_a_plain_call_over_stdio_loads_what_it_needs_only() -> None:
    """Tables, HTTP and schema checks are for those who use them."""
    modules = loaded("call", "face", "--args", '{"hour": 1}', "--json", "-s", CLOCK)
    assert "dragoman.server.connect" in modules
    assert not {"rich", "aiohttp", "jsonschema_rs", "dragoman.cli.questions", "dragoman.cli.contents"} & modules


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_has_help(name: str) -> None:
    """Each entry of the table leads to a command that explains itself."""
    command = import_module(COMMANDS[name].module).command
    assert isinstance(command, click.Command)
    assert command.help
    assert COMMANDS[name].summary.endswith(".")
    assert COMMANDS[name].summary in " ".join(run("--help").out.split())


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_every_command_has_the_shared_options(name: str) -> None:
    """The ones that tell how to reach a server and how to show what it says."""
    command = import_module(COMMANDS[name].module).command
    given = {word for parameter in command.params for word in parameter.opts}
    shared = "--server --header --env --cwd --transport --protocol-version --timeout --connect-timeout --set --root"
    assert set(f"{shared} --log-level --save --json --quiet --no-color --debug".split()) <= given


def test_a_slip_is_answered_with_the_nearest_word() -> None:
    """For commands and options."""
    assert "There is no command 'cal'. Did you mean 'call'?" in run("cal").err
    assert "'--timeot'" in run("info", "--timeot", "5").err


def test_nothing_at_all_is_answered_with_help() -> None:
    """On stderr, since nothing was asked for."""
    done = run()
    assert done.out == ""
    assert "Commands:" in done.err


def test_the_server_can_come_from_the_environment() -> None:
    """DRAGOMAN_SERVER stands in for -s."""
    assert run("ping", env={"DRAGOMAN_SERVER": NOTES}).status == 0


def test_a_traceback_comes_with_debug_only() -> None:
    """And the messages with it."""
    words = ("call", "nothing", "--args", "{}", "-s", CLOCK)
    assert "Traceback" not in run(*words).err
    told = run(*words, "--debug").err
    assert "Traceback" in told
    assert '→ {"jsonrpc":"2.0"' in told
    assert "← {" in told
    assert told.count("Traceback") == 1


def test_a_plain_slip_has_no_traceback() -> None:
    """The sentence tells it all, with --debug too."""
    assert "Traceback" not in run("info", "-s", "no-such-program-anywhere", "--debug").err


def test_a_module_in_the_working_directory_is_not_run(tmp_path: Path) -> None:
    """Even where `python -m` would find it first."""
    for name in ("click", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')\n")
    done = run("tools", "-s", NOTES.replace(" -m ", " -P -m "), cwd=tmp_path)
    assert (done.status, "planted" in done.err) == (0, False)
