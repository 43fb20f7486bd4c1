"""The pages on the command line tell all that there is, and their sessions happen as they are shown."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from dragoman.cli import exit_codes
from dragoman.cli.options import server_options
from dragoman.cli.table import COMMANDS
from tests import parts
from tests.cli.program import PATIENCE, environment

PAGES = {
    "readme": parts.ROOT / "README.md",
    "tutorial": parts.ROOT / "docs" / "tutorial" / "first-call.md",
    "command line": parts.ROOT / "docs" / "reference" / "command-line.md",
    "exit codes": parts.ROOT / "docs" / "reference" / "exit-codes.md",
}
SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8321/mcp"
MARK = "\x1e"


def commands() -> dict[str, click.Command]:
    """Every command, loaded."""
    return {name: import_module(entry.module).command for name, entry in COMMANDS.items()}


def section(page: str, heading: str) -> str:
    """The text below a heading of the second level."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_every_command_has_a_section_with_its_own_options() -> None:
    """Its name in the table at the top, its usage, and each option that it alone has."""
    page = PAGES["command line"].read_text()

    @server_options
    def nothing(*_: object) -> int:
        return 0

    shared = {word for option in click.command(nothing).params for word in option.opts}
    for name, command in commands().items():
        assert f"| [`{name}`](#{name}) |" in page
        told = section(page, name)
        assert f"dragoman {name}" in told
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not shared & set(parameter.opts):
                assert all(f"`{word}" in told or word in told for word in parameter.opts), (name, parameter.opts)


def test_every_shared_option_is_in_the_table() -> None:
    """With each of its spellings."""
    told = section(PAGES["command line"].read_text(), "Options of every command")
    heads = " ".join(re.findall(r"^\| (`.*?`) \|", told, re.MULTILINE))
    for option in commands()["ping"].params:
        assert all(re.search(rf"`{word}[ `]", heads) for word in option.opts), option.opts


def test_no_option_is_told_that_there_is_not() -> None:
    """What was renamed or removed is gone from the page."""
    page = PAGES["command line"].read_text()
    known = {word for command in commands().values() for option in command.params for word in option.opts}
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) - {"--version", "--help"}
    assert told - known == set()


def test_every_status_is_told() -> None:
    """Each number of the table in the code, with the classes that lead to it."""
    page = PAGES["exit codes"].read_text()
    rows = dict(re.findall(r"^\| (\d+)[\d, ]* \|(.*)\|$", page, re.MULTILINE))
    for name in exit_codes.__all__:
        if name.isupper() and isinstance(status := getattr(exit_codes, name), int):
            assert str(status) in rows, name
    for kind, status in exit_codes.STATUSES.items():
        if kind.__name__ != "DragomanError":
            assert f"`{kind.__name__}`" in rows[str(status)], kind


@pytest.fixture
def address() -> Iterator[str]:
    """The notes behind an address, for the pages that keep them running."""
    words = [sys.executable, "-m", "dragoman.samples.notes", "--http", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.mark.parametrize("name", ["tutorial", "command line", "exit codes"])
def test_the_sessions_of_a_page_happen_as_shown(name: str, tmp_path: Path, address: str) -> None:
    """Each command, one after the other in one shell, gives what stands below it."""
    happen(PAGES[name].read_text(), tmp_path, address)


@pytest.mark.external("npm")
def test_the_first_calls_of_the_readme_work(tmp_path: Path, address: str) -> None:
    """On the reference server, on one in Python, and on one that comes along."""
    happen(PAGES["readme"].read_text(), tmp_path, address)


def happen(page: str, directory: Path, address: str) -> None:
    """Run the sessions of a page and compare; `…` in what is shown stands for anything."""
    steps = [step for block in SESSION.findall(page) for step in block.removeprefix("$ ").split("\n$ ")]
    script = ["exec 2>&1"]
    for step in steps:
        command = step.partition("\n")[0].replace(ADDRESS, address)
        script.append(f"(exit $status); {command}\nstatus=$?; printf '{MARK}'")
    programs = directory / "programs"
    programs.mkdir()
    (programs / "npx").write_text(f'#!/bin/sh\nexec {shlex.join(parts.npm_program("server-everything"))} "$3"\n')
    (programs / "npx").chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["sh", "-c", "\n".join(script)],
        capture_output=True,
        cwd=directory,
        env=environment({"PATH": path}),
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE * 2,
        check=True,
    )
    outputs = done.stdout.decode().split(MARK)
    assert len(steps) == len(outputs) - 1
    for step, output in zip(steps, outputs, strict=False):
        command, _, expected = step.partition("\n")
        pattern = ".*".join(map(re.escape, expected.strip("\n").split("…")))
        assert re.fullmatch(pattern, output.strip("\n"), re.DOTALL), f"$ {command}\n{output}"
