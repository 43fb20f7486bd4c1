"""References in a configuration's texts, such as ``${VAR:-default}`` and ``${input:token}``, and what they stand for.

Pure: the values come from `Surroundings`, which `loading` fills from the environment, the user and the keyring. A
problem names the reference, never a value or a default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Final, Protocol

from msgspec import Struct, field

__all__ = ["Input", "LookupFailed", "Surroundings", "Values", "expand", "has_reference"]

_VARIABLE: Final = re.compile(
    r"(?:env:(?P<any>[^:}${]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*))(?P<default>:-.*)?", re.DOTALL
)
_KINDS: Final = ("env:", "input:", "keyring:")
_PLACES: Final = ("workspaceFolder", "workspaceFolderBasename", "userHome", "pathSeparator")
_DEEPEST: Final = 8
_LONGEST: Final = 1024 * 1024
_PLAIN: Final = "For a plain ${ write $${."
_SHOWN: Final = re.compile(r"[A-Za-z0-9_.:/@ -]{1,60}")
_INPUT_VARIABLE: Final = "DRAGOMAN_INPUT_"


class LookupFailed(Exception):
    """A reference can't be replaced. ``what`` tells why, ``hint`` what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Input(Struct, frozen=True, kw_only=True):
    """Something to be asked of the user, as VS Code's ``inputs`` declare it. ``options`` are all that it may be."""

    id: str
    description: str = ""
    password: bool = False
    default: str | None = None
    options: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable that answers it: ``DRAGOMAN_INPUT_`` and the id, in capitals."""
        return _INPUT_VARIABLE + re.sub(r"[^A-Z0-9]", "_", self.id.upper())


class Values(Protocol):
    """What references stand for."""

    def variable(self, name: str) -> str | None:
        """Give an environment variable, or None if it is not set."""
        ...

    def input(self, wanted: Input) -> str | None:
        """Give the user's answer, or None if there is none."""
        ...

    def secret(self, name: str) -> str:
        """Give an entry of the keyring; raises `LookupFailed`."""
        ...

    def place(self, name: str) -> str:
        """Give ``workspaceFolder``, ``workspaceFolderBasename``, ``userHome`` or ``pathSeparator``."""
        ...


class Surroundings(Struct, frozen=True, kw_only=True):
    """`Values` out of plain data: what a program hands over, and the functions that it lends."""

    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    ask: Callable[[Input], str | None] | None = None
    keyring: Callable[[str], str] | None = None
    asked: dict[str, str | None] = field(default_factory=dict[str, "str | None"])

    def variable(self, name: str) -> str | None:
        """Give an environment variable, or None if it is not set."""
        return self.variables.get(name)

    def input(self, wanted: Input) -> str | None:
        """Give what was handed over, else the variable, else what the user says; each user is asked once."""
        given = self.inputs.get(wanted.id)
        if given is None:
            given = self.variables.get(wanted.variable)
        if given is None and self.ask is not None:
            if wanted.id not in self.asked:
                self.asked[wanted.id] = self.ask(wanted)
            given = self.asked[wanted.id]
        return given

    def secret(self, name: str) -> str:
        """Give an entry of the keyring."""
        if self.keyring is None:
            raise LookupFailed(f"${{keyring:{_shown(name)}}} can't be read here", "Use load() to read a keyring.")
        return self.keyring(name)

    def place(self, name: str) -> str:
        """Give a place that the configuration may name."""
        if name not in self.places:
            raise LookupFailed(f"${{{name}}} is not known here", "Give load() a workspace.")
        return self.places[name]

    def __repr__(self) -> str:
        return "Surroundings(***)"


def has_reference(text: str) -> bool:
    """Whether `expand` would change a text."""
    return "${" in text


def expand(text: str, values: Values, inputs: Mapping[str, Input], *, quiet: bool = False) -> str:
    """Replace the references of a text; ``$${`` stands for a plain ``${``. What they give is not looked into again.

    ``quiet`` is for servers that are switched off: nobody is asked, and what can't be replaced stays as it is.

    Raises:
        LookupFailed: a reference has no value, or is none.
    """
    return _Expansion(values, inputs, quiet=quiet).text(text, 0)


