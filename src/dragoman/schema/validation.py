"""Checks JSON values against JSON Schemas that come from servers, without trusting the schemas.

Pure. No remote ``$ref`` is ever fetched, patterns have a bound on backtracking, and the draft is the schema's own
``$schema`` (2020-12 when it names none). Source: 2026-07-28 server/tools#output-schema.
"""

from __future__ import annotations

import json
from typing import Any, Final

import jsonschema_rs
from msgspec import Struct

from dragoman.errors import InvalidResult

__all__ = ["Problem", "Validator"]

_BACKTRACKING_STEPS: Final = 100_000
_LARGEST_SCHEMA_BYTES: Final = 4 * 1024 * 1024


class Problem(Struct, frozen=True):
    """What does not fit: a sentence without the value's own data beyond the offending spot, and a JSON pointer."""

    text: str
    path: str


class Validator:
    """One schema, compiled.

    Raises:
        InvalidResult: the schema is not JSON, not a valid schema, too large, or refers to something remote.
    """

    def __init__(self, schema: bytes) -> None:
        if len(schema) > _LARGEST_SCHEMA_BYTES:
            raise InvalidResult(f"the schema is larger than {_LARGEST_SCHEMA_BYTES} bytes")
        try:
            self._compiled: Any = jsonschema_rs.validator_for(
                json.loads(schema),
                retriever=_refuse,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKING_STEPS),
            )
        except (ValueError, RecursionError) as error:
            first = str(error).partition("\n")[0]
            raise InvalidResult(f"the schema can't be used ({first})") from None

    def problem(self, value: bytes) -> Problem | None:
        """Give the first thing that does not fit, or None. ``value`` is JSON.

        Raises:
            InvalidResult: ``value`` is not JSON.
        """
        try:
            instance = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidResult(f"the value is not JSON ({error})") from None
        if self._compiled.is_valid(instance):
            return None
        error = next(iter(self._compiled.iter_errors(instance)))
        path = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.instance_path)
        return Problem(_shortened(error.message), path)


def _refuse(uri: str) -> Any:  # noqa: ANN401 - the library's own signature
    raise ValueError(f"remote schemas are not fetched: {uri}")


def _shortened(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
