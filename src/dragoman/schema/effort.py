"""Tells beforehand how much work it can be to check a value against a schema, so that nobody hangs on a hostile one.

Pure. Twenty lines of schema can ask for more checks than there is time (references that double at each step, nested
``unevaluatedProperties``), and the validator knows no bound. `graph` says what a schema applies where; here it is
counted. `validation` refuses what is too much.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias, cast

from dragoman.schema.graph import Graph, Key

__all__ = ["Effort"]

#: Checks that one value may take in all; a check takes some ten nanoseconds.
_BUDGET: Final = 50_000_000
#: Up to so many checks at each place of a value, the work is as good as proportional to its size.
_MODEST: Final = 100
#: How deep a value can be: JSON decoders give up at about twice Python's recursion limit.
_DEEPEST: Final = 2048
#: Schemas that refer to each other by turns ask for the same again after so many depths at most.
_LONGEST_CYCLE: Final = 16
#: Steps spent on counting; what is not counted by then is refused.
_MOST_STEPS: Final = 2_000_000

#: How often each subschema is applied at one place.
_Counts: TypeAlias = dict[int, int]


class Effort:
    """The checks that a schema asks for at each depth of a value, at most."""

    __slots__ = ("_beyond", "_costs")

    def __init__(self, costs: list[int], beyond: int | None) -> None:
        self._costs = costs
        self._beyond = beyond

    @staticmethod
    def of(schema: object) -> Effort | None:
        """Count for one schema. None: it applies each of its parts once, so there is nothing to count.

        Raises:
            InvalidResult: the schema refers to something outside itself, or to itself without going down.
        """
        graph = Graph.of(schema)
        return None if graph is None else _counted(graph)

    @property
    def is_modest(self) -> bool:
        """Whether the work is as good as proportional to a value's size."""
        return self._beyond is not None and max(self._costs) <= _MODEST

    def at(self, depth: int) -> int | None:
        """Give how many checks one place at that depth takes at most; None if nobody counted that far."""
        return self._costs[depth] if depth < len(self._costs) else self._beyond

    def spent_on(self, value: object) -> int | None:
        """Give how many checks that value takes at most; None if that is over the budget."""
        spent = 0
        here: list[object] = [value]
        depth = 0
        while here:
            cost = self.at(depth)
            below = [child for held in here for child in _children(held)]
            # What is below counts here too: finding out what is unevaluated looks at each member once more.
            if cost is None or (spent := spent + cost * (len(here) + len(below))) > _BUDGET:
                return None
            here = below
            depth += 1
        return spent


def _counted(graph: Graph) -> Effort:
    counting = _Counting(graph)
    applied = counting.with_references({0: 1})
    costs = [counting.weighed(applied)]
    seen: list[_Counts] = []
    while applied and len(costs) < _DEEPEST and counting.steps < _MOST_STEPS and costs[-1] <= _BUDGET:
        if applied in seen[-_LONGEST_CYCLE:]:
            return Effort(costs, max(costs[-_LONGEST_CYCLE:]))
        seen.append(applied)
        cost, applied = counting.below(applied)
        costs.append(cost)
    return Effort(costs, None if applied else 0)


class _Counting:
    """Goes from the places of one depth to those below. ``steps`` tells how much that took so far."""

    def __init__(self, graph: Graph) -> None:
        self._nodes = graph.nodes
        self._order = graph.order
        self._positions = {node: position for position, node in enumerate(graph.order)}
        self.steps = 0

    def weighed(self, applied: _Counts) -> int:
        return sum(count * self._nodes[node].weight for node, count in applied.items())

    def with_references(self, applied: _Counts) -> _Counts:
        """Add what the applied subschemas apply to the same place."""
        counts = dict(applied)
        waiting = [self._positions[node] for node in applied]
        heapify(waiting)
        while waiting:
            node = self._order[heappop(waiting)]
            for target, times in self._nodes[node].here:
                self.steps += 1
                if target not in counts:
                    heappush(waiting, self._positions[target])
                counts[target] = counts.get(target, 0) + counts[node] * times
        return counts

    def below(self, applied: _Counts) -> tuple[int, _Counts]:
        """Give the most that meets any one place below: the work, and each subschema by itself."""
        by_key: dict[Key, _Counts] = {}
        for node, count in applied.items():
            for key, targets in self._nodes[node].below.items():
                counts = by_key.setdefault(key, {})
                for target in targets:
                    counts[target] = counts.get(target, 0) + count
        cost = 0
        most: _Counts = {}
        for (kind, name), targets in by_key.items():
            anyway = by_key.get((kind, None), {}) if name is not None else {}
            counts = self.with_references({**anyway, **targets})
            cost = max(cost, self.weighed(counts))
            for node, count in counts.items():
                self.steps += 1
                most[node] = max(most.get(node, 0), count)
        return cost, most


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []
