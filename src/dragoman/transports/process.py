"""One server's process while it runs: its exit noticed without a thread, and its end brought about for all of it.

It moves no message: `stdio.py` does. `launch.py` starts what is kept here, `group.py` finds and signals it,
`orphans.py` answers for it when this process is killed.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Final

from dragoman.transports.group import ProcessGroup
from dragoman.transports.launch import Command, launch
from dragoman.transports.orphans import orphan_watch

__all__ = ["Footprint", "ServerProcess", "clear_away", "exit_words"]

#: How long the system may take to end what got SIGKILL. Beyond it a process hangs in the kernel, and nobody can help.
_KILL_PATIENCE: Final = 2.0

#: How long servers have at each step when nobody closes them: at the interpreter's end, or when they became garbage.
_LAST_PATIENCE: Final = 0.2

#: How often a process is asked for its exit where the system has no pidfd.
_POLL_INTERVAL: Final = 0.25


class Footprint:
    """What one server occupies: its process, its group, and this side's descriptors.

    It knows no event loop, so it can be cleared away when the loop is gone.
    """

    __slots__ = ("__weakref__", "descriptors", "group", "owner", "process")

    def __init__(self, process: subprocess.Popen[bytes], descriptors: Iterable[int]) -> None:
        self.process = process
        self.group = ProcessGroup(process.pid)
        self.descriptors = set(descriptors)
        self.owner = os.getpid()
        _footprints.add(self)

    def close(self, descriptor: int) -> None:
        """Close one descriptor, unless that was done before (its number may be another's by now)."""
        if descriptor in self.descriptors:
            self.descriptors.discard(descriptor)
            os.close(descriptor)

    def exited(self) -> bool:
        """Tell whether the server's process has ended, and reap it."""
        if self.process.poll() is None:
            return False
        self.group.lost_leader()
        return True

    def gone(self) -> bool:
        """Tell whether nothing that the server started lives any more."""
        return self.exited() and self.group.gone()

    def finish(self) -> None:
        """Close what is open. What nobody could end stays watched until this process's own end."""
        for descriptor in list(self.descriptors):
            self.close(descriptor)
        if self.gone():
            orphan_watch.release(self.process.pid)
        self.group.forget()
        _footprints.discard(self)


_footprints: Final[set[Footprint]] = set()


def clear_away(footprints: Iterable[Footprint], patience: float = _LAST_PATIENCE) -> None:
    """End servers in place: stdin closed, SIGTERM, SIGKILL, with ``patience`` seconds in between. Blocks as long.

    In a child that this process forked, it does nothing: the servers are the parent's.
    """
    mine = [footprint for footprint in footprints if footprint.owner == os.getpid()]
    since = time.monotonic()
    for footprint in mine:
        footprint.group.find_strays(since)
    for footprint in mine:
        for descriptor in list(footprint.descriptors):
            footprint.close(descriptor)
    _wait_in_place(mine, patience)
    for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, _KILL_PATIENCE)):
        left = [footprint for footprint in mine if not footprint.gone()]
        for footprint in left:
            footprint.group.signal(number)
        _wait_in_place(left, limit)
    for footprint in mine:
        footprint.finish()


def _wait_in_place(footprints: list[Footprint], limit: float) -> None:
    deadline = time.monotonic() + limit
    while any(not footprint.gone() for footprint in footprints) and time.monotonic() < deadline:
        time.sleep(0.002)


def _clear_away_all() -> None:
    clear_away(list(_footprints))


