"""Runs the programs of `examples` as a reader would: from the project's directory, in an environment that is active."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.parts import ROOT

EXAMPLES = ROOT / "examples"
"""Where they are."""


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a program: `python` is this one, and nothing is kept beyond the test."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(home), **(more or {})}


def run(home: Path, *words: str, status: int = 0, more: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Run Python with these words to its end; give what it wrote to stdout and stderr. Warnings are errors."""
    command = [sys.executable, "-W", "error", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(home, more), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr


@contextmanager
def started(home: Path, *words: str, more: Mapping[str, str] | None = None) -> Generator[subprocess.Popen[str]]:
    """Start Python with these words; both of its outputs come through one pipe. It is ended by a signal."""
    command = [sys.executable, *words]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(home, more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait(10)
            process.stdout.close()


def line_with(process: subprocess.Popen[str], sought: str) -> str:
    """Read what a program prints until a line holds this, and give the line."""
    assert process.stdout is not None
    seen: list[str] = []
    deadline = time.monotonic() + 20
    for line in process.stdout:
        seen.append(line)
        if sought in line:
            return line.strip()
        assert time.monotonic() < deadline, "".join(seen)
    raise AssertionError(f"it ended without a line that holds {sought!r}:\n{''.join(seen)}")
