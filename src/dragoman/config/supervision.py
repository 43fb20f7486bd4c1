"""How a hub looks after one server: when it starts, how it comes back, what may be repeated. Frozen settings.

Pure values beside `model`, which holds how the server is reached. Times are in seconds.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from dragoman.errors import ConfigError

__all__ = ["Restart", "Retry"]

_MOST_ATTEMPTS: Final = 20


class Restart(Struct, frozen=True, kw_only=True):
    """How a lost server is brought back: exponential back-off with full jitter, behind a circuit breaker.

    - ``first_delay``: the most that is waited before the first new attempt; each further one may wait twice as long.
    - ``longest_delay``: the most that is ever waited; a server that stays away is tried about that often, for ever.
    - ``breaker``: after so many failures in a row, calls fail at once until an attempt succeeds; before that they wait
      for the next attempt.
    """

    first_delay: float = 0.5
    longest_delay: float = 60.0
    breaker: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.first_delay <= self.longest_delay:
            raise ConfigError("restart.first_delay: must be more than 0 and no more than longest_delay")
        if self.breaker < 1:
            raise ConfigError("restart.breaker: must be at least 1")


class Retry(Struct, frozen=True, kw_only=True):
    """How often a failed request is made again, and which tools may be called twice.

    - ``attempts``: how often at most, the first time included; 1 switches retries off.
    - ``first_delay``, ``longest_delay``: bounds of the back-off; a server's ``Retry-After`` counts for more.
    - ``trust_hints``: whether a tool that says ``readOnlyHint`` or ``idempotentHint`` may be called again when nobody
      knows what became of the first call, and may be hedged. Hints are the server's own words.
    - ``tools``: tools (``*`` stands for anything) that may be called again whatever they say.
    """

    attempts: int = 3
    first_delay: float = 0.1
    longest_delay: float = 5.0
    trust_hints: bool = False
    tools: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= _MOST_ATTEMPTS:
            raise ConfigError(f"retry.attempts: must be from 1 to {_MOST_ATTEMPTS}")
        if not 0 < self.first_delay <= self.longest_delay:
            raise ConfigError("retry.first_delay: must be more than 0 and no more than longest_delay")
