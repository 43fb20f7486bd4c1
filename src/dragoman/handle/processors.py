"""How many processors this process may use, and how many of them are idle.

It reads the kernel's own counters: `/proc/stat`, the set of processors this process may run on, and the quota of its
control group. Processors that others keep busy count as idle as far as `offspring` does not want them. It decides
nothing; `gate` does. Where the system tells nothing (no Linux), the idleness is unknown.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from dragoman.handle.offspring import Offspring

__all__ = ["Processors", "Quota", "idle_seconds", "quota_of"]

_IDLE_COLUMN: Final = 4
"""Of a line of `/proc/stat`. The next one, waiting for a disk, is not counted as idle: more work would wait as well."""

_FEW: Final = 0.5
"""With fewer idle processors than that, it is looked for whose sake."""

_SHORTEST: Final = 0.015
"""Seconds between two looks that tell something: the counters go in steps of 10 ms."""


class Quota(Struct, frozen=True, kw_only=True):
    """What a control group may use: so many ``processors``. ``usage`` is the file that tells what it has used.

    A line ``usage_usec N`` of that file counts microseconds; a number alone counts nanoseconds (version 1).
    """

    processors: float
    usage: Path

    def used(self) -> float | None:
        """Give the seconds of processor time that the group has used, or None if that can't be read."""
        try:
            text = self.usage.read_text()
            return _used(text)
        except (OSError, ValueError):
            return None


class Processors:
    """The processors that this process may use.

    ``count`` is how many there are, at least 1: those of its affinity, no more than the quota of its control group.
    ``proc`` and ``groups`` are where the kernel's files are mounted, ``clock`` gives seconds that never go back.
    """

    __slots__ = (
        "_clock",
        "_idle",
        "_last",
        "_offspring",
        "_quota",
        "_spare",
        "_stat",
        "_usable",
        "_used",
        "_when",
        "count",
    )

    def __init__(
        self,
        *,
        proc: Path = Path("/proc"),
        groups: Path = Path("/sys/fs/cgroup"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stat = proc / "stat"
        self._offspring = Offspring(proc)
        self._spare = 0.0
        self._clock = clock
        self._usable = _affinity()
        self._quota = quota_of(proc / "self" / "cgroup", groups)
        among = len(self._usable) or os.cpu_count() or 1
        self.count = among if self._quota is None else max(1, min(among, math.ceil(self._quota.processors)))
        self._last: float | None = None
        self._used: float | None = None
        self._when = -math.inf
        self._idle: float | None = None

    def idle(self) -> float | None:
        """Give how many processors were idle since the last look, on average; None where the system doesn't tell.

        The first look has nothing to compare with and gives None. Looks within 15 ms give the same answer.
        """
        now = self._clock()
        elapsed = now - self._when
        if elapsed < _SHORTEST:
            return self._idle
        try:
            idle = idle_seconds(self._stat.read_text(), self._usable)
        except (OSError, ValueError):
            self._idle = None
            return None
        used = None if self._quota is None else self._quota.used()
        self._idle = self._at_least_spare(self._since(idle, used, elapsed))
        self._last, self._used, self._when = idle, used, now
        return self._idle

    def _at_least_spare(self, idle: float | None) -> float | None:
        """Give no less than what our own processes leave, in two looks one after the other, if others are busy.

        A server that starts gets its part of a busy machine whatever else starts; one that only waits needs none.
        """
        before, self._spare = self._spare, 0.0
        if idle is None or idle >= _FEW or self._quota is not None:
            return idle
        wanting = self._offspring.wanting()
        if wanting is None:
            return idle
        self._spare = max(0.0, float(self.count - wanting))
        return max(idle, min(before, self._spare))

    def _since(self, idle: float, used: float | None, elapsed: float) -> float | None:
        if self._last is None:
            return None
        found = (idle - self._last) / elapsed
        if self._quota is not None and used is not None and self._used is not None:
            found = min(found, self._quota.processors - (used - self._used) / elapsed)
        return min(max(found, 0.0), float(self.count))


def idle_seconds(stat: str, usable: frozenset[int]) -> float:
    """Give for how long the ``usable`` processors have been idle, in seconds, from the text of `/proc/stat`.

    An empty set stands for all.

    Raises:
        ValueError: the text does not tell.
    """
    ticks = found = 0
    for line in stat.splitlines():
        name, *counters = line.split()
        number = name.removeprefix("cpu")
        if name == number or not number.isdecimal() or (usable and int(number) not in usable):
            continue
        if len(counters) < _IDLE_COLUMN:
            raise ValueError(line)
        found += 1
        ticks += int(counters[_IDLE_COLUMN - 1])
    if not found or ticks <= 0:  # some sandboxes fill the file with zeros
        raise ValueError("no processor is told of")
    return ticks / os.sysconf("SC_CLK_TCK")


def quota_of(membership: Path, groups: Path) -> Quota | None:
    """Give the tightest quota of the control groups that this process is in, or None where there is none.

    ``membership`` is `/proc/self/cgroup`, ``groups`` where the groups are mounted.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    found: list[Quota] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = controllers.split(",")
        if not controllers:
            found += _quotas(groups, path, "cpu.max", "cpu.stat")
        elif "cpu" in names:
            for mount in (groups / controllers, groups / "cpu"):
                found += _quotas(mount, path, "cpu.cfs_quota_us", "cpuacct.usage")
    return min(found, key=lambda quota: quota.processors, default=None)


def _quotas(mount: Path, path: str, limit: str, usage: str) -> list[Quota]:
    """Give the quotas of a group and of those above it, of which each one holds."""
    group = mount / path.strip("/")
    found: list[Quota] = []
    while True:
        processors = _limit(group / limit)
        if processors is not None:
            found.append(Quota(processors=processors, usage=group / usage))
        if group == mount:
            return found
        group = group.parent


def _limit(file: Path) -> float | None:
    try:
        words = file.read_text().split()
        if file.name != "cpu.max":
            words += file.with_name("cpu.cfs_period_us").read_text().split()
        quota, period = int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):  # "max" is no number: there is no limit
        return None
    return quota / period if quota > 0 and period > 0 else None


def _used(text: str) -> float:
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if name == "usage_usec":
            return int(number) / 1e6
    return int(text) / 1e9


def _affinity() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
