"""HTTP headers that mirror a request, and the waiting time that a server asks for.

Pure: values in, values out; the time of day is an argument. Which requests carry which headers is for the transport
(``transports/http.py``); which tools are kept is for whoever lists them.
Source: 2026-07-28 basic/transports/streamable-http#request-metadata; RFC 9110 sections 5.5, 5.6.2, 5.6.7 and 10.2.3.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from calendar import timegm
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from msgspec import Struct

from dragoman.errors import InvalidArguments, ProtocolError

__all__ = [
    "PARAMETER_PREFIX",
    "TOKEN",
    "ParameterHeader",
    "decode_value",
    "encode_value",
    "mirror",
    "parameter_headers",
    "retry_after",
]

PARAMETER_PREFIX: Final = "Mcp-Param-"

TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A header's name (RFC 9110 section 5.6.2)."""

_ANNOTATION: Final = "x-mcp-header"
_TYPES: Final = frozenset({"integer", "string", "boolean"})
_LARGEST_INTEGER: Final = 2**53 - 1

_PLAIN: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?")
_ENCODED: Final = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)

# Where JSON Schema 2020-12 (and 2019-09, draft-07) has schemas within schemas; `properties` stands apart.
_ONE_SCHEMA: Final = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_SCHEMA_LISTS: Final = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_SCHEMA_MAPS: Final = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties"})

_Path: TypeAlias = tuple[str, ...]


class ParameterHeader(Struct, frozen=True):
    """A tool's parameter that is mirrored: the header's whole ``name``, and the ``path`` of property names to it."""

    name: str
    path: _Path


def parameter_headers(schema: object) -> tuple[ParameterHeader, ...]:
    """Give the parameters that a tool's input schema (as decoded JSON) wants mirrored.

    Raises:
        ProtocolError: an annotation breaks the rules, so the whole tool must be left out; the text says why.
    """
    found: dict[str, ParameterHeader] = {}
    for path, part in _parts(schema):
        if _ANNOTATION not in part:
            continue
        header = ParameterHeader(PARAMETER_PREFIX + _checked(path, part), path or ())
        earlier = found.setdefault(header.name.lower(), header)
        if earlier is not header:
            raise _invalid(path, f"names {header.name}, and so does property {_dotted(earlier.path)}")
    return tuple(found.values())


def mirror(headers: Sequence[ParameterHeader], arguments: Mapping[str, Any]) -> dict[str, str]:
    """Give the ``Mcp-Param-*`` headers of one tool call, their values encoded; absent and null arguments have none.

    Raises:
        InvalidArguments: an integer lies outside ±(2⁵³-1), which a header must not carry.
    """
    mirrored: dict[str, str] = {}
    for header in headers:
        text = _text(_at(arguments, header.path), header)
        if text is not None:
            mirrored[header.name] = encode_value(text)
    return mirrored


def encode_value(text: str) -> str:
    """Give the text as a header's value: as it is if that is safe, else as ``=?base64?…?=``."""
    if _PLAIN.fullmatch(text) and not _ENCODED.fullmatch(text):
        return text
    return f"=?base64?{b64encode(text.encode('utf-8', 'surrogatepass')).decode()}?="


def decode_value(value: str) -> str | None:
    """Give the text that `encode_value` made this value of; None if it claims to be base64 and is not."""
    encoded = _ENCODED.fullmatch(value)
    if encoded is None:
        return value
    try:
        return b64decode(encoded[1], validate=True).decode("utf-8", "surrogatepass")
    except (binascii.Error, ValueError):
        return None


def _parts(root: object) -> Iterator[tuple[_Path | None, dict[str, Any]]]:
    """Give each schema within a schema, with its chain of property names; None once something else lies between.

    Values that are data (``default``, ``enum``, ``examples`` …) are not entered, nor is ``$ref`` followed. A stack in
    place of recursion, since a server may nest as deep as it likes.
    """
    stack: list[tuple[_Path | None, object]] = [((), root)]
    while stack:
        path, entry = stack.pop()
        if not isinstance(entry, dict):
            continue
        part = cast("dict[str, Any]", entry)
        yield path, part
        for keyword, value in part.items():
            if keyword == "properties":
                stack.extend((None if path is None else (*path, name), sub) for name, sub in _entries(value))
            elif keyword in _ONE_SCHEMA or keyword in _SCHEMA_LISTS or keyword in _SCHEMA_MAPS:
                stack.extend((None, sub) for sub in _schemas(keyword, value))


def _schemas(keyword: str, value: object) -> list[object]:
    if keyword in _SCHEMA_LISTS and isinstance(value, list):
        return cast("list[object]", value)
    if keyword in _SCHEMA_MAPS:
        return [sub for _name, sub in _entries(value)]
    return [value]


def _entries(value: object) -> list[tuple[str, object]]:
    return list(cast("dict[str, object]", value).items()) if isinstance(value, dict) else []


def _checked(path: _Path | None, part: dict[str, Any]) -> str:
    """Give the annotation's value once all constraints on it hold."""
    value: object = part[_ANNOTATION]
    if not path:
        raise _invalid(path, "stands where no chain of properties leads to")
    if not isinstance(value, str):
        raise _invalid(path, "is no string")
    if not value:
        raise _invalid(path, "is empty")
    if not TOKEN.fullmatch(value):
        raise _invalid(path, f"{value[:100]!a} can't be part of a header's name")
    kind: object = part.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise _invalid(path, "is allowed on the types integer, string and boolean only")
    return value


def _invalid(path: _Path | None, problem: str) -> ProtocolError:
    place = f" of property {_dotted(path)}" if path else ""
    return ProtocolError(f"{_ANNOTATION}{place} {problem}")


def _dotted(path: _Path) -> str:
    return ascii(".".join(path)[:200])


def _at(arguments: Mapping[str, Any], path: _Path) -> object:
    value: Any = arguments
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(name)
    return value


def _text(value: object, header: ParameterHeader) -> str | None:
    """Give a value's text; None for what has none, which the server's own check of the arguments will tell."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            if abs(value) > _LARGEST_INTEGER:
                told = f"{_dotted(header.path)} is mirrored in a header and must lie within ±(2^53-1)"
                raise InvalidArguments(told, path="/" + "/".join(map(_pointer, header.path)))
            return str(value)
        case _:
            return None


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES: Final = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"\w+, *(?P<day>\d\d?)[ -](?P<month>\w+)[ -](?P<year>\d\d(?:\d\d)?) {_TIME} GMT",
        rf"\w+ (?P<month>\w+) +(?P<day>\d\d?) {_TIME} (?P<year>\d{{4}})",
    )
)
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)


def retry_after(value: str, now: float) -> float | None:
    """Give the seconds that a ``Retry-After`` header asks to wait, or None if it can't be read.

    ``now`` is the time in seconds since 1970. All three date forms of RFC 9110 are read; a date gone by gives 0.
    """
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    found = next((match for pattern in _DATES if (match := pattern.fullmatch(text))), None)
    if found is None or found["month"].lower() not in _MONTHS:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 1900 if year >= 70 else 2000
    clock = int(found["hour"]), int(found["minute"]), int(found["second"])
    if year < 1970 or not 1 <= int(found["day"]) <= 31 or clock > (23, 59, 60):
        return None
    moment = timegm((year, _MONTHS.index(found["month"].lower()) + 1, int(found["day"]), *clock))
    return max(0.0, moment - now)
