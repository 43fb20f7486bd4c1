r"""The words after a tool's name, and ``--args``, as one arguments object.

    key=text      typed by the tool's schema; repeated, the elements of an array
    key:=json     JSON as it stands; nothing is asked of the schema
    key@=file     the file's text, typed as key=text is
    a.b=text      within an object; ``a\.b`` is one name with a dot, and so is a name that the schema has

Words win over ``--args``. A value that begins with ``@`` is plain text: what another program fills in must not be able
to make this one read files.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

from dragoman.cli.coercion import Misfit, nearest, read_json, read_several, read_text
from dragoman.cli.schemas import Json, Schema, is_closed, properties, property_schema, required
from dragoman.errors import InvalidArguments, UsageError

__all__ = ["Word", "assemble", "parse_words", "prompt_arguments", "read_base"]

_DOT: Final = re.compile(r"(?<!\\)\.")
_MOST_NAMED: Final = 12


class Word(NamedTuple):
    """One word: the name as it was written, and its text or its JSON value."""

    name: str
    kind: Literal["text", "json"]
    value: Any


def parse_words(words: Sequence[str]) -> list[Word]:
    """Read the words; files that they name are read too.

    Raises:
        UsageError: one is no argument, its JSON is broken, or its file can't be read.
    """
    parsed: list[Word] = []
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if "=" in before and "=" not in word and ":" not in word:
            name, _, value = before.partition("=")
            quoted = f"{name}={shlex.quote(f'{value} {word}')}"
            raise UsageError(f"{word!r} is no argument", hint=f"If it belongs to the text, quote it: {quoted}")
        parsed.append(_parse(word))
    return parsed


def read_base(source: str | None) -> dict[str, Any]:
    """Give the object of ``--args``: JSON, ``@file``, or ``-`` for stdin.

    Raises:
        UsageError: it can't be read, or is no JSON object.
    """
    if source is None:
        return {}
    if source == "-":
        text, place = sys.stdin.read(), "stdin"
    elif source.startswith("@"):
        text, place = _file_text(source[1:]), source[1:]
    else:
        text, place = source, "--args"
    try:
        value = read_json(text)
    except Misfit as misfit:
        raise UsageError(f"{place} {misfit}", hint='Give an object: --args \'{"name": "value"}\'.') from None
    if not isinstance(value, dict):
        raise UsageError(f"{place} holds {_kind(value)}, not an object", hint="Arguments are an object of names.")
    return value


def assemble(words: Sequence[Word], base: dict[str, Any], schema: Schema | None) -> dict[str, Any]:
    """Give the arguments: ``base`` with the words put in. Without a schema nothing is checked.

    Raises:
        InvalidArguments: a name is unknown or missing, or a value does not fit.
    """
    given: dict[tuple[str, ...], list[Word]] = {}
    for word in words:
        given.setdefault(_path(word.name, schema), []).append(word)
    arguments = dict(base)
    for path, same in given.items():
        _put(arguments, path, _value(path, same, schema), given)
    if schema is not None:
        _check_names(arguments, schema, [path for path in given if len(path) > 1])
    return arguments


def prompt_arguments(words: Sequence[Word], base: dict[str, Any]) -> dict[str, str]:
    """Give the arguments of a prompt, which are all text.

    Raises:
        InvalidArguments: one is not.
    """
    merged = base | {word.name: word.value for word in words}
    for name, value in merged.items():
        if not isinstance(value, str):
            raise InvalidArguments(
                f"argument {name!r} is {_kind(value)}, and the arguments of a prompt are text", path=f"/{name}"
            )
    return merged


def _parse(word: str) -> Word:
    name, equals, value = word.partition("=")
    operator = name[-1:] if name[-1:] in (":", "@") else ""
    name = name.removesuffix(operator)
    if not equals or not name:
        if word.lstrip().startswith(("{", "[")):
            hint = "Pass JSON with --args."
        elif ":" in word.strip(":") and not equals:
            start, _, rest = word.partition(":")
            hint = f"Did you mean {shlex.quote(f'{start}={rest}')}?"
        elif not equals:
            hint = f"Give it a value: {word}=VALUE, or {word}:=JSON."
        else:
            hint = "Write name=value or name:=JSON."
        raise UsageError(f"{word!r} is no argument", hint=hint)
    if operator == ":":
        try:
            return Word(name, "json", read_json(value))
        except Misfit as misfit:
            raise InvalidArguments(f"argument {name!r} {misfit}", hint=f"Text is written {name}=…") from None
    return Word(name, "text", _file_text(value) if operator == "@" else value)


def _file_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path!r} can't be read ({error.strerror})", hint="Check the path.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path!r} is not text in UTF-8", hint="Arguments are JSON, which holds text only.") from None


def _path(name: str, schema: Schema | None) -> tuple[str, ...]:
    if schema is not None and name in properties(schema, schema):
        return (name,)
    return tuple(step.replace("\\.", ".") for step in _DOT.split(name))


def _value(path: tuple[str, ...], words: Sequence[Word], schema: Schema | None) -> Json:
    values = [word.value for word in words]
    if schema is None:
        return values[0] if len(values) == 1 else values
    own = _schema_at(path, schema)
    try:
        if len(words) == 1:
            return values[0] if words[0].kind == "json" else read_text(values[0], own, schema)
        texts = [word.value for word in words if word.kind == "text"]
        typed = iter(read_several(texts, own, schema))
        return [word.value if word.kind == "json" else next(typed) for word in words]
    except Misfit as misfit:
        raise InvalidArguments(f"argument {'.'.join(path)!r} {misfit}", path=_pointer(path)) from None


def _schema_at(path: Sequence[str], schema: Schema) -> Schema:
    """Give the schema of a place. A name that is not known is refused before its value is."""
    place = schema
    for depth, step in enumerate(path):
        _check_known(step, place, schema, path[: depth + 1])
        place = property_schema(place, step, schema)
    return place


def _put(
    arguments: dict[str, Any], path: tuple[str, ...], value: object, given: dict[tuple[str, ...], list[Word]]
) -> None:
    place = arguments
    for depth, step in enumerate(path[:-1], start=1):
        inner = place.get(step, {})
        if not isinstance(inner, dict) or path[:depth] in given:
            told = f"argument {'.'.join(path[:depth])!r} has a value of its own and a part, {'.'.join(path)!r}"
            raise InvalidArguments(told, path=_pointer(path[:depth]), hint="Give one or the other.")
        place[step] = place = dict(cast("dict[str, Any]", inner))
    place[path[-1]] = value


def _check_names(arguments: dict[str, Any], schema: Schema, inner: Sequence[tuple[str, ...]]) -> None:
    """Check the names at the top and wherever words reached into."""
    places = [(), *dict.fromkeys(path[:depth] for path in inner for depth in range(1, len(path)))]
    for path in places:
        value: Any = arguments
        own: Schema = schema
        for step in path:
            value, own = value[step], property_schema(own, step, schema)
        for name in value:
            _check_known(name, own, schema, (*path, name))
        missing = [name for name in required(own, schema) if name not in value]
        if missing:
            raise InvalidArguments(_missing_text(path, missing), path=_pointer(path), hint=_missing_hint(path, missing))


def _check_known(name: str, schema: Schema, root: Schema, path: Sequence[str]) -> None:
    known = properties(schema, root)
    if name in known or not is_closed(schema, root):
        return
    near = nearest(name, list(known))
    told = list(known)[:_MOST_NAMED] + (["…"] if len(known) > _MOST_NAMED else [])
    guess = f"Did you mean {near!r}? " if near else ""
    hint = f"{guess}It has {', '.join(told)}; --no-check sends it all the same." if known else "It takes none."
    raise InvalidArguments(f"there is no argument {'.'.join(path)!r}", path=_pointer(path), hint=hint)


def _missing_text(path: Sequence[str], missing: Sequence[str]) -> str:
    told = ", ".join(repr(".".join((*path, name))) for name in missing)
    return f"argument{'s' if len(missing) > 1 else ''} {told} {'are' if len(missing) > 1 else 'is'} missing"


def _missing_hint(path: Sequence[str], missing: Sequence[str]) -> str:
    return f"Add {' '.join('.'.join((*path, name)) + '=…' for name in missing)}; --no-check sends it all the same."


def _pointer(path: Sequence[str]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "an array"
        case _:
            return "an object"
