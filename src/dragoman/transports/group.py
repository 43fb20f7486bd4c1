"""The processes of one server as a whole: its group, and what left the group but still hangs on the server's tree.

A server is started as the leader of a group, so that one signal reaches all it starts. A child in a session of its own
(a browser that a server drives, say) is out of that signal's reach and is found through its parent in ``/proc``, as
long as the server lives. A daemon that cut itself loose on purpose (its parent is gone) is left alone.
It waits for nothing: `process.py` does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["ProcessGroup"]

_PROC: Final = Path("/proc")
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE)


class _Entry(NamedTuple):
    """One living process: its id, its parent's and its group's."""

    pid: int
    parent: int
    group: int


class ProcessGroup:
    """The group that ``leader`` leads. Strays are held by descriptors (pidfd), so that no id is ever mistaken.

    Where the system has no pidfd or no ``/proc``, only the group itself is reached.
    """

    __slots__ = ("_empty", "_held", "_led", "leader")

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self._led = True
        self._empty = False
        self._held: dict[int, int] = {}

    def find_strays(self, since: float) -> None:
        """Look for descendants outside the group and hold them, so that `signal` reaches them too.

        Looking through the machine's processes takes some milliseconds, so groups that are ended together share a
        look: one that another group took at ``since`` (monotonic seconds) or later will do.
        """
        roots = {self.leader, *self._held} if self._led else set(self._held)
        if roots and _can_look():
            with contextlib.suppress(OSError):  # no descriptor is left: then the group alone is reached
                self._hold(entry.pid for entry in _descendants(roots, since) if entry.group != self.leader)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group and to every stray."""
        if not self._empty:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.leader, number)
        for descriptor in self._held.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, number)

    def lost_leader(self) -> None:
        """Learn that the leader was reaped. Its id stays taken as long as the group has members, and no longer."""
        self._led = False

    def gone(self) -> bool:
        """Tell whether neither a member nor a stray lives.

        The dead that nobody reaps (there are containers whose first process does not) don't count.
        """
        if self._led:
            return False
        for pid in [pid for pid, descriptor in self._held.items() if _finished(descriptor)]:
            os.close(self._held.pop(pid))
        if not self._held and not self._empty:
            self._empty = not self._has_members() or self._has_only_dead()
        return self._empty and not self._held

    def forget(self) -> None:
        """Let go of all descriptors and never send a signal again."""
        self._led = False
        self._empty = True
        while self._held:
            os.close(self._held.popitem()[1])

    def _has_members(self) -> bool:
        try:
            os.killpg(self.leader, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _has_only_dead(self) -> bool:
        if not _can_look():
            return False
        try:
            living = [entry.pid for entry in _living(time.monotonic()) if entry.group == self.leader]
        except OSError:
            return False
        self._hold(living)
        return not living

    def _hold(self, pids: Iterable[int]) -> None:
        for pid in pids:
            if pid not in self._held:
                with contextlib.suppress(OSError, AttributeError):
                    self._held[pid] = os.pidfd_open(pid)


def _can_look() -> bool:
    return _PROC.joinpath("self", "stat").exists()


def _finished(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _descendants(roots: set[int], since: float) -> list[_Entry]:
    children: dict[int, list[_Entry]] = {}
    for entry in _living(since):
        children.setdefault(entry.parent, []).append(entry)
    found: list[_Entry] = []
    parents = list(roots)
    while parents:
        next_ones = children.pop(parents.pop(), [])
        found += next_ones
        parents += [entry.pid for entry in next_ones]
    return found


_look: tuple[float, list[_Entry]] = (float("-inf"), [])


def _living(since: float) -> list[_Entry]:
    """Give every process that is not dead, as it was at ``since`` or later."""
    global _look  # noqa: PLW0603 - one look serves all servers of this process
    if _look[0] < since:
        _look = (time.monotonic(), _look_around())
    return _look[1]


def _look_around() -> list[_Entry]:
    """Look through all processes. Raises OSError where no descriptor is left to look with."""
    found: list[_Entry] = []
    for name in os.listdir(_PROC):  # noqa: PTH208 - hundreds of names, and four times faster
        if not name.isdecimal():
            continue
        try:
            descriptor = os.open(f"/proc/{name}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            continue
        try:
            # "pid (name) state parent group …"; the name may hold blanks and brackets.
            state, parent, group = os.read(descriptor, 512).rpartition(b") ")[2].split(None, 3)[:3]
        except (OSError, ValueError):
            continue
        finally:
            os.close(descriptor)
        if state not in b"ZX":
            found.append(_Entry(int(name), int(parent), int(group)))
    return found
