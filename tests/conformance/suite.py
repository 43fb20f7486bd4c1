"""Runs scenarios of the conformance suite against a client program and reads what the suite wrote down.

The suite prints a tick for a scenario in which every check was skipped, so only the counts in ``checks.json`` are
believed. Knows nothing of Dragoman; used by `test_client_suite.py`.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import parts

PATIENCE = 40
"""Seconds that one client program may take, as the suite measures it."""

BUSY_MACHINE = frozenset({"client-sse-retry-timing"})
"""Checks that warn, without failing, when the client was later than 200 ms: a loaded machine is no fault."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of one scenario: how many checks had which status, and everything that speaks against the client."""

    counts: dict[str, int]
    complaints: list[str]


def scenarios(*selection: str) -> set[str]:
    """The client scenarios that the suite lists for `selection`, authorization left out.

    `selection` is ``--requirements REVISION`` (those that are scored) or ``--client --spec-version REVISION``.
    """
    command = [*parts.npm_program("conformance"), "list", *selection]
    listing = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    listing = listing.partition("Client scenarios")[2].partition("\n\n")[0]
    names = (line.split()[1] for line in listing.splitlines() if line.startswith("  - "))
    return {name for name in names if not name.startswith("auth/")}


def run(scenario: str, revision: str, client: Sequence[str], directory: Path) -> Verdict:
    """Let `client` meet one scenario as spoken in `revision`; what the suite writes goes to `directory`."""
    command = [*parts.npm_program("conformance"), "client", "--command", " ".join(client), "--scenario", scenario]
    options = ["--spec-version", revision, "--force", "--timeout", str(PATIENCE * 1000), "-o", str(directory)]
    finished = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=PATIENCE + 15, cwd=parts.ROOT, check=False
    )
    found = list(directory.glob("**/checks.json"))
    if len(found) != 1:
        return Verdict(counts={}, complaints=[f"the suite wrote {len(found)} results\n{finished.stderr[-4000:]}"])
    return judge(json.loads(found[0].read_text()), finished.stderr)


def judge(checks: list[dict[str, str]], report: str) -> Verdict:
    """Count the checks, and list failures, warnings, a client that ended badly, and the absence of any success."""
    counts = Counter(check["status"] for check in checks)
    complaints = [
        f"{check['status']} {check['id']}: {check['description']} ({check.get('errorMessage', 'no more is told')})"
        for check in checks
        if check["status"] == "FAILURE" or (check["status"] == "WARNING" and check["id"] not in BUSY_MACHINE)
    ]
    if not counts["SUCCESS"]:
        complaints.append("no check succeeded")
    if "CLIENT TIMED OUT" in report or "CLIENT EXITED WITH ERROR" in report:
        complaints.append(f"the client program ended badly\n{report[-4000:]}")
    return Verdict(counts=dict(counts), complaints=complaints)
