"""JSON as people write it: with comments and trailing commas, and told by line when it is wrong.

Pure: text in, `Node` tree out. It knows nothing of servers.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from dragoman.config.files.node import MAX_DEPTH, MAX_NODES, Node, child_key, complain, too_deep, too_many

__all__ = ["parse_json"]

_SPACE: Final = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(r'"((?:[^"\\\x00-\x1f]++|\\.)*+)"')
_ESCAPE: Final = re.compile(r'\\(?!["\\/bfnrt]|u[0-9A-Fa-f]{4})')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.+-])")
_WORD: Final = re.compile(r"[A-Za-z_$][\w$-]*")
_NAMES: Final = {"true": True, "false": False, "null": None}
_FOREIGN: Final = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false", "None": "null", "NULL": "null"}
_HALF: Final = re.compile("[\ud800-\udfff]")
_QUOTES: Final = "'`\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_QUOTES_HINT: Final = 'JSON wants straight double quotes: "like this".'
_LONGEST_NUMBER: Final = 400


def parse_json(text: str) -> Node:
    """Give the tree of a JSON text.

    Raises:
        ConfigError: it is no JSON, has a key twice in one object, or is nested too deep; with ``line`` and ``key``.
    """
    reader = _Reader(text)
    reader.skip()
    if reader.at_end():
        complain("the file is empty", 1, hint='A configuration looks like {"mcpServers": {…}}.')
    root = reader.value("", 0, reader.line)
    reader.skip()
    if not reader.at_end():
        if reader.peek() == "," or root.value.__class__ is str:
            reader.fail("goes on after its end", hint="Put { and } around the whole.")
        reader.fail("goes on after its end", hint="Look for a } or ] too many, or for a second object.")
    return root


class _Reader:
    """One pass over the text; ``line`` is where the reader stands."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._values = 0
        self.line = 1

    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def skip(self) -> None:
        """Pass blanks and comments."""
        found = _SPACE.match(self._text, self._at)
        end = found.end() if found else self._at
        self.line += self._text.count("\n", self._at, end)
        self._at = end
        if self._text.startswith("/*", end):
            self.fail("a comment has no end", hint="Close it with */.")
        if self.peek() == "#":
            self.fail("# begins no comment in JSON", hint="Write // instead.")

    def value(self, key: str, depth: int, line: int) -> Node:
        """Read a value; ``line`` is where its key stands."""
        if depth > MAX_DEPTH:
            too_deep(self.line, key)
        self._values += 1
        if self._values > MAX_NODES:
            too_many(self.line, key)
        match self.peek():
            case "{":
                return self._mapping(key, depth, line)
            case "[":
                return self._list(key, depth, line)
            case '"':
                held = self._string(key)
                return Node(held, line, key, held)
            case _:
                return self._scalar(key, line)

    def _mapping(self, key: str, depth: int, line: int) -> Node:
        members: dict[str, Node] = {}
        opened = self.line
        self._at += 1
        self.skip()
        while self.peek() != "}":
            name, at = self._name(key, opened), self.line
            path = child_key(key, name)
            if name in members:
                first = members[name].line
                complain(f"stands twice, first in line {first}", at, key=path, hint="Keep one of the two.")
            self.skip()
            if self.peek() != ":":
                # What stands here may be a value, and a secret, whose name is missing.
                self.fail("a name in it has no colon and no value", key, hint='Write "NAME": "value".')
            self._at += 1
            self.skip()
            members[name] = self.value(path, depth + 1, at)
            self._separator("}", path, key, opened)
        self._at += 1
        return Node(members, line, key)

    def _list(self, key: str, depth: int, line: int) -> Node:
        items: list[Node] = []
        opened = self.line
        self._at += 1
        self.skip()
        while self.peek() != "]":
            path = child_key(key, len(items))
            if self.at_end():
                self._unclosed("]", key, opened)
            items.append(self.value(path, depth + 1, self.line))
            self._separator("]", path, key, opened)
        self._at += 1
        return Node(items, line, key)

    def _separator(self, closing: str, key: str, around: str, opened: int) -> None:
        before = self.line
        self.skip()
        if self.peek() == ",":
            self._at += 1
            self.skip()
        elif self.at_end():
            self._unclosed(closing, around, opened)
        elif self.peek() != closing:
            complain("a comma is missing after it", before, key=key, hint=f"Put a comma, or close with {closing}.")

    def _unclosed(self, closing: str, key: str, opened: int) -> NoReturn:
        opening = "{" if closing == "}" else "["
        self.fail(f"ends before the {opening} of line {opened} is closed", key, hint=f"Add the missing {closing}.")

    def _name(self, key: str, opened: int) -> str:
        if self.at_end():
            self._unclosed("}", key, opened)
        if self.peek() != '"':
            self._no_name(key)
        return self._string(key)

    def _no_name(self, key: str) -> NoReturn:
        if self.peek() in _QUOTES:
            self.fail("a name is in the wrong quotes", key, hint=_QUOTES_HINT)
        if _WORD.match(self._text, self._at):
            self.fail("a name stands without quotes", key, hint=_QUOTES_HINT)
        self.fail("a name in double quotes is expected here", key, hint="Look for a comma or bracket too many.")

    def _string(self, key: str) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None:
            self.fail("text has no closing quote in its line", key, hint='Close it with "; write \\n for a new line.')
        self._at = found.end()
        if "\\" not in found[1]:
            held = found[1]
        elif _ESCAPE.search(found[1].replace("\\\\", "")):
            self.fail("text holds a backslash that means nothing", key, hint="Write \\\\ for one backslash.")
        else:
            held = str(json.loads(found[0]))
        if _HALF.search(held):
            self.fail("text holds half a character (a lone surrogate)", key, hint="Write the character itself.")
        return held

    def _scalar(self, key: str, line: int) -> Node:
        if (found := _NUMBER.match(self._text, self._at)) is not None:
            self._at = found.end()
            return Node(self._number(found[0], key), line, key, found[0])
        found = _WORD.match(self._text, self._at)
        if found is None or found[0] not in _NAMES:
            self._no_value(key, "" if found is None else found[0])
        self._at = found.end()
        return Node(_NAMES[found[0]], line, key, found[0])

    def _no_value(self, key: str, word: str) -> NoReturn:
        if self.at_end():
            self.fail("ends where a value is expected", key, hint="Write the value, and close what is open.")
        if meant := _FOREIGN.get(word):
            self.fail(f"{word} is no value of JSON", key, hint=f"Write {meant}.")
        if self.peek() in _QUOTES:
            self.fail("text is in the wrong quotes", key, hint=_QUOTES_HINT)
        if self.peek() in ",}]:":
            self.fail(f"a value is missing before '{self.peek()}'", key, hint="Write it, or take its name away.")
        hint = "Text needs double quotes; else it is a number, true, false, null, [ or {."
        self.fail("is no value of JSON", key, hint=hint)

    def _number(self, text: str, key: str) -> int | float:
        if len(text) > _LONGEST_NUMBER:
            self.fail("a number is too long", key, hint="Put it in quotes if it is meant as text.")
        number = int(text) if text.lstrip("-").isdigit() else float(text)
        if number in (float("inf"), float("-inf")):
            self.fail("a number is too large", key, hint="Put it in quotes if it is meant as text.")
        return number

    def fail(self, what: str, key: str = "", *, hint: str | None = None) -> NoReturn:
        """Stop here. What begins with a verb is said of the key, or of the file where there is none."""
        lonely = not key and what.startswith(("goes ", "ends ", "is "))
        complain(f"the file {what}" if lonely else what, self.line, key=key, hint=hint)
