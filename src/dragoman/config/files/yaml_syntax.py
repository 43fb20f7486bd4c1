"""YAML as a configuration needs it: plain data, told by line, with bounds on what aliases can make of it.

Pure: text in, `Node` tree out. Words are read as YAML 1.2 reads them: ``yes``, ``no``, ``on`` and ``off`` are text, and
only ``true`` and ``false`` are not. Tags that would make anything but plain data are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn, cast

from dragoman.config.files.node import MAX_DEPTH, MAX_NODES, Node, child_key, complain, too_deep, too_many

__all__ = ["parse_yaml"]

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_FLAGS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LIMITS: Final = {"inf": float("inf"), "+inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}
_CORE: Final = "tag:yaml.org,2002:"
_KNOWN_TAGS: Final = frozenset(f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_QUOTED: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SIGN: Final = re.compile(r"<[a-z ]+>|[^\w\s]|\\?t")
_MERGE: Final = "<<"


def parse_yaml(text: str) -> Node:
    """Give the tree of a YAML text.

    Raises:
        ConfigError: it is no YAML, has a key twice in one mapping, more than one document, or is nested too deep or
            grown too large by aliases; with ``line`` and ``key``.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parse = cast("Any", yaml.parse)  # pyright: ignore[reportUnknownMemberType] - its stream has no type
    composer = _Composer()
    try:
        composer.events = cast("Iterator[Any]", parse(text, Loader=loader))
        return composer.document()
    except yaml.MarkedYAMLError as error:
        told = " ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        if "quoted scalar" in told and "end of stream" in told:
            mark = error.context_mark or mark  # where the quote was opened, not where the file ends
        line = None if mark is None else mark.line + 1
        complain(
            f"is no YAML ({_harmless(told)})",
            line,
            key=_plain(composer.key),
            hint=_advice(told, _line(text, line)),
        )
    except yaml.YAMLError:
        complain("is no YAML (it holds characters that no text has)", hint="Save it as text in UTF-8.")
    except RecursionError:
        too_deep()


def _plain(key: str) -> str:
    """Give a path up to its first strange name: a quote that is not closed makes names of what are none."""
    return key.partition('"')[0].removesuffix(".")


def _harmless(told: str) -> str:
    """Give a complaint of the parser without what it quotes of the text, but for single signs."""
    return _QUOTED.sub(lambda found: found[0] if _SIGN.fullmatch(found[1] or found[2] or "") else "something", told)


def _line(text: str, number: int | None) -> str:
    lines = text.splitlines()
    return lines[number - 1] if number is not None and number <= len(lines) else ""


def _advice(told: str, line: str) -> str:
    if re.match(" *\t", line):
        return "Indent with spaces, never with tabs."
    if "flow" in told and re.search(r"[\s:,{\[]\$\{", line):
        return 'Within braces and brackets, put a reference in quotes: "${…}".'
    if "mapping values are not allowed" in told:
        return "Put text that holds a colon and a blank in quotes, and look at the indentation."
    if "end of stream" in told:
        return "Close the quote."
    if "cannot start any token" in told or "escape" in told or "quoted scalar" in told:
        return "Put the text in single quotes."
    return "Look at the indentation, and for a bracket or quote that is not closed."


