"""Waits for a quiet moment before a measurement, so that other work on the machine does not pass for the client's.

Bounded: a machine that is never quiet is measured as it is. Reads the kernel's count of idle time; Linux only.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_GLANCE: Final = 0.05
_AT_MOST: Final = 3.0
_BUSY: Final = 0.3


class Quiet:
    """``budget`` is for how many seconds may be waited in all; one wait takes 3 at most."""

    def __init__(self, budget: float) -> None:
        self.budget = budget

    def wait(self) -> None:
        """Wait until less than a third of one processor is busy, or patience is at its end."""
        deadline = time.monotonic() + min(_AT_MOST, self.budget)
        while (left := deadline - time.monotonic()) > 0:
            before = idle_seconds()
            time.sleep(min(_GLANCE, left))
            self.budget -= _GLANCE
            if (os.cpu_count() or 1) * _GLANCE - (idle_seconds() - before) < _BUSY * _GLANCE:
                return


def idle_seconds() -> float:
    """Give for how long all processors together have been idle (or waiting for a disk) since the machine started."""
    words = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=6)
    return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")
