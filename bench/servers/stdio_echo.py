"""The fallback of stdio_echo.c, where no C compiler is, and a server that takes a while to start. Ends with stdin.

With ``--after SECONDS`` it sleeps before it answers anything. What it answers is in answers.py, beside it.
"""

from __future__ import annotations

import sys
import time

from answers import Answers, tools_wanted


def main() -> None:
    """Answer line by line until stdin ends."""
    answers = Answers(tools_wanted())
    if "--after" in sys.argv:
        time.sleep(float(sys.argv[sys.argv.index("--after") + 1]))
    for line in sys.stdin.buffer:
        if answer := answers(line):
            sys.stdout.buffer.write(answer + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
