"""Turns what a file says into what a setting wants, by the setting's own type, and says what was expected instead.

Pure. No value is ever told, only its kind; see `keys` for the names of settings and `servers` for servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import inspect, structs

from dragoman.config.files.interpolate import Input, LookupFailed, Values, expand, has_reference
from dragoman.config.files.keys import near, squashed
from dragoman.config.files.node import Node, Problems
from dragoman.errors import ConfigError

__all__ = ["UNSET", "Converter", "field_types"]

Kind: TypeAlias = inspect.Type
UNSET: Final = msgspec.UNSET

_FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_DURATION: Final = re.compile(r"\s*[0-9.]+\s*(?:ms|s|sec|seconds?|m|min|minutes?|h|hours?)\s*")
_LIST_HINT: Final = 'Write ["one", "two"].'
_MAPPING_HINT: Final = 'Write {"NAME": "value"}.'
_OWN_KEY: Final = re.compile(r"^(?P<key>[a-z_]+(?:\.[a-z_]+)*): ")


class Converter:
    """Converts the values of one server, and notes what is wrong with them.

    ``quiet``: the server is switched off, so nothing is looked up that could be missing.
    """

    def __init__(
        self,
        problems: Problems,
        values: Values,
        inputs: Mapping[str, Input],
        *,
        server: str | None = None,
        quiet: bool = False,
    ) -> None:
        self.quiet = quiet
        self.server = server
        self._problems = problems
        self._values = values
        self._inputs = inputs

    def fail(self, what: str, at: Node, hint: str | None = None) -> None:
        """Note a problem with what stands somewhere."""
        self._problems.add(what, at, server=self.server, hint=hint)

    def text(self, node: Node) -> str | None:
        """Give text; numbers and words like ``yes`` as they are written. None: it is wrong."""
        if node.value is None:
            self.fail("must be text, and is empty", node, 'Write "" for empty text, or take the key away.')
            return None
        if isinstance(node.value, dict | list):
            self.fail(f"must be text, not {node.kind}", node, "Write one text in quotes.")
            return None
        if not isinstance(node.value, str):
            return node.text
        if not has_reference(node.value):
            return node.value
        try:
            return expand(node.value, self._values, self._inputs, quiet=self.quiet)
        except LookupFailed as error:
            self.fail(error.what, node, error.hint)
            return None

    @property
    def lost(self) -> bool:
        """Whether so much is wrong already that more is not told."""
        return self._problems.many

    def convert(self, node: Node, kind: Kind) -> Any:  # noqa: ANN401 - as the setting wants it
        """Give a value as a setting wants it, or UNSET when it is wrong or says nothing."""
        if isinstance(kind, inspect.UnionType):
            kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
        if node.value is None:
            return UNSET
        match kind:
            case inspect.BoolType():
                return self._flag(node)
            case inspect.IntType() | inspect.FloatType():
                return self._number(node, whole=isinstance(kind, inspect.IntType))
            case inspect.LiteralType():
                return self._choice(node, [str(value) for value in kind.values])
            case inspect.VarTupleType():
                return self._texts(node)
            case inspect.DictType():
                return self._mapping(node)
            case inspect.StructType():
                return self.struct(node, kind.cls)
            case _:
                return _given(self.text(node))

    def struct(self, node: Node, cls: type[msgspec.Struct]) -> Any:  # noqa: ANN401 - as the setting wants it
        """Give a block of settings, or UNSET when anything in it is wrong."""
        types = field_types(cls)
        spelled = {squashed(name): name for name in types}
        if not isinstance(node.value, dict):
            self.fail(f"must be a mapping, not {node.kind}", node, f"It takes {', '.join(types)}.")
            return UNSET
        found: dict[str, Any] = {}
        sound = True
        for written, child in node.value.items():
            name = spelled.get(squashed(written))
            if name is None:
                meant = near(squashed(written), spelled)
                hint = f"Did you mean {spelled[meant]!r}?" if meant else f"It takes {', '.join(types)}."
                self.fail("is no setting", child, hint)
                sound = False
                continue
            value = self.convert(child, types[name])
            if value is not UNSET:
                found[name] = value
            elif child.value is not None:
                sound = False
        missing = [field.name for field in structs.fields(cls) if field.required and field.name not in found]
        if sound and missing:
            self.fail(f"needs {' and '.join(missing)}", node, f"It takes {', '.join(types)}.")
        if missing or not sound:
            return UNSET
        try:
            return cls(**found)
        except ConfigError as error:
            self.refused(error, node)
        return UNSET

    def refused(self, error: ConfigError, node: Node) -> None:
        """Note what a value's own check says, at the line of the key that it names."""
        what = error.what
        if (match := _OWN_KEY.match(what)) is not None:
            what = what[match.end() :]
            node = _found(node, match["key"])
        self.fail(what, node, error.hint or None)

    def _flag(self, node: Node) -> Any:  # noqa: ANN401 - as the setting wants it
        if isinstance(node.value, bool):
            return node.value
        if isinstance(node.value, str):
            text = self.text(node)
            if text is None or (self.quiet and has_reference(text)):
                return UNSET
            if text.strip().lower() in _FLAGS:
                return _FLAGS[text.strip().lower()]
        self.fail(f"must be true or false, not {node.kind}", node, "Write true or false.")
        return UNSET

    def _number(self, node: Node, *, whole: bool) -> Any:  # noqa: ANN401 - as the setting wants it
        wanted = "a whole number" if whole else "a number"
        value = node.value
        if isinstance(value, str) and has_reference(value):
            text = self.text(node)
            if text is None or (self.quiet and has_reference(text)):
                return UNSET
            value = _numeric(text)
        if isinstance(value, float) and whole and value.is_integer():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value if whole else float(value)
        if isinstance(value, float) and not whole:
            return value
        hint = None
        kind = "a fraction" if isinstance(value, float) else node.kind
        if isinstance(node.value, str) and _numeric(node.value) is not None:
            hint = "Take the quotes away."
        elif isinstance(node.value, str) and _DURATION.fullmatch(node.value):
            hint = "Times are seconds, as a plain number."
        self.fail(f"must be {wanted}, not {kind}", node, hint or f"Write {'5' if whole else '30'}, for example.")
        return UNSET

    def _choice(self, node: Node, options: list[str]) -> Any:  # noqa: ANN401 - as the setting wants it
        text = self.text(node)
        if text is None or (self.quiet and has_reference(text)):
            return UNSET
        spelled = {squashed(option): option for option in options}
        if squashed(text) in spelled:
            return spelled[squashed(text)]
        meant = near(squashed(text), spelled)
        hint = f"Did you mean {spelled[meant]!r}?" if meant else None
        self.fail(f"must be one of {', '.join(sorted(options))}", node, hint)
        return UNSET

    def _texts(self, node: Node) -> Any:  # noqa: ANN401 - as the setting wants it
        if not isinstance(node.value, list):
            self.fail(f"must be a list of texts, not {node.kind}", node, _LIST_HINT)
            return UNSET
        found = [self.text(item) for item in node.value]
        return UNSET if None in found else tuple(found)

    def _mapping(self, node: Node) -> Any:  # noqa: ANN401 - as the setting wants it
        if not isinstance(node.value, dict):
            self.fail(f"must be a mapping of names to texts, not {node.kind}", node, _MAPPING_HINT)
            return UNSET
        found: dict[str, str] = {}
        for name, child in node.value.items():
            if child.value is None and child.line is not None:
                # What looks like a name may be a value, and a secret, whose colon or name is missing.
                at = Node(None, child.line, node.key)
                self.fail("a name in it has no text", at, 'Write NAME: "value"; "" is the empty text.')
                continue
            value = self.text(child)
            if value is None:
                continue
            if not name:
                self.fail("has a member without a name", node, _MAPPING_HINT)
            elif "\0" in name or "\0" in value:
                self.fail("holds a NUL character", child, "Take it out.")
            elif not (self.quiet and has_reference(value)):
                found[name] = value
        return found


@cache
def field_types(cls: type[msgspec.Struct]) -> dict[str, Kind]:
    """Give the types of a struct's settings, by name."""
    return {field.name: inspect.type_info(field.type) for field in structs.fields(cls)}


def _given(value: str | None) -> Any:  # noqa: ANN401 - text or UNSET
    return UNSET if value is None else value


def _numeric(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _found(node: Node, key: str) -> Node:
    """Give the node of the last step of a dotted key below a node, as far as it is there."""
    for step in key.split("."):
        for written, child in node.members.items():
            if squashed(written) == squashed(step):
                node = child
                break
    return node
