"""What events repeat of a server's own words, cut so that a thousand waiting events fit into memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from dragoman.protocol.types import LogMessage

__all__ = ["log_data", "names", "words"]

_LARGEST_LOG: Final = 64 * 1024
_LONGEST_WORDS: Final = 4000
_LARGEST_NAMES: Final = 1024 * 1024


def words(text: str) -> str:
    """Give a text, or the first 4,000 characters of it and how long it was."""
    return text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}… ({len(text)} characters)"


def log_data(message: LogMessage) -> Any:  # noqa: ANN401 - any JSON value
    """Give what a log line tells; of one that has more than 64 KiB as JSON, its beginning as a text."""
    size = len(memoryview(message.raw_json))
    if size <= _LARGEST_LOG:
        return message.data
    if isinstance(message.data, str):
        return words(message.data)
    head = bytes(memoryview(message.raw_json)[:_LONGEST_WORDS]).decode("utf-8", "replace")
    return f"{head}… ({size} bytes)"


def names(told: Iterable[str]) -> tuple[str, ...]:
    """Give names as they are, up to a million characters of them in all."""
    found: list[str] = []
    left = _LARGEST_NAMES
    for name in told:
        left -= len(name) + 1
        if left < 0:
            break
        found.append(name)
    return tuple(found)
