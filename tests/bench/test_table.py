"""The table's verdicts and figures, from readings that are made up."""

from __future__ import annotations

import pytest

from bench import table
from bench.case import Case, Conditions, Failed, Figures, Goal, Readings, Row
from bench.echo_servers import EchoServers
from bench.quiet import Quiet
from bench.rounds import measure

NOWHERE = Conditions(EchoServers(language="none", stdio=(), slow_stdio=(), http=""), 0)


def case(*goals: Goal, clients: tuple[str, ...] = ("dragoman", "mcp")) -> Case:
    """A case of one figure, whose measure always fails."""

    def fail(client: str, _: Conditions) -> Figures:
        raise Failed(f"{client} fell over")

    return Case(key="x", section="X", rows=(Row("ms", "ms", goals),), measure=fail, clients=clients)


def readings(**values: list[float]) -> dict[str, Readings]:
    """Readings of case x: each client's figure in each round."""
    return {"x": Readings({client: [{"ms": value} for value in given] for client, given in values.items()})}


@pytest.mark.parametrize(("limit", "met"), [(0.5, True), (0.49, False)])
def test_a_ratio_is_taken_of_medians(limit: float, met: bool) -> None:  # noqa: FBT001 - pytest passes it
    """One bad round counts for nobody."""
    [verdict] = table.verdicts([case(Goal(limit, "mcp"))], readings(dragoman=[900, 10, 9], mcp=[20, 20, 1]))
    assert verdict.value == pytest.approx(0.5)
    assert verdict.met is met


def test_an_absolute_goal_needs_no_peer() -> None:
    """It is about our figure alone."""
    [verdict] = table.verdicts([case(Goal(35))], readings(dragoman=[34.0]))
    assert verdict.met


def test_a_goal_without_the_other_side_is_not_met() -> None:
    """What was not measured is not claimed."""
    [verdict] = table.verdicts([case(Goal(0.5, "mcp"))], readings(dragoman=[1.0]))
    assert verdict.value is None
    assert not verdict.met


def test_a_client_that_fails_is_shown_with_its_reason_and_not_asked_again() -> None:
    """Its cell says so, a note says why."""
    asked: list[str] = []
    found = measure([case()], ["mcp"], NOWHERE, rounds=2, quiet=Quiet(0), tell=asked.append)
    assert len(asked) == 2
    shown = table.medians([case()], found)
    assert "| X: ms | fails |" in shown
    assert "- X, `mcp`: mcp fell over" in shown


def test_rounds_interleave_and_begin_with_another_client_each_time() -> None:
    """A busy moment meets all alike."""
    order: list[str] = []

    def note(client: str, _: Conditions) -> Figures:
        order.append(client)
        return {"ms": 1.0}

    noted = Case(key="x", section="X", rows=(), measure=note, clients=("a", "b", "c"))
    measure([noted], ["a", "b", "c"], NOWHERE, rounds=3, quiet=Quiet(0), tell=lambda _: None)
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.123, "0.12"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (1234.5, "1,234")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    """More would be noise."""
    assert table.number(value) == text
