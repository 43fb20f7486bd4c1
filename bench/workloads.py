"""What is measured within one process: each function drives one client and gives its figures by name.

Wall time by the performance counter, CPU time of this process alone (user and system, every thread), memory as the
kernel tells it. What is repeated gives its best time: other work on the machine only ever adds. Runs in the measured
process, so it imports as little as it can.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Self

from bench.clients.peer import Peer, Session, Target

MB = 1_000_000


class Meter:
    """Wall and CPU seconds of a block."""

    wall = cpu = 0.0

    def __enter__(self) -> Self:
        self._start = perf_counter(), process_time()
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._start
        self.cpu = process_time() - cpu
        self.wall = perf_counter() - wall


def kernel(name: str) -> int:
    """Give a figure of this process from the kernel's status: bytes for sizes (VmRSS, VmHWM), a number for Threads."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would count as memory of the client
        for line in status:
            key, _, rest = line.partition(":")
            if key == name:
                words = rest.split()
                return int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    raise LookupError(name)


def calls(peer: Peer, target: Target, at_once: int, seconds: float) -> dict[str, float]:
    """Echo for so many seconds, after a quarter of that to warm up."""
    [session] = peer.connect(target)
    stay_apart()
    session.list_tools(schemas=False)
    session.call(at_once, seconds / 4)
    with Meter() as meter:
        done = session.call(at_once, seconds)
    return {"per_second": done / meter.wall, "cpu_us": meter.cpu / done * 1e6, "rss_mb": kernel("VmRSS") / MB}


def stay_apart() -> None:
    """Keep this process and its servers on processors of their own.

    Where they happen to share one, a call costs half: the wake-up across processors falls away. Chance would decide.
    """
    own, *others = sorted(os.sched_getaffinity(0))
    if others:
        os.sched_setaffinity(0, {own})
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:  # noqa: PTH123 - as above
            for child in children.read().split():
                os.sched_setaffinity(int(child), others)


def result(peer: Peer, target: Target, size: int, repeats: int) -> dict[str, float]:
    """Fetch a result of so many bytes, again and again; time is the best, memory the highest ever."""
    [session] = peer.connect(target)
    session.list_tools(schemas=False)
    fetch(session, 10)
    gc.collect()
    before = kernel("VmRSS")
    times: list[float] = []
    for _ in range(repeats):
        with Meter() as meter:
            fetch(session, size)
        times.append(meter.wall)
    peak = kernel("VmHWM")
    return {
        "ms": min(times) * 1e3,
        "rss_mb": kernel("VmRSS") / MB,
        "peak_x": peak / size,
        "added_x": (peak - before) / size,
    }


def fetch(session: Session, size: int) -> None:
    """Fetch one result and look at its length."""
    if session.blob(size) != size:
        raise ValueError("the result is not as long as it was asked to be")


def listing(peer: Peer, target: Target, tools: int, repeats: int) -> dict[str, float]:
    """List the tools again and again: the best time with names looked at, and with every input schema."""
    [session] = peer.connect(target)
    figures: dict[str, float] = {}
    for key, schemas in (("names_ms", False), ("schemas_ms", True)):
        times: list[float] = []
        for _ in range(repeats):
            with Meter() as meter:
                found = session.list_tools(schemas=schemas)
            if found != tools:
                raise ValueError(f"{found} tools came, not {tools}")
            times.append(meter.wall)
        figures[key] = min(times) * 1e3
    return figures


def fleet(peer: Peer, target: Target, count: int, repeats: int) -> dict[str, float]:
    """Connect to so many servers at once, again and again, when one was connected and closed before.

    Times are the best; memory, threads and descriptors are those of the last time.
    """
    peer.connect(target)
    gc.collect()
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(repeats):
        peer.disconnect()
        with Meter() as meter:
            peer.connect(target, count)
        walls.append(meter.wall)
        cpus.append(meter.cpu)
    return {
        "connect_ms": min(walls) * 1e3,
        "cpu_ms": min(cpus) / count * 1e3,
        "rss_mb": kernel("VmRSS") / MB,
        "threads": kernel("Threads"),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - as above
    }


WORKLOADS: dict[str, Callable[..., dict[str, float]]] = {
    "calls": calls,
    "fleet": fleet,
    "listing": listing,
    "result": result,
}
