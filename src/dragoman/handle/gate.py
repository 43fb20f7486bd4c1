"""Who may start now: servers come up in order of need, no more at once than the processors can bear.

`Line` decides and knows neither loop nor clock; `Gate` is the loop's side of it: the waiting, and a ticker that looks
at the processors while someone waits. Neither knows what a server is; `handle` takes a ticket for each attempt.
"""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["Gate", "Idleness", "Line", "Ticket"]

_TICK: Final = 0.025
"""Seconds between two looks at the processors. Their counters go in steps of 10 ms."""

_BUSY_TICKS: Final = 4
"""Busy looks in a row after which the growth begins anew. Fewer are the noise that each start makes."""

_BLIND_TICKS: Final = 4
"""Looks per server that is let in where the system doesn't tell how idle it is."""

_PATIENCE: Final = 3.0
"""Seconds for which a start counts: after that it waits for something else than a processor."""


class Idleness(Protocol):
    """What the gate asks of the processors; `Processors` answers it."""

    @property
    def count(self) -> int:
        """How many there are, at least 1."""
        ...

    def idle(self) -> float | None:
        """Give how many were idle since the last look, on average; None where nobody knows."""
        ...


class Ticket:
    """One start's place in the line.

    ``priority``: more comes first. ``called``: somebody waits for this very server. ``waiting`` and ``inside`` tell
    where it is; ``since`` is when it was let in.
    """

    __slots__ = ("called", "inside", "number", "priority", "since", "turn", "waiting")

    def __init__(self, priority: int, number: int) -> None:
        self.priority = priority
        self.number = number
        self.called = False
        self.waiting = False
        self.inside = False
        self.since = 0.0
        self.turn: asyncio.Future[None] | None = None

    def rank(self) -> tuple[bool, int, int]:
        """Give its place in the line, the least first: called, then by priority, then by arrival."""
        return not self.called, -self.priority, self.number


class Line:
    """The starts that wait and those that run; it says who is let in.

    ``processors`` starts may run at once. While processors stay idle, more are let in at each look, each time twice
    as many; while they are busy, none beyond. Called starts go first, and as many of them as there are processors
    are let in whatever else runs; while one of them runs on busy processors, nothing uncalled is let in.
    """

    __slots__ = ("_blind", "_bound", "_busy", "_busy_looks", "_idle", "_inside", "_processors", "_step", "_waiting")

    def __init__(self, processors: int) -> None:
        self._processors = processors
        self._waiting: list[Ticket] = []
        self._inside: set[Ticket] = set()
        self.forget()

    @property
    def waiting(self) -> tuple[Ticket, ...]:
        """Those who wait, the next one first."""
        return tuple(self._waiting)

    @property
    def inside(self) -> int:
        """How many were let in and have not left."""
        return len(self._inside)

    def forget(self) -> None:
        """Forget what was seen of the processors: they count as busy until they are looked at again."""
        self._bound = self._processors
        self._step = self._processors
        self._busy = True
        self._busy_looks = 0
        self._blind = 0
        self._idle = 0.0

    def join(self, ticket: Ticket) -> None:
        """Let the ticket wait."""
        ticket.waiting = True
        insort(self._waiting, ticket, key=Ticket.rank)

    def leave(self, ticket: Ticket) -> None:
        """Take the ticket out, wherever it is."""
        if ticket.waiting:
            ticket.waiting = False
            self._waiting.remove(ticket)
        if ticket.inside:
            ticket.inside = False
            self._inside.remove(ticket)

    def hurry(self, ticket: Ticket) -> None:
        """Put the ticket among the called ones."""
        if ticket.called:
            return
        if ticket.waiting:
            self._waiting.remove(ticket)
        ticket.called = True
        if ticket.waiting:
            insort(self._waiting, ticket, key=Ticket.rank)

    def look(self, idle: float | None, now: float) -> None:
        """Learn how many processors were idle since the last look; None: nobody knows."""
        if idle is None:
            self._look_blind(now)
            return
        # One look is as coarse as the kernel's counters: what is too much in one is missing in the next.
        enough = max(0.5, self._processors / 8)
        self._busy = (idle + self._idle) / 2 < enough or idle < enough / 2
        self._idle = idle
        if not self._busy:
            self._busy_looks = 0
            self._bound = self._running(now)[0] + self._step
            self._step *= 2
            return
        self._bound = self._processors
        self._busy_looks += 1
        if self._busy_looks >= _BUSY_TICKS:
            self._step = self._processors

    def _look_blind(self, now: float) -> None:
        self._blind += 1
        self._busy = self._blind % _BLIND_TICKS != 0
        self._bound = self._processors if self._busy else max(self._processors, self._running(now)[0] + 1)

    def admit(self, now: float) -> list[Ticket]:
        """Let in whoever may start now, and give them in order."""
        running, called = self._running(now)
        admitted: list[Ticket] = []
        while self._waiting and self._may(self._waiting[0], running, called):
            ticket = self._waiting.pop(0)
            ticket.waiting = False
            ticket.inside = True
            ticket.since = now
            self._inside.add(ticket)
            admitted.append(ticket)
            running += 1
            called += ticket.called
        return admitted

    def _may(self, ticket: Ticket, running: int, called: int) -> bool:
        if ticket.called:
            return called < self._processors or running < self._bound
        return running < self._bound and not (called and self._busy)

    def _running(self, now: float) -> tuple[int, int]:
        """Give how many of those inside count, and how many of these are called."""
        counted = [ticket for ticket in self._inside if now - ticket.since < _PATIENCE]
        return len(counted), sum(ticket.called for ticket in counted)


