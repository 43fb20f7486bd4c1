"""Schemas of servers are read as far as arguments need it, however they are written."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dragoman.cli.schemas import branches, described, is_closed, properties, property_schema, required

ROOT: dict[str, Any] = {
    "$defs": {
        "Cat": {
            "type": "object",
            "properties": {"lives": {"type": "integer"}, "name": {}},
            "required": ["name", "lives"],
        },
        "Dog": {"type": "object", "properties": {"breed": {"type": "string"}, "name": {}}, "required": ["name"]},
        "a/b": {"type": "number"},
    }
}
PET = {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}

WORDS: list[tuple[object, str]] = [
    ({"type": "string"}, "string"),
    ({"type": ["string", "null"]}, "string|null"),
    ({"type": "array", "items": {"type": "integer"}}, "integer[]"),
    ({"type": "array", "items": {"type": ["integer", "string"]}}, "(integer|string)[]"),
    ({"type": "array"}, "any[]"),
    ({"enum": ["red", 3, None]}, "red|3|null"),
    ({"enum": [f"choice-{number}" for number in range(20)]}, "choice-0|choice-1|choice-2|choice-3|choice-4|…"),
    ({"const": True}, "true"),
    ({"anyOf": [{"type": "integer"}, {"const": "auto"}]}, "integer|auto"),
    ({"$ref": "#/$defs/a~1b"}, "number"),
    ({"$ref": "elsewhere.json"}, "any"),
    ({"properties": {}}, "object"),
    ({}, "any"),
    (True, "any"),
    (None, "any"),
]


@pytest.mark.parametrize(("schema", "told"), WORDS)
def test_a_type_is_told_in_a_word_or_a_few(schema: object, told: str) -> None:
    """What a listing shows of an argument's type."""
    assert described(schema, ROOT) == told


def test_the_properties_of_all_alternatives_are_known() -> None:
    """A name counts as known if any alternative has it, as required if every one requires it."""
    assert list(properties(PET, ROOT)) == ["lives", "name", "breed"]
    assert required(PET, ROOT) == ["name"]
    assert property_schema(PET, "breed", ROOT) == {"type": "string"}


def test_all_of_adds_up() -> None:
    """Parts of `allOf` and a `$ref` beside other keywords are one schema."""
    schema: dict[str, Any] = {
        "allOf": [{"$ref": "#/$defs/Dog"}, {"properties": {"age": {}}, "required": ["age"]}],
        "title": "x",
    }
    assert list(properties(schema, ROOT)) == ["breed", "name", "age"]
    assert required(schema, ROOT) == ["name", "age"]


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ({"properties": {"a": {}}}, True),
        ({"properties": {"a": {}}, "additionalProperties": False}, True),
        ({"properties": {"a": {}}, "additionalProperties": True}, False),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}, False),
        ({"properties": {"a": {}}, "patternProperties": {"^x": {}}}, False),
        ({"type": "object"}, False),
        ({}, False),
    ],
)
def test_an_unknown_name_is_a_slip_unless_the_schema_wants_more(schema: dict[str, Any], *, closed: bool) -> None:
    """Saying nothing of further properties does not invite typing errors."""
    assert is_closed(schema, {}) is closed


def test_additional_properties_are_typed() -> None:
    """A name that is not listed takes the schema of additional ones."""
    assert property_schema({"additionalProperties": {"type": "integer"}}, "any", {}) == {"type": "integer"}


@pytest.mark.parametrize(
    "root",
    [
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": "array", "items": {"$ref": "#"}},
        {"$defs": {str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 3} for n in range(60)}, "$ref": "#/$defs/0"},
    ],
    ids=["allOf", "anyOf", "items", "fan"],
)
def test_a_schema_that_goes_in_circles_costs_little(root: dict[str, Any]) -> None:
    """References that lead back, or fan out, are followed for a bounded number of steps."""
    begun = time.process_time()
    assert branches(root, root)
    assert described(root, root)
    required(root, root)
    assert time.process_time() - begun < 0.5
