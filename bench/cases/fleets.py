"""Many stdio servers in one client: how long until all are connected, and what they cost while idle.

The blocking loop starts the same processes, asks each for its identity and waits until all have answered: that is the
time that the processes themselves need. Programs in C need next to none, so that there the event loop is the limit.
"""

from __future__ import annotations

from functools import partial

from bench.case import Case, Conditions, Figures, Goal, Row, subject


def fleet(client: str, conditions: Conditions, *, count: int, repeats: int, slow: bool = False) -> Figures:
    """Connect to so many; ``slow`` ones are Python programs."""
    servers = conditions.servers
    return subject("fleet", client, command=servers.slow_stdio if slow else servers.stdio, count=count, repeats=repeats)


TIME = "until all are connected, ms"
CPU = Row("cpu_ms", "CPU of the client per server, ms")
MEMORY = Row("rss_mb", "memory of the client (RSS), MB")

CASES = [
    Case(
        key="connect-1",
        section="Connect to 1 server",
        rows=(Row("connect_ms", "until connected, ms"), CPU, MEMORY),
        measure=partial(fleet, count=1, repeats=7),
    ),
    Case(
        key="connect-10",
        section="Connect to 10 servers at once",
        rows=(Row("connect_ms", TIME), CPU, MEMORY),
        measure=partial(fleet, count=10, repeats=5),
    ),
    Case(
        key="connect-50",
        section="Connect to 50 servers at once",
        rows=(Row("connect_ms", TIME, (Goal(1.3, "bare"),)), CPU, MEMORY),
        measure=partial(fleet, count=50, repeats=5),
    ),
    Case(
        key="connect-50-python",
        section="Connect to 50 servers that are Python programs at once",
        rows=(Row("connect_ms", TIME, (Goal(1.3, "blocking"),)), CPU),
        measure=partial(fleet, count=50, repeats=1, slow=True),
    ),
    Case(
        key="idle-200",
        section="200 idle servers",
        rows=(
            Row("rss_mb", "memory of the client (RSS), MB", (Goal(35),)),
            Row("threads", "threads", (Goal(2),)),
            Row("descriptors", "descriptors"),
        ),
        measure=partial(fleet, count=200, repeats=1),
    ),
]
