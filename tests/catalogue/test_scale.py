"""Ten thousand tools of fifty servers are merged at once, and cost no more than their bytes."""

from __future__ import annotations

import json
import time
import tracemalloc

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.listings import Listed

SERVERS = 50
TOOLS = 200


def listings() -> dict[str, Listed]:
    """Give the listings of fifty servers, each of two hundred tools of about 900 bytes."""
    properties = {f"p{each}": {"type": "string", "description": "what it is for " * 3} for each in range(6)}
    schema = {"type": "object", "properties": properties, "required": ["p0"]}
    told: dict[str, Listed] = {}
    for server in range(SERVERS):
        tools = [
            {"name": f"tool_{each}", "description": f"{server} " * 50, "inputSchema": schema} for each in range(TOOLS)
        ]
        told[f"server{server}"] = Listed(tuple(json.dumps(tool).encode() for tool in tools))
    return told


def built(told: dict[str, Listed]) -> Catalogue:
    """Give the catalogue of these listings."""
    catalogue = Catalogue()
    for server, listing in told.items():
        catalogue.add_server(server)
        catalogue.update(server, "tools", listing)
    return catalogue


def test_ten_thousand_tools_are_merged_at_once() -> None:
    """Within 0.3 seconds; each server's part, which the loop waits for, in a fraction of that."""
    told = listings()
    begun = time.perf_counter()
    catalogue = built(told)
    assert time.perf_counter() - begun < 0.3
    assert len(catalogue.tools) == SERVERS * TOOLS


def test_entries_cost_little_beside_their_bytes() -> None:
    """Under 600 bytes for each, with its names, until somebody looks at it."""
    told = listings()
    tracemalloc.start()
    try:
        catalogue = built(told)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / len(catalogue.tools) < 600


def test_names_are_found_quickly_among_ten_thousand() -> None:
    """Full names at once; others within a millisecond, once the names for models are made."""
    catalogue = built(listings())
    catalogue.resolve_tool("server49__tool_199")
    put = [("server30.tool_7", 1e-4), ("server49__tool_199", 1e-3)]
    for name, bound in put:
        begun = time.perf_counter()
        for _ in range(50):
            catalogue.resolve_tool(name)
        assert (time.perf_counter() - begun) / 50 < bound
