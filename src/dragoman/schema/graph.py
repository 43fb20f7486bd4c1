"""What a JSON schema applies where: its subschemas, and which of them meet the same place or one place below.

Pure. It errs on the side of too much: where a reference could mean one of several subschemas, it stands for all. Its
neighbour `effort` counts over it. Source: JSON Schema 2020-12, core 8 and 10; the older drafts' keywords are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias, cast
from urllib.parse import unquote

from msgspec import Struct, field

from dragoman.errors import InvalidResult
from dragoman.schema.weight import BACKTRACKS, of_numbers, once, patterns_of, size_of, weight

__all__ = ["Graph", "Key", "Node", "Survey"]

#: A place below: a member's name or an element's position; None stands for any.
Key: TypeAlias = tuple[str, str | int | None]

_Schema: TypeAlias = dict[str, Any]

_ONE_HERE: Final = ("not", "if", "then", "else")
_LIST_HERE: Final = ("allOf", "anyOf", "oneOf")
_MAP_HERE: Final = ("dependentSchemas", "dependencies")
_ANY_MEMBER: Final = ("additionalProperties", "unevaluatedProperties", "propertyNames")
_ANY_ELEMENT: Final = ("items", "additionalItems", "contains", "unevaluatedItems")
_POSITIONS: Final = ("prefixItems", "items")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_UNEVALUATED: Final = ("unevaluatedProperties", "unevaluatedItems")
_INTRICATE: Final = frozenset(_REFERENCES + _UNEVALUATED)
_META_SCHEMAS: Final = re.compile(r"https?://json-schema\.org/")

# To find out what is unevaluated, the validator looks once more at everything that applies to the same place.
_UNEVALUATED_TIMES: Final = 4
_META_SCHEMA_WEIGHT: Final = 100
_MOST_NODES: Final = 50_000


class Node(Struct):
    """One subschema. ``here``: what it applies to the same place, and how often; ``below``: to places one below.

    ``weight``: checks of the place and of each one right below it; ``once``: further ones of the place alone.
    """

    weight: int = 1
    once: int = 0
    here: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    below: dict[Key, list[int]] = field(default_factory=dict[Key, list[int]])


class Graph(Struct, frozen=True):
    """The subschemas that a schema applies. The first node is the schema; ``order`` has each before what it applies."""

    nodes: list[Node]
    order: list[int]

    @staticmethod
    def of(schema: object) -> Graph:
        """Give the graph of a schema.

        Raises:
            InvalidResult: it refers to something outside itself, or to itself without going down, or it is too large.
        """
        root = _mapped(schema)
        nodes = _Builder(_Names(root)).built(root)
        return Graph(nodes, _ordered(nodes))

    def longest_chain(self) -> int:
        """Give how many subschemas, each applied by the one before, meet one place at most."""
        lengths = [1] * len(self.nodes)
        for number in self.order:
            for target, _ in self.nodes[number].here:
                lengths[target] = max(lengths[target], lengths[number] + 1)
        return max(lengths)


class _Names:
    """What references can mean: everything that has a name in a schema."""

    def __init__(self, root: _Schema) -> None:
        self._id = "id" if re.search("draft-0[34]", str(root.get("$schema"))) else "$id"
        self._resources: list[_Schema] = [root]
        self._anchors: dict[str, list[_Schema]] = {}
        self._dynamic: dict[str, list[_Schema]] = {}
        for held in _objects(root):
            self._enter(held, root)

    def _enter(self, held: _Schema, root: _Schema) -> None:
        told = held.get(self._id)
        if isinstance(told, str) and told.startswith("#"):
            self._anchors.setdefault(told[1:], []).append(held)
        elif isinstance(told, str) and held is not root:
            self._resources.append(held)
        for keyword, known in (("$anchor", self._anchors), ("$dynamicAnchor", self._dynamic)):
            name = held.get(keyword)
            if isinstance(name, str):
                known.setdefault(name, []).append(held)

    def meant(self, keyword: str, reference: str) -> list[object]:
        """Give everything that a reference may mean; nothing for one of the well-known meta-schemas.

        Raises:
            InvalidResult: it means nothing in this schema.
        """
        uri, _, fragment = reference.partition("#")
        fragment = unquote(fragment)
        found: list[object] = []
        if keyword != "$ref":
            found += self._dynamic.get(fragment, [])
        if keyword == "$recursiveRef" or fragment == "":
            found += self._resources_of(uri)
        elif fragment.startswith("/"):
            found += [at for resource in self._resources_of(uri) for at in _pointed(resource, fragment)]
        else:
            found += self._anchors.get(fragment, []) + self._dynamic.get(fragment, [])
        if found or (_META_SCHEMAS.match(uri) and not self._dynamic):
            return found
        raise InvalidResult(f"the schema refers to {reference[:200]!r}, which is not in it")

    def _resources_of(self, uri: str) -> list[_Schema]:
        last = _last(uri)
        if not last or "%" in uri:
            return self._resources
        return [held for held in self._resources if _last(held.get(self._id)) == last]


class _Builder:
    """Turns subschemas into nodes, each once."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self._numbers: dict[int, int] = {}
        self._waiting: list[_Schema] = []
        self._nodes: list[Node] = []

    def built(self, root: _Schema) -> list[Node]:
        self._number(root)
        while self._waiting:
            held = self._waiting.pop()
            node = self._nodes[self._numbers[id(held)]]
            times = _UNEVALUATED_TIMES if any(keyword in held for keyword in _UNEVALUATED) else 1
            node.here += [(number, times) for part in self._here(held, node) for number in self._number(part)]
            for key, part in _below(held):
                node.below.setdefault(key, []).extend(self._number(part))
            node.weight += weight(held) - 1
            node.once = once(held)
        return self._nodes

    def _number(self, part: object) -> list[int]:
        if not isinstance(part, dict):
            return []  # true, false, or no schema at all
        held = cast("_Schema", part)
        number = self._numbers.get(id(held))
        if number is None:
            number = self._numbers[id(held)] = len(self._nodes)
            self._nodes.append(Node())
            self._waiting.append(held)
            if number >= _MOST_NODES:
                raise InvalidResult(f"the schema has more than {_MOST_NODES} subschemas")
        return [number]

    def _here(self, held: _Schema, node: Node) -> Iterator[object]:
        for keyword in _ONE_HERE:
            yield held.get(keyword)
        for keyword in _LIST_HERE:
            yield from _listed(held.get(keyword))
        for keyword in _MAP_HERE:
            yield from _mapped(held.get(keyword)).values()
        for keyword in _REFERENCES:
            reference = held.get(keyword)
            if isinstance(reference, str):
                meant = self._names.meant(keyword, reference)
                node.weight += 0 if meant else _META_SCHEMA_WEIGHT
                yield from meant


