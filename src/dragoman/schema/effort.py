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
#: How deep a value can be: JSON decoders give up at about twice Python's recursion limit.
_DEEPEST: Final = 2048
#: Schemas that refer to each other by turns ask for the same again after so many depths at most.
_LONGEST_CYCLE: Final = 16
#: Steps spent on counting; what is not counted by then is refused.
_MOST_STEPS: Final = 2_000_000

#: So many letters of a text are looked at with one check.
_LETTERS_AT_ONCE: Final = 16
_LONG_NUMBER: Final = 2**64
_FAR_NUMBER: Final = 1e30
_FAR_NUMBER_SIZE: Final = 16
#: A place counts for at most so much per byte of its JSON: long whole numbers are the worst.
_MOST_PER_BYTE: Final = 12
#: How many subschemas may be applied within each other, over all levels of a value: threads have small stacks.
_MOST_WITHIN: Final = 400

#: How often each subschema is applied at one place.
_Counts: TypeAlias = dict[int, int]


class Effort:
    """The checks that a schema asks for at each depth of a value, at most; and how deep it goes at one place."""

    __slots__ = ("_beyond", "_chain", "_costs", "_once")

    def __init__(self, costs: list[int], once: list[int], beyond: int | None, chain: int) -> None:
        self._costs = costs
        self._once = once
        self._beyond = beyond
        self._chain = chain

    @staticmethod
    def of(schema: object) -> Effort:
        """Count for one schema.

        Raises:
            InvalidResult: the schema refers to something outside itself, or to itself without going down, or has too
                many parts.
        """
        return _counted(Graph.of(schema))

    @staticmethod
    def is_small(size: int, value: bytes) -> bool:
        """Whether a schema that applies each part once and is of that size can't exceed the budget on that JSON."""
        return size * (len(value) + 1) * _MOST_PER_BYTE <= _BUDGET

    def at(self, depth: int) -> int | None:
        """Give how many checks one place at that depth takes at most; None if nobody counted that far."""
        return self._costs[depth] if depth < len(self._costs) else self._beyond

    def spent_on(self, value: object) -> int | None:
        """Give how many checks that value takes at most; None if that is over the budget."""
        spent = 0
        here: list[object] = [value]
        depth = 0
        names = 0
        while here:
            cost = self.at(depth)
            below = [child for held in here for child in _children(held)]
            inner, letters, numbers = _measured(here)
            places = len(here) + numbers
            size = places + len(below) + (names + inner + letters) // _LETTERS_AT_ONCE
            # What is below counts here too: finding out what is unevaluated looks at each member once more.
            if cost is None or (spent := spent + cost * size + self._once_at(depth) * places) > _BUDGET:
                return None
            here = below
            names = inner
            depth += 1
        return spent if depth * self._chain <= _MOST_WITHIN else None

    def _once_at(self, depth: int) -> int:
        return self._once[depth] if depth < len(self._once) else max(self._once)


def _counted(graph: Graph) -> Effort:
    counting = _Counting(graph)
    chain = graph.longest_chain()
    applied = counting.with_references({0: 1})
    costs = [counting.weighed(applied)]
    once = [counting.weighed_once(applied)]
    seen: list[_Counts] = []
    while applied and len(costs) < _DEEPEST and counting.steps < _MOST_STEPS and costs[-1] <= _BUDGET:
        if applied in seen[-_LONGEST_CYCLE:]:
            return Effort(costs, once, max(costs[-_LONGEST_CYCLE:]), chain)
        seen.append(applied)
        cost, further, applied = counting.below(applied)
        costs.append(cost)
        once.append(further)
    return Effort(costs, once, None if applied else 0, chain)


class _Counting:
    """Goes from the places of one depth to those below. ``steps`` tells how much that took so far."""

    def __init__(self, graph: Graph) -> None:
        self._nodes = graph.nodes
        self._order = graph.order
        self._positions = {node: position for position, node in enumerate(graph.order)}
        self.steps = 0

    def weighed(self, applied: _Counts) -> int:
        return sum(count * self._nodes[node].weight for node, count in applied.items())

    def weighed_once(self, applied: _Counts) -> int:
        return sum(count * self._nodes[node].once for node, count in applied.items())

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

    def below(self, applied: _Counts) -> tuple[int, int, _Counts]:
        """Give the most that meets any one place below: the work, what comes once, and each subschema by itself."""
        by_key: dict[Key, _Counts] = {}
        for node, count in applied.items():
            for key, targets in self._nodes[node].below.items():
                counts = by_key.setdefault(key, {})
                for target in targets:
                    counts[target] = counts.get(target, 0) + count
        cost = further = 0
        most: _Counts = {}
        for (kind, name), targets in by_key.items():
            anyway = by_key.get((kind, None), {}) if name is not None else {}
            counts = self.with_references({**anyway, **targets})
            cost = max(cost, self.weighed(counts))
            further = max(further, self.weighed_once(counts))
            if self.steps > _MOST_STEPS:
                return _BUDGET + 1, 0, most
            for node, count in counts.items():
                self.steps += 1
                most[node] = max(most.get(node, 0), count)
        return cost, further, most


def _measured(here: list[object]) -> tuple[int, int, int]:
    """Give how many letters the names of members have, how many the texts, and for how many more the numbers count."""
    names = letters = numbers = 0
    for held in here:
        if isinstance(held, str):
            letters += len(held)
        elif isinstance(held, dict):
            names += sum(map(len, cast("dict[str, object]", held)))
        elif isinstance(held, int):
            if not -_LONG_NUMBER < held < _LONG_NUMBER:
                numbers += (held.bit_length() // 64) ** 2  # the validator reads the digits at every check
        elif isinstance(held, float) and abs(held) > _FAR_NUMBER:
            numbers += _FAR_NUMBER_SIZE
    return names, letters, numbers


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []
