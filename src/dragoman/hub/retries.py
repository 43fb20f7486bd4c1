"""What may be asked again after a failure, and the asking itself.

`verdict`, `is_safe` and `read_only` are pure: the rule is that nothing is done twice that might matter. `repeat` waits
and asks; it is met only after a first failure, so a call that succeeds pays nothing for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from dragoman.config.supervision import Retry
from dragoman.errors import (
    AccessDenied,
    CannotConnect,
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    LoginRequired,
    MalformedMessage,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from dragoman.protocol.types import ToolAnnotations

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Verdict", "is_safe", "read_only", "repeat", "verdict"]

T = TypeVar("T")

_READS: Final = frozenset(
    {
        "completion/complete",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "server/discover",
        "tools/list",
    }
)
"""Methods that change nothing, by the specification."""


class Verdict(Struct, frozen=True):
    """Whether to ask ``again``, and the least seconds to ``wait`` before; None: the back-off alone says."""

    again: bool
    wait: float | None = None


_NEVER: Final = Verdict(again=False)
_BACKED_OFF: Final = Verdict(again=True)
_AT_ONCE: Final = Verdict(again=True, wait=0.0)


def verdict(error: DragomanError, *, safe: bool, elsewhere: bool = False) -> Verdict:
    """Say whether a request that failed with ``error`` may be made again.

    ``safe``: doing it twice is the same as doing it once. ``elsewhere``: the next attempt goes to another server,
    which stands in for this one; then there is nothing to wait for.
    """
    again = _unsent(error, elsewhere=elsewhere) or (safe and _fate_unknown(error))
    if not again:
        return _NEVER
    if elsewhere:
        return _AT_ONCE
    asked = error.retry_after if isinstance(error, (RateLimited, Unavailable)) else None
    return _BACKED_OFF if asked is None else Verdict(again=True, wait=asked)


def _unsent(error: DragomanError, *, elsewhere: bool) -> bool:
    """Whether the server certainly has done nothing, and the next attempt may go better."""
    if isinstance(error, ConnectionLost):
        return not isinstance(error, ConnectionClosed)
    if isinstance(error, Unavailable):
        return error.status == 503 and error.retry_after is not None
    if isinstance(error, (AccessDenied, CannotConnect, LoginRequired)):
        return elsewhere  # the same server is tried again by its handle, which knows when
    return isinstance(error, RateLimited)


def _fate_unknown(error: DragomanError) -> bool:
    """Whether the answer was lost or is not to be had just now, and nobody knows what was done."""
    return isinstance(error, (MalformedMessage, OutcomeUnknown, Unavailable))


def is_safe(method: str, annotations: ToolAnnotations | None, retry: Retry, name: str = "") -> bool:
    """Say whether doing a request twice is the same as doing it once.

    ``method`` is the protocol's. For ``tools/call``, ``name`` is the tool's name on its server and ``annotations``
    what the server says of it, which counts only if the operator trusts it.
    """
    if method != "tools/call":
        return method in _READS
    if _named(retry, name):
        return True
    if not retry.trust_hints or annotations is None:
        return False
    return annotations.read_only_hint is True or annotations.idempotent_hint is True


def read_only(annotations: ToolAnnotations | None, retry: Retry, name: str) -> bool:
    """Say whether a tool may be called on two servers at the same time: it changes nothing on either.

    An idempotent tool changes something, so its hint is not enough.
    """
    if _named(retry, name):
        return True
    return retry.trust_hints and annotations is not None and annotations.read_only_hint is True


def _named(retry: Retry, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in retry.tools)


async def repeat(
    attempt: Callable[[int], Awaitable[T]],
    first: DragomanError,
    *,
    retry: Retry,
    safe: bool,
    deadline: float,
    on_retry: Callable[[int, float, DragomanError], None],
    elsewhere: bool = False,
) -> T:
    """Make a request again after its first failure, as often as it may be and as long as there is time.

    Args:
        attempt: makes the request; it is given the attempt's number, from 2 on, and keeps to the deadline itself.
        first: how the first attempt failed.
        retry: how often, and the bounds of the back-off, which is exponential with full jitter.
        safe: doing it twice is the same as doing it once.
        deadline: a time of the running loop; an attempt that would begin after it is not waited for.
        on_retry: called before each wait with the number of the attempt to come, the seconds until then, and the
            error of the last one.
        elsewhere: each attempt goes to another server.

    Raises:
        DragomanError: the last attempt's own error, with a note of how many were made.
    """
    from tenacity import AsyncRetrying, retry_if_exception, wait_random_exponential

    loop = asyncio.get_running_loop()
    backoff = wait_random_exponential(multiplier=retry.first_delay, max=retry.longest_delay)
    made = 0

    def again(error: BaseException) -> bool:
        return isinstance(error, DragomanError) and verdict(error, safe=safe, elsewhere=elsewhere).again

    def wait(state: RetryCallState) -> float:
        asked = verdict(_error_of(state), safe=safe, elsewhere=elsewhere).wait
        if elsewhere and asked is not None:
            return asked
        return max(backoff(state), asked or 0.0)

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number >= retry.attempts or loop.time() + state.upcoming_sleep >= deadline

    def tell(state: RetryCallState) -> None:
        on_retry(state.attempt_number + 1, state.upcoming_sleep, _error_of(state))

    async def make() -> T:
        nonlocal made
        made += 1
        if made == 1:
            raise first
        return await attempt(made)

    retrying = AsyncRetrying(
        sleep=asyncio.sleep, stop=stop, wait=wait, retry=retry_if_exception(again), before_sleep=tell, reraise=True
    )
    try:
        return await retrying(make)
    except DragomanError as error:
        if made > 1:
            error.add_note(f"{made} attempts were made.")
        raise


def _error_of(state: RetryCallState) -> DragomanError:
    error = None if state.outcome is None else state.outcome.exception()
    assert isinstance(error, DragomanError)  # noqa: S101 - anything else is not retried, so nothing is asked about it
    return error
