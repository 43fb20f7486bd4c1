"""Large answers: a 10 MB result, a 100 MB result, a listing of a thousand tools."""

from __future__ import annotations

from functools import partial

from bench.case import OURS, Case, Conditions, Figures, Goal, Row, subject

MB = 1_000_000
TOOLS = 1000


def over_stdio(client: str, conditions: Conditions, *, megabytes: int, repeats: int) -> Figures:
    """Fetch a result over pipes."""
    return subject("result", client, command=conditions.servers.stdio, size=megabytes * MB, repeats=repeats)


def over_http(client: str, conditions: Conditions, *, answers: str, megabytes: int, repeats: int) -> Figures:
    """Fetch a result over HTTP; ``answers`` is json or sse."""
    url = f"{conditions.servers.http}/{answers}"
    return subject("result", client, url=url, size=megabytes * MB, repeats=repeats)


def listing(client: str, conditions: Conditions) -> Figures:
    """List a thousand tools over pipes."""
    return subject(
        "listing", client, command=(*conditions.servers.stdio, "--tools", str(TOOLS)), tools=TOOLS, repeats=5
    )


AFTERWARDS = Row("rss_mb", "memory of the client afterwards (RSS), MB", (Goal(0.5, "mcp"),))
HUGE = (Row("peak_x", "highest memory, times the result", (Goal(2.5),)), Row("ms", "ms"))
HUGE_CLIENTS = ("blocking", "bare", OURS)

CASES = [
    Case(
        key="10mb-stdio",
        section="A result of 10 MB over stdio",
        rows=(Row("ms", "ms", (Goal(0.2, "mcp"),)), AFTERWARDS),
        measure=partial(over_stdio, megabytes=10, repeats=3),
    ),
    Case(
        key="10mb-json",
        section="A result of 10 MB over HTTP, as JSON",
        rows=(Row("ms", "ms"), AFTERWARDS),
        measure=partial(over_http, answers="json", megabytes=10, repeats=3),
    ),
    Case(
        key="10mb-sse",
        section="A result of 10 MB over HTTP, as one event",
        rows=(Row("ms", "ms"),),
        measure=partial(over_http, answers="sse", megabytes=10, repeats=3),
    ),
    Case(
        key="100mb-stdio",
        section="A result of 100 MB over stdio",
        rows=HUGE,
        measure=partial(over_stdio, megabytes=100, repeats=1),
        clients=HUGE_CLIENTS,
    ),
    Case(
        key="100mb-json",
        section="A result of 100 MB over HTTP, as JSON",
        rows=HUGE,
        measure=partial(over_http, answers="json", megabytes=100, repeats=1),
        clients=HUGE_CLIENTS,
    ),
    Case(
        key="100mb-sse",
        section="A result of 100 MB over HTTP, as one event",
        rows=HUGE,
        measure=partial(over_http, answers="sse", megabytes=100, repeats=1),
        clients=HUGE_CLIENTS,
    ),
    Case(
        key="listing",
        section="A listing of 1,000 tools",
        rows=(
            Row("names_ms", "names looked at, ms", (Goal(0.1, "mcp"),)),
            Row("schemas_ms", "every input schema looked at, ms"),
        ),
        measure=listing,
    ),
]
