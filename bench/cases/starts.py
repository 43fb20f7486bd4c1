"""Starting: the import, the import of what connects, and a whole command line from nothing to its answer."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from bench.case import OURS, Case, Conditions, Failed, Figures, Goal, Row, run

SCRIPTS = Path(__file__).parent.parent / "scripts"
REPEATS = 3
CONNECTERS = {
    OURS: "from dragoman import connect",
    "mcp": "from mcp import Client",
    "fastmcp": "from fastmcp import Client",
}
PACKAGES = {OURS: "import dragoman", "mcp": "import mcp", "fastmcp": "import fastmcp"}
LIMITS = {"blocking": "pass", "bare": "import asyncio, msgspec"}


def importing(client: str, _: Conditions, *, statements: dict[str, str]) -> Figures:
    """Time the statement within the process, and the whole process around it: the best of three."""
    statement = (LIMITS | statements)[client]
    timed = f"from time import perf_counter as now; start = now(); {statement}; print(now() - start)"
    done = [run([sys.executable, "-c", timed]) for _ in range(REPEATS)]
    return {"import_ms": min(float(output) for _, output in done) * 1e3, "process_ms": best_ms(done)}


def command_line(client: str, conditions: Conditions) -> Figures:
    """Time a command that starts the server, calls ``echo`` and prints the text: the best of three."""
    if client == OURS:
        program = [str(Path(sys.executable).with_name("dragoman")), "call", "echo", "message=hello", "-s"]
    else:
        program = [sys.executable, str(SCRIPTS / f"{client}_call.py")]
    done = [run([*program, *conditions.servers.stdio]) for _ in range(REPEATS)]
    if any(output.strip() != "hello" for _, output in done):
        raise Failed(f"printed {done[0][1].strip()[:60]!r}")
    return {"ms": best_ms(done)}


def interpreter(_client: str, _: Conditions) -> Figures:
    """Time Python doing nothing, which everybody needs."""
    return {"ms": best_ms([run([sys.executable, "-c", "pass"]) for _ in range(REPEATS)])}


def best_ms(done: list[tuple[float, str]]) -> float:
    """Give the shortest time in milliseconds."""
    return min(seconds for seconds, _ in done) * 1e3


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
