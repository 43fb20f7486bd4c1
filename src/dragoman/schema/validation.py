"""Checks JSON values against JSON Schemas that come from servers, without trusting the schemas.

Pure. No remote ``$ref`` is ever fetched, patterns have a bound on backtracking, work that can't end is refused
(`effort`), and the draft is the schema's own ``$schema`` (2020-12 when it names none).
Source: 2026-07-28 server/tools#output-schema.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, cast

import jsonschema_rs
from msgspec import Struct

from dragoman.errors import InvalidResult
from dragoman.protocol.kept import decode_any
from dragoman.schema.effort import Effort
from dragoman.schema.graph import Survey
from dragoman.schema.weight import bound_patterns

__all__ = ["Problem", "Validator"]

#: Threads have small stacks, and the validator goes down on them.
_DEEPEST: Final = 100
_BACKTRACKING_STEPS: Final = 100_000
_LARGEST_SCHEMA_BYTES: Final = 4 * 1024 * 1024
# Telling what is wrong costs a thousand times what finding out costs: with a choice in the schema, the validator first
# gathers every fault of every alternative, with a copy of the spot.
_MOST_EXPLAINED: Final = 1024 * 1024
_MOST_EXPLAINED_OF_CHOICES: Final = 16 * 1024
_MOST_CHECKS_EXPLAINED: Final = 20_000


class Problem(Struct, frozen=True):
    """What does not fit: a sentence without the value's own data beyond the offending spot, and a JSON pointer."""

    text: str
    path: str


class Validator:
    """One schema, compiled.

    Raises:
        InvalidResult: the schema is not JSON, not a valid schema, too large or too deep, has too many or too large
            patterns, refers to something that is not in it, or
            to itself without end.
    """

    __slots__ = ("_compiled", "_effort", "_most_explained", "_size", "_told")

    def __init__(self, schema: bytes) -> None:
        if len(schema) > _LARGEST_SCHEMA_BYTES:
            raise InvalidResult(f"the schema is larger than {_LARGEST_SCHEMA_BYTES} bytes")
        told = decode_any(schema, "the schema")
        _bound_depth(schema, told, "the schema")
        survey = Survey.of(told)
        bound_patterns(survey.patterns)
        self._told = told
        self._size = survey.size
        self._effort = Effort.of(told) if survey.is_intricate else None
        self._most_explained = _MOST_EXPLAINED_OF_CHOICES if survey.has_choices else _MOST_EXPLAINED
        try:
            self._compiled = jsonschema_rs.validator_for(
                told,
                retriever=_refuse,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKING_STEPS),
            )
        except (ValueError, jsonschema_rs.ReferencingError, RecursionError) as error:
            raise InvalidResult(f"the schema can't be used ({_shortened(str(error))})") from None

    def problem(self, value: bytes) -> Problem | None:
        """Give the first thing that does not fit, or None. ``value`` is JSON.

        Raises:
            InvalidResult: ``value`` is not JSON, is nested too deeply, or checking it would take too long.
        """
        instance = decode_any(value, "the value")
        _bound_depth(value, instance, "the value")
        checks = self._checks(value, instance)
        if checks is None:
            raise InvalidResult(
                "checking the value against its schema would take too long",
                hint="Take it unchecked (validate_results=False) if you trust the server.",
            )
        try:
            if self._compiled.is_valid(instance):
                return None
            if len(value) > self._most_explained or checks > _MOST_CHECKS_EXPLAINED:
                return Problem("it does not fit; where would take too long to tell", "")
            self._compiled.validate(instance)
        except jsonschema_rs.ValidationError as error:
            path = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.instance_path)
            return Problem(_shortened(error.message), path)
        except (ValueError, RecursionError) as error:
            raise InvalidResult(f"the value can't be checked ({_shortened(str(error))})") from None
        return None

    def _checks(self, value: bytes, instance: object) -> int | None:
        """Give how many checks a value takes at most; 0 if too few to count, None if they are too many."""
        if self._effort is None:
            if Effort.is_small(self._size, value):
                return 0
            try:
                self._effort = Effort.of(self._told)
            except InvalidResult:
                return None
        return self._effort.spent_on(instance)


def _bound_depth(raw: bytes, value: object, what: str) -> None:
    if raw.count(b"[") + raw.count(b"{") <= _DEEPEST:
        return
    here: list[object] = [value]
    for _ in range(_DEEPEST):
        here = [
            child
            for held in here
            if isinstance(held, dict | list)
            for child in (cast("dict[str, Any]", held).values() if isinstance(held, dict) else cast("list[Any]", held))
            if isinstance(child, dict | list)
        ]
        if not here:
            return
    raise InvalidResult(f"{what} is nested deeper than {_DEEPEST} levels")


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"remote schemas are not fetched: {uri}")


def _shortened(text: str, limit: int = 300) -> str:
    text = text.partition("\n")[0]
    return text if len(text) <= limit else f"{text[: limit - 1]}\u2026"
