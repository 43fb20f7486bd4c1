"""What one subschema's own keywords cost at one place, in checks of some ten nanoseconds; and bounds for its patterns.

Pure. It looks at one JSON object at a time and knows nothing of subschemas: `graph` puts them together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import inf, log10, prod
from typing import Any, Final, TypeAlias, cast

from dragoman.errors import InvalidResult

__all__ = ["BACKTRACKS", "bound_patterns", "of_numbers", "once", "patterns_of", "size_of", "weight"]

_Schema: TypeAlias = dict[str, Any]

#: What makes a pattern one that may backtrack: look-around, references to groups, possessive repeats.
BACKTRACKS: Final = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9k]|[*+?}]\+")
_REPEATS: Final = re.compile(r"\{\s*(\d+)\s*(?:,\s*(\d*)\s*)?\}")

_MOST_PATTERNS: Final = 200
_LONGEST_PATTERNS: Final = 16 * 1024
_MOST_REPEATS: Final = 20_000

# A match may backtrack 100,000 times.
_BACKTRACKING_WEIGHT: Final = 1000
# Seldom is more than a fraction of a pattern alive at one character.
_PATTERN_SHARE: Final = 4
_MOST_PATTERN_WEIGHT: Final = 1000
# The older drafts compile each text that is said to be a pattern.
_REGEX_FORMAT_WEIGHT: Final = 100_000
_CONTENT_WEIGHT: Final = 8
_NUMBERS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_LONG_NUMBER: Final = 2**64
_LONG_NUMBER_WEIGHT: Final = 100
# Whether a number is a multiple of a fraction is found out with fractions as long as their exponents.
_FRACTION_WEIGHT: Final = 70
_WEIGHT_OF_MAGNITUDE: Final = 5
# References may lead into values within values: none is looked through for long, what is larger counts for much more.
_MOST_MEASURED: Final = 50_000
_UNMEASURED: Final = 5_000_000
_COMPARED_AT_ONCE: Final = 64
_LOOKED_UP_AT_ONCE: Final = 4


def weight(held: _Schema) -> int:
    """Give the checks that one subschema itself makes of a place, and of each member, name and 16 letters in it."""
    found = 1
    for pattern in patterns_of(held):
        found += _weight_of_pattern(pattern)
    if "format" in held and held["format"] == "regex":
        found += _REGEX_FORMAT_WEIGHT
    if "contentMediaType" in held or "contentEncoding" in held:
        found += _CONTENT_WEIGHT
    return found


def once(held: _Schema) -> int:
    """Give the further checks that it makes of the place alone: against lists, whole values and long numbers."""
    found = 0
    if "required" in held:
        found += _members_of(held["required"])
    if "properties" in held:
        found += _members_of(held["properties"]) // _LOOKED_UP_AT_ONCE
    for keyword in ("dependentRequired", "dependencies"):
        if keyword in held:
            found += sum(1 + _members_of(names) for names in _mapped(held[keyword]).values())
    if "const" in held:
        found += _size_to_compare(held["const"])
    if "enum" in held and not _is_of_texts(held["enum"]):
        found += _size_to_compare(held["enum"])
    return found + of_numbers(held)


def of_numbers(held: _Schema) -> int:
    """Give those of them that are for long numbers."""
    return sum(_weight_of_number(keyword, held[keyword]) for keyword in _NUMBERS if keyword in held)


def patterns_of(held: _Schema) -> list[str]:
    """Give the patterns that one subschema itself tells."""
    found: list[str] = []
    if "pattern" in held and isinstance(held["pattern"], str):
        found.append(held["pattern"])
    if "patternProperties" in held:
        found.extend(_mapped(held["patternProperties"]))
    return found


def bound_patterns(patterns: Iterable[str]) -> None:
    """Refuse a schema whose patterns would take much memory to compile.

    Raises:
        InvalidResult: they are too many, too long in all, or repeat too much.
    """
    told = list(patterns)
    if len(told) > _MOST_PATTERNS:
        raise InvalidResult(f"the schema has more than {_MOST_PATTERNS} patterns")
    if sum(map(len, told)) > _LONGEST_PATTERNS:
        raise InvalidResult(f"the patterns of the schema are longer than {_LONGEST_PATTERNS} characters in all")
    if sum(sum(_repeats(pattern)) for pattern in told) > _MOST_REPEATS:
        raise InvalidResult(f"the patterns of the schema repeat more than {_MOST_REPEATS} times in all")


def size_of(value: object, limit: float = inf) -> int:
    """Give how many values are in a JSON value, itself included; long texts and numbers count as several.

    What is larger than the limit is not looked through to its end.
    """
    size = 0
    waiting: list[object] = [value]
    while waiting and size <= limit:
        held = waiting.pop()
        size += 1
        if isinstance(held, str):
            size += len(held) // _COMPARED_AT_ONCE
        elif isinstance(held, dict):
            size += sum(map(len, cast("_Schema", held))) // _COMPARED_AT_ONCE
            waiting.extend(cast("_Schema", held).values())
        elif isinstance(held, list):
            waiting.extend(cast("list[object]", held))
        elif isinstance(held, int) and abs(held) > _LONG_NUMBER:
            size += _LONG_NUMBER_WEIGHT
    return size


def _members_of(value: object) -> int:
    """Give how many members or elements a JSON value has."""
    return len(cast("list[object]", value)) if isinstance(value, list | dict) else 0


def _size_to_compare(value: object) -> int:
    size = size_of(value, _MOST_MEASURED)
    return size if size <= _MOST_MEASURED else _UNMEASURED


def _weight_of_pattern(pattern: str) -> int:
    if BACKTRACKS.search(pattern):
        return _BACKTRACKING_WEIGHT
    repeats = [max(1, count) for count in _repeats(pattern)]
    nested = prod(repeats) if "){" in pattern else sum(repeats)
    return min((len(pattern) + nested) // _PATTERN_SHARE, _MOST_PATTERN_WEIGHT)


def _repeats(pattern: str) -> list[int]:
    # More digits than that stand for nothing that a validator would compile.
    return [int((found[2] or found[1])[:9]) for found in _REPEATS.finditer(pattern)]


def _weight_of_number(keyword: str, told: object) -> int:
    if not isinstance(told, int | float):
        return 0
    found = _LONG_NUMBER_WEIGHT if abs(told) > _LONG_NUMBER else 0
    if keyword == "multipleOf" and told > 0 and isinstance(told, float):
        found += _FRACTION_WEIGHT + int(abs(log10(told))) * _WEIGHT_OF_MAGNITUDE
    return found


def _is_of_texts(told: object) -> bool:
    """Whether all are short texts, which the validator looks up instead of comparing one by one."""
    return isinstance(told, list) and all(
        isinstance(entry, str) and len(entry) < _COMPARED_AT_ONCE for entry in cast("list[object]", told)
    )


def _mapped(value: object) -> _Schema:
    return cast("_Schema", value) if isinstance(value, dict) else {}
