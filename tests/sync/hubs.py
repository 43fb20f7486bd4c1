"""Blocking hubs for the tests: of the scripted server and the samples, with nothing kept on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dragoman import HubConfig, Restart, ServerConfig
from dragoman.sync import Hub
from tests.parts import ROOT
from tests.servers import scripted

PATIENCE = 15.0
"""Seconds that a condition may take to come true."""

NOTES = [sys.executable, "-m", "dragoman.samples.notes"]
"""The command line of the notebook."""


def server(*words: str, name: str = "s", **settings: Any) -> ServerConfig:
    """Give the settings of a scripted server, which comes back at once when it is lost."""
    command, *args = scripted(*words)
    restart = Restart(first_delay=0.05)
    return ServerConfig(name=name, command=command, args=tuple(args), restart=restart, **settings)


def config(*servers: ServerConfig) -> HubConfig:
    """Give the settings of a hub that keeps nothing on disk."""
    return HubConfig(servers=servers or (server(),), keep_catalogue=False)


def hub(*servers: ServerConfig, **handlers: Any) -> Hub:
    """Give a blocking hub of these servers, by default of one scripted server ``s``."""
    return Hub(config(*servers), **handlers)


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] not in "ZX"
    except OSError:
        return False


def program(source: str, *words: str) -> subprocess.Popen[str]:
    """Start a Python program that may use this module."""
    command: Sequence[str] = [sys.executable, "-W", "error", "-c", source, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ran(source: str, *words: str) -> tuple[list[str], str]:
    """Run such a program to its end; give the lines that it printed, and what it wrote to stderr."""
    with program(source, *words) as process:
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, err
    return out.splitlines(), err
