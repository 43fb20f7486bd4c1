"""What becomes of a server after a failed attempt: tried again and after how long, or given up.

Pure: randomness is an argument, and who waits is `handle`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from dragoman.config.supervision import Restart
from dragoman.errors import (
    AccessDenied,
    ConfigError,
    DragomanError,
    HttpError,
    LoginRequired,
    UsageError,
    VersionMismatch,
)

__all__ = ["Fate", "delay", "fate"]

#: - ``again``: it may be there next time.
#: - ``needs_login``: it wants to know who asks.
#: - ``failed``: no attempt can succeed until something is changed.
Fate: TypeAlias = Literal["again", "needs_login", "failed"]

_LEAST: Final = 0.1
"""The part of the bound that is always waited: full jitter alone may wait nothing, many times in a row."""

_DOUBLINGS: Final = 60
"""From any first delay, so many lead past any longest one; a float has room for them."""

_LONGEST_ASKED: Final = 3600.0
"""Seconds that a server may ask for: a date of next year is no reason to forget it until then."""

_PASSING: Final = frozenset({408, 425, 429})
"""Statuses of 400 to 499 that tell of the moment, not of the request: time-out, too early, too many."""


def delay(failures: int, restart: Restart, random: Callable[[], float], *, retry_after: float | None = None) -> float:
    """Give the seconds to wait after ``failures`` failed attempts in a row, at least 1.

    They lie evenly between a tenth and the whole of a bound that doubles with each failure, up to ``longest_delay``.
    ``random`` gives numbers from 0 to 1. ``retry_after`` is what the server asked for: no less is waited, up to an
    hour.
    """
    bound = min(restart.longest_delay, restart.first_delay * 2.0 ** min(max(failures, 1) - 1, _DOUBLINGS))
    own = bound * (_LEAST + (1 - _LEAST) * random())
    return own if retry_after is None else max(own, min(retry_after, _LONGEST_ASKED))


def fate(error: DragomanError) -> Fate:
    """Say what becomes of a server whose attempt ended with this error."""
    if isinstance(error, LoginRequired):
        return "needs_login"
    if isinstance(error, (AccessDenied, ConfigError, UsageError, VersionMismatch)):
        return "failed"
    if isinstance(error, HttpError) and 400 <= error.status < 500 and error.status not in _PASSING:
        return "failed"
    return "again"
