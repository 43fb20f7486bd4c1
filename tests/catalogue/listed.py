"""Listings as servers give them, for the tests of the catalogue."""

from __future__ import annotations

import json
from typing import Any

from dragoman.catalogue.catalogue import Catalogue, Delta
from dragoman.catalogue.listings import Listed, Listing

KEYS = {"tools": "name", "prompts": "name", "resources": "uri", "templates": "uriTemplate"}


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def entry(key: str, what: Listing = "tools", **members: Any) -> bytes:
    """Give the JSON of an entry."""
    told = {KEYS[what]: key, "name": key, **members} if what in ("resources", "templates") else {"name": key, **members}
    return json.dumps(told).encode()


def listing(*keys: str, what: Listing = "tools", left_out: int = 0, ttl_ms: int | None = None) -> Listed:
    """Give a listing of entries with those keys, fetched at 1000."""
    return Listed(tuple(entry(key, what) for key in keys), left_out=left_out, ttl_ms=ttl_ms, fetched_at=1000.0)


def put(catalogue: Catalogue, server: str, *keys: str, what: Listing = "tools", **facts: Any) -> Delta:
    """Add a server if it is not known, and give it a listing."""
    stale = facts.pop("stale", False)
    if server not in catalogue.servers():
        catalogue.add_server(server)
    return catalogue.update(server, what, listing(*keys, what=what, **facts), stale=stale)
