"""The protocol's revisions, and what each can do, as tables.

Source: the specification's changelogs. Whoever asks "may I?" asks here, so that no transport compares dates.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from msgspec import Struct

__all__ = [
    "HANDSHAKE_VERSIONS",
    "LATEST_HANDSHAKE",
    "LATEST_STATELESS",
    "STATELESS_VERSIONS",
    "Era",
    "Revision",
    "choose",
    "revision",
]

Era: TypeAlias = Literal["handshake", "stateless"]

#: Newest first.
STATELESS_VERSIONS: Final[tuple[str, ...]] = ("2026-07-28",)
HANDSHAKE_VERSIONS: Final[tuple[str, ...]] = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
LATEST_STATELESS: Final = STATELESS_VERSIONS[0]
LATEST_HANDSHAKE: Final = HANDSHAKE_VERSIONS[0]


class Revision(Struct, frozen=True, gc=False):
    """What one revision can do.

    ``version_header``: HTTP requests show ``MCP-Protocol-Version``. ``batches``: a message may be an array.
    ``core_tasks``: the tasks of 2025-11-25.
    """

    version: str
    era: Era
    version_header: bool
    batches: bool
    core_tasks: bool


_REVISIONS: Final[dict[str, Revision]] = {
    entry.version: entry
    for entry in (
        Revision("2026-07-28", "stateless", version_header=True, batches=False, core_tasks=False),
        Revision("2025-11-25", "handshake", version_header=True, batches=False, core_tasks=True),
        Revision("2025-06-18", "handshake", version_header=True, batches=False, core_tasks=False),
        Revision("2025-03-26", "handshake", version_header=False, batches=True, core_tasks=False),
        Revision("2024-11-05", "handshake", version_header=False, batches=True, core_tasks=False),
    )
}


def revision(version: str) -> Revision | None:
    """Give the revision of that date, or None if this client does not speak it."""
    return _REVISIONS.get(version)


def choose(offered: Iterable[str], era: Era | None = None) -> str | None:
    """Give the newest revision that both sides speak (of one era, if given), or None."""
    listed = set(offered)
    return next((v for v, r in _REVISIONS.items() if v in listed and era in (None, r.era)), None)
