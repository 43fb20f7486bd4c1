"""The tour on the sample servers: a new user's first sight, and a check that the main jobs work."""

from __future__ import annotations

import re
import subprocess
import sys
import time

from tests.cli.program import PATIENCE, environment, run


def tour(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the tour as a program of its own."""
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment(), timeout=PATIENCE, check=False
    )


def test_the_tour_ends_well_and_soon() -> None:
    """Each stop shows its command, and the last line counts the checks."""
    begun = time.monotonic()
    done = tour("-m", "dragoman.demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - begun < 15
    assert re.search(r"^All well: \d\d checks in \d+\.\d s\.$", done.stdout, re.MULTILINE)
    assert done.stderr == ""


def test_the_tour_is_a_command_too() -> None:
    """`dragoman demo` is the same."""
    assert "All well" in run("demo").out


def test_every_command_that_the_tour_shows_is_one() -> None:
    """What a reader copies is understood."""
    shown = re.findall(r"^\$ \S*dragoman (\w+)", run("demo").out, re.MULTILINE)
    assert {"info", "tools", "call", "read", "complete", "prompt"} <= set(shown)


def test_the_tour_fails_if_anything_is_off() -> None:
    """With another server in the clock's place."""
    swap = "import dragoman.demo as demo; demo._CLOCK = (*demo._CLOCK[:2], 'dragoman.samples.notes'); demo.main()"
    done = tour("-c", swap)
    assert done.returncode == 1
    assert done.stderr.startswith("dragoman: expected the clock's own name.")
