"""One measurement in a fresh process: takes an order as JSON on the command line, prints the figures as JSON.

Imports nothing of the benchmark's own driver, so that the figures are the client's.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

from bench.clients.peer import Peer, Target
from bench.workloads import WORKLOADS


def main(order: str) -> None:
    """Measure what the order says."""
    told = json.loads(order)
    peer: Peer = import_module(f"bench.clients.{told['client']}").peer(**told["settings"])
    target = Target(tuple(told["command"]), told["url"])
    try:
        figures = WORKLOADS[told["workload"]](peer, target, **told["options"])
    finally:
        peer.disconnect()
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
