"""Shows readings as Markdown: every median by client, and how each goal was met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.case import CLIENTS, OURS, Case, Goal, Readings, Row


@dataclass(frozen=True)
class Verdict:
    """How one goal was met; ``value`` is our figure, or its ratio to the other client's. None if either is missing."""

    case: Case
    row: Row
    goal: Goal
    value: float | None

    @property
    def met(self) -> bool:
        """Whether the goal was reached."""
        return self.value is not None and self.value <= self.goal.at_most


def verdicts(cases: Sequence[Case], readings: Mapping[str, Readings]) -> list[Verdict]:
    """Give a verdict on every goal of these cases."""
    return [
        Verdict(case, row, goal, _against(goal, row, readings[case.key]))
        for case in cases
        for row in case.rows
        for goal in row.goals
    ]


def _against(goal: Goal, row: Row, readings: Readings) -> float | None:
    ours = readings.median(OURS, row.figure)
    if ours is None or not goal.against:
        return ours
    theirs = readings.median(goal.against, row.figure)
    return ours / theirs if theirs else None


def medians(cases: Sequence[Case], readings: Mapping[str, Readings]) -> str:
    """Give the table of all medians; a client that failed is named with its reason below."""
    measured = {client for one in readings.values() for client in (*one.figures, *one.failures)}
    clients = [client for client in CLIENTS if client in measured]
    notes: list[str] = []
    lines = [line(["measure", *(CLIENTS[client] for client in clients), "Dragoman : `mcp`"]), rule(len(clients) + 2)]
    for case in cases:
        one = readings[case.key]
        for row in case.rows:
            shown = [cell(one, client, row.figure) for client in clients]
            lines.append(line([f"{case.section}: {row.title}", *shown, ratio(_against(Goal(0, "mcp"), row, one))]))
        notes += [f"- {case.section}, {CLIENTS[client]}: {why}" for client, why in one.failures.items()]
    return "\n".join(lines + (["", "Failed:", "", *notes] if notes else []))


def cell(readings: Readings, client: str, figure: str) -> str:
    """Give one client's median, or that it failed."""
    if client in readings.failures:
        return "fails"
    value = readings.median(client, figure)
    return "" if value is None else number(value)


def goals(found: Sequence[Verdict]) -> str:
    """Give the table of goals."""
    return "\n".join([line(["goal", "target", "measured", "met"]), rule(4), *map(line, _goal_lines(found))])


def _goal_lines(found: Sequence[Verdict]) -> Iterator[list[str]]:
    for one in found:
        goal = one.goal
        target = f"≤ {goal.at_most:g}" + (f" times {CLIENTS[goal.against]}" if goal.against else "")
        measured = "not measured" if one.value is None else (ratio(one.value) if goal.against else number(one.value))
        yield [f"{one.case.section}: {one.row.title}", target, measured, "yes" if one.met else "**no**"]


def line(cells: Sequence[str]) -> str:
    """Give one line of a table."""
    return f"| {' | '.join(cells)} |"


def rule(columns: int) -> str:
    """Give the line under the headings: the first column to the left, figures to the right."""
    return f"|---|{'---:|' * (columns - 1)}"


def number(value: float) -> str:
    """Give a figure with three digits, or all of its digits before the point."""
    if value == 0:
        return "0"
    digits = max(0, 2 - len(str(int(value))) + 1) if value >= 1 else 2
    return f"{value:,.{digits}f}"


def ratio(value: float | None) -> str:
    """Give a ratio."""
    return "" if value is None else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
