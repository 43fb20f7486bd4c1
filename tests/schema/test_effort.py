"""How much work a schema asks for: never underestimated, and without end or measure only where it is hostile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.errors import InvalidResult
from dragoman.schema.effort import Effort
from dragoman.schema.graph import Survey
from tests import spec

Schema: TypeAlias = dict[str, Any]
Place: TypeAlias = tuple[str | int, ...]


def effort(schema: Schema) -> Effort:
    """The effort of a schema."""
    return Effort.of(schema)


def nested(depth: int, leaf: object = 1) -> object:
    """An object of that depth, of which each level has one member."""
    value = leaf
    for _ in range(depth):
        value = {"a": value}
    return value


# What is modest.


@pytest.mark.parametrize(
    "schema",
    [
        True,
        False,
        {},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "number"}}]},
        {"pattern": "^[a-z]+(-[a-z]+)*$"},
        {"enum": ["$ref", {"unevaluatedItems": 1}]},
    ],
)
def test_a_small_schema_needs_no_counting(schema: object) -> None:
    """The usual tool's schema costs nothing beyond being looked through, and allows large values all the same."""
    assert Effort.is_small(Survey.of(schema).size, b"1" * 100_000)
    assert Effort.of(schema).spent_on([{"a": "one"}] * 100_000) is not None


TREE: Schema = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
        }
    },
    "$ref": "#/$defs/node",
}
JSON_VALUE: Schema = {
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"]},
        {"type": "array", "items": {"$ref": "#"}},
        {"type": "object", "additionalProperties": {"$ref": "#"}},
    ]
}


TWINS: Schema = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "value": {"type": "number"}}}


@pytest.mark.parametrize("schema", [TREE, TWINS, JSON_VALUE, {"$ref": "http://json-schema.org/draft-07/schema#"}])
def test_a_recursive_schema_of_the_usual_kind_is_modest(schema: Schema) -> None:
    """Trees, JSON values and schemas as arguments are common, and values of any size may be checked against them."""
    assert effort(schema).spent_on([{"a": 1}] * 10_000) is not None


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_large_schema_of_the_real_world_stays_within_the_budget(revision: str) -> None:
    """The specification's own schema, with all its references, is no more work than it looks."""
    schema = {"$defs": spec.definitions(revision), "$ref": "#/$defs/ListToolsResult"}
    tool = {"name": "t", "inputSchema": {"type": "object", "properties": {"a": nested(5)}}}
    assert effort(schema).spent_on({"tools": [tool] * 1000}) is not None


# What is hostile.


def doubling(times: int) -> Schema:
    """Each definition asks for the next one twice."""
    defs: Schema = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(times)}
    return {"$defs": {**defs, f"a{times}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


def unevaluated(depth: int) -> Schema:
    """Each level looks twice at the one within, to see what it left."""
    schema: Schema = {}
    for _ in range(depth):
        schema = {"allOf": [schema], "unevaluatedProperties": {"type": "integer"}}
    return schema


@pytest.mark.parametrize("schema", [doubling(40), unevaluated(40)])
def test_work_that_doubles_in_place_is_over_the_budget(schema: Schema) -> None:
    """A schema of two kilobytes can't ask for a trillion checks of one number."""
    assert effort(schema).spent_on({"a": 1}) is None


@pytest.mark.parametrize("branch", ["allOf", "anyOf", "oneOf"])
def test_work_that_doubles_with_depth_is_bounded_by_the_value(branch: str) -> None:
    """A shallow value is checked; a deep one is not."""
    counted = effort({"properties": {"a": {branch: [{"$ref": "#"}, {"$ref": "#"}]}}})
    assert counted.spent_on(nested(10)) is not None
    assert counted.spent_on(nested(60)) is None


def test_patterns_that_backtrack_are_bounded_by_the_number_of_texts() -> None:
    """One such pattern is fine on some thousands of texts, not on a million."""
    counted = effort({"items": {"pattern": "^(?=(a+)+$)b"}})
    assert counted.spent_on(["a"] * 1000) is not None
    assert counted.spent_on(["a"] * 1_000_000) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"type": "string"}, {"not": {"$ref": "#"}}]},
        {"if": {"$ref": "#/else"}, "else": {"$ref": "#/if"}},
        {"dependentSchemas": {"a": {"$ref": "#"}}},
        {"$dynamicAnchor": "a", "$dynamicRef": "#a"},
        {"$recursiveAnchor": True, "$recursiveRef": "#"},
        {"$id": "https://a.example/s", "$ref": "s"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    ],
)
def test_a_schema_that_applies_itself_to_the_same_place_is_refused(schema: Schema) -> None:
    """Checking it would have no end."""
    with pytest.raises(InvalidResult, match="without going down"):
        Effort.of(schema)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"allOf": [{"minimum": -n} for n in range(5000)]}, 1),
        ({"not": {"enum": [{"a": n} for n in range(5000)]}}, {"a": -1}),
        ({"not": {"const": [0] * 5000}}, [0]),
        ({"not": {"required": [str(n) for n in range(5000)]}}, {}),
        ({"dependentRequired": {"a": [str(n) for n in range(5000)]}}, {"a": 1}),
        ({"properties": {str(n): True for n in range(20_000)}}, {}),
        ({"multipleOf": 1e-300}, 1e308),
        ({"not": {"pattern": "(a{50}){60}b"}}, "a"),
        ({"format": "regex"}, "a"),
    ],
    ids=lambda told: str(told)[:30],
)
def test_what_one_place_costs_is_counted_for_every_place(schema: Schema, value: object) -> None:
    """Long lists, long fractions and large patterns are fine once, not for each of a hundred thousand elements."""
    items: Schema = {"items": schema}
    assert effort(items).spent_on([value]) is not None
    assert effort(items).spent_on([value] * 100_000) is None
    assert not Effort.is_small(Survey.of(items).size, json.dumps([value] * 100_000).encode())


