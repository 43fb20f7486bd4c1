"""Files of environment variables, as ``envFile`` names them: ``NAME=value`` lines, with quotes and comments.

Pure. Nothing is expanded inside such a file. A problem names the line, never what stands there.
"""

from __future__ import annotations

import re
from typing import Final

from dragoman.config.files.node import complain

__all__ = ["parse_dotenv"]

_MOST_LINES: Final = 200
_LINE: Final = re.compile(r"(?:export[ \t]+)?(?P<name>[^\s=#'\"]+)[ \t]*=[ \t]*(?P<value>.*)")
_SINGLE: Final = re.compile(r"'(?P<held>[^']*)'[ \t]*(?:#.*)?")
_DOUBLE: Final = re.compile(r'"(?P<held>(?:[^"\\]++|\\.)*+)"[ \t]*(?:#.*)?', re.DOTALL)
_INSIDE: Final = re.compile(r'(?:[^"\\]++|\\.)*+')
_COMMENT: Final = re.compile(r"(?:^|(?<=[ \t]))#.*")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}


def parse_dotenv(text: str) -> dict[str, str]:
    r"""Give the variables of a text; of two with one name, the last.

    Double quotes may hold up to 200 lines and the escapes ``\n``, ``\r``, ``\t``, ``\"`` and ``\\``; single
    quotes hold text as it is. Without quotes, a blank and ``#`` begin a comment.

    Raises:
        ConfigError: a line is no assignment, or a quote has no end; with ``line``.
    """
    found: dict[str, str] = {}
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line, begun = lines[at].strip(), at + 1
        at += 1
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            complain("is no NAME=value", begun, hint="Write one variable in a line; # begins a comment.")
        value = match["value"]
        longest = min(len(lines), begun + _MOST_LINES)
        held = [value]
        goes_on = value.startswith('"') and _is_open(value[1:])
        while goes_on and at < longest:
            held.append(lines[at].rstrip())
            goes_on = _is_open(held[-1])
            at += 1
        found[match["name"]] = _held("\n".join(held), begun)
    return found


def _is_open(line: str) -> bool:
    """Whether a quote that a line is within goes on after it."""
    inside = _INSIDE.match(line)
    return inside is None or not line.startswith('"', inside.end())


def _held(value: str, line: int) -> str:
    if value.startswith("'"):
        match = _SINGLE.fullmatch(value)
    elif value.startswith('"'):
        match = _DOUBLE.fullmatch(value)
    else:
        return _COMMENT.sub("", value).strip()
    if match is None:
        complain("holds a quote that is not closed, or goes on after it", line, hint="Close the quote at the end.")
    held = match["held"]
    return _ESCAPE.sub(lambda sign: _ESCAPED.get(sign[1], sign[1]), held) if value.startswith('"') else held
