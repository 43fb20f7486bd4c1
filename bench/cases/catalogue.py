"""Finding tools: ten thousand of fifty servers are indexed and looked for. How well, `bench.retrieval` tells."""

from __future__ import annotations

import json
import sys

from bench.case import OURS, Case, Conditions, Figures, Goal, Row, run


def find_tools(_client: str, _: Conditions) -> Figures:
    """Index and look, in a process of its own."""
    figures: Figures = json.loads(run([sys.executable, "-m", "bench.scripts.find_tools"])[1])
    return figures


CASES = [
    Case(
        key="find-tools",
        section="10,000 tools of 50 servers",
        rows=(
            Row("index_ms", "read from JSON and indexed, ms", (Goal(500),)),
            Row("read_ms", "of these, read, ms"),
            Row("first_ms", "the first question afterwards, ms"),
            Row("find_ms", "a question, median, ms", (Goal(5),)),
            Row("find_p99_ms", "a question, 99th percentile, ms"),
        ),
        measure=find_tools,
        clients=(OURS,),
    ),
]
