"""Text becomes the value that a schema asks for, or an error that says what would have fitted."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.cli.coercion import Misfit, nearest, read_several, read_text
from dragoman.cli.schemas import as_schema

TABLE: list[tuple[str, dict[str, Any], Any]] = [
    ("5", {"type": "string"}, "5"),
    ("", {"type": "string"}, ""),
    ("@file", {"type": "string"}, "@file"),
    ("5", {"type": "integer"}, 5),
    ("-007", {"type": "integer"}, -7),
    ("5.0", {"type": "integer"}, 5),
    ("1e3", {"type": "integer"}, 1000),
    ("123456789012345678901234567890", {"type": "integer"}, 123456789012345678901234567890),
    ("5", {"type": "number"}, 5),
    (".5", {"type": "number"}, 0.5),
    ("-1.5e-3", {"type": "number"}, -0.0015),
    ("true", {"type": "boolean"}, True),
    ("Yes", {"type": "boolean"}, True),
    ("0", {"type": "boolean"}, False),
    ("off", {"type": "boolean"}, False),
    ("null", {"type": "null"}, None),
    ("null", {"type": ["string", "null"]}, None),
    ("nullable", {"type": ["string", "null"]}, "nullable"),
    ("null", {"type": "string", "nullable": True}, None),
    ("null", {"type": "string"}, "null"),
    ("5", {"type": ["string", "integer"]}, 5),
    ("5", {"anyOf": [{"type": "string"}, {"type": "integer"}]}, 5),
    ("five", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "five"),
    ("yes", {"type": ["boolean", "string"]}, "yes"),
    ("true", {"type": ["boolean", "string"]}, True),
    ("1", {"type": ["boolean", "integer"]}, 1),
    ("yes", {"type": ["boolean", "null"]}, True),
    ("red", {"enum": ["red", "green"]}, "red"),
    ("3", {"enum": ["red", 3]}, 3),
    ("null", {"enum": ["red", None]}, None),
    ("on", {"const": "on"}, "on"),
    ("auto", {"anyOf": [{"type": "integer"}, {"const": "auto"}]}, "auto"),
    ("a", {"type": "array", "items": {"type": "string"}}, ["a"]),
    ("a,b", {"type": "array", "items": {"type": "string"}}, ["a,b"]),
    ('["a", "b"]', {"type": "array", "items": {"type": "string"}}, ["a", "b"]),
    ("[draft", {"type": "array", "items": {"type": "string"}}, ["[draft"]),
    ("[1]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, [[1]]),
    ("[[1]]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, [[1]]),
    ("5", {"type": "array"}, [5]),
    ("[]", {"type": "array", "items": {"type": "string"}}, []),
    ('{"a": 1}', {"type": "object"}, {"a": 1}),
    ('{"a": 1}', {"properties": {"a": {}}}, {"a": 1}),
    ("5", {}, 5),
    ("five", {}, "five"),
    ("5", {"$ref": "#/$defs/N"}, 5),
    ("5", {"allOf": [{"$ref": "#/$defs/N"}, {"minimum": 1}]}, 5),
    ("x", {"$ref": "https://example.com/elsewhere"}, "x"),
    ("x", {"$ref": "#/$defs/Loop"}, "x"),
]

MISFITS: list[tuple[str, dict[str, Any], str]] = [
    ("five", {"type": "integer"}, "must be an integer, not 'five'"),
    ("5.5", {"type": "integer"}, "must be an integer, not '5.5'"),
    ("1_000", {"type": "integer"}, "must be an integer, not '1_000'"),
    ("", {"type": "integer"}, "must be an integer, not ''"),
    ("NaN", {"type": "number"}, "must be a number, not 'NaN'"),
    ("1e999", {"type": "number"}, "must be a number, not '1e999'"),
    ("maybe", {"type": "boolean"}, "must be true or false, not 'maybe'"),
    ("x", {"type": ["integer", "null"]}, "must be an integer, not 'x'"),
    ("x", {"type": ["integer", "boolean"]}, "must be true or false or an integer, not 'x'"),
    ("gren", {"enum": ["red", "green"]}, "must be one of red, green (did you mean green?), not 'gren'"),
    ("off", {"const": "on"}, "must be on, not 'off'"),
    ("[1, 2]", {"type": "array", "items": {"type": "string"}}, "must be an array of string, not '[1, 2]'"),
    (
        "x",
        {"type": "array", "items": {"type": "integer"}},
        "must be an array of integer, or one element of it, not 'x'",
    ),
    ("5", {"type": "object"}, "must be a JSON object, not '5'"),
    ("[", {"type": "object"}, "must be a JSON object, not '['"),
    ("9" * 50, {"type": "boolean"}, f"must be true or false, not '{'9' * 40}…'"),
]

ROOT: dict[str, Any] = {"$defs": {"N": {"type": "integer"}, "Loop": {"$ref": "#/$defs/Loop"}}}


@pytest.mark.parametrize(("text", "schema", "value"), TABLE)
def test_text_becomes_what_the_schema_asks_for(text: str, schema: dict[str, Any], value: object) -> None:
    """One row for each type, union and keyword that decides how text is read."""
    read = read_text(text, schema, ROOT)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("text", "schema", "told"), MISFITS)
def test_text_that_does_not_fit_says_what_would(text: str, schema: dict[str, Any], told: str) -> None:
    """The error names the wanted type and the offending text, cut if it is long."""
    with pytest.raises(Misfit) as caught:
        read_text(text, schema, ROOT)
    assert str(caught.value) == told


def test_several_texts_are_the_elements_of_an_array() -> None:
    """Each is typed by the schema of the items."""
    assert read_several(["1", "2"], {"type": "array", "items": {"type": "integer"}}, {}) == [1, 2]
    with pytest.raises(Misfit, match="given more than once"):
        read_several(["1", "2"], {"type": "integer"}, {})
    with pytest.raises(Misfit, match="must be an integer, not 'x'"):
        read_several(["1", "x"], {"type": "array", "items": {"type": "integer"}}, {})


def test_the_nearest_name_is_told_only_if_it_is_near() -> None:
    """Case counts for nothing; a far name is no help."""
    assert nearest("MESAGE", ["message", "count"]) == "message"
    assert nearest("zzz", ["message", "count"]) == ""


scalars = st.one_of(
    st.tuples(st.just({"type": "integer"}), st.integers()),
    st.tuples(st.just({"type": "number"}), st.floats(allow_nan=False, allow_infinity=False)),
    st.tuples(st.just({"type": "boolean"}), st.booleans()),
    st.tuples(st.just({"type": "null"}), st.none()),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
odd_schemas: list[Any] = [{}, True, None, {"$ref": "#"}, {"$ref": "#/nowhere"}, {"type": []}]
schemas: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object", "nonsense", 3]).map(
        lambda kind: {"type": kind}
    )
    | json_values.map(lambda value: {"const": value})
    | st.lists(json_values, max_size=3).map(lambda values: {"enum": values})
    | st.sampled_from(odd_schemas),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda several: {"anyOf": several}),
        st.lists(inner, max_size=3).map(lambda several: {"oneOf": several, "type": "string"}),
        inner.map(lambda one: {"type": "array", "items": one}),
        inner.map(lambda one: {"allOf": [one]}),
        st.dictionaries(st.text(max_size=3), inner, max_size=3).map(lambda named: {"properties": named}),
    ),
    max_leaves=8,
)


@given(scalars)
def test_the_json_of_a_scalar_is_read_back(drawn: tuple[dict[str, Any], Any]) -> None:
    """Whatever a scalar's JSON is, its own type reads it as that value."""
    schema, value = drawn
    read = read_text(json.dumps(value), schema, {})
    assert read == value or math.isclose(float(str(read)), float(value))


@given(st.text())
def test_text_stays_text_where_text_is_wanted(text: str) -> None:
    """No text is ever changed on its way into a string."""
    assert read_text(text, {"type": "string"}, {}) == text


@given(json_values)
def test_any_json_is_read_where_nothing_is_said(value: object) -> None:
    """An untyped place takes JSON as it stands."""
    assert read_text(json.dumps(value), {}, {}) == value


@given(st.text() | json_values.map(json.dumps), schemas)
def test_no_schema_and_no_text_breaks_the_reading(text: str, schema: object) -> None:
    """There is a value that JSON can hold, or a `Misfit`: never anything else."""
    with contextlib.suppress(Misfit):
        json.dumps(read_text(text, schema, as_schema(schema)), allow_nan=False)
