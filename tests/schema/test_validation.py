"""Checking values against schemas of servers: exact where the schema is sound, and safe whatever the schema is."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dragoman.errors import InvalidResult
from dragoman.schema.validation import Problem, Validator
from tests import spec

Schema: TypeAlias = dict[str, Any]


def problem(schema: object, value: object) -> Problem | None:
    """What does not fit."""
    return Validator(json.dumps(schema).encode()).problem(json.dumps(value).encode())


def fits(schema: object, value: object) -> bool:
    """Whether a value fits a schema."""
    return problem(schema, value) is None


# What fits and what does not.


@pytest.mark.parametrize(
    ("schema", "value", "fit"),
    [
        ({"type": "object", "required": ["a"]}, {"a": 1}, True),
        ({"type": "object", "required": ["a"]}, {}, False),
        ({"type": "integer"}, 1.0, True),
        ({"type": "integer"}, 1.5, False),
        ({"type": "integer"}, 10**40, True),
        ({"const": None}, None, True),
        ({"type": "array"}, [], True),
        ({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string"}}}, ["a", 1], False),
        (True, 5, True),
        (False, 5, False),
        ({}, None, True),
    ],
)
def test_a_value_is_held_against_its_schema(schema: object, value: object, *, fit: bool) -> None:
    """Any JSON value may be checked, against any schema."""
    assert fits(schema, value) is fit


def test_a_schema_without_a_draft_is_one_of_2020_12() -> None:
    """`prefixItems` came with 2020-12; older drafts pass over it."""
    schema: Schema = {"prefixItems": [{"type": "string"}]}
    assert not fits(schema, [1])
    assert fits({**schema, "$schema": "http://json-schema.org/draft-07/schema#"}, [1])


@pytest.mark.parametrize(
    ("draft", "schema", "value"),
    [
        ("http://json-schema.org/draft-04/schema#", {"minimum": 1, "exclusiveMinimum": True}, 1),
        ("http://json-schema.org/draft-06/schema#", {"exclusiveMinimum": 1}, 1),
        ("http://json-schema.org/draft-07/schema#", {"items": [True], "additionalItems": False}, ["a", 1]),
        ("https://json-schema.org/draft/2019-09/schema", {"items": [True], "unevaluatedItems": False}, ["a", 1]),
        ("https://json-schema.org/draft/2020-12/schema", {"dependentRequired": {"a": ["b"]}}, {"a": 1}),
    ],
)
def test_a_schema_is_read_by_its_own_draft(draft: str, schema: Schema, value: object) -> None:
    """Servers write schemas with tools of every age."""
    assert not fits({"$schema": draft, **schema}, value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": {"b": [0, "x"]}}, "/a/b/1"),
        ({"a/b": 1}, "/a~1b"),
        ({"a~b": 1}, "/a~0b"),
        ({"~/": {"~1": [1]}}, "/~0~1/~01/0"),
        (5, ""),
    ],
)
def test_a_problem_is_told_with_a_pointer_to_its_place(value: object, path: str) -> None:
    """The pointer is one of RFC 6901, with the two signs escaped that it needs for itself."""
    schema: Schema = {"$defs": {"a": {"type": ["object", "array"], "additionalProperties": {"$ref": "#/$defs/a"}}}}
    schema["$defs"]["a"]["items"] = {"type": "integer"} if path == "/a/b/1" else {"not": True}
    found = problem({**schema, "$ref": "#/$defs/a"}, value)
    assert found is not None
    assert found.path == path


@given(st.lists(st.text(min_size=1), max_size=4))  # the validator itself passes over members without a name
def test_every_pointer_leads_to_the_place(names: list[str]) -> None:
    """Whatever members are called, whoever resolves the pointer finds the offending value."""
    value: object = "offending"
    for name in reversed(names):
        value = {name: value}
    schema: Schema = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"type": "object", "additionalProperties": {"$ref": "#/$defs/a"}}},
    }
    found = problem(schema, value)
    assert found is not None
    at: Any = value
    for part in found.path.split("/")[1:]:
        at = at[part.replace("~1", "/").replace("~0", "~")]
    assert at == "offending"


def test_a_problem_says_what_is_wrong() -> None:
    """The text names the rule and the offending value."""
    assert problem({"properties": {"a": {"type": "integer"}}}, {"a": "x"}) == Problem(
        '"x" is not of type "integer"', "/a"
    )


def test_a_long_problem_is_shortened() -> None:
    """An error text is no place for a whole document."""
    found = problem({"type": "integer"}, "x" * 10_000)
    assert found is not None
    assert len(found.text) == 300


# What is refused.


@pytest.mark.parametrize(
    "schema",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"type":"\xff"}',
        b"[]",
        b"null",
        b'"string"',
        b'{"type":"strnig"}',
        b'{"type":5}',
        b'{"minLength":-1}',
        b'{"multipleOf":0}',
        b'{"properties":[]}',
        b'{"required":"a"}',
        b'{"pattern":"((["}',
        b'{"pattern":"((((a{1000}){1000}){1000}){1000})"}',
        b'{"patternProperties":{"([":{}}}',
        b'{"minimum":NaN}',
        b'{"minimum":1e999}',
        b'{"$schema":"https://a.example/own-dialect"}',
        b'{"$ref":"#/$defs/nowhere"}',
        b'{"$ref":"#"}',
        b'{"not":' * 100_000,
        b'{"not":' * 900 + b"{}" + b"}" * 900,
        b"{" + b" " * (4 * 1024 * 1024) + b"}",
    ],
    ids=lambda schema: f"{len(schema)} {schema[:40]!r}",
)
def test_a_schema_that_can_not_be_used_is_refused(schema: bytes) -> None:
    """Each fault is an InvalidResult that says so; nothing else comes out."""
    with pytest.raises(InvalidResult, match="schema"):
        Validator(schema)


@pytest.mark.parametrize("value", [b"", b"{", b"nonsense", b'"\xff"', b"[" * 100_000, b"1e999", b"NaN", b"9" * 5000])
def test_a_value_that_is_no_json_is_refused(value: bytes) -> None:
    """The value comes from the server too."""
    with pytest.raises(InvalidResult, match="the value is not valid JSON"):
        Validator(b"{}").problem(value)


def test_half_a_surrogate_pair_is_no_obstacle() -> None:
    """JavaScript cuts emoji in two; the value is checked all the same, in schema and value."""
    assert Validator(rb'{"const":"\ud83d"}').problem(rb'"\ud83d"') is None
    assert Validator(b'{"type":"object"}').problem(rb'{"\ud83d":"\udc00"}') is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
keywords = st.sampled_from(
    [
        "$anchor", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveRef", "$ref", "$schema", "$vocabulary",
        "additionalItems", "additionalProperties", "allOf", "anyOf", "const", "contains", "contentMediaType",
        "contentSchema", "default", "definitions", "dependencies", "dependentRequired", "dependentSchemas", "else",
        "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "id", "if", "items", "maxContains",
        "maxItems", "maxLength", "maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties",
        "minimum", "multipleOf", "not", "oneOf", "pattern", "patternProperties", "prefixItems", "properties",
        "propertyNames", "required", "then", "title", "type", "unevaluatedItems", "unevaluatedProperties",
        "uniqueItems",
    ]
)  # fmt: skip
words = st.sampled_from(["#", "#/$defs/a", "#a", "a", "object", "array", "string", "", "(", "^a+$", "(?=a)\\1", "date"])
schemas = st.recursive(
    st.booleans() | st.integers(-1, 3) | words | json_values,
    lambda inner: (
        st.dictionaries(keywords | st.sampled_from(["a", "b"]), inner, max_size=4) | st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)


@given(schemas, json_values)
@example({"$ref": "#", "unevaluatedItems": False}, [[]])
@example({"$id": "#", "$ref": "a"}, {})
@example({"$id": "http://[", "$ref": "a"}, {})
@example({"contentMediaType": "application/json", "contentSchema": {"$ref": "#"}}, "[]")
def test_any_schema_and_any_value_give_a_verdict_or_a_refusal(schema: object, value: object) -> None:
    """No schema crashes the process, and none brings an error that callers do not expect."""
    try:
        found = problem(schema, value)
    except InvalidResult:
        return
    assert found is None or found.text


@given(st.binary())
def test_any_bytes_are_a_schema_or_a_refusal(data: bytes) -> None:
    """A server may send anything."""
    try:
        Validator(data)
    except InvalidResult as error:
        assert "schema" in error.what  # noqa: PT017 - either outcome is right


# What is not fetched.


class Recorder(BaseHTTPRequestHandler):
    """Counts every request and answers with a schema that takes anything."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextmanager
