"""Hides secrets in what is written down: by the names of keys, and in texts by their shape.

A last line of defence: events hold no secrets of ours, but servers log what they like, and so do programs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final, cast

from dragoman.config.model import redact_url

__all__ = ["redact", "redacted", "redacted_uri"]

HIDDEN: Final = "***"
"""What stands in a secret's place, as in a redacted URL."""

LONGEST: Final = 4000
"""Characters of a text that a line repeats."""

LONGEST_NAME: Final = 256
"""Characters of a key that is looked at; what has a longer one is hidden."""

DEEPEST: Final = 10
"""Levels of a value that are looked into; what lies below is hidden."""

_SECRET: Final = re.compile(
    r"authorization|cookie|credential|passphrase|passw(or)?d|private[-_ ]?key|secret|session[-_ ]?id"
    r"|(access|api|auth|signing|encryption)[-_ ]?key|(?<![a-z])(token|pwd|jwt|bearer|otp)s?(?![a-z])"
    r"|(access|auth|id|refresh|bearer|csrf|api)[-_ ]?token",
    re.IGNORECASE,
)
_HARMLESS: Final = frozenset({"progresstoken", "progress_token"})
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_URL: Final = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s\"'<>]+")
_SUSPICIOUS: Final = re.compile(r"[:=\s]")
"""What a text has that holds more than a name; most have not, and are looked at no further."""
_TELLING: Final = re.compile(r"[@?#]")
_SCHEME: Final = re.compile(r"\b(bearer|basic|token)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_PAIR: Final = re.compile(
    r"(?P<name>[\"']?\b[\w-]{0,40}(?:token|secret|passw(?:or)?d|api[-_]?key)\b[\"']?\s*[=:]\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)",
    re.IGNORECASE,
)


def redact(_logger: object, _method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets in a line: a processor for any chain of structlog, to stand before the one that renders.

    Hidden are the values of keys that name a secret (``authorization``, ``token``, ``password``, ``api_key`` …), at any
    depth; in texts, credentials after ``Bearer`` and ``token=``, and what may be secret in a URL (user, password,
    values of the query).
    """
    for name, value in event_dict.items():
        event_dict[name] = redacted(value, name)
    return event_dict


def redacted(value: object, name: str = "", depth: int = 0) -> object:
    """Give a value without secrets. ``name`` is the key that it has, ``depth`` how far inside it is."""
    if _is_secret(name, value):
        return HIDDEN
    if isinstance(value, str):
        return _redacted_text(value)
    if isinstance(value, bytes | bytearray):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping | list | tuple) and depth >= DEEPEST:
        return HIDDEN
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return {_shown(key): redacted(member, str(key), depth + 1) for key, member in members.items()}
    if isinstance(value, list | tuple):
        items = cast("list[object] | tuple[object, ...]", value)
        return [redacted(item, "", depth + 1) for item in items]
    return value


def _shown(key: object) -> object:
    return f"{key[:LONGEST_NAME]}…" if isinstance(key, str) and len(key) > LONGEST_NAME else key


def redacted_uri(uri: str) -> str:
    """Give a URI without what may be secret in it; one that can hold nothing such is left letter by letter."""
    return redact_url(uri) if _TELLING.search(uri) else uri


def _is_secret(name: str, value: object) -> bool:
    if value is None or value == "" or isinstance(value, bool) or name.lower() in _HARMLESS:
        return False
    if isinstance(value, int | float) and "token" in name.lower():
        return False  # models count tokens
    return len(name) > LONGEST_NAME or _names_a_secret(name)


@lru_cache(maxsize=1024)
def _names_a_secret(name: str) -> bool:
    return _SECRET.search(_CAMEL.sub("_", name)) is not None


def _redacted_text(text: str) -> str:
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
    if not _SUSPICIOUS.search(shown):
        return shown
    if "://" in shown:
        shown = _URL.sub(lambda found: redacted_uri(found[0]), shown)
    shown = _SCHEME.sub(lambda found: f"{found[1]} {HIDDEN}", shown)
    return _PAIR.sub(lambda found: f"{found['name']}{HIDDEN}", shown)
