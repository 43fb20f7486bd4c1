"""The book-keeping of one conversation: each answer to its own waiter, each deadline at its own time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from dragoman.protocol.session import NEVER, Exchange, Session

EARLY = 0.025
"""Seconds by which a request may be given up before its time, to be handled together with another."""


def begun(
    session: Session[str], waiter: str = "w", *, now: float = 0, timeout: float = 10, hard: float = 60
) -> Exchange[str]:
    """A request under way."""
    return session.begin("tools/call", waiter, now, timeout, hard)


# Answers and their waiters.


def test_every_request_has_an_id_of_its_own() -> None:
    """Ids are never used again, whatever became of the requests before."""
    session: Session[str] = Session()
    first = begun(session)
    session.match(first.id)
    session.drain()
    ids = [first.id, *(begun(session).id for _ in range(100))]
    assert len(set(ids)) == 101


@given(st.permutations(range(8)), st.lists(st.booleans(), min_size=8, max_size=8))
def test_an_answer_goes_to_its_own_waiter(order: list[int], texts: list[bool]) -> None:
    """In whatever order answers come, as numbers or as texts."""
    session: Session[str] = Session()
    ids = [begun(session, f"w{number}").id for number in range(8)]
    for number in order:
        exchange = session.match(str(ids[number]) if texts[number] else ids[number])
        assert exchange is not None
        assert (exchange.id, exchange.waiter, exchange.method) == (ids[number], f"w{number}", "tools/call")
    assert session.pending == {}


def test_an_answer_counts_once() -> None:
    """A duplicate is an answer to nobody."""
    session: Session[str] = Session()
    number = begun(session).id
    assert session.match(number) is not None
    assert session.match(number) is None
    assert session.match(str(number)) is None


STRANGERS = [0, -1, 99, 10**30, "", "x", "1x", " 1", "-1", "1.0", "\u00b2", "9" * 25, "9" * 5000]


@pytest.mark.parametrize("number", STRANGERS, ids=lambda number: f"{number!r:.9} of {len(str(number))}")
def test_an_answer_to_nobody_disturbs_nobody(number: int | str) -> None:
    """Ids that were never given, and texts that are none."""
    session: Session[str] = Session()
    waiting = [begun(session), begun(session)]
    assert session.match(number) is None
    assert session.find(number) is None
    assert list(session.pending.values()) == waiting


@given(st.integers() | st.text() | st.none() | st.floats() | st.booleans() | st.lists(st.integers()))
def test_any_token_is_looked_up_without_harm(token: object) -> None:
    """Progress may name anything; only our own numbers, or their texts, are ours."""
    session: Session[str] = Session()
    exchange = begun(session)
    found = session.find(token)
    is_number = type(token) is int and token == exchange.id
    is_its_text = isinstance(token, str) and token.isdecimal() and len(token) < 20 and int(token) == exchange.id
    assert (found is exchange) == (is_number or is_its_text)
    assert session.pending == {exchange.id: exchange}


def test_the_only_request_can_be_asked_for() -> None:
    """An error without an id can only be its; with two under way, nobody can tell whose it is."""
    session: Session[str] = Session()
    assert session.only() is None
    one = begun(session)
    assert session.only() is one
    begun(session)
    begun(session)
    assert session.only() is None
    assert len(session.pending) == 2


def test_looking_for_a_request_leaves_it_under_way() -> None:
    """Progress is not an answer."""
    session: Session[str] = Session()
    exchange = begun(session)
    assert session.find(exchange.id) is exchange
    assert session.find(str(exchange.id)) is exchange
    assert session.match(exchange.id) is exchange


def test_the_end_gives_all_waiters_once() -> None:
    """Everyone who waits is told, and nobody twice."""
    session: Session[str] = Session()
    waiting = [begun(session, "a"), begun(session, "b")]
    assert list(session.drain()) == waiting
    assert list(session.drain()) == []
    assert session.next_deadline() == NEVER


# Time.


def test_a_request_is_given_up_at_its_deadline() -> None:
    """Not before, but for what is handled together with another; and once."""
    session: Session[str] = Session()
    exchange = begun(session, now=100, timeout=10)
    assert session.next_deadline() == 110
    assert session.expired(109.9) == []
    assert session.expired(110 - EARLY) == [exchange]
    assert session.expired(200) == []
    assert session.match(exchange.id) is None


def test_requests_that_are_due_together_are_given_up_together() -> None:
    """One alarm serves them all; who has time left stays."""
    session: Session[str] = Session()
    soon, sooner, later = begun(session, timeout=10.02), begun(session, timeout=10), begun(session, timeout=10.2)
    assert session.expired(10) == [soon, sooner]
    assert session.next_deadline() == later.deadline


def test_progress_extends_the_wait_up_to_the_hard_maximum() -> None:
    """A server that reports for ever does not make anyone wait for ever."""
    session: Session[str] = Session()
    exchange = begun(session, timeout=10, hard=25)
    for now, deadline in ((5, 15), (14, 24), (20, 25), (24.5, 25)):
        session.touch(exchange, now)
        assert session.next_deadline() == deadline
    assert session.expired(25) == [exchange]


def test_a_time_out_above_the_hard_maximum_is_its_own_maximum() -> None:
    """Who asks for more time for one call gets it; progress adds nothing."""
    session: Session[str] = Session()
    exchange = begun(session, timeout=100, hard=60)
    assert exchange.deadline == 100
    session.touch(exchange, 50)
    assert exchange.deadline == 100


def test_without_a_time_out_nothing_is_due() -> None:
    """A stream of changes may stay silent."""
    session: Session[str] = Session()
    exchange = begun(session, timeout=NEVER, hard=NEVER)
    session.touch(exchange, 5)
    assert session.next_deadline() == NEVER
    assert session.expired(10**9) == []


def test_an_endless_time_out_still_has_no_smaller_maximum() -> None:
    """Whoever turned the time-out off meant it."""
    session: Session[str] = Session()
    begun(session, timeout=NEVER, hard=60)
    assert session.next_deadline() == NEVER


def test_while_a_person_is_asked_the_time_of_a_request_does_not_run() -> None:
    """Its deadline and its hard maximum move by the length of the pause; those of the others do not."""
    session: Session[str] = Session()
    asking, other = begun(session, timeout=10, hard=200), begun(session, timeout=10, hard=200)
    session.pause([asking], 4)
    assert session.next_deadline() == other.deadline == 10
    assert session.expired(100) == [other]
    session.resume([asking], 104)
    assert (asking.deadline, asking.hard_deadline) == (110, 300)
    assert session.expired(109) == []
    assert session.expired(110) == [asking]


def test_people_can_be_asked_for_as_long_as_the_hard_maximum_in_all() -> None:
    """A server that asks again and again, or waits for someone who has gone home, is given up too."""
    session: Session[str] = Session()
    exchange = begun(session, timeout=10, hard=60)
    session.pause([exchange], 0)
    session.resume([exchange], 40)
    session.pause([exchange], 45)
    assert session.next_deadline() == 40 + 10 + 20
    assert session.expired(69) == []
    session.resume([exchange], 1000)
    assert exchange.deadline == 70
    assert session.expired(1000) == [exchange]


def test_progress_while_a_person_is_asked_gives_the_whole_time_after_it() -> None:
    """No more and no less."""
    session: Session[str] = Session()
    exchange = begun(session, timeout=10, hard=60)
    session.pause([exchange], 8)
    session.touch(exchange, 15)
    session.resume([exchange], 20)
    assert exchange.deadline == 30


def test_progress_after_the_pauses_are_used_up_still_counts() -> None:
    """The server works on, whatever became of its question."""
    session: Session[str] = Session()
    exchange = begun(session, timeout=40, hard=50)
    session.pause([exchange], 0)
    session.touch(exchange, 70)
    assert session.next_deadline() == 100
    session.resume([exchange], 90)
    assert exchange.deadline == 100


def test_pauses_nest() -> None:
    """Two questions at once are one pause, from the first question to the last answer."""
    session: Session[str] = Session()
    exchange = begun(session, timeout=10)
    session.pause([exchange], 1)
    session.pause([exchange], 2)
    session.resume([exchange], 5)
    assert session.expired(15) == []
    session.resume([exchange], 8)
    assert exchange.deadline == 17


def test_a_request_that_was_answered_meanwhile_is_resumed_without_harm() -> None:
    """A server need not wait for the answer to its question."""
    session: Session[str] = Session()
    exchange = begun(session)
    session.pause([exchange], 1)
    session.match(exchange.id)
    session.resume([exchange], 2)
    assert session.pending == {}


def test_a_resume_without_a_pause_is_a_mistake() -> None:
    """It would move deadlines without anyone noticing."""
    session: Session[str] = Session()
    exchange = begun(session)
    session.pause([exchange], 1)
    session.resume([exchange], 2)
    with pytest.raises(RuntimeError):
        session.resume([exchange], 3)


@dataclass
class Expected:
    """What the model knows of one request: times are those that ran for it."""

    due: float
    hard: float
    allowance: float
    ran: float = 0.0
    pauses: int = 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        stood = min(seconds, self.allowance) if self.pauses else 0.0
        self.allowance -= stood
        self.ran += seconds - stood

    @property
    def left(self) -> float:
        """Seconds until it is given up if nothing more happens."""
        return self.due - self.ran + (self.allowance if self.pauses else 0.0)


class Clocked(RuleBasedStateMachine):
    """A session beside a model that counts, for each request, only the time that runs.

    Times are multiples of an eighth of a second, so that sums are exact.
    """

    exchanges: Bundle[Exchange[str]] = Bundle("exchanges")
    questions: Bundle[list[Exchange[str]]] = Bundle("questions")
    durations = st.integers(0, 80).map(lambda eighths: eighths / 8)

    def __init__(self) -> None:
        super().__init__()
        self.session: Session[str] = Session()
        self.now = 1000.0
        self.ids: list[int] = []
        self.all: dict[int, Expected] = {}
        self.waiting: dict[int, Expected] = {}

    @rule(target=exchanges, timeout=durations.filter(bool), hard=durations)
    def begin(self, timeout: float, hard: float) -> Exchange[str]:
        """Make a request."""
        exchange = self.session.begin("m", f"w{len(self.ids)}", self.now, timeout, hard)
        expected = Expected(timeout, max(timeout, hard), hard)
        self.all[exchange.id] = self.waiting[exchange.id] = expected
        self.ids.append(exchange.id)
        return exchange

    @rule(exchange=consumes(exchanges), text=st.booleans())
    def answer(self, exchange: Exchange[str], *, text: bool) -> None:
        """Let an answer come, perhaps too late."""
        found = self.session.match(str(exchange.id) if text else exchange.id)
        assert (found is exchange) == (exchange.id in self.waiting)
        self.waiting.pop(exchange.id, None)

    @rule(exchange=exchanges)
    def progress(self, exchange: Exchange[str]) -> None:
        """Let progress come, perhaps too late."""
        assert (self.session.find(exchange.id) is exchange) == (exchange.id in self.waiting)
        if exchange.id in self.waiting:
            self.session.touch(exchange, self.now)
            expected = self.waiting[exchange.id]
            expected.due = min(expected.ran + exchange.timeout, expected.hard)

    @rule(seconds=durations)
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        for expected in self.all.values():
            expected.wait(seconds)

    @rule(target=questions, asking=st.lists(exchanges, max_size=3, unique_by=id))
    def ask(self, asking: list[Exchange[str]]) -> list[Exchange[str]]:
        """Ask a person on behalf of some requests."""
        self.session.pause(asking, self.now)
        for exchange in asking:
            self.all[exchange.id].pauses += 1
        return asking

    @rule(asking=consumes(questions))
    def hear(self, asking: list[Exchange[str]]) -> None:
        """Have the person's answer."""
        self.session.resume(asking, self.now)
        for exchange in asking:
            self.all[exchange.id].pauses -= 1

    @rule()
    def expire(self) -> None:
        """Look whose time is up."""
        late = {exchange.id for exchange in self.session.expired(self.now)}
        assert late == {number for number, expected in self.waiting.items() if expected.left <= 0}
        for number in late:
            del self.waiting[number]

    @rule()
    def drain(self) -> None:
        """End the conversation."""
        assert [exchange.id for exchange in self.session.drain()] == list(self.waiting)
        self.waiting.clear()

    @invariant()
    def ids_are_unique(self) -> None:
        """No id was given twice."""
        assert len(set(self.ids)) == len(self.ids)

    @invariant()
    def the_next_deadline_is_the_earliest(self) -> None:
        """The alarm is set for it."""
        left = min((expected.left for expected in self.waiting.values()), default=NEVER)
        assert self.session.next_deadline() == self.now + left

    @invariant()
    def nobody_waits_beyond_the_hard_maximum(self) -> None:
        """Whatever progress came; people can double it, and no more."""
        for number, exchange in self.session.pending.items():
            assert exchange.deadline <= exchange.hard_deadline
            assert self.waiting[number].due <= self.waiting[number].hard


TestClocked = Clocked.TestCase
TestClocked.settings = settings(max_examples=80, stateful_step_count=40)
