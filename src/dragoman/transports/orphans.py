"""Sees to it that no server outlives its client, even one that is killed: one small watcher process for each client.

The watcher is a shell that sleeps at the end of a pipe whose only writing end is here. However this process ends, the
system closes that end; the watcher then reads a list that both hold and ends every group left on it. It starts with the
first server and goes with the last one. It knows groups, not servers: `process.py` tells it.

Why not the parent-death signal of Linux: it needs code between fork and exec (slow, unsafe with threads), it follows
the thread that started the server instead of the process, and it reaches the server alone, not what that started.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import subprocess
import threading
from pathlib import Path
from typing import Final

__all__ = ["WATCHER_SCRIPT", "OrphanWatch", "orphan_watch"]

#: A list that has grown by so many bytes is written anew, without what came and went.
_LIST_GROWS: Final = 8 * 1024

_log: Final = logging.getLogger("dragoman.stdio")

#: At the end of its input, it reads "+ID" and "-ID" lines from its *output*, which is the list: some shells take no
#: redirection but from a descriptor of one digit. Then: 0.5 s for servers that end on their own (their stdin has ended
#: as well), SIGTERM, 1 s, SIGKILL. ``$strays`` are descendants in groups of their own, found through /proc where it is.
WATCHER_SCRIPT: Final = r"""
trap '' HUP INT QUIT TERM
groups=' '
while read -r line; do :; done
while read -r line; do
  id=${line#?}
  case $line in
    +*) groups="$groups$id " ;;
    -*) case $groups in *" $id "*) groups="${groups%% $id *} ${groups#* $id }" ;; esac ;;
  esac
done <&1
[ "$groups" = ' ' ] && exit

family=$groups
for stat in /proc/[0-9]*/stat; do
  set -f
  read -r text 2>/dev/null <"$stat" || continue
  set -- ${text##*) }
  pid=${stat#/proc/} table="$table ${pid%/stat}:$2"
done
while :; do
  more=
  for pair in $table; do
    case $family in *" ${pair%:*} "*) continue ;; esac
    case $family in *" ${pair#*:} "*) family="$family${pair%:*} " more=1 ;; esac
  done
  [ "$more" ] || break
done
strays=
for pid in $family; do
  case $groups in *" $pid "*) ;; *) strays="$strays $pid" ;; esac
done

living() {
  left=
  for id in $groups; do kill -0 "-$id" 2>/dev/null && left="$left -$id"; done
  for id in $strays; do kill -0 "$id" 2>/dev/null && left="$left $id"; done
  [ "$left" ]
}
wait_for_them() {
  tenths=$1
  while living && [ "$tenths" -gt 0 ]; do
    sleep 0.1 2>/dev/null || sleep 1
    tenths=$((tenths - 1))
  done
}
signal_all() {
  living
  for id in $left; do kill "-$1" "$id" 2>/dev/null; done
}
wait_for_them 5
signal_all TERM
wait_for_them 10
signal_all KILL
"""


class OrphanWatch:
    """The client's side of the watcher. Safe to use from several threads and event loops; a forked child starts anew.

    A watcher that was killed is replaced when the next server starts or ends.
    Where no watcher can be started (there is no ``/bin/sh``), servers run unwatched, and the log says so.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._pipe = self._list = -1
        self._written = self._limit = 0
        self._watcher: subprocess.Popen[bytes] | None = None
        self._dismissed: list[subprocess.Popen[bytes]] = []

    def prepare(self) -> None:
        """Start the watcher if there is none, so that `watch` can follow the start of a server at once."""
        with self._lock:
            if self._watcher is None:
                self._start()

    def watch(self, group: int) -> None:
        """Have the group ended when this process is gone."""
        with self._lock:
            self._groups.add(group)
            if not self._tell(b"+%d\n" % group):
                self._start()

    def release(self, group: int) -> None:
        """Stop watching the group; without any group left, the watcher goes. Safe to repeat."""
        with self._lock:
            if group not in self._groups:
                return
            self._groups.discard(group)
            if not self._groups:
                self._dismiss(kill=True)  # sooner than it would read a list of nothing
            elif not self._tell(b"-%d\n" % group):
                self._start()

    def leave_idle(self) -> None:
        """Send the watcher away if it has nothing to watch, because the start of a server failed."""
        with self._lock:
            if not self._groups:
                self._dismiss(kill=False)

    async def settle(self, limit: float = 1.0) -> None:
        """Wait until every watcher that was sent away is gone, at most ``limit`` seconds."""
        pause = 0.0005
        while self._reap() and limit > 0:
            await asyncio.sleep(pause)
            limit -= pause
            pause = min(pause * 2, 0.02)

    def close(self, limit: float = 0.5) -> None:
        """Send the watcher away; what is left to it, it ends. Blocks until it is gone, ``limit`` seconds at most."""
        with self._lock:
            self._dismiss(kill=False)
            dismissed = list(self._dismissed)
        for watcher in dismissed:
            try:
                watcher.wait(limit)
            except subprocess.TimeoutExpired:
                watcher.returncode = 0  # it is at work and init will reap it: no reason to warn
        self._reap()

    def forget(self) -> None:
        """Give up what a fork copied here: the groups and the watcher are the parent's."""
        self._let_go()
        if self._watcher is not None:
            self._dismissed.append(self._watcher)
        for watcher in self._dismissed:
            watcher.returncode = 0  # the parent reaps it: no reason to warn
        self._begin()

    def _tell(self, line: bytes) -> bool:
        """Add to the list. That wakes nobody: to write to the pipe would, and cost as much as the start of a server."""
        if self._watcher is None or self._watcher.poll() is not None or self._written > self._limit:
            return False
        try:
            self._written += os.pwrite(self._list, line, self._written)
        except OSError:
            return False
        return True

    def _start(self) -> None:
        """Start a watcher for all groups, in the place of the one that died, if any."""
        self._dismiss(kill=True)
        reading = -1
        try:
            reading, self._pipe = os.pipe()
            self._list = _open_list()
            self._written = os.pwrite(self._list, b"".join(b"+%d\n" % group for group in self._groups), 0)
            self._limit = self._written + _LIST_GROWS
            self._watcher = subprocess.Popen(
                ["/bin/sh", "-c", WATCHER_SCRIPT],
                stdin=reading,
                stdout=self._list,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
                start_new_session=True,
            )
        except OSError as error:
            self._let_go()
            _log.warning("servers may outlive this process: no watcher could be started (%s)", error)
        finally:
            if reading >= 0:
                os.close(reading)

    def _let_go(self) -> None:
        for descriptor in (self._pipe, self._list):
            if descriptor >= 0:
                os.close(descriptor)
        self._pipe = self._list = -1

    def _dismiss(self, *, kill: bool) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        if kill:  # the end of its input would make it end groups that live on
            watcher.kill()
        self._let_go()
        self._dismissed.append(watcher)

    def _reap(self) -> bool:
        with self._lock:
            self._dismissed = [watcher for watcher in self._dismissed if watcher.poll() is None]
            return bool(self._dismissed)


def _open_list() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dragoman-watch")
    from tempfile import mkstemp

    descriptor, path = mkstemp()
    Path(path).unlink()
    return descriptor


#: The one watch of this process.
orphan_watch: Final = OrphanWatch()

if hasattr(os, "register_at_fork"):  # not on Windows, where this module is imported but never used
    os.register_at_fork(after_in_child=orphan_watch.forget)
atexit.register(orphan_watch.close)
