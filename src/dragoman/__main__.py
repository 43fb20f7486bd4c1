"""`python -m dragoman`: the command line, where no script is installed."""

from __future__ import annotations

from dragoman.cli.main import main

if __name__ == "__main__":
    main()
