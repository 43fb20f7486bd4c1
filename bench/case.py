"""What a case of the benchmark is: who is measured, how, which figures are shown, and what they have to be.

Values only; `rounds` measures, `table` shows, the cases themselves lie in `cases/`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

from bench.echo_servers import EchoServers

ROOT = Path(__file__).parent.parent

Figures: TypeAlias = dict[str, float]

OURS = "dragoman"
CLIENTS = {
    "blocking": "blocking loop",
    "bare": "bare asyncio",
    OURS: "**Dragoman**",
    "dragoman-handshake": "Dragoman, handshake era",
    "mcp": "`mcp`",
    "mcp-handshake": "`mcp`, handshake era",
    "fastmcp": "`fastmcp`",
}
"""Column headings, by the client's key."""

PEERS = ("blocking", "bare", OURS, "mcp", "fastmcp")
BOTH_ERAS = ("blocking", "bare", OURS, "dragoman-handshake", "mcp", "mcp-handshake", "fastmcp")


@dataclass(frozen=True)
class Goal:
    """What our figure must not exceed: so many times another client's, or so much if ``against`` is empty."""

    at_most: float
    against: str = ""


@dataclass(frozen=True)
class Row:
    """One figure of a case, as the table shows it. A figure has the more digits, the smaller it is."""

    figure: str
    title: str
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True)
class Conditions:
    """What a measurement finds: the servers, and for how many seconds it may repeat itself."""

    servers: EchoServers
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to measure. ``measure`` takes a client's key and the conditions, and gives figures by name."""

    key: str
    section: str
    rows: tuple[Row, ...]
    measure: Callable[[str, Conditions], Figures]
    clients: Sequence[str] = PEERS


@dataclass
class Readings:
    """What came of one case: the figures of each round by client, and why a client failed."""

    figures: dict[str, list[Figures]] = field(default_factory=dict[str, list[Figures]])
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def median(self, client: str, figure: str) -> float | None:
        """Give the median of a client's figure over the rounds; None if there is none."""
        values = [figures[figure] for figures in self.figures.get(client, ()) if figure in figures]
        return median(values) if values else None


class Failed(Exception):
    """A measurement gave no figures; the text says why in one line."""


def subject(workload: str, client: str, *, command: Sequence[str] = (), url: str = "", **options: object) -> Figures:
    """Run one workload for one client in a fresh process.

    Raises:
        Failed: it ended without figures.
    """
    name, _, era = client.partition("-")
    order = {
        "client": name,
        "settings": {"era": era} if era else {},
        "workload": workload,
        "command": list(command),
        "url": url,
        "options": options,
    }
    figures: Any = json.loads(run([sys.executable, "-m", "bench.subject", json.dumps(order)])[1])
    return figures


def run(command: Sequence[str], *, patience: float = 120) -> tuple[float, str]:
    """Run a command to its end and give its wall seconds and its output.

    Raises:
        Failed: it failed, or took more than ``patience`` seconds.
    """
    started = perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            output, complaint = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"no end after {patience:.0f} s") from None
    seconds = perf_counter() - started
    if process.returncode:
        lines = [line.strip() for line in complaint.splitlines() if line.strip()]
        raise Failed(lines[-1] if lines else f"exit code {process.returncode}")
    return seconds, output