def listening() -> Generator[tuple[str, list[str]]]:
    """A web server on this machine: its address, and what it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (Recorder,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


REMOTE: list[Schema] = [
    {"$ref": "{at}/schema.json"},
    {"$ref": "{at}/schema.json#/$defs/a"},
    {"$dynamicRef": "{at}/schema.json"},
    {"$recursiveRef": "{at}/schema.json"},
    {"properties": {"a": {"items": {"$ref": "{at}/schema.json"}}}},
    {"$id": "{at}/base/", "$ref": "schema.json"},
    {"$id": "{at}/base/", "properties": {"a": {"$ref": "schema.json"}}},
    {"$id": "{at}/schema.json", "type": "object"},
    {"$schema": "{at}/dialect.json", "type": "object"},
    {"$schema": "{at}/dialect.json", "$ref": "{at}/schema.json"},
    {"$schema": "http://json-schema.org/draft-04/schema#", "id": "{at}/base/", "$ref": "schema.json"},
    {"$schema": "https://json-schema.org/draft/2020-12/schema", "$vocabulary": {"{at}/vocabulary": True}},
]


@pytest.mark.parametrize("schema", REMOTE, ids=str)
def test_nothing_is_fetched(schema: Schema) -> None:
    """Whatever a schema refers to, nobody is asked for it: not at compiling, not at checking."""
    with listening() as (address, asked):
        data = json.dumps(schema).replace("{at}", address).encode()
        try:
            validator = Validator(data)
            validator.problem(b'{"a":[{}]}')
        except InvalidResult:
            pass
        assert asked == []


def test_a_schema_that_only_names_an_address_is_usable() -> None:
    """An ``$id`` is a name, not an errand."""
    assert fits({"$id": "https://a.example/schema.json", "$ref": "#/$defs/a", "$defs": {"a": True}}, 1)


def test_a_file_is_not_read(tmp_path: Any) -> None:
    """A schema can't make this process look at its own machine."""
    secret = tmp_path / "secret.json"
    secret.write_text('{"const": "hush"}')
    with pytest.raises(InvalidResult) as caught:
        Validator(json.dumps({"$ref": secret.as_uri()}).encode())
    assert "hush" not in str(caught.value)


