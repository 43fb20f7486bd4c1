"""What a test can leave behind in this process and on this machine: processes, descriptors, threads.

Descendants are recognised by a mark in their inherited `PATH`, so that a grandchild counts even when its parent is dead
and it belongs to somebody else. Used by `tests/conftest.py`; knows neither Dragoman nor pytest.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

PATH_MARK = f"/nonexistent/dragoman-tests-{os.getpid()}"
"""A directory that does not exist, unique to this run."""

PATIENCE = 2.0
"""Seconds that a process which has been told to end may take until it is gone."""

PROC = Path("/proc")


def mark_environment() -> None:
    """Add the mark to `PATH`, so that every process started from now on can be told from others."""
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{PATH_MARK}"


@dataclass(frozen=True, kw_only=True)
class Residue:
    """What exists at one moment, each thing with words that tell what it is."""

    processes: dict[int, str]
    descriptors: dict[tuple[int, str], str]
    threads: dict[int, str]

    @classmethod
    def now(cls) -> Residue:
        """Look around."""
        threads = {thread.ident or 0: f"thread {thread.name}" for thread in threading.enumerate()}
        return cls(processes=processes(), descriptors=descriptors(), threads=threads)

    def since(self, before: Residue) -> list[str]:
        """The things that are here and were not there `before`, in words."""
        found = [text for pid, text in self.processes.items() if pid not in before.processes]
        found += [text for key, text in self.descriptors.items() if key not in before.descriptors]
        return found + [text for ident, text in self.threads.items() if ident not in before.threads]


def left_since(before: Residue) -> list[str]:
    """What is left over since `before` after a fair wait, in words; leftover processes are killed.

    Waits up to `PATIENCE` seconds for what is about to end. Garbage is collected first, so that a resource which was
    dropped rather than closed warns here and not in a later test.
    """
    now = Residue.now()
    if not now.since(before):
        return []
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    while (now := Residue.now()).since(before) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in now.processes.keys() - before.processes.keys():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return now.since(before)


def processes() -> dict[int, str]:
    """The living descendants of this process, by their ids, each with its command line."""
    if not (PROC / "self" / "environ").exists():
        children = psutil.Process().children(recursive=True)
        return {child.pid: f"process {child.pid}: {child.name()}" for child in children}
    found: dict[int, str] = {}
    own, mark = os.getpid(), PATH_MARK.encode()
    direct = _direct_children()
    for entry in os.listdir(PROC):  # noqa: PTH208 - called twice per test, and four times faster
        if not entry.isdecimal() or (pid := int(entry)) == own:
            continue
        try:
            if pid not in direct and mark not in (PROC / entry / "environ").read_bytes():
                continue
            command = (PROC / entry / "cmdline").read_bytes()
        except OSError:
            continue
        # A zombie has no command line, and for a moment neither has a process that is just being started.
        if command or not _is_dead(pid):
            words = command.decode(errors="replace").replace("\0", " ")
            found[pid] = f"process {pid}: {words.strip()[:200]}"
    return found


def _is_dead(pid: int) -> bool:
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return True
    return stat.rpartition(") ")[2][:1] in "ZX"


def _direct_children() -> set[int]:
    """The ids of this process's own children; empty where the kernel doesn't list them."""
    found: set[int] = set()
    for task in (PROC / "self" / "task").iterdir():
        with contextlib.suppress(OSError):
            found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def descriptors() -> dict[tuple[int, str], str]:
    """This process's open descriptors, each with what it leads to; empty where the system doesn't list them."""
    directory = PROC / "self" / "fd"
    found: dict[tuple[int, str], str] = {}
    if not directory.exists():
        return found
    for entry in os.listdir(directory):  # noqa: PTH208 - as above
        with contextlib.suppress(OSError):
            target = os.readlink(directory / entry)  # noqa: PTH115 - a socket's name is no path
            found[int(entry), target] = f"descriptor {entry}: {target}"
    return found
