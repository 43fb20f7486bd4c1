"""`python -m dragoman`: the command line, where no script is installed."""

from __future__ import annotations

import os
import sys


def _leave_working_directory() -> None:
    """Take back that `python -m` looks for modules in the working directory first: a file there must not run."""
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib is not loaded, and could be what lies there
    except OSError:
        return
    if not sys.flags.safe_path and sys.path[:1] == [here]:
        del sys.path[0]


if __name__ == "__main__":
    _leave_working_directory()
    from dragoman.cli.main import main

    main()
