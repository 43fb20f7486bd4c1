"""The state that a server is in: why, since when, until when; one log line for each change of it.

It decides nothing: `handle` says what the server becomes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from dragoman.errors import DragomanError, ServerNotReady
from dragoman.model import ServerState

__all__ = ["Condition"]

log: Final = logging.getLogger("dragoman")

#: States that are no news: what they lead to is.
_QUIET: Final = frozenset({"configured", "connecting"})
#: How a refusal says it where "it is" and the state's name is no English.
_SAID: Final[dict[ServerState, str]] = {"failed": "it has failed", "needs_login": "it needs a login"}
#: States that somebody should look at.
_ALARMING: Final = frozenset({"degraded", "waiting", "needs_login", "failed"})


class Condition:
    """How one server is. ``error`` is what brought it there, if an error did.

    ``since`` is in seconds since the epoch; ``entered`` and ``retry_at`` (None: no attempt is planned) are in the
    loop's time, which never jumps.
    """

    def __init__(self, name: str, state: ServerState, reason: str) -> None:
        self.state: ServerState = state
        self.reason = reason
        self.error: DragomanError | None = None
        self.retry_at: float | None = None
        self.since = time.time()
        self._name = name
        self._loop = asyncio.get_running_loop()
        self.entered = self._loop.time()
        self._told: ServerState | None = None

    @property
    def retry_in(self) -> float | None:
        """Seconds until the next attempt; None: none is planned."""
        return None if self.retry_at is None else max(0.0, self.retry_at - self._loop.time())

    @property
    def age(self) -> float:
        """Seconds since it came into this state."""
        return self._loop.time() - self.entered

    def become(
        self, state: ServerState, reason: str, error: DragomanError | None = None, *, retry_at: float | None = None
    ) -> bool:
        """Take another state, and tell whether that is another than before, or for another reason."""
        before = (self.state, self.reason)
        if self.state != state:
            self.since = time.time()
            self.entered = self._loop.time()
        self.state, self.reason, self.error, self.retry_at = state, reason, error, retry_at
        if before == (state, reason):
            return False
        self._tell()
        return True

    def refusal(self) -> ServerNotReady:
        """Give the error for a call that can't be made in this state."""
        soon = "" if self.retry_in is None else f"; the next attempt is in {self.retry_in:.1f} s"
        refusal = ServerNotReady(
            f"{_SAID.get(self.state, f'it is {self.state}')} ({self.reason}){soon}",
            state=self.state,
            retry_in=self.retry_in,
            server=self._name,
            hint=None if self.error is None else self.error.hint,
        )
        refusal.__cause__ = self.error
        if self.error is not None:
            refusal.stderr = self.error.stderr
        return refusal

    def _tell(self) -> None:
        """Log the change, once: attempts that end as the last one did are no news."""
        if self.state in _QUIET or self.state == self._told:
            level = logging.DEBUG
        else:
            level = logging.WARNING if self.state in _ALARMING else logging.INFO
            self._told = self.state
        log.log(level, "%s: %s (%s)", self._name, self.state.replace("_", " "), self.reason)
