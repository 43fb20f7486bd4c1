"""Runs the programs of `docs_src` as a reader would, with the servers that they want, and gives what they print."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.parts import ROOT


def printed(name: str) -> str:
    """Run `docs_src/NAME.py` and give what it printed. Each parameter of its `main` is a server from `SERVERS`."""
    main = import_module(f"docs_src.{name}").main
    output = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_python_on_path())
        stack.enter_context(_log_as_before())
        stack.enter_context(contextlib.chdir(ROOT))
        given = {wanted: stack.enter_context(SERVERS[wanted]()) for wanted in inspect.signature(main).parameters}
        stack.enter_context(contextlib.redirect_stdout(output))
        asyncio.run(asyncio.wait_for(main(**given), 20))
    return output.getvalue()


@contextmanager
def _python_on_path() -> Generator[None]:
    """Let `python` be this one, as in an environment that is activated."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def _log_as_before() -> Generator[None]:
    """Take back what a program sets of the log: tests that come later read it."""
    log = logging.getLogger("dragoman")
    before = log.level
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _program(*words: str) -> Generator[str]:
    """Run a Python module and give the first line that it prints; it is ended by a signal."""
    command = [sys.executable, "-m", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


@contextmanager
def _sample(name: str) -> Generator[str]:
    with _program(f"dragoman.samples.{name}", "--http", "0") as line:
        yield line.split()[-1]


@contextmanager
def _older_server(scheme: str) -> Generator[str]:
    with _program("docs_src.older_server", "0") as line:
        yield next(word for word in line.split() if word.startswith(scheme))


@contextmanager
def _clock_at_path() -> Generator[str]:
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "clock.sock")
        with _program("docs_src.unix_server", path):
            yield path


SERVERS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "url": lambda: _sample("notes"),
    "clock_url": lambda: _sample("clock"),
    "sse_url": lambda: _older_server("http:"),
    "ws_url": lambda: _older_server("ws:"),
    "unix_path": _clock_at_path,
}
"""The server behind each name that a program's `main` may take."""
