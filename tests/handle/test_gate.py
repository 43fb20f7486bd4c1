"""The gate: in order of need, no more at once than busy processors bear, all soon on idle ones, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import example, given
from hypothesis import strategies as st

from dragoman.handle.gate import Gate, Line, Ticket

TICK = 0.025
STALE = 3.0

steps = st.lists(
    st.sampled_from(
        ["join", "join first", "join called", "leave", "give up", "hurry", "busy", "idle", "blind", "wait"]
    ),
    max_size=60,
)


class HandDriven:
    """Processors whose idleness the test sets; it answers what `Idleness` asks."""

    def __init__(self, count: int, idle: float | None) -> None:
        self.count = count
        self.now = idle
        self.looks = 0

    def idle(self) -> float | None:
        """Give what was set."""
        self.looks += 1
        return self.now


class Clock:
    """A clock that goes when it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Play:
    """A line that is driven by hand, and what it let in."""

    def __init__(self, processors: int, waiting: int = 0) -> None:
        self.processors = processors
        self.line = Line(processors)
        self.now = 0.0
        self.number = 0
        self.entered = 0
        self.inside: list[Ticket] = []
        self.tickets = [self.join() for _ in range(waiting)]

    def join(self, *, priority: int = 0, called: bool = False) -> Ticket:
        """Let one more wait, without letting anyone in yet."""
        self.number += 1
        ticket = Ticket(priority, self.number)
        ticket.called = called
        self.line.join(ticket)
        return ticket

    def admit(self) -> list[Ticket]:
        """Let in whoever may."""
        admitted = self.line.admit(self.now)
        self.inside += admitted
        self.entered += len(admitted)
        return admitted

    def look(self, idle: float | None) -> list[Ticket]:
        """Let a tick go by and look at the processors."""
        self.now += TICK
        self.line.look(idle, self.now)
        return self.admit()

    def leave(self, ticket: Ticket) -> None:
        """Let one leave."""
        self.line.leave(ticket)
        self.inside = [each for each in self.inside if each is not ticket]


def test_as_many_start_as_there_are_processors() -> None:
    """Before anything is known of the processors, each gets one start."""
    play = Play(4, waiting=10)
    assert play.admit() == play.tickets[:4]
    assert play.admit() == []


def test_twenty_that_only_sleep_are_all_in_within_a_third_of_a_second() -> None:
    """Idle processors let in twice as many at each look."""
    play = Play(2, waiting=20)
    play.admit()
    while play.line.waiting and play.now < 1:
        play.look(2.0)
    assert not play.line.waiting
    assert play.now < 0.3


def test_noise_between_idle_looks_does_not_slow_the_growth() -> None:
    """The starts themselves make the processors busy for a moment; twenty are in soon all the same."""
    play = Play(2, waiting=20)
    play.admit()
    while play.line.waiting and play.now < 1:
        for idle in (1.0, 2.0, 0.1):
            play.look(idle)
    assert not play.line.waiting
    assert play.now < 0.31


def test_fifty_that_compute_come_two_by_two() -> None:
    """On busy processors one comes in for each that leaves, and never more than two are inside."""
    play = Play(2, waiting=50)
    play.admit()
    left = 0
    while play.inside:
        for _ in range(10):
            assert play.look(0.1) == []
        assert len(play.inside) <= 2
        play.leave(play.inside[0])
        left += 1
        play.admit()
    assert left == 50


def test_growth_begins_anew_after_a_busy_while() -> None:
    """What was learned of idle processors does not hold for ever."""
    play = Play(2, waiting=100)
    play.admit()
    for _ in range(3):
        play.look(2.0)
    for _ in range(6):
        assert play.look(0.0) == []
    assert len(play.look(2.0)) == 2


def test_places_of_idle_times_are_not_filled_again_in_busy_ones() -> None:
    """What leaves makes room only below the number of processors."""
    play = Play(2, waiting=20)
    play.admit()
    play.look(2.0)
    assert len(play.inside) == 4
    assert play.look(0.0) == []
    for ticket in play.inside[:2]:
        play.leave(ticket)
    assert play.admit() == []
    play.leave(play.inside[0])
    assert len(play.admit()) == 1


def test_one_idle_look_is_not_yet_idleness() -> None:
    """The counters are coarse: it takes two looks on average, and a busy one ends it at once."""
    play = Play(2, waiting=50)
    play.admit()
    for idle in (0.9, 0.0, 0.9, 0.0):
        assert play.look(idle) == []
    assert play.look(0.6) == []
    assert len(play.look(0.6)) == 2
    assert len(play.look(2.0)) == 4
    assert play.look(0.2) == []


def test_order_is_called_then_priority_then_arrival() -> None:
    """Who is needed most comes first."""
    play = Play(1)
    first, second, urgent, called = play.join(), play.join(), play.join(priority=5), play.join(called=True)
    order: list[Ticket] = []
    while play.line.waiting:
        (admitted,) = play.admit()
        order.append(admitted)
        play.leave(admitted)
    assert order == [called, urgent, first, second]


