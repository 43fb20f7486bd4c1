"""JSON Schemas as far as a command line needs them: what may stand under a name, and in which types.

Pure. It checks nothing (the server does) and never fails on a strange schema: what it can't read counts as untyped.
Source: JSON Schema 2020-12; 2026-07-28 server/tools.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias, cast

__all__ = [
    "Json",
    "Schema",
    "as_schema",
    "branches",
    "described",
    "is_closed",
    "properties",
    "property_schema",
    "required",
    "settled",
]

Schema: TypeAlias = dict[str, Any]

#: Any JSON value.
Json: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

_DEEPEST: Final = 24
_MOST_STEPS: Final = 500
_MOST_TOLD: Final = 8
_DEEPEST_TOLD: Final = 4
_LONGEST_CHOICES: Final = 48


def as_schema(value: object) -> Schema:
    """Give a schema if it is an object; anything else (``true`` too) says nothing."""
    return cast("Schema", value) if isinstance(value, dict) else {}


class _Fuel:
    """Bounds the work on one schema: references may lead in circles, and in ever more branches."""

    def __init__(self) -> None:
        self.left = _MOST_STEPS

    def burn(self) -> bool:
        """Take a step; False when there is none left."""
        self.left -= 1
        return self.left > 0


def settled(schema: object, root: Schema) -> Schema:
    """Give the schema with its local ``$ref`` followed and its ``allOf`` merged in."""
    return _settled(as_schema(schema), root, _Fuel())


def _settled(schema: Schema, root: Schema, fuel: _Fuel, depth: int = 0) -> Schema:
    if not ("$ref" in schema or "allOf" in schema):
        return schema
    own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
    parts = [_referred(schema["$ref"], root)] if "$ref" in schema else []
    parts += [as_schema(part) for part in _listed(schema.get("allOf"))]
    whole: Schema = {}
    for part in parts:
        if depth < _DEEPEST and fuel.burn():
            whole = _merged(whole, _settled(part, root, fuel, depth + 1))
    return _merged(whole, own)


def _referred(reference: object, root: Schema) -> Schema:
    """Give what a ``#/…`` reference names; nothing for one that leads elsewhere."""
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return {}
    place: object = root
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~").replace("%25", "%")
        place = as_schema(place).get(name)
    return as_schema(place)


def _merged(base: Schema, more: Schema) -> Schema:
    both = {**base, **more}
    for key in ("properties", "$defs"):
        if key in base and key in more:
            both[key] = {**as_schema(base[key]), **as_schema(more[key])}
    if "required" in base and "required" in more:
        both["required"] = [*_listed(base["required"]), *_listed(more["required"])]
    return both


def branches(schema: object, root: Schema) -> list[Schema]:
    """Give the alternatives that the schema admits, each with one ``type`` at most and without ``anyOf``/``oneOf``."""
    found: list[Schema] = []
    _spread(as_schema(schema), root, _Fuel(), found)
    return found or [{}]


def _spread(schema: Schema, root: Schema, fuel: _Fuel, found: list[Schema], depth: int = 0) -> None:
    schema = _settled(schema, root, fuel)
    for key in ("anyOf", "oneOf"):
        alternatives = _listed(schema.get(key))
        if alternatives:
            base = {name: value for name, value in schema.items() if name != key}
            for alternative in alternatives:
                if depth < _DEEPEST and fuel.burn():
                    chosen = _merged(base, _settled(as_schema(alternative), root, fuel))
                    _spread(chosen, root, fuel, found, depth + 1)
            return
    types = schema.get("type")
    if isinstance(types, list):
        found.extend({**schema, "type": one} for one in cast("list[Any]", types))
    else:
        found.append(schema)
    if schema.get("nullable") is True:
        found.append({"type": "null"})


def properties(schema: object, root: Schema) -> dict[str, Schema]:
    """Give the schemas of all named properties, of every alternative."""
    found: dict[str, Schema] = {}
    for branch in branches(schema, root):
        for name, entry in as_schema(branch.get("properties")).items():
            found.setdefault(name, as_schema(entry))
    return found


def property_schema(schema: object, name: str, root: Schema) -> Schema:
    """Give the schema of one property; that of additional ones if it is not named."""
    named = properties(schema, root)
    if name in named:
        return named[name]
    others = [as_schema(branch.get("additionalProperties")) for branch in branches(schema, root)]
    return next((other for other in others if other), Schema())


def required(schema: object, root: Schema) -> list[str]:
    """Give the names that every alternative requires, in order."""
    demands = [[str(name) for name in _listed(branch.get("required"))] for branch in branches(schema, root)]
    return list(dict.fromkeys(name for name in demands[0] if all(name in demand for demand in demands)))


def is_closed(schema: object, root: Schema) -> bool:
    """Whether a name that the schema does not have is more likely a slip than a wish.

    Strictly, a schema that says nothing of additional properties allows them; but then a typing error would pass.
    """
    told = branches(schema, root)
    return any("properties" in branch for branch in told) and not any(
        branch.get("additionalProperties") not in (None, False) or "patternProperties" in branch for branch in told
    )


def described(schema: object, root: Schema, depth: int = 0) -> str:
    """Tell what may stand there, in a word or a few: ``integer``, ``string[]``, ``red|green``, ``string|null``."""
    told = dict.fromkeys(_described(branch, root, depth) for branch in branches(schema, root)[:_MOST_TOLD])
    return "|".join(told) or "any"


def _described(branch: Schema, root: Schema, depth: int) -> str:
    if "const" in branch:
        return _literal(branch["const"])
    choices = _listed(branch.get("enum"))
    if choices:
        told = "|".join(_literal(choice) for choice in choices)
        return told if len(told) <= _LONGEST_CHOICES else f"{told[:_LONGEST_CHOICES].rpartition('|')[0] or told[:20]}|…"
    kind = branch.get("type")
    if kind == "array":
        inner = described(branch["items"], root, depth + 1) if "items" in branch and depth < _DEEPEST_TOLD else "any"
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in branch else "any"


def _literal(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _listed(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
