"""URI templates (RFC 6570, levels 1 to 4), held against URIs: could that URI have been made from this template?

Pure. Templates come from servers, so no regular expression is made of them: all places in the URI that can be reached
are followed at once, as the bits of a whole number, and the work is bounded by the length of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import quote

from msgspec import Struct

__all__ = ["Template"]

#: Bit i stands for the place before character i of a URI.
_Places: TypeAlias = int

_RESERVED: Final = ":/?#[]@!$&'()*+,;="
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_TRIPLET: Final = re.compile("%[0-9A-Fa-f]{2}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
_ASCII: Final = 0x7F
#: The first bytes of characters that take two, three and four in UTF-8, and the first digit of the bytes that follow.
_LEADS: Final = ((2, 0xC2, 0xDF), (3, 0xE0, 0xEF), (4, 0xF0, 0xF4))
_CONTINUES: Final = "89ABab"

_LONGEST_URI: Final = 4096
_LONGEST_TEMPLATE: Final = 2048

_EXPRESSION: Final = re.compile(r"\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"((?:[A-Za-z0-9_.]|%[0-9A-Fa-f]{2})+)(?:(\*)|:([1-9][0-9]{0,3}))?")


class _Operator(Struct, frozen=True):
    """How the values of an expression are joined: RFC 6570, appendix A."""

    first: str
    separator: str
    named: bool = False
    if_empty: str = ""
    reserved: bool = False


_OPERATORS: Final = {
    "": _Operator("", ","),
    "+": _Operator("", ",", reserved=True),
    "#": _Operator("#", ",", reserved=True),
    ".": _Operator(".", "."),
    "/": _Operator("/", "/"),
    ";": _Operator(";", ";", named=True),
    "?": _Operator("?", "&", named=True, if_empty="="),
    "&": _Operator("&", "&", named=True, if_empty="="),
}


class _Variable(Struct, frozen=True):
    name: str
    explode: bool
    longest: int | None


class _Expression(Struct, frozen=True):
    operator: _Operator
    variables: tuple[_Variable, ...]


class Template:
    """One URI template. What is none, or is longer than 2,048 characters, matches nothing.

    URIs longer than 4,096 characters match nothing either.
    """

    __slots__ = ("_parts",)

    def __init__(self, text: str) -> None:
        self._parts = _parsed(text)

    @property
    def usable(self) -> bool:
        """Whether it is a URI template that can be held against URIs."""
        return self._parts is not None

    def matches(self, uri: str) -> bool:
        """Whether some values, or none, make that URI of the template.

        More lenient than the letter in two places: letters beyond ASCII may stand in the URI as they are, and
        ``{path*}`` takes slashes, as servers mean it that learned it from FastMCP.
        """
        if self._parts is None or len(uri) > _LONGEST_URI:
            return False
        subject = _subject(uri)
        places = 1
        for part in self._parts:
            places = subject.over(part, places) if isinstance(part, str) else _expanded(subject, part, places)
            if not places:
                return False
        return bool(places >> len(uri) & 1)


def _parsed(text: str) -> tuple[str | _Expression, ...] | None:
    pieces = _EXPRESSION.split(text) if len(text) <= _LONGEST_TEMPLATE else ["{"]
    parts: list[str | _Expression] = []
    for number, piece in enumerate(pieces):
        if number % 2:
            expression = _expression(piece)
            if expression is None:
                return None
            parts.append(expression)
        elif "{" in piece or "}" in piece:
            return None
        elif piece:
            parts.append(piece)
    return tuple(parts)


def _expression(text: str) -> _Expression | None:
    sign = text[:1] if text[:1] in _OPERATORS else ""
    variables: list[_Variable] = []
    for told in text[len(sign) :].split(","):
        found = _VARIABLE.fullmatch(told)
        if found is None:
            return None
        variables.append(_Variable(found[1], bool(found[2]), int(found[3]) if found[3] else None))
    return _Expression(_OPERATORS[sign], tuple(variables))


class _Subject:
    """One URI: which of its characters stand where, as places that can be passed."""

    __slots__ = ("_encoded", "_places", "_plain", "_triplets", "_within")

    def __init__(self, uri: str) -> None:
        self._places: dict[str, _Places] = {}
        for place, character in enumerate(uri):
            self._places[character] = self._places.get(character, 0) | 1 << place
        triplets = [found.start() for found in _TRIPLET.finditer(uri)]
        starts = _bits(triplets)
        self._within = starts << 1 | starts << 2
        self._triplets = starts | self._within
        plain = (places for each, places in self._places.items() if each in _UNRESERVED or ord(each) > _ASCII)
        self._plain = _joined(plain) & ~self._within
        self._encoded = _encoded_characters(uri, triplets)

    def over(self, literal: str, places: _Places) -> _Places:
        """Give where a literal text ends that begins at one of the places; it may stand there encoded, too."""
        reached = self._over(literal, places)
        if literal.isascii() and _LITERAL.fullmatch(literal) is not None:
            return reached
        return reached | self._over(quote(literal, safe="%" + _RESERVED, errors="replace"), places)

    def _over(self, literal: str, places: _Places) -> _Places:
        for character in literal:
            places = (places & self._places.get(character, 0)) << 1
            if not places:
                break
        return places

    def run(self, places: _Places, further: str) -> _Places:
        """Give where a text ends of unreserved, encoded and those further characters, however long."""
        passed = self._plain | self._triplets | self._of(further)
        begins = places & passed
        # Adding carries a bit through all the characters in a row that can be passed, to the place behind them.
        return (places | ((begins + passed) ^ passed) | begins) & ~self._within

    def steps(self, places: _Places, further: str, most: int) -> _Places:
        """Give where such a text ends that has so many characters at most."""
        single = self._plain | self._of(further)
        for _ in range(most):
            reached = places | (places & single) << 1
            for size, begins in self._encoded.items():
                reached |= (places & begins) << size
            if reached == places:
                break
            places = reached
        return places

    def _of(self, characters: str) -> _Places:
        return _joined(self._places.get(each, 0) for each in characters) & ~self._within


_subject: Final = lru_cache(maxsize=16)(_Subject)


def _expanded(subject: _Subject, expression: _Expression, places: _Places) -> _Places:
    """Give where an expression can end. Values that are not defined leave nothing, not even a separator."""
    operator = expression.operator
    begun = 0
    for variable in expression.variables:
        starts = subject.over(operator.first, places) | subject.over(operator.separator, begun)
        begun |= _value(subject, operator, variable, starts)
    return places | begun


def _value(subject: _Subject, operator: _Operator, variable: _Variable, places: _Places) -> _Places:
    characters = _RESERVED if operator.reserved else ""
    valued = _named(subject, operator, variable, places)
    if variable.explode:
        return subject.run(places, characters + operator.separator + ",=" + ("/" if operator.separator == "," else ""))
    if variable.longest is not None:
        valued = subject.steps(valued, characters, variable.longest)
    else:
        valued = subject.run(valued, characters + ",")
    if operator.named and not operator.if_empty:
        valued |= subject.over(variable.name, places)
    return valued


def _named(subject: _Subject, operator: _Operator, variable: _Variable, places: _Places) -> _Places:
    return subject.over(f"{variable.name}=", places) if operator.named else places


def _bits(places: Iterable[int]) -> _Places:
    return _joined(1 << place for place in places)


def _joined(sets: Iterable[_Places]) -> _Places:
    joined = 0
    for each in sets:
        joined |= each
    return joined


def _encoded_characters(uri: str, triplets: list[int]) -> dict[int, _Places]:
    """Give where percent-encoded characters begin, by how many characters of the URI they take."""
    found: dict[int, _Places] = {}
    known = set(triplets)
    for start in triplets:
        lead = int(uri[start + 1 : start + 3], 16)
        size = next((size for size, low, high in _LEADS if low <= lead <= high), 1)
        if not all(place in known and uri[place + 1] in _CONTINUES for place in range(start + 3, start + 3 * size, 3)):
            size = 1
        found[3 * size] = found.get(3 * size, 0) | 1 << start
    return found