class _Expansion:
    def __init__(self, values: Values, inputs: Mapping[str, Input], *, quiet: bool) -> None:
        self._values = values
        self._inputs = inputs
        self._quiet = quiet

    def text(self, text: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise LookupFailed(f"references are nested more than {_DEEPEST} deep", "Use fewer defaults in defaults.")
        parts: list[str] = []
        at = length = 0
        while (begin := text.find("${", at)) >= 0:
            if begin > at and text[begin - 1] == "$":
                parts += (text[at : begin - 1], "${")
                at = begin + 2
                continue
            end = _closing(text, begin + 2)
            parts.append(text[at:begin])
            parts.append(self._reference(text[begin + 2 : end], depth))
            length += len(parts[-1])
            if length > _LONGEST:
                raise LookupFailed("its references give more than a million characters", "Use fewer of them.")
            at = end + 1
        parts.append(text[at:])
        return "".join(parts)

    def _reference(self, inner: str, depth: int) -> str:
        if not self._quiet:
            return self._value(inner, depth)
        if inner.startswith(("input:", "keyring:")):
            return f"${{{inner}}}"
        try:
            return self._value(inner, depth)
        except LookupFailed:
            return f"${{{inner}}}"

    def _value(self, inner: str, depth: int) -> str:
        kind, colon, name = inner.partition(":")
        if inner in _PLACES:
            return self._values.place(inner)
        if inner == "/":
            return self._values.place("pathSeparator")
        if colon and kind == "input":
            return self._input(name)
        if colon and kind == "keyring" and name:
            return self._values.secret(name)
        match = _VARIABLE.fullmatch(inner)
        if match is None:
            raise LookupFailed(*_unknown(inner))
        variable = match["any"] or match["name"]
        value = self._values.variable(variable)
        if match["default"] is not None:
            return value or self.text(match["default"][2:], depth + 1)
        if value is None:
            raise LookupFailed(*_unset(variable))
        return value

    def _input(self, id: str) -> str:
        declared = self._inputs.get(id)
        wanted = declared or Input(id=id)
        given = self._values.input(wanted)
        if given is None:
            given = wanted.default
        if given is None:
            near = get_close_matches(id, self._inputs, n=1) if declared is None else []
            hint = f"Set {wanted.variable}, or give load() inputs={{{_shown(id)!r}: …}}."
            hint = f"Did you mean ${{input:{near[0]}}}?" if near else hint
            raise LookupFailed(f"the input {_shown(id)!r} has no value", hint)
        if wanted.options and given not in wanted.options:
            raise LookupFailed(
                f"the input {_shown(id)!r} has a value that is none of its options", f"Use {', '.join(wanted.options)}."
            )
        return given


def _closing(text: str, at: int) -> int:
    """Give the place of the brace that ends the reference which began before ``at``."""
    depth = 1
    for place in range(at, len(text)):
        if text[place] == "{" and text[place - 1] == "$":
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return place
    raise LookupFailed("${ is not closed", f"Close it with }}. {_PLAIN}")


def _unknown(inner: str) -> tuple[str, str]:
    """Say why a reference is none. What it holds is not told unless it is nearly one: it may be part of a password."""
    name = inner.partition(":-")[0]
    kind = f"{name.partition(':')[0]}:"
    if kind in _KINDS:
        return f"${{{kind}…}} holds no name that can be looked up", f"Write ${{{kind}NAME}}. {_PLAIN}"
    if ":" in name and (near := get_close_matches(kind, _KINDS, n=1)):
        return f"${{{_shown(kind)}…}} is no reference", f"Did you mean ${{{near[0]}…}}?"
    if near := get_close_matches(name, _PLACES, n=1):
        return f"${{{_shown(name)}}} is no reference", f"Did you mean ${{{near[0]}}}?"
    known = "${VAR}, ${VAR:-default}, ${env:VAR}, ${input:id}, ${keyring:name}, ${workspaceFolder} or ${userHome}"
    return "holds a ${…} that is no reference", f"Use {known}. {_PLAIN}"


def _unset(name: str) -> tuple[str, str]:
    near = get_close_matches(name, _PLACES, n=1)
    hint = f"Did you mean ${{{near[0]}}}?" if near else f"Set it, or give a default: ${{{_shown(name)}:-…}}."
    return f"the environment variable {_shown(name)} is not set", hint


def _shown(name: str) -> str:
    return name if _SHOWN.fullmatch(name) else "…"
