"""What a configuration file says, as a tree in which every part knows where it stands.

Pure. `json_syntax`, `yaml_syntax` and `toml_syntax` make these trees, `dialects` reads them. A problem names the file,
the line and the key, and never what is written there: it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias, cast

from msgspec import Struct

from dragoman.errors import ConfigError
from dragoman.protocol.jsonrpc import printable

__all__ = [
    "MAX_DEPTH",
    "MAX_NODES",
    "Node",
    "Place",
    "Problems",
    "bare",
    "child_key",
    "complain",
    "too_deep",
    "too_many",
    "tree",
]

MAX_DEPTH: Final = 64
MAX_NODES: Final = 200_000

_BARE: Final = re.compile(r"[A-Za-z0-9_@/+-]+")
_LONGEST_KEY: Final = 120
_SHOWN_KEY: Final = 40
_MOST_PROBLEMS: Final = 100
_KINDS: Final = {
    dict: "a mapping",
    list: "a list",
    bool: "a yes or no",
    int: "a number",
    float: "a number",
    str: "text",
}

Content: TypeAlias = "str | int | float | bool | list[Node] | dict[str, Node] | None"


class Node(Struct, frozen=True):
    """One value of a file.

    ``line`` is where its key stands (for an item of a list: the item itself), from 1; None outside of files.
    ``key`` is its dotted path. ``text`` is a scalar as it is written, so that ``1.10`` and ``yes`` can be text.
    """

    value: Content
    line: int | None = None
    key: str = ""
    text: str = ""

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return "empty" if self.value is None else _KINDS[type(self.value)]

    @property
    def members(self) -> dict[str, Node]:
        """The members of a mapping; none of anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; none of anything else."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:  # noqa: ANN401 - any value that JSON has
        """Give the value without its places, as JSON would hold it."""
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


class Place(Struct, frozen=True):
    """Where a problem lies, when there is no node for it."""

    line: int | None = None
    key: str = ""


class Problems:
    """What is wrong with a file: all of it is told at once, or the first hundred things."""

    def __init__(self, file: str = "") -> None:
        self._file = file
        self._found: dict[tuple[int | None, str, str], ConfigError] = {}

    def add(self, what: str, at: Node | Place, *, server: str | None = None, hint: str | None = None) -> None:
        """Note a problem; one that is noted twice counts once."""
        if self.many:
            return
        error = ConfigError(what, file=self._file, line=at.line, key=at.key, server=server, hint=hint)
        self._found.setdefault((at.line, at.key, what), error)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def many(self) -> bool:
        """Whether there are so many that no more are noted, and looking for advice on them is in vain."""
        return len(self._found) >= _MOST_PROBLEMS

    def settle(self) -> None:
        """Raise what was found, in the order of the file; nothing if there was nothing."""
        found = sorted(self._found.values(), key=lambda error: error.line or 0)
        if found:
            first = found[0]
            raise ConfigError(
                first.what,
                file=first.file,
                line=first.line,
                key=first.key,
                server=first.server,
                hint=first.hint,
                others=found[1:],
            )


def complain(what: str, line: int | None = None, *, key: str = "", hint: str | None = None) -> NoReturn:
    """Stop reading: the text itself can't be read. Whoever knows the file's name adds it."""
    raise ConfigError(what, line=line, key=key, hint=hint)


def too_deep(line: int | None = None, key: str = "") -> NoReturn:
    """Stop reading something that is nested deeper than any configuration; of its key, the beginning is told."""
    shown = f"{key[:_SHOWN_KEY]}…" if len(key) > _SHOWN_KEY else key
    complain(f"is nested more than {MAX_DEPTH} deep", line, key=shown, hint="Take brackets or indentation away.")


def too_many(line: int | None = None, key: str = "") -> NoReturn:
    """Stop reading something that holds more values than any configuration, or that aliases blow up."""
    hint = "Name the right file, or use fewer aliases."
    complain(f"holds more than {MAX_NODES:,} values", line, key=key, hint=hint)


def bare(name: str) -> str:
    """Give a name as it stands in a dotted path: quoted where dots or blanks would mislead."""
    if len(name) > _LONGEST_KEY:
        name = f"{name[:_LONGEST_KEY]}…"
    return name if _BARE.fullmatch(name) else f'"{printable(name)}"'


def child_key(key: str, step: str | int) -> str:
    """Give the dotted path of a member or item of what stands at ``key``."""
    if isinstance(step, int):
        return f"{key}[{step}]"
    return f"{key}.{bare(step)}" if key else bare(step)


def tree(value: object, key: str = "", depth: int = 0) -> Node:
    """Give the tree of plain data, as JSON or a program has it.

    Raises:
        ConfigError: it holds what no configuration file can.
    """
    if depth > MAX_DEPTH:
        too_deep(key=key)
    if isinstance(value, Mapping):
        members: dict[str, Node] = {}
        for name, held in cast("Mapping[object, object]", value).items():
            if not isinstance(name, str):
                complain(f"has a name of type {type(name).__name__}, and names are text", key=key)
            members[name] = tree(held, child_key(key, name), depth + 1)
        return Node(members, key=key)
    if isinstance(value, str):
        return Node(value, key=key, text=value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        items = cast("Sequence[object]", value)
        return Node([tree(item, child_key(key, place), depth + 1) for place, item in enumerate(items)], key=key)
    if value is None or isinstance(value, bool | int | float):
        return Node(value, key=key, text=_written(value))
    complain(f"must be text, a number, true or false, a list or a mapping, not {type(value).__name__}", key=key)


def _written(value: float | None) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else repr(value)