class _Composer:
    """Makes a tree of a parser's events. It counts, so neither depth nor aliases can run away.

    ``key`` is what it reads at the moment: where the parser stumbles, that is what is wrong.
    """

    def __init__(self) -> None:
        self.events: Iterator[Any] = iter(())
        self.key = ""
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def document(self) -> Node:
        if all(type(event).__name__ != "DocumentStartEvent" for event in self.events):
            complain("the file is empty", 1, hint="A configuration begins with mcpServers: or servers:.")
        root = self._node(next(self.events), "", 0, None)
        self._expect_end()
        return root

    def _expect_end(self) -> None:
        for event in self.events:
            if type(event).__name__ == "DocumentStartEvent":
                line = event.start_mark.line + 1
                complain("holds a second document", line, hint="Take the line with --- away, or make two files.")

    def _node(self, event: Any, key: str, depth: int, line: int | None) -> Node:  # noqa: ANN401 - untyped library
        here = event.start_mark.line + 1
        at = here if line is None else line
        before = self.key
        self._count(depth, at, key)
        kind = type(event).__name__
        if kind == "ScalarEvent" and not event.value:
            self.key = before  # a name without a value may be a value without a name
        if kind == "AliasEvent":
            return self._alias(event.anchor, key, depth, at)
        if event.tag is not None and event.tag not in _KNOWN_TAGS and event.tag != "!":
            complain("has a tag, and a configuration holds plain data only", at, key=key, hint="Take the !tag away.")
        if kind == "SequenceStartEvent":
            node = Node(self._items(key, depth), at, key)
        elif kind == "MappingStartEvent":
            node = Node(self._members(key, depth), at, key)
        else:
            node = _scalar(event, at, key)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _count(self, depth: int, line: int, key: str) -> None:
        self._nodes += 1
        self.key = key
        if depth > MAX_DEPTH:
            too_deep(line, key)
        if self._nodes > MAX_NODES:
            too_many(line, key)

    def _items(self, key: str, depth: int) -> list[Node]:
        items: list[Node] = []
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            items.append(self._node(event, child_key(key, len(items)), depth + 1, None))
        return items

    def _members(self, key: str, depth: int) -> dict[str, Node]:
        members: dict[str, Node] = {}
        merged: list[Node] = []
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            line = event.start_mark.line + 1
            if type(event).__name__ != "ScalarEvent":
                complain("has a name that is no text", line, key=key, hint="Put the name in quotes.")
            name = str(event.value)
            path = child_key(key, name)
            value = self._node(next(self.events), path, depth + 1, line)
            if name == _MERGE and event.implicit[0]:
                merged += self._sources(value)
            elif name in members:
                complain(
                    f"stands twice, first in line {members[name].line}", line, key=path, hint="Keep one of the two."
                )
            else:
                members[name] = value
        for source in merged:
            for name, node in source.members.items():
                if name not in members:
                    members[name] = self._moved(node, child_key(key, name), depth + 1, node.line)
        return members

    def _sources(self, value: Node) -> list[Node]:
        sources = value.items or [value]
        if any(not isinstance(source.value, dict) for source in sources):
            complain("can only be a mapping, or a list of them", value.line, key=value.key, hint="Write <<: *name.")
        return sources

    def _alias(self, name: str, key: str, depth: int, line: int) -> Node:
        if name not in self._anchors:
            hint = "Put text that begins with * in quotes; an alias repeats a value that an earlier line marks with &."
            complain("is an alias of something that is not there before it", line, key=key, hint=hint)
        return self._moved(self._anchors[name], key, depth, line)

    def _moved(self, node: Node, key: str, depth: int, line: int | None) -> Node:
        """Give a copy of a tree as it stands under another key. Its inner lines stay where they are written."""
        self._count(depth, line or 0, key)
        if isinstance(node.value, dict):
            members = {
                name: self._moved(held, child_key(key, name), depth + 1, held.line) for name, held in node.value.items()
            }
            return Node(members, line, key)
        if isinstance(node.value, list):
            items = [
                self._moved(held, child_key(key, place), depth + 1, held.line) for place, held in enumerate(node.value)
            ]
            return Node(items, line, key)
        return Node(node.value, line, key, node.text)


def _scalar(event: Any, line: int, key: str) -> Node:  # noqa: ANN401 - untyped library
    text = str(event.value)
    tag = event.tag if event.tag != "!" else f"{_CORE}str"
    if tag is None and not event.implicit[0]:
        return Node(text, line, key, text)
    value = text if tag == f"{_CORE}str" else _resolved(text)
    if tag in (f"{_CORE}int", f"{_CORE}float", f"{_CORE}bool") and isinstance(value, str):
        _untrue(line, key)
    return Node(value, line, key, text)


def _untrue(line: int, key: str) -> NoReturn:
    complain("is not what its tag says", line, key=key, hint="Take the !!tag away.")


def _resolved(text: str) -> str | int | float | bool | None:
    """Read a plain word as the core schema of YAML 1.2 does (section 10.3.2)."""
    if text in _NULLS:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    if _INTEGER.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _NUMBER.fullmatch(text):
        return float(text)
    lowered = text.lower()
    if lowered.lstrip("+-").startswith(".") and lowered.replace(".", "", 1) in _LIMITS:
        return _LIMITS[lowered.replace(".", "", 1)]
    return text
