"""The command line that every sample has: stdio without an option, `--http PORT` for HTTP on this machine."""

from __future__ import annotations

import contextlib
import errno
import sys

from .offer import Sample
from .stdio import serve

LARGEST_PORT = 65535


def run(sample: Sample) -> None:
    """Serve as the command line tells, until the client leaves or someone interrupts.

    Raises:
        SystemExit: the command line can't be understood, or the port can't be had (status 2).
    """
    words = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        if not words:
            serve(sample)
        elif words[0] == "--http" and len(words) == 2 and words[1].isdecimal() and int(words[1]) <= LARGEST_PORT:
            _listen(sample, int(words[1]))
        else:
            print(
                f"usage: {sample.name} [--http PORT]    (a port up to {LARGEST_PORT}; 0: any free one)", file=sys.stderr
            )
            raise SystemExit(2)


def _listen(sample: Sample, port: int) -> None:
    from .http import Server, serve_http

    try:
        server = Server(("127.0.0.1", port), sample)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"can't be had ({error.strerror})"
        print(f"{sample.name}: port {port} {why}. Name another one, or 0 for any free one.", file=sys.stderr)
        raise SystemExit(2) from None
    serve_http(server)