@pytest.mark.parametrize("value", ["x" * 10_000_000, {"x" * 10_000_000: 1}, [10**4000] * 10, [1e308] * 10_000])
def test_long_texts_names_and_numbers_count_for_more(value: object) -> None:
    """A rule may have to look at every letter, and numbers of thousands of digits are read anew by each rule."""
    rules: list[Schema] = [{"minLength": n, "minimum": n, "multipleOf": 0.5} for n in range(100)]
    counted = effort({"allOf": rules, "propertyNames": {"allOf": rules}, "items": {"allOf": rules}})
    assert counted.spent_on(value) is None
    assert counted.spent_on(["x"] * 1000) is not None


def test_a_value_told_within_another_is_not_measured_again_and_again() -> None:
    """What is large counts for more than it is, without being looked through to its end."""
    told: object = [0] * 200_000
    for _ in range(50):
        told = {"const": told}
    assert effort(cast("Schema", told)).spent_on(1) == 5_000_001
    assert 200_000 < Survey.of(told).size < 300_000


def test_a_long_list_of_words_is_looked_up_rather_than_compared() -> None:
    """Every country, for each of many rows, is a usual thing to allow."""
    countries: Schema = {"items": {"enum": [f"country {n}" for n in range(5000)]}}
    assert effort(countries).spent_on(["country 7"] * 100_000) is not None


def test_references_that_lead_on_and_on_are_bounded_by_the_depth_of_the_value() -> None:
    """Each goes further down on the stack, at every level of the value anew."""
    defs: Schema = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(50)}
    counted = effort({"$defs": {**defs, "a50": {"properties": {"a": {"$ref": "#"}}}}, "$ref": "#/$defs/a0"})
    assert counted.spent_on(nested(2)) is not None
    assert counted.spent_on(nested(20)) is None


def test_counting_itself_has_an_end() -> None:
    """Members by name that meet what any member meets are counted pair by pair, not beyond two million steps."""
    named: Schema = {str(n): {} for n in range(5000)}
    schema: Schema = {"properties": named, "patternProperties": {f"x{n}": {} for n in range(5000)}}
    assert effort(schema).spent_on({"1": 1}) is None


# What references mean.


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a/b~c d": {"type": "string"}}, "$ref": "#/$defs/a~1b~0c%20d"},
        {"$defs": {"a": {"$anchor": "here"}}, "$ref": "#here"},
        {"$defs": {"a": {"$dynamicAnchor": "here"}}, "$ref": "#here"},
        {"$defs": {"a": {"$dynamicAnchor": "here"}}, "$dynamicRef": "#here"},
        {"$defs": {"a": {"$id": "https://a.example/a.json"}}, "$ref": "https://a.example/a.json"},
        {"$id": "https://a.example/s", "$defs": {"a": {"$id": "a.json"}}, "$ref": "a.json"},
        {
            "$id": "https://a.example/s",
            "$defs": {"a": {"$id": "a.json", "$defs": {"b": {}}}},
            "$ref": "a.json#/$defs/b",
        },
        {"definitions": {"a": {"$id": "#a"}}, "$ref": "#a", "$schema": "http://json-schema.org/draft-07/schema#"},
        {"definitions": {"a": {"id": "#a"}}, "$ref": "#a", "$schema": "http://json-schema.org/draft-04/schema#"},
        {"items": [{}, {"type": "string"}], "not": {"$ref": "#/items/1"}},
        {"x-shared": {"a": {"type": "string"}}, "properties": {"a": {"$ref": "#/x-shared/a"}}},
        {"$defs": {"never": False}, "not": {"$ref": "#/$defs/never"}},
    ],
)
def test_a_reference_within_the_schema_is_found(schema: Schema) -> None:
    """By pointer, anchor or identifier, in the words of every draft."""
    assert effort(schema).spent_on({"a": 1}) is not None


@pytest.mark.parametrize(
    "reference",
    [
        "#/$defs/b",
        "#/$defs/list/7",
        "#/$defs/a/deeper",
        "#there",
        "other.json",
        "https://a.example/a.json",
        "file:///etc/passwd",
        "http://127.0.0.1:9/schema",
        "urn:uuid:0",
    ],
)
def test_a_reference_to_something_else_is_refused(reference: str) -> None:
    """What is not in the schema is not looked for."""
    schema: Schema = {"$defs": {"a": {}, "list": [{}]}, "$ref": reference}
    with pytest.raises(InvalidResult, match="which is not in it"):
        Effort.of(schema)


