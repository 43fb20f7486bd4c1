"""Measures the cases in rounds: within a case one client after the other, in each round beginning with another.

So a busy moment of the machine meets all clients alike. Knows neither what is measured nor how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.case import Case, Conditions, Failed, Readings
from bench.quiet import Quiet


def measure(
    cases: Sequence[Case],
    clients: Sequence[str],
    conditions: Conditions,
    *,
    rounds: int,
    quiet: Quiet,
    tell: Callable[[str], None],
) -> dict[str, Readings]:
    """Give the readings by case. A client that fails a case once is left out of its later rounds."""
    readings = {case.key: Readings() for case in cases}
    for number in range(rounds):
        for case in cases:
            tell(f"round {number + 1} of {rounds}: {case.section}")
            asked = [client for client in case.clients if client in clients]
            shift = number % len(asked) if asked else 0
            for client in asked[shift:] + asked[:shift]:
                quiet.wait()
                _measure_once(case, client, conditions, readings[case.key])
    return readings


def _measure_once(case: Case, client: str, conditions: Conditions, readings: Readings) -> None:
    if client in readings.failures:
        return
    try:
        readings.figures.setdefault(client, []).append(case.measure(client, conditions))
    except Failed as failure:
        readings.failures[client] = str(failure)
