"""Retries: what may be asked again, how long is waited, and that the last error comes out as it is."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman import errors
from dragoman.config.supervision import Retry
from dragoman.errors import DragomanError
from dragoman.hub.retries import Verdict, is_safe, read_only, repeat, verdict
from dragoman.protocol.types import ToolAnnotations

QUICK = Retry(attempts=4, first_delay=0.001, longest_delay=0.002)
ALWAYS = {"ConnectionLost", "SessionExpired"}
IF_SAFE = {"OutcomeUnknown", "MalformedMessage", "Unavailable"}
ELSEWHERE = {
    "AccessDenied",
    "CannotConnect",
    "HandshakeFailed",
    "LoginRequired",
    "ServerExited",
    "ServerNotReady",
    "VersionMismatch",
}


def status(code: int, retry_after: float | None = None) -> DragomanError:
    """Give the error of an HTTP status."""
    return errors.HTTP_ERRORS.get(code, errors.HttpError)("refused", status=code, retry_after=retry_after)


def every_error(kind: type[DragomanError] = DragomanError) -> Iterator[DragomanError]:
    """Give one error of each class, without a wish of the server's."""
    needed: dict[str, Any] = {
        "status": "failed" if issubclass(kind, errors.TaskFailed) else 502,
        "rpc_code": -32000,
        "limit": 1,
        "rounds": 1,
        "result_type": "odd",
        "task_id": "1",
    }
    fields = inspect.signature(kind).parameters.values()
    yield kind(
        "went wrong",
        **{each.name: needed[each.name] for each in fields if each.default is each.empty and each.name in needed},
    )
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from every_error(below)


def by_class(*, safe: bool, elsewhere: bool = False) -> set[str]:
    """Give the names of the errors after which a request is made again."""
    return {type(error).__name__ for error in every_error() if verdict(error, safe=safe, elsewhere=elsewhere).again}


def test_every_error_has_its_verdict() -> None:
    """What was not sent is sent again; what may have been done, only if twice is as good as once."""
    assert by_class(safe=False) == ALWAYS | {"RateLimited"}
    assert by_class(safe=True) == ALWAYS | {"RateLimited"} | IF_SAFE


def test_another_server_is_asked_when_this_one_did_nothing() -> None:
    """Failover needs no server that recovers."""
    assert by_class(safe=False, elsewhere=True) == ALWAYS | {"RateLimited"} | ELSEWHERE
    assert by_class(safe=True, elsewhere=True) == ALWAYS | {"RateLimited"} | ELSEWHERE | IF_SAFE


@pytest.mark.parametrize(
    ("error", "safe", "expected"),
    [
        (status(429), False, Verdict(True)),
        (status(429, 7), False, Verdict(True, 7)),
        (status(503), False, Verdict(False)),
        (status(503), True, Verdict(True)),
        (status(503, 3), False, Verdict(True, 3)),
        (status(502, 3), False, Verdict(False)),
        (status(502, 3), True, Verdict(True, 3)),
        (status(504), True, Verdict(True)),
        (status(504), False, Verdict(False)),
        (status(500), True, Verdict(False)),
        (status(404), True, Verdict(False)),
        (errors.ServerNotReady("away", retry_in=5), True, Verdict(False)),
    ],
)
def test_statuses_have_their_verdicts(error: DragomanError, safe: bool, expected: Verdict) -> None:  # noqa: FBT001 - a column of the table
    """A server that says when it takes requests again has not taken this one."""
    assert verdict(error, safe=safe) == expected


def test_another_server_is_asked_at_once() -> None:
    """What one server asks to wait says nothing of another."""
    assert verdict(status(429, 60), safe=False, elsewhere=True) == Verdict(True, 0.0)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("resources/read", True),
        ("prompts/get", True),
        ("completion/complete", True),
        ("tools/list", True),
        ("resources/list", True),
        ("resources/templates/list", True),
        ("prompts/list", True),
        ("tools/call", False),
        ("resources/subscribe", False),
        ("something/else", False),
    ],
)
def test_reads_are_safe_by_their_method(method: str, *, expected: bool) -> None:
    """Whatever annotations say; what nobody knows is not."""
    assert is_safe(method, None, Retry()) is expected


@given(
    read=st.sampled_from([None, False, True]),
    idempotent=st.sampled_from([None, False, True]),
    destructive=st.sampled_from([None, False, True]),
    trusted=st.booleans(),
    named=st.booleans(),
)
def test_a_tool_is_safe_by_trusted_hints_or_by_name(
    *, read: bool | None, idempotent: bool | None, destructive: bool | None, trusted: bool, named: bool
) -> None:
    """Hints count only where the operator trusts them; to be destructive is no matter of doing it twice."""
    hints = ToolAnnotations(read_only_hint=read, idempotent_hint=idempotent, destructive_hint=destructive)
    retry = Retry(trust_hints=trusted, tools=("get_*",) if named else ("other",))
    safe = is_safe("tools/call", hints, retry, "get_file")
    assert safe is (named or (trusted and (read is True or idempotent is True)))
    hedged = read_only(hints, retry, "get_file")
    assert hedged is (named or (trusted and read is True))
    assert safe or not hedged


