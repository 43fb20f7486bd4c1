"""The specification's own data as tests see it: examples, messages of its pages, and schemas by revision.

Knows where the files lie and how a schema's definition is asked; nothing of Dragoman.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema_rs

_DATA = Path(__file__).parent / "data"
_EXAMPLES = _DATA / "spec_examples"
_SCHEMAS = _DATA / "spec_schemas"

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
TASKS = "tasks"


def kinds() -> list[str]:
    """The definitions of 2026-07-28 that have examples."""
    return sorted(path.name for path in (_EXAMPLES / "2026-07-28").iterdir())


def examples(kind: str) -> dict[str, bytes]:
    """The examples of one definition, by name, exactly as they are written."""
    return {path.stem: path.read_bytes() for path in sorted((_EXAMPLES / "2026-07-28" / kind).glob("*.json"))}


def messages(revision: str) -> list[bytes]:
    """The JSON-RPC messages that the pages of a revision (or of the tasks extension) show."""
    return (_EXAMPLES / f"messages-{revision}.jsonl").read_bytes().splitlines()


@functools.cache
def definitions(revision: str) -> dict[str, dict[str, Any]]:
    """The definitions of one revision's schema."""
    schema = _schema(revision)
    return schema[_member(schema)]


@functools.cache
def validator(revision: str, kind: str) -> jsonschema_rs.Validator:
    """What tells whether a value fits one definition of a revision."""
    schema = _schema(revision)
    return jsonschema_rs.validator_for({**schema, "$ref": f"#/{_member(schema)}/{kind}"}, validate_formats=True)


def misfits(revision: str, kind: str, data: bytes) -> list[str]:
    """What keeps the JSON in `data` from fitting one definition of a revision; empty if it fits."""
    errors = validator(revision, kind).iter_errors(json.loads(data))
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in errors]


@functools.cache
def _schema(revision: str) -> dict[str, Any]:
    return json.loads((_SCHEMAS / f"{revision}.json").read_bytes())


def _member(schema: dict[str, Any]) -> str:
    return "$defs" if "$defs" in schema else "definitions"
