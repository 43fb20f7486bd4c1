"""Mirrored headers: what becomes of arguments, which tools are refused, and how long a server asks to wait."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import InvalidArguments, ProtocolError
from dragoman.protocol.headers import (
    ParameterHeader,
    decode_value,
    encode_value,
    mirror,
    parameter_headers,
    retry_after,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["properties", "items", "anyOf", "$defs", "x-mcp-header", "type", "default", "a", "b"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


def schema(**properties: object) -> dict[str, Any]:
    """An object schema with these properties."""
    return {"type": "object", "properties": properties}


def param(name: object, type: object = "string") -> dict[str, Any]:
    """A property that is to be mirrored."""
    return {"type": type, "x-mcp-header": name}


# Values.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("us-west1", "us-west1"),
        ("us west 1", "us west 1"),
        ("", ""),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("\tindented", "=?base64?CWluZGVudGVk?="),
        ("=?BASE64?x?=", "=?BASE64?x?="),
    ],
)
def test_values_are_encoded_as_the_specification_shows(text: str, value: str) -> None:
    """The specification's own table, and a few more."""
    assert encode_value(text) == value
    assert decode_value(value) == text


@given(st.text(st.characters()))
def test_any_text_survives_the_round_trip_in_safe_characters(text: str) -> None:
    """What is sent is visible ASCII with inner spaces only, and gives the text back."""
    value = encode_value(text)
    assert value == value.strip()
    assert all(0x20 <= ord(character) <= 0x7E for character in value)
    assert decode_value(value) == text


@given(st.text() | st.text().map(lambda inner: f"=?base64?{inner}?="))
def test_decoding_never_raises(value: str) -> None:
    """A value that claims to be base64 and is not gives None."""
    assert decode_value(value) is None or isinstance(decode_value(value), str)


# Annotations.


def test_annotated_parameters_are_found_at_any_depth_of_properties() -> None:
    """Nested objects count as long as only ``properties`` lie between."""
    found = parameter_headers(
        schema(
            region=param("Region"),
            deep={"type": "object", "properties": {"er": {"properties": {"count": param("Count", "integer")}}}},
            query={"type": "string"},
        )
    )
    assert set(found) == {
        ParameterHeader("Mcp-Param-Region", ("region",)),
        ParameterHeader("Mcp-Param-Count", ("deep", "er", "count")),
    }


@pytest.mark.parametrize("value", [None, True, [], {}, "x", {"properties": []}, {"properties": {"a": True}}])
def test_a_schema_without_annotations_has_none(value: object) -> None:
    """Whatever stands in place of a schema, nothing is found and nothing raised."""
    assert parameter_headers(value) == ()


def test_data_that_looks_like_an_annotation_is_none() -> None:
    """Defaults, enumerations, examples and a property of that name are not schemas."""
    data = {"x-mcp-header": "bad name"}
    entry = {"type": "object", "default": data, "const": data, "enum": [data], "examples": [data], "unknown": data}
    assert parameter_headers(schema(**{"a": entry, "x-mcp-header": {"type": "string"}})) == ()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (schema(a=param("")), "empty"),
        (schema(a=param("My Region")), "header's name"),
        (schema(a=param("Region:Primary")), "header's name"),
        (schema(a=param("Rég")), "header's name"),
        (schema(a=param("Reg\r\nX: y")), "header's name"),
        (schema(a=param("Region\n")), "header's name"),
        (schema(a=param(7)), "no string"),
        (schema(a=param(None)), "no string"),
        (schema(a=param("A", "object")), "types"),
        (schema(a=param("A", "array")), "types"),
        (schema(a=param("A", "null")), "types"),
        (schema(a=param("A", "number")), "types"),
        (schema(a=param("A", ["string", "null"])), "types"),
        (schema(a={"x-mcp-header": "A"}), "types"),
        (schema(a=param("Region"), b=param("Region")), "so does"),
        (schema(a=param("MyField"), b={"properties": {"c": param("myfield")}}), "so does"),
        (param("Root"), "chain of properties"),
        (schema(a={"type": "array", "items": param("A")}), "chain of properties"),
        (schema(a={"type": "array", "items": [param("A")]}), "chain of properties"),
        (schema(a={"type": "array", "prefixItems": [param("A")]}), "chain of properties"),
        (schema(a={"items": schema(b=param("A"))}), "chain of properties"),
        ({"anyOf": [schema(a=param("A"))]}, "chain of properties"),
        ({"allOf": [{"oneOf": [schema(a=param("A"))]}]}, "chain of properties"),
        ({"if": schema(a=param("A"))}, "chain of properties"),
        ({"then": schema(a=param("A"))}, "chain of properties"),
        ({"not": schema(a=param("A"))}, "chain of properties"),
        ({"$defs": {"x": param("A")}, **schema(a={"$ref": "#/$defs/x"})}, "chain of properties"),
        ({"dependentSchemas": {"x": schema(a=param("A"))}}, "chain of properties"),
        ({"patternProperties": {".*": param("A")}}, "chain of properties"),
        ({"additionalProperties": param("A")}, "chain of properties"),
    ],
)
def test_a_broken_annotation_refuses_the_tool_and_says_why(bad: object, why: str) -> None:
    """Each constraint of the specification, with the reason in the error."""
    with pytest.raises(ProtocolError, match=why):
        parameter_headers(bad)