class Gate:
    """The way in for every start of a hub. Everything here belongs to the loop's thread.

    A handle takes a ticket for an attempt, enters with it, and leaves when the attempt has ended in whatever way.
    ``clock`` gives seconds that never go back.
    """

    __slots__ = ("_clock", "_line", "_number", "_processors", "_ticker")

    def __init__(self, processors: Idleness, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._processors = processors
        self._clock = clock
        self._line = Line(processors.count)
        self._number = 0
        self._ticker: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many starts wait."""
        return len(self._line.waiting)

    @property
    def running(self) -> int:
        """How many starts were let in and have not left."""
        return self._line.inside

    @property
    def watching(self) -> bool:
        """Whether the processors are being looked at: while someone waits."""
        return self._ticker is not None

    def ticket(self, priority: int = 0) -> Ticket:
        """Give a ticket for one start; of those that wait, more ``priority`` goes first."""
        self._number += 1
        return Ticket(priority, self._number)

    async def enter(self, ticket: Ticket) -> None:
        """Wait until the ticket is let in. Whoever is cancelled here has left."""
        if ticket.waiting or ticket.inside:
            raise RuntimeError("this ticket is in use")
        turn = ticket.turn = asyncio.get_running_loop().create_future()
        self._line.join(ticket)
        self._admit()
        if turn.done():
            return
        try:
            await turn
        except asyncio.CancelledError:
            self.leave(ticket)
            raise

    def leave(self, ticket: Ticket) -> None:
        """Give the place free, or up; a second time does nothing."""
        self._line.leave(ticket)
        ticket.turn = None
        self._admit()

    def hurry(self, ticket: Ticket) -> None:
        """Say that somebody waits for this start: it goes ahead of those that nobody waits for."""
        self._line.hurry(ticket)
        self._admit()

    def _admit(self) -> None:
        for ticket in self._line.admit(self._clock()):
            if ticket.turn is not None and not ticket.turn.done():
                ticket.turn.set_result(None)
        if not self._line.waiting:
            self._rest()
        elif self._ticker is None:
            self._processors.idle()  # the next look tells of the time from here on
            self._ticker = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        self._line.look(self._processors.idle(), self._clock())
        self._ticker = asyncio.get_running_loop().call_later(_TICK, self._tick)
        self._admit()

    def _rest(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        self._line.forget()