def test_a_called_start_is_let_in_at_once_beside_background_ones() -> None:
    """A caller does not wait for servers that nobody asked for."""
    play = Play(2, waiting=10)
    play.admit()
    play.look(0.0)
    wanted = play.tickets[9]
    play.line.hurry(wanted)
    assert play.admit() == [wanted]


def test_called_starts_are_bounded_on_busy_processors() -> None:
    """As many called ones as there are processors; the others wait for one to leave, or for idleness."""
    play = Play(2)
    called = [play.join(called=True) for _ in range(5)]
    assert play.admit() == called[:2]
    assert play.look(0.0) == []
    play.leave(called[0])
    assert play.admit() == [called[2]]
    play.look(2.0)
    play.look(2.0)
    assert not play.line.waiting


def test_nothing_uncalled_is_let_in_beside_a_called_start_on_busy_processors() -> None:
    """What the processors have is for the caller."""
    play = Play(2, waiting=3)
    wanted = play.join(called=True)
    assert play.admit() == [wanted]
    assert play.look(0.0) == []
    play.leave(wanted)
    assert play.admit() == play.tickets[:2]


def test_background_goes_on_beside_a_called_start_that_only_sleeps() -> None:
    """Idle processors are nobody's loss."""
    play = Play(2, waiting=3)
    play.join(called=True)
    play.admit()
    play.look(2.0)
    play.look(2.0)
    assert not play.line.waiting
    assert play.line.inside == 4


def test_hurry_counts_before_joining_and_inside_and_twice() -> None:
    """It may come at any time and as often as it likes."""
    play = Play(1, waiting=2)
    early = Ticket(0, 99)
    play.line.hurry(early)
    play.line.hurry(early)
    play.line.join(early)
    assert play.admit() == [early]
    play.leave(early)
    (running,) = play.admit()
    play.line.hurry(running)
    late = play.join(called=True)
    assert late not in play.look(0.0)  # the running one is a called one now


def test_starts_that_hang_do_not_hold_up_the_others() -> None:
    """On processors that others keep busy, a start counts for three seconds."""
    play = Play(2, waiting=6)
    play.admit()
    while play.now < STALE - 2 * TICK:
        assert play.look(0.0) == []
    for _ in range(3):
        play.look(0.0)
    assert len(play.inside) == 4


def test_unknown_idleness_lets_in_one_by_one() -> None:
    """Without knowledge the gate grows with time, slowly: ten more in a second."""
    play = Play(2, waiting=50)
    play.admit()
    sizes = [len(play.look(None)) for _ in range(40)]
    assert max(sizes) == 1
    assert sum(sizes) == 10


@given(processors=st.integers(1, 4), steps=steps)
def test_no_ticket_is_lost_and_no_bound_passed(processors: int, steps: list[str]) -> None:
    """Whatever happens in whatever order: order and bounds hold, and in the end each got in or gave up."""
    play = Play(processors)
    given_up = 0
    for step in steps:
        before = list(play.inside)
        given_up += act(play, step)
        check(play, before, busy=step == "busy")
    for _ in range(play.number + 1):
        for ticket in list(play.inside):
            play.leave(ticket)
        play.look(0.0)
    assert (play.line.waiting, play.line.inside) == ((), 0)
    assert play.number == given_up + play.entered


def act(play: Play, step: str) -> int:
    """Do one step; 1 if it made one give up."""
    waiting = play.line.waiting
    if step.startswith("join"):
        play.join(priority=3 if step.endswith("first") else 0, called=step.endswith("called"))
    elif step == "leave" and play.inside:
        play.leave(play.inside[0])
    elif step == "give up" and waiting:
        play.leave(waiting[-1])
        return 1
    elif step == "hurry" and waiting:
        play.line.hurry(waiting[-1])
    elif step == "wait":
        play.now += 2
    elif step in {"busy", "idle", "blind"}:
        play.now += TICK
        play.line.look({"busy": 0.0, "idle": float(play.processors), "blind": None}[step], play.now)
    return 0


def check(play: Play, before: list[Ticket], *, busy: bool) -> None:
    """Admit, and hold what was let in against the rules."""
    admitted = play.admit()
    counted = [ticket for ticket in play.inside if play.now - ticket.since < STALE]
    assert len({id(ticket) for ticket in play.inside}) == len(play.inside)
    assert play.line.inside == len(play.inside)
    ranks = [ticket.rank() for ticket in admitted]
    assert ranks == sorted(ranks)
    assert all(ticket.rank() >= max(ranks, default=ticket.rank()) for ticket in play.line.waiting)
    if play.line.waiting:  # somebody is always on the way who will let the next one in, or grow too old to count
        assert counted
    if busy and admitted:
        called = [ticket for ticket in counted if ticket.called]
        plain = [ticket for ticket in admitted if not ticket.called]
        assert len(counted) <= play.processors or not plain
        assert not (plain and called)
        assert sum(ticket.called for ticket in admitted) <= play.processors or not before


