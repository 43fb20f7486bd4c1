"""Starting: the import, the import of what connects, and a whole command line from nothing to its answer."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from bench.case import OURS, Case, Conditions, Failed, Figures, Goal, Row, run

SCRIPTS = Path(__file__).parent.parent / "scripts"
CONNECTERS = {
    OURS: "from dragoman import connect",
    "mcp": "from mcp import Client",
    "fastmcp": "from fastmcp import Client",
}
PACKAGES = {OURS: "import dragoman", "mcp": "import mcp", "fastmcp": "import fastmcp"}
LIMITS = {"blocking": "pass", "bare": "import asyncio, msgspec"}


def importing(client: str, _: Conditions, *, statements: dict[str, str]) -> Figures:
    """Time the statement within the process, and the whole process around it."""
    statement = (LIMITS | statements)[client]
    timed = f"from time import perf_counter as now; start = now(); {statement}; print(now() - start)"
    seconds, output = run([sys.executable, "-c", timed])
    return {"import_ms": float(output) * 1e3, "process_ms": seconds * 1e3}


def command_line(client: str, conditions: Conditions) -> Figures:
    """Time a command that starts the server, calls ``echo`` and prints the text."""
    if client == OURS:
        program = [str(Path(sys.executable).with_name("dragoman")), "call", "echo", "message=hello", "-s"]
    else:
        program = [sys.executable, str(SCRIPTS / f"{client}_call.py")]
    seconds, output = run([*program, *conditions.servers.stdio])
    if output.strip() != "hello":
        raise Failed(f"printed {output.strip()[:60]!r}")
    return {"ms": seconds * 1e3}


def interpreter(_client: str, _: Conditions) -> Figures:
    """Time Python doing nothing, which everybody needs."""
    return {"ms": run([sys.executable, "-c", "pass"])[0] * 1e3}


CASES = [
    Case(
        key="import",
        section="Import the package",
        rows=(Row("import_ms", "ms", (Goal(0.15, "mcp"),)), Row("process_ms", "with the process around it, ms")),
        measure=partial(importing, statements=PACKAGES),
    ),
    Case(
        key="import-client",
        section="Import what connects",
        rows=(Row("import_ms", "ms"), Row("process_ms", "with the process around it, ms")),
        measure=partial(importing, statements=CONNECTERS),
    ),
    Case(
        key="command-line",
        section="One call from a cold command line",
        rows=(Row("ms", "ms", (Goal(0.2, "mcp"),)),),
        measure=command_line,
    ),
    Case(
        key="interpreter",
        section="Python itself, doing nothing",
        rows=(Row("ms", "ms"),),
        measure=interpreter,
        clients=("blocking",),
    ),
]