@given(JSON)
def test_any_schema_is_read_or_refused(value: object) -> None:
    """No JSON value raises anything else, and what is read holds to the constraints."""
    try:
        found = parameter_headers(value)
    except ProtocolError:
        return
    assert len({header.name.lower() for header in found}) == len(found)
    assert all(header.path for header in found)


def test_a_schema_nested_without_end_is_read() -> None:
    """Depth costs no stack."""
    nested: dict[str, Any] = {"type": "string"}
    for _ in range(20_000):
        nested = {"not": nested}
    assert parameter_headers(nested) == ()


# Arguments.


def test_arguments_are_mirrored_by_their_type() -> None:
    """Strings as they are, integers in decimal, booleans in lower case; what has no annotation stays out."""
    headers = parameter_headers(
        schema(
            region=param("Region"),
            priority=param("Priority", "integer"),
            whole=param("Whole", "integer"),
            verbose=param("Verbose", "boolean"),
            debug=param("Debug", "boolean"),
            greeting=param("Greeting"),
            inner={"properties": {"zone": param("Zone")}},
        )
    )
    arguments = {
        "region": "us-west1",
        "priority": -7,
        "whole": 42.0,
        "verbose": False,
        "debug": True,
        "greeting": "Hello, 世界",
        "inner": {"zone": "b"},
        "query": "SELECT 1",
    }
    assert mirror(headers, arguments) == {
        "Mcp-Param-Region": "us-west1",
        "Mcp-Param-Priority": "-7",
        "Mcp-Param-Whole": "42",
        "Mcp-Param-Verbose": "false",
        "Mcp-Param-Debug": "true",
        "Mcp-Param-Greeting": "=?base64?SGVsbG8sIOS4lueVjA==?=",
        "Mcp-Param-Zone": "b",
    }


@pytest.mark.parametrize(
    "arguments", [{}, {"a": None}, {"a": "no object"}, {"a": {}}, {"a": {"b": None}}, {"a": {"b": [1]}}, {"a": [1]}]
)
def test_absent_null_and_unfit_arguments_have_no_header(arguments: dict[str, Any]) -> None:
    """A header is left out when there is no value at the exact path."""
    assert mirror(parameter_headers(schema(a=schema(b=param("B")))), arguments) == {}


@pytest.mark.parametrize("value", [2**53, -(2**53), 10**400, 1e300])
def test_an_integer_out_of_the_safe_range_is_refused_before_sending(value: float) -> None:
    """The caller is told which argument it was."""
    headers = parameter_headers(schema(**{"a/b": param("A", "integer")}))
    with pytest.raises(InvalidArguments, match="mirrored") as caught:
        mirror(headers, {"a/b": value})
    assert caught.value.path == "/a~1b"
    assert mirror(headers, {"a/b": 2**53 - 1}) == {"Mcp-Param-A": "9007199254740991"}


# Retry-After.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 37.0),
        ("Sun Nov  6 08:49:37 1994", 37.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("٣", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 25:49:37 GMT", None),
        ("9" * 5000, None),
    ],
)
def test_the_waiting_time_is_read_in_all_its_forms(value: str, seconds: float | None) -> None:
    """Seconds or one of three date forms; anything else is as good as nothing."""
    assert retry_after(value, now=784111740.0) == seconds


@given(st.text())
def test_reading_a_waiting_time_never_raises(value: str) -> None:
    """Any header value gives seconds or None."""
    waiting = retry_after(value, now=0.0)
    assert waiting is None or waiting >= 0