def test_no_hint_is_no_promise() -> None:
    """A tool without annotations may do anything."""
    retry = Retry(trust_hints=True)
    assert not is_safe("tools/call", None, retry, "get")
    assert not read_only(None, retry, "get")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("get_*", "get_x", True),
        ("get_*", "GET_X", False),
        ("*", "a/b.c", True),
        ("get", "get_x", False),
        ("?", "a", True),
    ],
)
def test_patterns_match_whole_names(pattern: str, name: str, *, expected: bool) -> None:
    """Case counts: tools do not share names by accident."""
    assert is_safe("tools/call", None, Retry(tools=(pattern,)), name) is expected


class Attempts:
    """A request whose attempts end as they are told, and what was heard of the retries."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)
        self.numbers: list[int] = []
        self.told: list[tuple[int, float, DragomanError]] = []

    async def __call__(self, number: int) -> object:
        self.numbers.append(number)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def tell(self, number: int, wait: float, error: DragomanError) -> None:
        """Keep what is told."""
        self.told.append((number, wait, error))

    async def run(
        self,
        first: DragomanError,
        *,
        retry: Retry = QUICK,
        safe: bool = False,
        within: float = 60,
        elsewhere: bool = False,
    ) -> object:
        """Repeat after the first failure."""
        deadline = asyncio.get_running_loop().time() + within
        return await repeat(
            self, first, retry=retry, safe=safe, deadline=deadline, on_retry=self.tell, elsewhere=elsewhere
        )


async def test_the_second_attempt_may_succeed() -> None:
    """And says so before it is made."""
    lost = errors.ConnectionLost("broke")
    attempts = Attempts("done")
    assert await attempts.run(lost) == "done"
    assert attempts.numbers == [2]
    ((number, wait, error),) = attempts.told
    assert (number, error) == (2, lost)
    assert 0 <= wait <= 0.002


async def test_the_last_error_comes_out_itself_and_tells_how_often() -> None:
    """No foreign class around it."""
    last = errors.ConnectionLost("the last")
    attempts = Attempts(errors.ConnectionLost("2"), errors.ConnectionLost("3"), last)
    with pytest.raises(errors.ConnectionLost) as caught:
        await attempts.run(errors.ConnectionLost("1"))
    assert caught.value is last
    assert caught.value.__notes__ == ["4 attempts were made."]
    assert [number for number, _, _ in attempts.told] == attempts.numbers == [2, 3, 4]


@pytest.mark.parametrize(
    "first",
    [
        errors.OutcomeUnknown("broke"),
        errors.RequestTimeout("late"),
        errors.ConnectionClosed("closed"),
        errors.ServerError("no", rpc_code=-32000),
        errors.InvalidArguments("no"),
    ],
)
async def test_what_may_not_be_repeated_is_raised_at_once(first: DragomanError) -> None:
    """As it is, without a note: only one attempt was made."""
    attempts = Attempts()
    with pytest.raises(DragomanError) as caught:
        await attempts.run(first)
    assert caught.value is first
    assert not hasattr(first, "__notes__")
    assert (attempts.numbers, attempts.told) == ([], [])


async def test_a_later_failure_is_judged_for_itself() -> None:
    """The first was harmless, the second may have done something."""
    attempts = Attempts(errors.OutcomeUnknown("broke after sending"), "never")
    with pytest.raises(errors.OutcomeUnknown):
        await attempts.run(errors.ConnectionLost("broke"))
    assert attempts.numbers == [2]


async def test_a_safe_request_is_repeated_when_its_fate_is_unknown() -> None:
    """Twice is as good as once."""
    assert await Attempts("done").run(errors.OutcomeUnknown("broke"), safe=True) == "done"


async def test_retry_after_is_obeyed() -> None:
    """At least so long is waited."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    attempts = Attempts("done")
    assert await attempts.run(status(429, 0.1)) == "done"
    assert loop.time() - began >= 0.099
    assert attempts.told[0][1] == pytest.approx(0.1)


async def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    """Who can't be served in time learns it now."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    attempts, first = Attempts("never"), status(429, 30)
    with pytest.raises(errors.RateLimited) as caught:
        await attempts.run(first, within=10)
    assert caught.value is first
    assert loop.time() - began < 5
    assert (attempts.numbers, attempts.told) == ([], [])


async def test_attempts_end_with_the_deadline() -> None:
    """However many more are allowed."""
    retry = Retry(attempts=20, first_delay=0.02, longest_delay=0.02)
    attempts = Attempts(*(status(503, 0.02) for _ in range(20)))
    with pytest.raises(errors.Unavailable, match="refused"):
        await attempts.run(status(503, 0.02), retry=retry, within=0.11)
    assert 1 <= len(attempts.numbers) <= 5


async def test_one_attempt_means_no_retry() -> None:
    """Retries are switched off."""
    attempts = Attempts("never")
    with pytest.raises(errors.ConnectionLost):
        await attempts.run(errors.ConnectionLost("broke"), retry=Retry(attempts=1))
    assert attempts.numbers == []


async def test_another_server_is_not_waited_for() -> None:
    """Its turn comes at once, whatever this one asked for."""
    attempts = Attempts("done")
    assert await attempts.run(status(429, 30), elsewhere=True, within=1) == "done"
    assert attempts.told[0][1] == 0


async def test_a_foreign_error_passes_through() -> None:
    """A fault of ours is not repeated."""
    with pytest.raises(KeyError):
        await Attempts(KeyError("ours"), "never").run(errors.ConnectionLost("broke"))


async def test_cancelling_ends_the_waiting() -> None:
    """The caller's own cancellation, at any moment."""
    attempts = Attempts("never")
    task = asyncio.create_task(attempts.run(status(429, 30)))
    while not attempts.told:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attempts.numbers == []