async def entered(gate: Gate, ticket: Ticket, log: list[int]) -> None:
    """Enter and say so."""
    await gate.enter(ticket)
    log.append(ticket.number)


async def test_the_ticker_lives_only_while_someone_waits() -> None:
    """A gate that nobody waits at looks at nothing."""
    processors = HandDriven(2, 0.0)
    gate = Gate(processors)
    tickets = [gate.ticket() for _ in range(3)]
    for ticket in tickets[:2]:
        await gate.enter(ticket)
    assert processors.looks == 0
    third = asyncio.create_task(gate.enter(tickets[2]))
    while processors.looks < 3:
        await asyncio.sleep(0.001)
    assert not third.done()
    gate.leave(tickets[0])
    await third
    assert not gate.watching
    assert gate.running == 2
    looks = processors.looks
    await asyncio.sleep(3 * TICK)  # nothing is to happen
    assert processors.looks == looks


async def test_idle_processors_let_everybody_in_by_themselves() -> None:
    """The ticker looks and lets in without anyone leaving."""
    gate = Gate(HandDriven(2, 2.0))
    async with asyncio.timeout(5):
        await asyncio.gather(*(gate.enter(gate.ticket()) for _ in range(20)))
    assert (gate.running, gate.waiting) == (20, 0)


async def test_a_start_that_hangs_stops_counting_by_the_clock() -> None:
    """The gate tells the line the time of the clock it was given."""
    clock = Clock()
    gate = Gate(HandDriven(1, 0.0), clock=clock)
    await gate.enter(gate.ticket())
    second = asyncio.create_task(gate.enter(gate.ticket()))
    await asyncio.sleep(0)
    assert not second.done()
    clock.now += STALE
    async with asyncio.timeout(5):
        await second


async def test_leaving_twice_or_without_having_entered_does_nothing() -> None:
    """A handle may leave in a `finally`."""
    gate = Gate(HandDriven(1, 0.0))
    ticket = gate.ticket()
    gate.leave(ticket)
    await gate.enter(ticket)
    gate.leave(ticket)
    gate.leave(ticket)
    assert (gate.running, gate.waiting) == (0, 0)
    await gate.enter(ticket)
    assert gate.running == 1


async def test_a_call_lets_a_waiting_start_in() -> None:
    """`hurry` wakes the one that waits."""
    gate = Gate(HandDriven(1, 0.0))
    await gate.enter(gate.ticket())
    log: list[int] = []
    tickets = [gate.ticket() for _ in range(3)]
    tasks = [asyncio.create_task(entered(gate, ticket, log)) for ticket in tickets]
    await asyncio.sleep(0)
    gate.hurry(tickets[2])
    await tasks[2]
    assert log == [tickets[2].number]
    for task in tasks[:2]:
        task.cancel()
    await asyncio.wait(tasks)
    assert gate.waiting == 0


moves = st.lists(st.sampled_from(["enter", "leave", "cancel", "leave and cancel", "hurry", "settle"]), max_size=40)


@given(count=st.integers(1, 3), moves=moves)
@example(count=1, moves=["enter", "enter", "settle", "leave and cancel"])
def test_cancelled_waits_lose_no_turn(count: int, moves: list[str]) -> None:
    """Also when the turn comes in the same round of the loop as the cancellation."""
    asyncio.run(play_gate(count, moves))


async def play_gate(count: int, moves: list[str]) -> None:
    """Do the moves; afterwards the gate is as it was in the beginning."""
    gate = Gate(HandDriven(count, 0.0), clock=lambda: 0.0)
    pairs: list[tuple[Ticket, asyncio.Task[None]]] = []
    for move in moves:
        if move == "enter":
            ticket = gate.ticket()
            pairs.append((ticket, asyncio.create_task(gate.enter(ticket))))
        if "leave" in move:
            for ticket, _ in [pair for pair in pairs if pair[0].inside and pair[1].done()][:1]:
                gate.leave(ticket)
        if "cancel" in move:
            for _, task in [pair for pair in pairs if not pair[1].done()][:1]:
                task.cancel()
        if move == "hurry" and pairs:
            gate.hurry(pairs[-1][0])
        if move == "settle":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    await drain(gate, pairs)
    assert (gate.running, gate.waiting, gate.watching) == (0, 0, False)


async def drain(gate: Gate, pairs: list[tuple[Ticket, asyncio.Task[None]]]) -> None:
    """Let everybody leave who gets in, until nobody waits."""
    for _ in range(10 * len(pairs) + 10):
        await asyncio.sleep(0)
        for ticket, task in pairs:
            if task.done():
                gate.leave(ticket)
    for _, task in pairs:
        assert task.done(), "a ticket was lost"
        with contextlib.suppress(asyncio.CancelledError):
            await task
