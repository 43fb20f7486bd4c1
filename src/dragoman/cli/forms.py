"""The fields of an elicitation's form: what each is called, what it takes, and the value of what a person typed.

Pure. Source: 2025-11-25 and 2026-07-28 client/elicitation (flat objects of text, numbers, booleans and choices).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec

from dragoman.cli.coercion import Misfit, nearest, read_text
from dragoman.cli.schemas import Json

__all__ = ["Choice", "Field", "fields_of"]

_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


class Choice(msgspec.Struct, frozen=True):
    """One of the values to choose from, and what it is called."""

    value: str
    title: str


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field. ``choices`` is empty where any value of the kind will do; ``many`` allows several of them."""

    name: str
    title: str
    description: str
    schema: dict[str, Any]
    required: bool
    choices: tuple[Choice, ...]
    many: bool

    @property
    def default(self) -> Json:
        """What an empty line stands for; None if there is no default."""
        return self.schema.get("default")

    @property
    def kind(self) -> str:
        """Tell what to type, in a few words; empty for text of any kind."""
        if self.choices:
            return "numbers or names, with commas between" if self.many else "a number or a name"
        match self.schema.get("type"):
            case "boolean":
                return "y/n"
            case "integer" | "number" as kind:
                return f"{'an' if kind == 'integer' else 'a'} {kind}{self._bounds()}"
            case _:
                formats = {"email": "name@host", "uri": "https://…", "date": "YYYY-MM-DD", "date-time": "date and time"}
                return formats.get(str(self.schema.get("format")), "")

    def _bounds(self) -> str:
        low, high = self.schema.get("minimum"), self.schema.get("maximum")
        if low is not None and high is not None:
            return f", {low} to {high}"
        if low is not None:
            return f", at least {low}"
        return f", at most {high}" if high is not None else ""

    def shown(self, value: object) -> str:
        """Give a value as people read it."""
        if isinstance(value, list):
            return ", ".join(self.shown(one) for one in cast("list[object]", value))
        if isinstance(value, bool):
            return "yes" if value else "no"
        return next((choice.title for choice in self.choices if choice.value == value), str(value))

    def read(self, text: str) -> Json:
        """Give the value of what was typed.

        Raises:
            Misfit: it does not fit; the message completes "that …".
        """
        if self.many:
            words = [word.strip() for word in text.split(",") if word.strip()]
            values = list(dict.fromkeys(self._chosen(word) for word in words))
            _check_count(len(values), self.schema.get("minItems"), self.schema.get("maxItems"), "choices")
            return values
        if self.choices:
            return self._chosen(text.strip())
        match self.schema.get("type"):
            case "boolean":
                return _truth(text)
            case "integer" | "number":
                return self._number(text.strip())
            case _:
                return self._text(text)

    def _chosen(self, word: str) -> str:
        if word.isdecimal() and 1 <= int(word) <= len(self.choices):
            return self.choices[int(word) - 1].value
        for choice in self.choices:
            if word.lower() in (choice.value.lower(), choice.title.lower()):
                return choice.value
        near = nearest(word, [choice.title for choice in self.choices])
        raise Misfit(f"is none of the choices{f'; did you mean {near}?' if near else ''}")

    def _number(self, text: str) -> float:
        number = cast("float", read_text(text, {"type": self.schema["type"]}, {}))
        if not self.schema.get("minimum", number) <= number <= self.schema.get("maximum", number):
            raise Misfit(f"must be {self.kind}")
        return number

    def _text(self, text: str) -> str:
        _check_count(len(text), self.schema.get("minLength"), self.schema.get("maxLength"), "characters")
        reading = {"email": _mail, "uri": _address, "date": dt.date.fromisoformat, "date-time": _moment}
        read = reading.get(str(self.schema.get("format")))
        if read is not None:
            try:
                read(text)
            except ValueError:
                raise Misfit(f"must be like {self.kind}") from None
        return text


def fields_of(schema: dict[str, Any]) -> list[Field]:
    """Give the fields of a requested schema, in its order."""
    entries = schema.get("properties")
    needed = schema.get("required")
    required = cast("Sequence[object]", needed) if isinstance(needed, list) else ()
    found: list[Field] = []
    for name, entry in cast("dict[str, object]", entries if isinstance(entries, dict) else {}).items():
        own = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        many = own.get("type") == "array"
        found.append(
            Field(
                name=name,
                title=str(own.get("title") or name),
                description=str(own.get("description") or ""),
                schema=own,
                required=name in required,
                choices=_choices(cast("dict[str, Any]", own.get("items") or {}) if many else own),
                many=many,
            )
        )
    return found


def _choices(schema: dict[str, Any]) -> tuple[Choice, ...]:
    titled = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(titled, list):
        entries = [cast("dict[str, Any]", one) for one in cast("list[object]", titled) if isinstance(one, dict)]
        return tuple(
            Choice(str(one["const"]), str(one.get("title", one["const"]))) for one in entries if "const" in one
        )
    values = schema.get("enum")
    if not isinstance(values, list):
        return ()
    titles = cast("list[object]", schema.get("enumNames") or values)
    return tuple(Choice(str(v), str(t)) for v, t in zip(cast("list[object]", values), titles, strict=False))


def _truth(text: str) -> bool:
    word = text.strip().lower()
    if word in ("y", "yes", "true", "1", "on"):
        return True
    if word in ("n", "no", "false", "0", "off"):
        return False
    raise Misfit("must be y or n")


def _check_count(count: int, least: int | None, most: int | None, what: str) -> None:
    if least is not None and count < least:
        raise Misfit(f"must have at least {least} {what}")
    if most is not None and count > most:
        raise Misfit(f"must have at most {most} {what}")


def _mail(text: str) -> None:
    if not _MAIL.fullmatch(text):
        raise ValueError(text)


def _address(text: str) -> None:
    if not urlsplit(text).scheme:
        raise ValueError(text)


def _moment(text: str) -> None:
    if len(text) <= len("2026-01-01"):
        raise ValueError(text)
    dt.datetime.fromisoformat(text)
