"""JSON laid out and coloured for people."""

from __future__ import annotations

import json
import re
from typing import Final

from dragoman.cli.plain import safe_json
from dragoman.cli.screen import Screen

__all__ = ["laid_out"]

_INDENT: Final = 2
_TOKEN: Final = re.compile(
    r"""(?P<key>"(?:\\.|[^"\\])*")(?=:)|(?P<text>"(?:\\.|[^"\\])*")|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)"""
)
_COLOURS: Final = {"key": ("cyan",), "text": ("green",), "number": ("magenta",), "word": ("yellow",)}


def laid_out(screen: Screen, value: object) -> str:
    """Give a JSON value indented, safe, and in colours if stdout takes them."""
    text = safe_json(json.dumps(value, indent=_INDENT, ensure_ascii=False))
    if not screen.colour:
        return text

    def colour(found: re.Match[str]) -> str:
        return screen.style(found.group(), *_COLOURS[found.lastgroup or "word"])

    return _TOKEN.sub(colour, text)
