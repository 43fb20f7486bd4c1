"""The exit status for each kind of end: one table over the classes of errors, and the few ends that are no errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dragoman.errors import (
    AccessDenied,
    CannotConnect,
    ConfigError,
    ConnectionLost,
    DragomanError,
    HttpError,
    LoginRequired,
    OutcomeUnknown,
    ProtocolError,
    RequestTimeout,
    ServerError,
    TaskFailed,
    UsageError,
)

__all__ = [
    "BUG",
    "DENIED",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "LOGIN_NEEDED",
    "NOBODY_READS",
    "NO_CONNECTION",
    "OUTCOME_UNKNOWN",
    "OUTPUT_LOST",
    "STATUSES",
    "TIMED_OUT",
    "USAGE",
    "exit_status",
    "signal_status",
]

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NO_CONNECTION: Final = 3
TIMED_OUT: Final = 4
DENIED: Final = 5
LOGIN_NEEDED: Final = 6
OUTCOME_UNKNOWN: Final = 7
BUG: Final = 70
OUTPUT_LOST: Final = 74
INTERRUPTED: Final = 130
NOBODY_READS: Final = 141

_SIGNALLED: Final = 128

#: The nearest class in an error's family decides.
STATUSES: Final[Mapping[type[DragomanError], int]] = {
    DragomanError: FAILED,
    ServerError: FAILED,
    TaskFailed: FAILED,
    ProtocolError: FAILED,
    ConfigError: USAGE,
    UsageError: USAGE,
    CannotConnect: NO_CONNECTION,
    ConnectionLost: NO_CONNECTION,
    HttpError: NO_CONNECTION,
    RequestTimeout: TIMED_OUT,
    AccessDenied: DENIED,
    LoginRequired: LOGIN_NEEDED,
    OutcomeUnknown: OUTCOME_UNKNOWN,
}


def exit_status(error: DragomanError) -> int:
    """Give the exit status for an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def signal_status(number: int) -> int:
    """Give the exit status of a program that a signal ended, as shells tell it."""
    return _SIGNALLED + number
