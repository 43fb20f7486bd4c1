"""Gathers the conformance counts of a run, prints them after it and keeps them in ``.tools/conformance.json``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

from tests import parts

COUNTS = pytest.StashKey[dict[str, dict[str, dict[str, int]]]]()
"""Revision, scenario, and how many checks had which status."""

REPORT = parts.TOOLS / "conformance.json"


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing counted."""
    config.stash[COUNTS] = {}


@pytest.fixture
def record(pytestconfig: pytest.Config) -> Callable[[str, str, dict[str, int]], None]:
    """Keep the counts of one scenario at one revision."""

    def keep(revision: str, scenario: str, counts: dict[str, int]) -> None:
        pytestconfig.stash[COUNTS].setdefault(revision, {})[scenario] = counts

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print one line per revision."""
    counted = config.stash[COUNTS]
    if not counted:
        return
    REPORT.write_text(json.dumps(counted, indent=2, sort_keys=True) + "\n")
    terminalreporter.section("conformance suite, client side, without authorization")
    for revision, scenarios in sorted(counted.items()):
        total = Counter[str]()
        for counts in scenarios.values():
            total.update(counts)
        told = ", ".join(f"{total[status]} {status}" for status in ("SUCCESS", "FAILURE", "WARNING", "SKIPPED"))
        terminalreporter.line(f"{revision}: {len(scenarios)} scenarios, checks {told}")
