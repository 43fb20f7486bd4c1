"""Text of the command line as the JSON value that a schema asks for.

Pure. Where several types fit, the most specific wins: a listed value, null, boolean, integer, number, array, object,
and string last. Source: JSON Schema 2020-12.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

from dragoman.cli.schemas import Json, Schema, branches, described

__all__ = ["Misfit", "nearest", "read_json", "read_several", "read_text"]

J = TypeVar("J")

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_EXACT: Final = 2**53
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
_RANKS: Final = {"null": 1, "boolean": 2, "integer": 3, "number": 4, "array": 5, "object": 6, "string": 7}
_UNTYPED: Final = 8
_DEEPEST: Final = 4
_LONGEST_QUOTED: Final = 40
_NEAR: Final = 0.6


class Misfit(ValueError):
    """The text is none of the values that the schema admits; the message completes "the argument …"."""


def read_text(text: str, schema: object, root: Schema, depth: int = 0) -> Json:
    """Give the value that the text stands for. ``depth`` counts the arrays around it.

    Raises:
        Misfit: it stands for none that the schema admits.
    """
    admitted = sorted(branches(schema, root), key=_rank)
    alone = sum(branch.get("type") != "null" for branch in admitted) == 1
    misfits: list[Misfit] = []
    for branch in admitted:
        try:
            return _read(text, branch, root, alone=alone, depth=depth)
        except Misfit as misfit:
            misfits.append(misfit)
    wanted = [str(misfit) for misfit in misfits if misfit.args[0] != "must be null"] or [str(misfits[0])]
    told = " or ".join([wanted[0], *(want.removeprefix("must be ") for want in wanted[1:])])
    raise Misfit(f"{told}, not {_quoted(text)}")


def read_several(texts: Sequence[str], schema: object, root: Schema) -> list[Json]:
    """Give the array whose elements the texts are.

    Raises:
        Misfit: the schema admits no array, or a text is none of its elements.
    """
    misfit = Misfit("is given more than once, and it takes one value")
    for branch in branches(schema, root):
        if branch.get("type") in ("array", None):
            items = branch.get("items", {})
            try:
                return [read_text(text, items, root) for text in texts]
            except Misfit as error:
                misfit = error
    raise misfit


def read_json(text: str) -> Json:
    """Give a JSON value.

    Raises:
        Misfit: it is none.
    """
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Misfit(f"is no JSON ({error})") from None


def nearest(name: str, known: Sequence[str]) -> str:
    """Give the known name that is most like another one; empty if none is near."""
    import difflib

    lowered = {other.lower(): other for other in known}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=_NEAR)
    return lowered[found[0]] if found else ""


def _rank(branch: Schema) -> int:
    if "const" in branch or "enum" in branch:
        return 0
    return _RANKS.get(str(branch.get("type")), _UNTYPED)


def _read(text: str, branch: Schema, root: Schema, *, alone: bool, depth: int) -> Json:
    if "const" in branch:
        return _choice(text, [branch["const"]])
    if isinstance(branch.get("enum"), list):
        return _choice(text, branch["enum"])
    kind = branch.get("type")
    if kind == "boolean":
        return _boolean(text, alone=alone)
    if kind == "array":
        return _array(text, branch, root, depth)
    reader = _READERS.get(str(kind))
    return reader(text) if reader is not None else _untyped(text, branch, root, depth)


def _matching(value: J, wanted: str, *, fits: bool) -> J:
    if not fits:
        raise Misfit(f"must be {wanted}")
    return value


def _choice(text: str, choices: Sequence[Json]) -> Json:
    if text in choices:
        return text
    for choice in choices:
        if not isinstance(choice, str) and json.dumps(choice) == text:
            return choice
    told = [choice if isinstance(choice, str) else json.dumps(choice) for choice in choices]
    near = nearest(text, told)
    one_of = told[0] if len(told) == 1 else f"one of {', '.join(told)}"
    raise Misfit(f"must be {one_of}" + (f" (did you mean {near}?)" if near and len(told) > 1 else ""))


def _boolean(text: str, *, alone: bool) -> bool:
    word = text.lower() if alone else text
    if word in (_TRUE if alone else {"true"}):
        return True
    return _matching(False, "true or false", fits=word in (_FALSE if alone else {"false"}))


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number.is_integer() and abs(number) < _EXACT:
            return int(number)
    raise Misfit("must be an integer")


def _number(text: str) -> float:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    raise Misfit("must be a number")


def _array(text: str, branch: Schema, root: Schema, depth: int) -> list[Any]:
    """A whole JSON array, or its only element."""
    items = branch.get("items", {})
    wanted = f"an array of {described(items, root)}"
    whole = _json_array(text)
    if whole is not None and all(_fits(item, items, root) for item in whole):
        return whole
    if depth >= _DEEPEST:
        raise Misfit(f"must be {wanted}")
    try:
        element = read_text(text, items, root, depth + 1)
    except Misfit:
        raise Misfit(f"must be {wanted}, or one element of it") from None
    return [_matching(element, wanted, fits=whole is None or not isinstance(element, str))]


def _json_array(text: str) -> list[Any] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        value = read_json(text)
    except Misfit:
        return None
    return value if isinstance(value, list) else None


def _fits(value: object, schema: object, root: Schema) -> bool:
    """Whether a value has a type that the schema admits; what is inside it is the server's to check."""
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "null": (type(None),),
        "boolean": (bool,),
        "integer": (int,),
        "number": (int, float),
        "array": (list,),
        "object": (dict,),
    }
    for branch in branches(schema, root):
        kind = kinds.get(str(branch.get("type")))
        if kind is None or (isinstance(value, kind) and not (isinstance(value, bool) and kind[0] is int)):
            return True
    return False


def _object(text: str) -> dict[str, Any]:
    try:
        value = read_json(text)
    except Misfit:
        value = None
    if not isinstance(value, dict):
        raise Misfit("must be a JSON object")
    return value


def _untyped(text: str, branch: Schema, root: Schema, depth: int) -> Json:
    """Where nothing is said of the type: JSON if it is some, else the text itself."""
    if "properties" in branch:
        return _object(text)
    if "items" in branch:
        return _array(text, branch, root, depth)
    try:
        return read_json(text)
    except Misfit:
        return text


def _null(text: str) -> None:
    return _matching(None, "null", fits=text == "null")


def _same(text: str) -> str:
    return text


_READERS: Final[Mapping[str, Callable[[str], Json]]] = {
    "string": _same,
    "null": _null,
    "integer": _integer,
    "number": _number,
    "object": _object,
}


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}…")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