def _let_go_in_child() -> None:
    """Turn a forked child's copies of the pipes into ends of ``/dev/null``.

    Otherwise a server would not see its stdin end as long as the child lives. Closing them would free their numbers
    for other files, into which a copied transport could write.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for footprint in _footprints:
        footprint.process.returncode = 0  # the parent reaps it: no reason to warn
        for descriptor in footprint.descriptors:
            os.dup2(null, descriptor, inheritable=False)
    os.close(null)
    _footprints.clear()


atexit.register(_clear_away_all)
if hasattr(os, "register_at_fork"):  # not on Windows, where this module is imported but never used
    os.register_at_fork(after_in_child=_let_go_in_child)


class ServerProcess:
    """A running server. ``on_exit`` is called in the event loop, once, as soon as its process has ended.

    ``stdin``, ``stdout`` and ``stderr`` are this side's ends; none blocks.
    """

    def __init__(self, command: Command, name: str, on_exit: Callable[[], None]) -> None:
        """Start ``command`` for the server called ``name``. Raises as `launch` does."""
        self._loop = asyncio.get_running_loop()
        orphan_watch.prepare()
        try:
            launched = launch(command, name)
        except BaseException:
            orphan_watch.leave_idle()
            raise
        orphan_watch.watch(launched.process.pid)
        self.stdin = launched.stdin
        self.stdout = launched.stdout
        self.stderr = launched.stderr
        self.footprint = Footprint(launched.process, (self.stdin, self.stdout, self.stderr))
        self._on_exit = on_exit
        self._exit: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._pidfd = -1
        self._watch_for_exit()

    @property
    def returncode(self) -> int | None:
        """The exit status (negative: the signal that ended it); None while it runs."""
        return self.footprint.process.returncode

    def check(self) -> bool:
        """Tell whether the process has ended; if that is news, ``on_exit`` is called."""
        if not self._exit.done() and self.footprint.exited():
            self._stop_watching()
            self._exit.set_result(None)
            self._on_exit()
        return self._exit.done()

    async def end(self, patience: float) -> None:
        """End it and all that it started. Nothing may write to its stdin any more.

        Its stdin is closed; it has ``patience`` seconds to end on its own and as many again after SIGTERM; SIGKILL
        follows. The same goes for what outlives it. Bounded by twice ``patience`` and two seconds.
        """
        group = self.footprint.group
        since = time.monotonic()
        await asyncio.sleep(0)  # so that servers which are closed together share one look
        group.find_strays(since)
        # Not before: a server that ends at once would take with it the only trace of its strays.
        self.footprint.close(self.stdin)
        if patience > 0:
            await asyncio.wait((self._exit,), timeout=patience)
        for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, _KILL_PATIENCE)):
            if self._gone():
                break
            group.find_strays(time.monotonic())
            group.signal(number)
            await self._wait_until_gone(limit)

    def end_now(self) -> None:
        """End it and all that it started in place; blocks for some milliseconds. It is finished then."""
        self._stop_watching()
        clear_away((self.footprint,), patience=0)

    def finish(self) -> None:
        """Close all descriptors, after nothing reads or writes them any more. Call it once it has ended."""
        self._stop_watching()
        self.footprint.finish()

    def _gone(self) -> bool:
        return self._exit.done() and self.footprint.group.gone()

    async def _wait_until_gone(self, limit: float) -> None:
        deadline = self._loop.time() + limit
        pause = 0.001
        while not self._gone() and (left := deadline - self._loop.time()) > 0:
            pause = min(pause * 2, 0.05, left)
            if self._exit.done():
                await asyncio.sleep(pause)
            else:
                await asyncio.wait((self._exit,), timeout=left)

    def _watch_for_exit(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self._pidfd = os.pidfd_open(self.footprint.process.pid)
        if self._pidfd >= 0:
            self.footprint.descriptors.add(self._pidfd)
            self._loop.add_reader(self._pidfd, self.check)
        else:
            self._poll_later()

    def _poll_later(self) -> None:
        self._timer = self._loop.call_later(_POLL_INTERVAL, self._poll)

    def _poll(self) -> None:
        if not self.check():
            self._poll_later()

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pidfd in self.footprint.descriptors:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._pidfd)
            self.footprint.close(self._pidfd)


def exit_words(returncode: int) -> str:
    """Give an exit status in words: "exited with status 3", "was ended by SIGKILL"."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"
