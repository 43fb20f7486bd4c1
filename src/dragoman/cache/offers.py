"""What a server offers, in the form that is kept: each entry's JSON as it came, and when it was fetched.

Pure: times are arguments. `dragoman.store.catalogues` writes these values to disk, `dragoman.catalogue` makes one
catalogue of them.
Source: 2026-07-28 server/utilities/caching (``ttlMs``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from msgspec import Struct

from dragoman.protocol.kept import Kept
from dragoman.protocol.lifecycle import Verdict
from dragoman.protocol.types import Page

__all__ = ["Listed", "Offer", "listing_of"]

K = TypeVar("K", bound=Kept)

#: Some hundred thousand years: servers may send numbers that no float holds.
_LONGEST_MS: Final = 2**53


class Listed(Struct, frozen=True, gc=False):
    """One whole listing. ``items`` are JSON objects, ``fetched_at`` is in seconds since the epoch.

    ``problems`` tells what was wrong with the ``left_out`` entries that are not in it. ``ttl_ms``: for how long the
    server says that it holds (milliseconds; None: until it says otherwise).
    """

    items: tuple[bytes, ...] = ()
    problems: tuple[str, ...] = ()
    left_out: int = 0
    ttl_ms: int | None = None
    fetched_at: float = 0.0

    @property
    def expires_at(self) -> float | None:
        """When its lifetime ends, in seconds since the epoch; None: it has no end that is known beforehand."""
        return None if self.ttl_ms is None else self.fetched_at + min(max(0, self.ttl_ms), _LONGEST_MS) / 1000

    def is_fresh(self, at: float) -> bool:
        """Whether its lifetime has not ended at that time. A listing from the future, by a wrong clock, has ended."""
        expires = self.expires_at
        return expires is None or self.fetched_at <= at < expires


class Offer(Struct, frozen=True, kw_only=True, gc=False):
    """What one server offers. ``info`` and ``capabilities`` are its JSON objects; a listing it does not have is None.

    ``verdict`` is how it wanted to be spoken to, so that it need not be asked again.
    """

    info: bytes = b"{}"
    instructions: str | None = None
    capabilities: bytes = b"{}"
    verdict: Verdict | None = None
    tools: Listed | None = None
    resources: Listed | None = None
    templates: Listed | None = None
    prompts: Listed | None = None


def listing_of(page: Page[K], at: float) -> Listed:
    """Give a listing in the form that is kept. Entries are copied, so that it does not hold the page's bytes."""
    return Listed(_copied(page.items), tuple(page.problems), page.left_out, page.ttl_ms, at)


def _copied(items: Iterable[Kept]) -> tuple[bytes, ...]:
    return tuple(item.raw for item in items)
