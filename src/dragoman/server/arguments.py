"""The arguments of calls, written as JSON or refused: what JSON has no words for is never sent as something else.

Pure. It holds nothing against a tool's schema; `catalogue.entries` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Raw

from dragoman.errors import InvalidArguments
from dragoman.protocol.jsonrpc import encode, printable

__all__ = ["check_texts", "written"]


def written(arguments: Mapping[str, Any] | Raw | None, name: str) -> bytes:
    """Give the arguments of the tool or prompt ``name`` as a JSON object; None is an empty one.

    Raises:
        InvalidArguments: they are no mapping, or hold what JSON can't: NaN, infinity, a function, a circle.
    """
    if arguments is None:
        return b"{}"
    given = arguments if isinstance(arguments, dict | Raw) else _as_dict(arguments, name)
    try:
        data = encode(given)
        place = _place_of_no_number(msgspec.to_builtins(given)) if b"null" in data and type(given) is dict else None
    except (TypeError, ValueError, RecursionError) as error:
        told = printable(str(error))
        raise InvalidArguments(f"the arguments of {printable(name)} can't be written as JSON ({told})") from None
    if place is not None:
        what = f"the arguments of {printable(name)} hold NaN or an infinity at {printable(place)}, which JSON has not"
        raise InvalidArguments(what, path=place, hint="Send null or a text instead.")
    return data


def check_texts(arguments: Mapping[str, Any] | None, prompt: str) -> None:
    """See that the arguments of a prompt are what prompts take alone: texts.

    Raises:
        InvalidArguments: one of them is none.
    """
    for name, value in (arguments or {}).items():
        if not isinstance(value, str):
            what = f"the argument {printable(str(name))} of the prompt {printable(prompt)} must be a text"
            hint = "Prompts take texts alone: write it as one."
            raise InvalidArguments(f"{what}, not a {type(value).__name__}", path=_below(name), hint=hint)


def _as_dict(arguments: object, name: str) -> dict[object, object]:
    if not isinstance(arguments, Mapping):
        kind = type(arguments).__name__
        what = f"the arguments of {printable(name)} must be a mapping of names to values, not a {kind}"
        raise InvalidArguments(what, hint='Write them as {"name": value}.')
    return dict(cast("Mapping[object, object]", arguments))


def _place_of_no_number(value: object) -> str | None:
    """Give the JSON pointer of the first float that JSON has no word for: it is written as null otherwise."""
    if isinstance(value, float):
        return None if math.isfinite(value) else ""
    if isinstance(value, Mapping):
        parts = list(cast("Mapping[object, object]", value).items())
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        parts = list(enumerate(cast("Sequence[object]", value)))
    else:
        return None
    for name, part in parts:
        below = _place_of_no_number(part)
        if below is not None:
            return f"{_below(name)}{below}"
    return None


def _below(name: object) -> str:
    """Give the step of a JSON pointer that leads to a member."""
    return f"/{str(name).replace('~', '~0').replace('/', '~1')}"