# What is bounded.

HANGING: dict[str, tuple[Schema, object]] = {
    "references that double": (
        {
            "$defs": {
                **{f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)},
                "a60": {"type": "integer"},
            },
            "$ref": "#/$defs/a0",
        },
        1,
    ),
    "choices that double with depth": (
        {"properties": {"a": {"oneOf": [{"$ref": "#"}, {"$ref": "#"}]}}},
        json.loads('{"a":' * 100 + "1" + "}" * 100),
    ),
    "what is unevaluated, level by level": (
        json.loads('{"unevaluatedProperties":{"type":"integer"},"allOf":[' * 40 + "{}" + "]}" * 40),
        {"a": 1},
    ),
    "a pattern that backtracks": ({"pattern": "^(?=(a+)+$)(a|aa)+$"}, "a" * 50_000 + "!"),
    "a pattern that backtracks, in every element": (
        {"items": {"not": {"pattern": "^(?:a?){30}(?=b)(a|aa)+$"}}},
        ["a" * 40] * 100_000,
    ),
    "a pattern without look-around": ({"pattern": "^(a+)+$"}, "a" * 50_000 + "!"),
    "faults without number": (
        {"anyOf": [{"items": {"type": "integer"}}, {"items": {"type": "string"}}]},
        [1.5] * 100_000,
    ),
    "deep choices of a shallow value": (
        json.loads('{"anyOf":[{"type":"string"},' * 100 + "{}" + "]}" * 100),
        {"a": 1},
    ),
    "a deep value": ({"items": {"$ref": "#"}}, json.loads("[" * 500 + "]" * 500)),
}


