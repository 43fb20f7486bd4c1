"""Listings in the form that is kept: whole, on their own, and with a lifetime."""

from __future__ import annotations

import gc
import sys

import pytest

from dragoman.cache.offers import Listed, listing_of
from dragoman.protocol.kept import decode, decode_list
from dragoman.protocol.types import Page, Tool


def test_a_listing_keeps_each_entry_as_it_came() -> None:
    """Unknown members and odd spacing stay; the page's other facts come along."""
    entries = [b'{"name":"a" , "own":1}', b'{"name":"b"}']
    page = Page([decode(Tool, entry, "a tool") for entry in entries], ["left out of tools: 'c'"], 1, 500)
    assert listing_of(page, 7.0) == Listed(tuple(entries), ("left out of tools: 'c'",), 1, 500, 7.0)


def test_a_listing_does_not_hold_its_page() -> None:
    """Entries share their page's memory, which may be many megabytes; a copy lets go of it."""
    page = b'[{"name":"a"},{"name":"b"}' + b" " * 1_000_000 + b"]"
    alone = sys.getrefcount(page)
    listing = listing_of(Page([decode(Tool, entry, "a tool") for entry in decode_list(page, "a page")], []), 0.0)
    gc.collect()
    assert sys.getrefcount(page) == alone
    assert listing.items == (b'{"name":"a"}', b'{"name":"b"}')


@pytest.mark.parametrize(
    ("ttl_ms", "at", "fresh"),
    [
        (None, 100.0, True),
        (None, 10_000_000.0, True),
        (500, 100.0, True),
        (500, 100.499, True),
        (500, 100.5, False),
        (500, 99.9, False),
        (0, 100.0, False),
        (-5, 100.0, False),
        (10**400, 100.0, True),
    ],
)
def test_a_listing_is_fresh_for_its_lifetime(ttl_ms: int | None, at: float, *, fresh: bool) -> None:
    """From when it was fetched; a time before that comes of a wrong clock, and nobody knows."""
    assert Listed(ttl_ms=ttl_ms, fetched_at=100.0).is_fresh(at) is fresh
