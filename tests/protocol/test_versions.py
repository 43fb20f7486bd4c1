"""The table of revisions: which there are, what each can do, which one two sides choose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.protocol.versions import (
    HANDSHAKE_VERSIONS,
    LATEST_HANDSHAKE,
    LATEST_STATELESS,
    STATELESS_VERSIONS,
    Era,
    choose,
    revision,
)
from tests import spec

ALL = (*STATELESS_VERSIONS, *HANDSHAKE_VERSIONS)
offers = st.lists(st.sampled_from(ALL) | st.sampled_from(["1900-01-01", "2099-01-01", "", "draft"]))


def test_every_published_revision_is_spoken_and_nothing_else() -> None:
    """The table and the specification's schemas name the same ones, newest first."""
    assert list(ALL) == sorted(spec.REVISIONS, reverse=True)
    assert (LATEST_STATELESS, LATEST_HANDSHAKE) == ("2026-07-28", "2025-11-25")


@pytest.mark.parametrize("version", ALL)
def test_every_version_has_a_revision_of_its_era(version: str) -> None:
    """The lists and the table agree."""
    known = revision(version)
    assert known is not None
    assert known.version == version
    assert known.era == ("stateless" if version in STATELESS_VERSIONS else "handshake")


@pytest.mark.parametrize(
    ("version", "header", "batches", "core_tasks"),
    [
        ("2024-11-05", False, True, False),
        ("2025-03-26", False, True, False),
        ("2025-06-18", True, False, False),
        ("2025-11-25", True, False, True),
        ("2026-07-28", True, False, False),
    ],
)
def test_each_revision_can_what_its_changelog_says(
    version: str, *, header: bool, batches: bool, core_tasks: bool
) -> None:
    """The version header came with 2025-06-18, which removed batches; core tasks were in 2025-11-25 only."""
    known = revision(version)
    assert known is not None
    assert (known.version_header, known.batches, known.core_tasks) == (header, batches, core_tasks)


@pytest.mark.parametrize("version", ["", "2025-11-26", "draft", "2026-07-28 "])
def test_an_unknown_version_has_no_revision(version: str) -> None:
    """Nothing is guessed from a date."""
    assert revision(version) is None


@given(offers, st.sampled_from([None, "handshake", "stateless"]))
def test_the_newest_common_version_is_chosen(offered: list[str], era: Era | None) -> None:
    """Whatever else is offered, in whatever order; none if nothing is common."""
    spoken = {None: ALL, "handshake": HANDSHAKE_VERSIONS, "stateless": STATELESS_VERSIONS}[era]
    common = [version for version in offered if version in spoken]
    assert choose(offered, era) == max(common, default=None)
