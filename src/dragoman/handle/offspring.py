"""Which of the processes that this one has started want a processor right now.

On a machine that others keep busy, that tells servers that only wait (and may have company) from those that work. It
reads `/proc`; where the kernel keeps no lists of children there, nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["Offspring"]

_WANTING: Final = frozenset({"R", "D"})
"""States of a process that runs, waits for a processor, or waits for a disk."""

_MOST: Final = 1000
"""Processes that are looked at; with more, nothing is known."""


class Offspring:
    """The processes below this one. ``proc`` is where the kernel's files are mounted."""

    __slots__ = ("_proc",)

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = str(proc)

    def wanting(self) -> int | None:
        """Give how many of them want a processor; None where the system doesn't tell."""
        try:
            threads = os.listdir(f"{self._proc}/self/task")  # noqa: PTH208 - as in `_children`
            here = [child for thread in threads for child in self._children(f"self/task/{thread}")]
        except OSError:
            return None
        found = wanting = 0
        while here:
            found += len(here)
            if found > _MOST:
                return None
            wanting += sum(self._state(process) in _WANTING for process in here)
            here = [child for process in here for child in self._born(process)]
        return wanting

    def _born(self, process: str) -> list[str]:
        # Of the first thread only, which starts others' processes in all launchers that are known.
        try:
            return list(self._children(f"{process}/task/{process}"))
        except OSError:
            return []  # it has ended

    def _children(self, task: str) -> Iterator[str]:
        with open(f"{self._proc}/{task}/children", encoding="ascii") as file:  # noqa: PTH123 - five times as fast
            yield from file.read().split()

    def _state(self, process: str) -> str:
        try:
            with open(f"{self._proc}/{process}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
                return file.read().rpartition(")")[2].split(maxsplit=1)[0]
        except (OSError, IndexError):
            return ""
