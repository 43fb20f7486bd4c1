"""The back-off: exponential, jittered, bounded on both sides; and which errors end the trying."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman import errors
from dragoman.config.supervision import Restart
from dragoman.errors import DragomanError
from dragoman.handle.backoff import Fate, delay, fate

numbers = st.floats(0, 1, exclude_max=True)


def status(code: int) -> DragomanError:
    """Give the error of an HTTP status."""
    return errors.HTTP_ERRORS.get(code, errors.HttpError)("refused", status=code)


@given(failures=st.integers(1, 10**9), number=numbers)
def test_a_delay_lies_between_a_tenth_and_the_whole_of_its_bound(failures: int, number: float) -> None:
    """Never nothing, so that there is no storm; never more than the longest, however often it failed."""
    restart = Restart(first_delay=0.5, longest_delay=60)
    bound = min(60.0, 0.5 * 2 ** min(failures - 1, 20))
    assert 0.0999 * bound <= delay(failures, restart, lambda: number) <= bound


@given(failures=st.integers(-5, 10**9), first=st.floats(1e-300, 1e300), number=numbers)
def test_no_number_of_failures_overflows(failures: int, first: float, number: float) -> None:
    """A server that is away for years is still tried."""
    restart = Restart(first_delay=first, longest_delay=max(first, 60.0))
    assert 0 < delay(failures, restart, lambda: number) <= restart.longest_delay


def test_the_bound_doubles_with_each_failure() -> None:
    """Up to the longest delay."""
    restart = Restart(first_delay=1, longest_delay=10)
    assert [delay(n, restart, lambda: 1.0) for n in range(1, 7)] == pytest.approx([1, 2, 4, 8, 10, 10])


def test_delays_are_spread() -> None:
    """Servers that were lost together do not come back together."""
    drawn = [delay(10, Restart(longest_delay=10), random.Random(1).random) for _ in range(3)]
    assert drawn[0] == drawn[1]  # randomness is the argument's
    source = random.Random(1).random
    spread = [delay(10, Restart(longest_delay=10), source) for _ in range(1000)]
    assert sum(each < 4 for each in spread) == pytest.approx(333, abs=60)


@given(asked=st.floats(0, 3600), number=numbers)
def test_what_the_server_asked_for_is_waited(asked: float, number: float) -> None:
    """`Retry-After` counts for more than the own bound."""
    own = delay(3, Restart(), lambda: number)
    assert delay(3, Restart(), lambda: number, retry_after=asked) == max(own, asked)


def test_no_server_sends_us_away_for_ever() -> None:
    """An hour is the most that is believed."""
    assert delay(1, Restart(), lambda: 0.5, retry_after=1e9) == 3600


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.ConfigError("bad"), "failed"),
        (errors.CommandNotFound("no such program"), "failed"),
        (errors.VersionMismatch("none in common"), "failed"),
        (errors.NotSupported("no such transport"), "failed"),
        (status(401), "needs_login"),
        (status(403), "failed"),
        (status(400), "failed"),
        (status(404), "failed"),
        (status(405), "failed"),
        (status(410), "failed"),
        (status(408), "again"),
        (status(425), "again"),
        (status(429), "again"),
        (status(500), "again"),
        (status(502), "again"),
        (status(503), "again"),
        (errors.CannotConnect("refused"), "again"),
        (errors.ServerExited("ended"), "again"),
        (errors.HandshakeFailed("nonsense"), "again"),
        (errors.ConnectionLost("broke"), "again"),
        (errors.SessionExpired("gone"), "again"),
        (errors.RequestTimeout("silent"), "again"),
        (errors.MalformedMessage("nonsense"), "again"),
        (errors.OutcomeUnknown("broke"), "again"),
    ],
)
def test_only_what_may_mend_itself_is_tried_again(error: DragomanError, expected: Fate) -> None:
    """A wrong configuration stays wrong until somebody changes it; a server that is down may come back."""
    assert fate(error) == expected