def _below(held: _Schema) -> Iterator[tuple[Key, object]]:
    for name, part in _mapped(held.get("properties")).items():
        yield ("member", name), part
    for part in _mapped(held.get("patternProperties")).values():
        yield ("member", None), part
    for keyword in _ANY_MEMBER:
        yield ("member", None), held.get(keyword)
    for keyword in _POSITIONS:
        for position, part in enumerate(_listed(held.get(keyword))):
            yield ("element", position), part
    for keyword in _ANY_ELEMENT:
        yield ("element", None), held.get(keyword)


def _ordered(nodes: list[Node]) -> list[int]:
    """Give the nodes so that each comes before what it applies to the same place."""
    expected = [0] * len(nodes)
    for node in nodes:
        for target, _ in node.here:
            expected[target] += 1
    order = [number for number, count in enumerate(expected) if not count]
    for number in order:
        for target, _ in nodes[number].here:
            expected[target] -= 1
            if not expected[target]:
                order.append(target)
    if len(order) < len(nodes):
        raise InvalidResult("the schema refers to itself without going down, so that checking it has no end")
    return order


class Survey(Struct):
    """What one look at all JSON objects within a schema tells. ``size``: the checks of one place, if not intricate."""

    is_intricate: bool = False
    has_choices: bool = False
    size: int = 1
    patterns: set[str] = field(default_factory=set[str])

    @staticmethod
    def of(schema: object) -> Survey:
        """Look through a schema."""
        survey = Survey(size=size_of(schema))  # no list in it is longer than that
        for held in _objects(schema):
            survey.size += weight(held) + of_numbers(held)
            survey.patterns.update(patterns_of(held))
            survey.has_choices |= "anyOf" in held or "oneOf" in held
            survey.is_intricate |= not _INTRICATE.isdisjoint(held)
        survey.is_intricate |= any(BACKTRACKS.search(pattern) for pattern in survey.patterns)
        return survey


def _objects(root: object) -> Iterator[_Schema]:
    """Give every JSON object within a JSON value, itself included."""
    waiting: list[object] = [root]
    while waiting:
        held = waiting.pop()
        if isinstance(held, dict):
            yield cast("_Schema", held)
            waiting.extend(cast("_Schema", held).values())
        elif isinstance(held, list):
            waiting.extend(cast("list[object]", held))


def _pointed(resource: _Schema, pointer: str) -> list[object]:
    at: object = resource
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        entries = _listed(at)
        if name in (members := _mapped(at)):
            at = members[name]
        elif name.isdecimal() and int(name) < len(entries):
            at = entries[int(name)]
        else:
            return []
    return [at]


def _last(uri: object) -> str:
    return uri.partition("#")[0].rstrip("/").rpartition("/")[2] if isinstance(uri, str) else ""


def _listed(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _mapped(value: object) -> _Schema:
    return cast("_Schema", value) if isinstance(value, dict) else {}
