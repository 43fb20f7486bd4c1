"""The servers that everybody calls: compiled from C where a compiler is, else the same in Python.

Knows nothing of clients; what the servers answer is in servers/answers.c and servers/answers.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "servers"
MADE = Path(__file__).parent.parent / ".bench"
"""Where programs and results go; `make clean` removes it."""


@dataclass(frozen=True, kw_only=True)
class EchoServers:
    """How to start a stdio server, where the HTTP server listens, and what both are written in."""

    language: str
    stdio: tuple[str, ...]
    slow_stdio: tuple[str, ...]
    """A stdio server on Python, which takes a while to start, as servers do."""
    http: str
    """The HTTP server's address; ``/json`` and ``/sse`` are its endpoints."""


def program(name: str, compiler: str | None) -> tuple[str, ...]:
    """Give the command that starts one server, compiling it if there is a compiler.

    Raises:
        subprocess.CalledProcessError: the compiler does not take it.
    """
    if compiler is None:
        return (sys.executable, "-E", "-S", str(SOURCES / f"{name}.py"))
    MADE.mkdir(exist_ok=True)
    made, fresh = MADE / name, MADE / f"{name}-{os.getpid()}"
    sources = [str(SOURCES / f"{name}.c"), str(SOURCES / "answers.c")]
    subprocess.run([compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", str(fresh), *sources], check=True)
    fresh.replace(made)  # another run may be executing the old one
    return (str(made),)


@contextmanager
def running() -> Generator[EchoServers]:
    """Have the servers ready for as long as the context lasts."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    with subprocess.Popen(
        program("http_echo", compiler), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as http:
        assert http.stdout is not None
        _, *others = sorted(os.sched_getaffinity(0))
        if others:  # the first processor is for the clients, as for the stdio servers' clients
            os.sched_setaffinity(http.pid, others)
        yield EchoServers(
            language="C" if compiler else "Python (no C compiler here: they are the bottleneck now)",
            stdio=program("stdio_echo", compiler),
            slow_stdio=program("stdio_echo", None),
            http=f"http://127.0.0.1:{int(http.stdout.readline())}",
        )
