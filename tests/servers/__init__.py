"""Command lines of the servers that the tests talk to; `scripted.py` tells what each word and tool does."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPTED = Path(__file__).with_name("scripted.py")


def scripted(*words: str) -> list[str]:
    """Give the command line of the scripted server; words are those of its docstring, such as ``"exit=3"``."""
    # -I and -S: neither the environment nor installed packages slow the start or change what it does.
    return [sys.executable, "-I", "-S", str(SCRIPTED), *words]