def test_a_schema_of_too_many_parts_is_refused() -> None:
    """Counting has a bound of its own."""
    schema: Schema = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{} for _ in range(60_000)]}}}
    with pytest.raises(InvalidResult, match="subschemas"):
        Effort.of(schema)


@pytest.mark.parametrize(
    ("schema", "offered"),
    [
        ({"properties": {"a": {"items": [{"oneOf": [True]}]}}}, True),
        ({"anyOf": [True]}, True),
        ({"allOf": [{"not": True}]}, False),
        (True, False),
    ],
)
def test_choices_are_found_anywhere(schema: object, *, offered: bool) -> None:
    """The validator's explanations cost most where a schema offers alternatives."""
    assert Survey.of(schema).has_choices is offered


# The estimate against a naive evaluator.


def applied(schema: object, value: object, root: Schema, place: Place = ()) -> Counter[Place]:
    """How many subschemas meet each place if a checker never stops early and remembers nothing."""
    if not isinstance(schema, dict):
        return Counter()
    counts = Counter([place])
    for part, at, below in applications(cast("Schema", schema), value, root):
        counts += applied(part, at, root, place + below)
    return counts


def applications(schema: Schema, value: object, root: Schema) -> Iterator[tuple[object, object, Place]]:
    """What one schema applies, to which part of the value, and where that lies."""
    for part in schema.get("allOf", []) + schema.get("anyOf", []) + [schema.get("not"), schema.get("if")]:
        yield part, value, ()
    if "$ref" in schema:
        yield root["$defs"][schema["$ref"].rpartition("/")[2]], value, ()
    if isinstance(value, dict):
        for name, held in cast("dict[str, object]", value).items():
            yield schema.get("properties", {}).get(name), held, (name,)
            yield schema.get("additionalProperties"), held, (name,)
    elif isinstance(value, list):
        prefix = schema.get("prefixItems", [])
        for position, held in enumerate(cast("list[object]", value)):
            yield prefix[position] if position < len(prefix) else None, held, (position,)
            yield schema.get("items"), held, (position,)


NAMES = ["a", "b"]
references = st.sampled_from(["d0", "d1", "d2"]).map(lambda name: {"$ref": f"#/$defs/{name}"})
NOTHING: Schema = {}
leaves = st.just(NOTHING) | references | st.just({"type": "integer"})


def within(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    """Schemas that hold other schemas."""
    several = st.lists(inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "allOf": several,
            "anyOf": several,
            "not": inner,
            "if": inner,
            "properties": st.dictionaries(st.sampled_from(NAMES), inner),
            "additionalProperties": inner,
            "prefixItems": several,
            "items": inner,
        },
    )


schemas = st.recursive(leaves, within, max_leaves=6)
values = st.recursive(
    st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=8,
)


@settings(max_examples=500)
@given(st.fixed_dictionaries({"d0": schemas, "d1": schemas, "d2": schemas}), values)
def test_the_estimate_is_never_below_the_work(defs: Schema, value: object) -> None:
    """Whatever refers to whatever, at least as many checks are foreseen for each place as a naive checker makes."""
    schema: Schema = json.loads(json.dumps({"$defs": defs, "$ref": "#/$defs/d0"}))  # no part twice, as JSON has it
    try:
        counted = effort(schema)
    except InvalidResult:
        return
    made = applied(schema, value, schema)
    for place, checks in made.items():
        foreseen = counted.at(len(place))
        assert foreseen is None or foreseen >= checks
    total = counted.spent_on(value)
    assert total is None or total >= made.total()


def test_many_members_are_no_more_work_for_each() -> None:
    """A wide object is checked member by member, however many references lead to the same definition."""
    schema: Schema = {
        "$defs": {"d": {"allOf": [{"type": "integer"}]}},
        "properties": {f"p{number}": {"$ref": "#/$defs/d"} for number in range(1000)},
    }
    assert [effort(schema).at(depth) for depth in range(3)] == [1, 3, 0]


def test_the_estimate_is_exact_where_nothing_is_left_open() -> None:
    """It counts; it does not merely refuse."""
    schema: Schema = {
        "$defs": {"d": {"allOf": [{"type": "integer"}, {"minimum": 1}], "properties": {"a": {"type": "integer"}}}},
        "allOf": [{"$ref": "#/$defs/d"}, {"$ref": "#/$defs/d"}],
        "additionalProperties": {"$ref": "#/$defs/d"},
    }
    counted = effort(schema)
    assert [counted.at(depth) for depth in range(4)] == [9, 6, 1, 0]


def test_what_repeats_with_depth_is_foreseen_for_every_depth() -> None:
    """A tree a thousand levels deep asks at each level for what it asked at the first."""
    schema: Schema = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    assert [effort(schema).at(depth) for depth in (0, 1, 2, 999)] == [1, 2, 2, 2]
