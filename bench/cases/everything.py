"""All cases, in the order of the table."""

from __future__ import annotations

from bench.cases import calls, catalogue, fleets, hub, payloads, starts

CASES = [*calls.CASES, *payloads.CASES, *fleets.CASES, *starts.CASES, *catalogue.CASES, *hub.CASES]
