"""What a person types into a form becomes the value of the field, or an error that helps."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.cli.coercion import Misfit
from dragoman.cli.forms import Field, fields_of


def field(**schema: object) -> Field:
    """A field of that schema."""
    (made,) = fields_of({"properties": {"it": schema}, "required": ["it"]})
    return made


COLOURS = {"type": "string", "enum": ["red", "green"], "enumNames": ["Red wine", "Green tea"]}
SIZES = {"oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]}
MANY = {"type": "array", "items": {"anyOf": SIZES["oneOf"]}, "minItems": 1}

GOOD: list[tuple[dict[str, Any], str, Any]] = [
    ({"type": "string"}, " as typed ", " as typed "),
    ({"type": "string", "format": "email"}, "ada@example.com", "ada@example.com"),
    ({"type": "string", "format": "uri"}, "https://example.com/x", "https://example.com/x"),
    ({"type": "string", "format": "date"}, "2026-02-28", "2026-02-28"),
    ({"type": "string", "format": "date-time"}, "2026-02-28T12:00:00Z", "2026-02-28T12:00:00Z"),
    ({"type": "string", "format": "unheard-of"}, "x", "x"),
    ({"type": "integer", "minimum": 1}, " 5 ", 5),
    ({"type": "number"}, "1.5", 1.5),
    ({"type": "boolean"}, "Y", True),
    ({"type": "boolean"}, "no", False),
    (COLOURS, "2", "green"),
    (COLOURS, "GREEN", "green"),
    (COLOURS, "red wine", "red"),
    (SIZES, "Large", "l"),
    (MANY, "1, large, Small", ["s", "l"]),
    ({"type": "array", "items": {"enum": ["a", "b"]}}, "b", ["b"]),
]

BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "string", "minLength": 2}, "x", "must have at least 2 characters"),
    ({"type": "string", "maxLength": 2}, "xyz", "must have at most 2 characters"),
    ({"type": "string", "format": "email"}, "ada@", "must be like name@host"),
    ({"type": "string", "format": "uri"}, "example", "must be like https://…"),
    ({"type": "string", "format": "date"}, "2026-02-30", "must be like YYYY-MM-DD"),
    ({"type": "string", "format": "date-time"}, "2026-02-28", "must be like date and time"),
    ({"type": "integer"}, "x", "must be an integer, not 'x'"),
    ({"type": "integer", "minimum": 1, "maximum": 9}, "10", "must be an integer, 1 to 9"),
    ({"type": "number", "minimum": 1}, "0", "must be a number, at least 1"),
    ({"type": "number", "maximum": 1}, "2", "must be a number, at most 1"),
    ({"type": "boolean"}, "perhaps", "must be y or n"),
    (COLOURS, "3", "is none of the choices"),
    (COLOURS, "gren", "is none of the choices; did you mean Green tea?"),
    (SIZES, "smal", "is none of the choices; did you mean Small?"),
    (MANY, ",", "must have at least 1 choices"),
]


@pytest.mark.parametrize(("schema", "typed", "value"), GOOD)
def test_what_is_typed_becomes_the_value(schema: dict[str, Any], typed: str, value: object) -> None:
    """One row for each kind of field."""
    assert field(**schema).read(typed) == value


@pytest.mark.parametrize(("schema", "typed", "told"), BAD)
def test_what_does_not_fit_is_told(schema: dict[str, Any], typed: str, told: str) -> None:
    """In words that go on from "that …"."""
    with pytest.raises(Misfit) as caught:
        field(**schema).read(typed)
    assert str(caught.value) == told


def test_fields_keep_the_servers_order_and_words() -> None:
    """Title, description, default, and whether it may be left out."""
    schema = {
        "properties": {
            "b": {"type": "string", "title": "Second", "description": "About b"},
            "a": {"type": "boolean", "default": True},
        },
        "required": ["b"],
    }
    told = [(one.name, one.title, one.description, one.required, one.default) for one in fields_of(schema)]
    assert told == [("b", "Second", "About b", True, None), ("a", "a", "", False, True)]


def test_values_are_shown_as_people_read_them() -> None:
    """Titles for choices, words for truth."""
    assert field(**SIZES).shown("l") == "Large"
    assert field(**MANY).shown(["s", "l"]) == "Small, Large"
    assert field(type="boolean").shown(value=True) == "yes"
    assert field(type="number").shown(1.5) == "1.5"


@pytest.mark.parametrize(
    "schema", [{}, {"properties": None}, {"properties": {"a": 3, "b": {"enum": 5}}, "required": 1}]
)
def test_a_strange_form_still_makes_fields(schema: dict[str, Any]) -> None:
    """What can't be understood is a field of any text."""
    assert [one.read("x") for one in fields_of(schema)] == ["x"] * len(schema.get("properties") or {})
