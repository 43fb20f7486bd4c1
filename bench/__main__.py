"""`python -m bench`: Dragoman beside its peers, in one run; prints the table and says which goals are missed.

A whole run writes bench/RESULTS.md; every run writes results.md and results.json (each single reading) into .bench.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from bench import echo_servers, machine, table
from bench.case import CLIENTS, ROOT, Case, Conditions, Readings
from bench.cases.everything import CASES
from bench.quiet import Quiet
from bench.rounds import measure

MOST_WAITING = 60.0
"""Seconds that a run may wait, in all, for others on the machine to be quiet."""
RESULTS = Path(__file__).parent / "RESULTS.md"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose keys begin so, comma-separated; see --list")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="clients, comma-separated")
    parser.add_argument("--rounds", type=int, default=0, help="how often everything is measured (4; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="one round with short measurements")
    parser.add_argument("--out", type=Path, default=echo_servers.MADE, help="where results go (.bench)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a goal is missed")
    parser.add_argument("--list", action="store_true", help="show the cases and their clients")
    return parser.parse_args()


def chosen(only: str) -> list[Case]:
    """Give the cases whose keys begin with one of the given words, or all."""
    return [case for case in CASES if case.key.startswith(tuple(only.split(",")))]


def main() -> int:
    """Measure, print, write."""
    told = arguments()
    cases = chosen(told.only)
    clients = [client for client in CLIENTS if client in told.clients.split(",")]
    if told.list:
        print(*(f"{case.key:20} {' '.join(case.clients)}" for case in cases), sep="\n")
        return 0
    if sys.platform != "linux":
        print("bench: needs Linux, whose kernel tells what a process costs", file=sys.stderr)
        return 2
    if not cases or not clients:
        print("bench: no such case or client; --list shows them", file=sys.stderr)
        return 2
    started = perf_counter()
    compileall.compile_dir(ROOT / "src", quiet=1)  # the peers' modules were compiled when they were installed
    rounds = told.rounds or (1 if told.quick else 4)
    with echo_servers.running() as servers:
        conditions = Conditions(servers, 0.2 if told.quick else 0.6)
        quiet = Quiet(0 if told.quick else MOST_WAITING)
        readings = measure(cases, clients, conditions, rounds=rounds, quiet=quiet, tell=tell)
    tell("")
    found = table.verdicts(cases, readings)
    text = report(cases, readings, found, setting(rounds, servers, perf_counter() - started))
    whole = cases == CASES and len(clients) == len(CLIENTS) and not told.quick
    write(text, readings, told.out)
    if whole:
        RESULTS.write_text(text, encoding="utf-8")
    print(text)
    missed = [one for one in found if not one.met]
    print(f"{len(found) - len(missed)} of {len(found)} goals met", file=sys.stderr)
    for one in missed:
        print(f"missed: {one.case.key}: {one.row.title}: {one.value} (target {one.goal.at_most:g})", file=sys.stderr)
    return 1 if told.check and missed else 0


def tell(progress: str) -> None:
    """Show on a terminal what is going on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{progress}", end="", file=sys.stderr, flush=True)


def setting(rounds: int, servers: echo_servers.EchoServers, seconds: float) -> dict[str, str]:
    """Give where and how the figures were taken."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        **machine.described(),
        "echo servers": servers.language,
        "rounds": f"{rounds}, in {seconds / 60:.1f} minutes; load at the end {load}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


HOW = """\
Every figure is the median over the rounds. In each round every client is measured in a process of its own, one after
the other, so that all meet the same machine; take ratios, not absolutes. CPU is the client process's alone, user and
system. Every client looks at the text of every answer, and speaks the stateless era (2026-07-28), which all choose by
themselves with these servers, except where the column says otherwise. How each case is measured, and what the columns
*blocking loop* and *bare asyncio* are: [docs/reference/benchmarks.md](../docs/reference/benchmarks.md)."""


def report(cases: list[Case], readings: dict[str, Readings], found: list[table.Verdict], where: dict[str, str]) -> str:
    """Give the whole report as Markdown."""
    facts = "\n".join(f"- {name}: {value}" for name, value in where.items())
    parts = ["# Benchmark", HOW, facts, "## Medians", table.medians(cases, readings), "## Goals", table.goals(found)]
    return "\n\n".join(parts) + "\n"


def write(text: str, readings: dict[str, Readings], place: Path) -> None:
    """Write the report, and every single reading as JSON."""
    place.mkdir(exist_ok=True)
    (place / "results.md").write_text(text, encoding="utf-8")
    plain = {key: asdict(one) for key, one in readings.items()}
    (place / "results.json").write_text(json.dumps(plain, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
