"""The cost of one small call: over stdio and HTTP, one at a time and many at once."""

from __future__ import annotations

from functools import partial

from bench.case import BOTH_ERAS, Case, Conditions, Figures, Goal, Row, subject


def over_stdio(client: str, conditions: Conditions, *, at_once: int) -> Figures:
    """Echo over pipes."""
    return subject("calls", client, command=conditions.servers.stdio, at_once=at_once, seconds=conditions.seconds)


def over_http(client: str, conditions: Conditions, *, at_once: int, answers: str) -> Figures:
    """Echo over HTTP; ``answers`` is json or sse."""
    return subject(
        "calls", client, url=f"{conditions.servers.http}/{answers}", at_once=at_once, seconds=conditions.seconds
    )


def rows(*goals: Goal, memory: bool) -> tuple[Row, ...]:
    """The figures of a call: its CPU time is what the goals are about."""
    shown = (Row("cpu_us", "CPU per call, µs", goals), Row("per_second", "calls per second"))
    return (*shown, Row("rss_mb", "memory of the client (RSS), MB", (Goal(0.5, "mcp"),))) if memory else shown


CASES = [
    Case(
        key=f"stdio-{at_once}",
        section=f"Calls over stdio, {'one' if at_once == 1 else at_once} at {'a time' if at_once == 1 else 'once'}",
        rows=rows(Goal(of_mcp, "mcp"), Goal(2, "bare"), memory=at_once == 1),
        measure=partial(over_stdio, at_once=at_once),
        clients=BOTH_ERAS,
    )
    for at_once, of_mcp in ((1, 0.35), (256, 0.06))
] + [
    Case(
        key=f"http-{answers}-{at_once}",
        section=f"Calls over HTTP, answers as {answers.upper()}, "
        f"{'one' if at_once == 1 else at_once} at {'a time' if at_once == 1 else 'once'}",
        rows=rows(Goal(of_mcp, "mcp"), memory=at_once == 1),
        measure=partial(over_http, at_once=at_once, answers=answers),
        clients=BOTH_ERAS,
    )
    for answers, at_once, of_mcp in (("json", 1, 0.2), ("json", 32, 0.13), ("sse", 1, 0.12), ("sse", 32, 0.12))
]
