"""The entry point, and the quick way out that needs no parser.

It imports nothing but the version until there is something to parse; `program.py` has the parser.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from dragoman.version import VERSION

__all__ = ["main"]


_INTERRUPTED: Final = 130
_VERSION_WORDS: Final = ("--version", "-V")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Raises:
        SystemExit: always; see `exit_codes` for the statuses.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) == 1 and words[0] in _VERSION_WORDS:
        _tell_version()
    if arguments is None:
        # A short life: looking for garbage while a hundred modules are imported, and again when all of them go, finds
        # none and takes an eighth of the time of a call.
        gc.disable()
        atexit.register(gc.freeze)
    _claim_streams()
    try:
        from dragoman.cli.program import run

        status = run(words)
    except KeyboardInterrupt:
        status = _INTERRUPTED
    sys.exit(status)


def _tell_version() -> NoReturn:
    try:
        print(f"dragoman {VERSION}", flush=True)  # noqa: T201 - before there is a screen
    except OSError as error:
        from dragoman.cli.failure import report_lost_output
        from dragoman.cli.screen import OutputLost

        sys.exit(report_lost_output(OutputLost(error.strerror or str(error))))
    sys.exit(0)


def _claim_streams() -> None:
    """Put something behind stdin, stdout and stderr if they were closed, before another file gets their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
