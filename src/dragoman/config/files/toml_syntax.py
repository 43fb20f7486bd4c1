"""TOML with the line of every key. The standard library says what a text means; a scanner says where it says so.

Pure: text in, `Node` tree out. The scanner trusts that the text is valid and gives up where it is not, but it is the
one that finds both lines of a key that stands twice.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeAlias, cast

from dragoman.config.files.node import MAX_DEPTH, MAX_NODES, Node, child_key, complain, too_deep, too_many

__all__ = ["parse_toml"]

Path: TypeAlias = tuple["str | int", ...]

_GAP: Final = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_BLANK: Final = re.compile(r"[ \t]*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_TEXTS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]++|\\.)*+"'),
    re.compile(r"'[^'\n]*'"),
)
_SCALAR: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[^\s,\]}#]+|[^\s,\]}#]+")
_PLACE: Final = re.compile(r" \(at (?:line (?P<line>[0-9]+), column [0-9]+|end of document)\)$")
_QUOTED: Final = re.compile(r"""(['"])(?!\\?.\1|\\x[0-9a-f]{2}\1|\\u[0-9a-f]{4}\1).*?\1""")


def parse_toml(text: str) -> Node:
    """Give the tree of a TOML text.

    Raises:
        ConfigError: it is no TOML, has a key twice in one table, or is nested too deep; with ``line`` and ``key``.
    """
    scanner = _Scanner(text)
    with suppress(_LostError):  # it is no TOML, and the library tells better why
        scanner.run()
    try:
        held = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse(str(error), text, scanner)
    except (RecursionError, ValueError):
        complain("holds what no TOML reader takes (a number too long, or nested too deep)")
    if not held and not text.strip():
        complain("the file is empty", 1, hint="A configuration begins with [servers.NAME].")
    return scanner.node(held, (), "", 1)


def _refuse(told: str, text: str, scanner: _Scanner) -> NoReturn:
    place = _PLACE.search(told)
    line = int(place["line"]) if place is not None and place["line"] else text.rstrip("\n").count("\n") + 1
    problem = _QUOTED.sub("something", told[: place.start()] if place is not None else told)
    key = scanner.key if scanner.line <= line else ""
    complain(f"is no TOML ({problem[:1].lower()}{problem[1:]})", line, key=key, hint=_advice(problem))


def _advice(problem: str) -> str:
    if "Invalid value" in problem:
        return 'Text needs quotes, true and false are written small: key = "text".'
    if "Unescaped" in problem or "escape" in problem or "hex" in problem:
        return "Put text with backslashes in single quotes."
    if "Illegal character" in problem:
        return "Close the quote in the same line."
    if "Unclosed" in problem or "Unterminated" in problem or 'Expected "\'"' in problem:
        return "Close the bracket or quote."
    return "Each line is key = value or [table]; names with other signs than letters, digits, - and _ need quotes."


class _LostError(Exception):
    """The scanner met what is no TOML."""


class _Scanner:
    """Walks over the text and keeps, for each path, the line of its key and a scalar as it is written.

    ``key`` and ``line`` are the last key that it met: what is wrong in an invalid text most likely stands there.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._values = 0
        self._lines: dict[Path, int] = {}
        self._written: dict[Path, str] = {}
        self._said: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}
        self.key = ""
        self.line = 1

    def run(self) -> None:
        """Walk over the whole text."""
        table: Path = ()
        self._pass(_GAP)
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
                place = self._tables[table] = self._tables.get(table, -1) + 1
                self._lines.setdefault(table, self._line)
                table = (*table, place)
                self._lines[table] = self._line
            elif self._text[self._at] == "[":
                table = self._header(1)
                self._say(table)
            else:
                self._pair(table, len(table))
            self._pass(_GAP)

    def node(self, held: Any, path: Path, key: str, line: int) -> Node:  # noqa: ANN401 - what tomllib gives
        """Give the tree of what the library read, with the lines that were found."""
        line = self._lines.get(path, line)
        if isinstance(held, dict):
            members = cast("dict[str, Any]", held).items()
            return Node({k: self.node(v, (*path, k), child_key(key, k), line) for k, v in members}, line, key)
        if isinstance(held, list):
            items = enumerate(cast("list[Any]", held))
            return Node([self.node(v, (*path, i), child_key(key, i), line) for i, v in items], line, key)
        if isinstance(held, str):
            return Node(held, line, key, held)
        written = self._written.get(path, str(held))
        # Dates and times are text here: no setting is one.
        return Node(held if isinstance(held, bool | int | float) else written, line, key, written)

    def _header(self, brackets: int) -> Path:
        self._at += brackets
        path = self._resolved(self._key())
        if not self._text.startswith("]" * brackets, self._at):
            raise _LostError
        self._at += brackets
        if len(path) > MAX_DEPTH:
            too_deep(self._line)
        self._count(len(path))
        for end in range(1, len(path)):
            self._lines.setdefault(path[:end], self._line)
        return path

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MAX_NODES:
            too_many(self._line)

    def _resolved(self, key: Path) -> Path:
        """Give the path of a header's key, through the last tables of the lists on its way."""
        path: Path = ()
        for place, step in enumerate(key):
            path = (*path, step)
            if place < len(key) - 1 and path in self._tables:
                path = (*path, self._tables[path])
        return path

    def _pair(self, table: Path, depth: int) -> None:
        path = (*table, *self._key())
        if not self._text.startswith("=", self._at):
            raise _LostError
        self._at += 1
        if len(path) > MAX_DEPTH or depth > MAX_DEPTH:
            too_deep(self._line)
        for end in range(len(table) + 1, len(path)):
            self._lines.setdefault(path[:end], self._line)
        self._say(path)
        self._pass(_BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        if len(path) > MAX_DEPTH:
            too_deep(self._line)
        self._count(1)
        sign = self._text[self._at : self._at + 1]
        if sign in ("[", "{"):
            self._at += 1
            self._pass(_GAP)
            closing = "]" if sign == "[" else "}"
            place = 0
            while not self._text.startswith(closing, self._at):
                if sign == "[":
                    self._lines[(*path, place)] = self._line
                    self._value((*path, place))
                else:
                    self._pair(path, len(path))
                place += 1
                self._pass(_GAP)
                if self._text.startswith(",", self._at):
                    self._at += 1
                    self._pass(_GAP)
                elif not self._text.startswith(closing, self._at):
                    raise _LostError
            self._at += 1
        elif sign in ('"', "'"):
            self._string()
        else:
            self._written[path] = self._take(_SCALAR)

    def _key(self) -> Path:
        steps: list[str] = []
        while True:
            self._pass(_BLANK)
            quoted = self._text[self._at : self._at + 1] in ('"', "'")
            steps.append(self._name() if quoted else self._take(_BARE))
            self._pass(_BLANK)
            if not self._text.startswith(".", self._at):
                return tuple(steps)
            self._at += 1

    def _string(self) -> str:
        for form in _TEXTS:
            if form.match(self._text, self._at):
                return self._take(form)
        raise _LostError

    def _name(self) -> str:
        written = self._string()
        if written.startswith("'") or "\\" not in written:
            return written[1:-1]
        try:
            return str(tomllib.loads(f"name = {written}")["name"])
        except tomllib.TOMLDecodeError:
            raise _LostError from None

    def _take(self, form: re.Pattern[str]) -> str:
        found = form.match(self._text, self._at)
        if found is None:
            raise _LostError
        self._move(found)
        return found[0]

    def _pass(self, form: re.Pattern[str]) -> None:
        if (found := form.match(self._text, self._at)) is not None:
            self._move(found)

    def _move(self, found: re.Match[str]) -> None:
        self._line += self._text.count("\n", self._at, found.end())
        self._at = found.end()

    def _say(self, path: Path) -> None:
        key = ""
        for step in path:
            key = child_key(key, step)
        self.key, self.line = key, self._line
        if path in self._said:
            what = f"stands twice, first in line {self._said[path]}"
            complain(what, self._line, key=key, hint="Keep one of the two.")
        self._said[path] = self._line
        self._lines[path] = self._line