@pytest.mark.parametrize("name", HANGING)
def test_no_schema_holds_up_the_process(name: str) -> None:
    """A hostile schema is answered or refused in the time that an event loop can spare, or nearly so."""
    schema, value = HANGING[name]
    program = (
        "import json, sys\n"
        "from dragoman.errors import InvalidResult\n"
        "from dragoman.schema.validation import Validator\n"
        "schema, value = sys.stdin.buffer.read().split(b'\\n')\n"
        "try: Validator(schema).problem(value)\n"
        "except InvalidResult: pass\n"
    )
    told = json.dumps(schema).encode() + b"\n" + json.dumps(value).encode()
    done = subprocess.run([sys.executable, "-c", program], input=told, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_fault_of_a_value_too_large_to_explain_is_still_a_fault() -> None:
    """The verdict does not depend on the size, only the explanation does."""
    schema: Schema = {"anyOf": [{"items": {"type": "integer"}}, {"items": {"type": "string"}}]}
    small, large = problem(schema, [1.5]), problem(schema, [1.5] * 10_000)
    assert small is not None
    assert large is not None
    assert "anyOf" in small.text
    assert "too long to tell" in large.text
    assert fits(schema, [1] * 10_000)


def test_work_over_the_budget_is_refused_with_a_way_out() -> None:
    """Who trusts the server can turn checking off."""
    schema, value = HANGING["references that double"]
    with pytest.raises(InvalidResult, match=r"would take too long.*validate_results"):
        problem(schema, value)


@pytest.mark.parametrize(
    ("patterns", "refused"),
    [
        ([f"^a{n}$" for n in range(200)], None),
        ([f"^a{n}$" for n in range(201)], "more than 200 patterns"),
        (["^a$"] * 1000, None),
        (["a" * 16_000], None),
        (["a" * 9000, "b" * 9000], "longer than 16384"),
        ([rf"\w{{{n}}}" for n in range(900, 920)], None),
        ([rf"\w{{{n}}}" for n in range(3000, 3010)], "repeat more than 20000"),
        ([rf"\w{{1,{n}}}" for n in range(3000, 3010)], "repeat more than 20000"),
        (["(?x) a{ 99999999999 }"], "repeat more than 20000"),
    ],
    ids=lambda told: str(told)[:30],
)
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_patterns_are_bounded_in_number_length_and_repeats(
    keyword: str, patterns: list[str], refused: str | None
) -> None:
    """Compiled, a short pattern can take megabytes."""
    told: list[Schema] = [{keyword: pattern if keyword == "pattern" else {pattern: True}} for pattern in patterns]
    if refused is None:
        assert fits({"allOf": told}, 1)
    else:
        with pytest.raises(InvalidResult, match=refused):
            fits({"allOf": told}, 1)


@pytest.mark.parametrize(("levels", "allowed"), [(100, True), (101, False)])
@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"a":', "}")])
def test_a_value_is_taken_up_to_a_hundred_levels(before: str, after: str, levels: int, *, allowed: bool) -> None:
    """Beyond, the validator could leave the stack of a small thread; wide values are no deeper for it."""
    value = (before * levels + "1" + after * levels).encode()
    if allowed:
        assert Validator(b"{}").problem(value) is None
    else:
        with pytest.raises(InvalidResult, match="the value is nested deeper than 100 levels"):
            Validator(b"{}").problem(value)


def test_a_wide_value_is_no_deep_one() -> None:
    """It is levels that count, not brackets."""
    assert fits({}, [{"a": [1]}] * 1000)


def test_a_schema_is_taken_up_to_a_hundred_levels() -> None:
    """Compiling goes down on the stack too."""
    assert Validator(b'{"not":' * 99 + b"{}" + b"}" * 99).problem(b"1") is not None
    with pytest.raises(InvalidResult, match="the schema is nested deeper than 100 levels"):
        Validator(b'{"not":' * 100 + b"{}" + b"}" * 100)


@pytest.mark.parametrize("schema", [{"allOf": [{"minimum": -n} for n in range(20_000)]}, {"multipleOf": 1e-300}])
def test_a_schema_without_references_is_bounded_too(schema: Schema) -> None:
    """Its size times the value's is what there is to do."""
    assert fits({"items": schema}, [1])
    with pytest.raises(InvalidResult, match="would take too long"):
        problem({"items": schema}, [1] * 100_000)


def test_a_large_sound_value_is_checked() -> None:
    """Bounds are for hostility, not for size."""
    row: Schema = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "tags": {"items": {"$ref": "#/$defs/tag"}}},
    }
    schema: Schema = {"$defs": {"tag": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "items": row}
    rows: list[Any] = [{"id": number, "tags": ["a", None]} for number in range(20_000)]
    assert fits(schema, rows)
    assert not fits(schema, [*rows, {"id": "x"}])


def test_the_specification_s_own_schema_is_checked() -> None:
    """The largest schema at hand, with all its references, against every example."""
    for kind in spec.kinds():
        schema = json.dumps({"$defs": spec.definitions("2026-07-28"), "$ref": f"#/$defs/{kind}"}).encode()
        validator = Validator(schema)
        for data in spec.examples(kind).values():
            assert validator.problem(data) is None
