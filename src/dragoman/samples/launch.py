"""The command line that every sample has: stdio without an option, `--http PORT` for HTTP on this machine."""

from __future__ import annotations

import contextlib
import sys

from .offer import Sample
from .stdio import serve


def run(sample: Sample) -> None:
    """Serve as the command line tells, until the client leaves or someone interrupts.

    Raises:
        SystemExit: the command line can't be understood (status 2).
    """
    words = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        if not words:
            serve(sample)
        elif words[0] == "--http" and len(words) == 2 and words[1].isdecimal():
            from .http import serve_http

            serve_http(sample, int(words[1]))
        else:
            print(f"usage: {sample.name} [--http PORT]    (port 0: any free one)", file=sys.stderr)
            raise SystemExit(2)
