"""A hub among random faults: every call ends in time and in its own answer or a typed error, and nothing is left.

What is drawn is settled by a seed, which a failure shows; give it again by ``DRAGOMAN_CHAOS_SEED``. The storm itself is
`tests.hub.chaos.storm`. That no process, task, descriptor or thread is left, and that the loop never stood still for a
second, is told by tests/conftest.py, as for every test.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
from pathlib import Path

import pytest

from dragoman import Hub, HubConfig
from tests.hub.chaos.storm import Servers, Storm, Tally

SLACK = 1.0
"""Seconds by which a call may miss its time-out on a busy machine; timers are coarse by 0.05."""

GROWN = 1.15
"""By how much memory and objects may have grown since a fifth of the faults: single readings sway by a tenth."""


class Watch:
    """Looks at this process's memory and objects now and then. ``seen`` has MB and thousands of objects."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.seen: list[tuple[float, float]] = []

    def look(self, number: int) -> None:
        """Take a reading at every so many faults."""
        if number % self.every == 0:
            gc.collect()
            status = Path("/proc/self/status").read_text().splitlines()
            resident = next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmRSS"))
            self.seen.append((resident, len(gc.get_objects()) / 1000))

    def grown(self) -> tuple[float, float]:
        """By what both have grown since a fifth of the way: the least of the last fifth against the most until then."""
        fifth = len(self.seen) // 5
        early, late = self.seen[: fifth + 1], self.seen[-fifth:]
        memory = min(now[0] for now in late) / max(then[0] for then in early)
        return memory, min(now[1] for now in late) / max(then[1] for then in early)


async def weather(folder: Path, seed: int, faults: int) -> tuple[Tally, Watch]:
    """Let so many faults come over ten servers while two hundred callers call; afterwards every server answers."""
    servers = Servers(folder, 10)
    watch = Watch(max(1, faults // 20))
    settings = HubConfig(servers=tuple(servers.configs.values()))
    async with servers.serving(), Hub(settings, cache_folder=folder / "kept") as hub:
        storm = Storm(hub, servers, seed)
        await storm.rage(faults, callers=200, pause=0.03, at=watch.look)
        await storm.calm()
        assert sorted(hub.status()) == sorted(storm.names) == sorted(each.name for each in hub.config.servers)
    return storm.tally, watch


def drawn_seed() -> int:
    """The seed of this run."""
    return int(os.environ.get("DRAGOMAN_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


def check(tally: Tally, told: str) -> None:
    """Every call ended as it must, and most were answered: else the storm shows little."""
    assert not tally.wrong, f"{told}: answers to other questions: {tally.wrong[:5]}"
    assert tally.latest <= SLACK, f"{told}: a call ended {tally.latest:.2f} s after its time-out"
    assert tally.calls["answered"] > sum(tally.calls.values()) / 2, f"{told}: {tally}"


async def test_every_call_ends_in_time_while_servers_fail_at_random(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred faults: killed, frozen, reset, reloaded, removed, added, stopped and started servers."""
    caplog.set_level(logging.CRITICAL, "dragoman")
    seed = drawn_seed()
    tally, _ = await weather(tmp_path, seed, 100)
    check(tally, f"seed {seed}")


@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory as Linux tells it")
async def test_nothing_grows_through_a_thousand_faults(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ten times as many leave memory and objects where they were after the first fifth."""
    caplog.set_level(logging.CRITICAL, "dragoman")
    seed = drawn_seed()
    tally, watch = await weather(tmp_path, seed, 1000)
    check(tally, f"seed {seed}")
    assert sum(tally.faults.values()) >= 1000
    assert max(watch.grown()) <= GROWN, f"seed {seed}: MB and thousands of objects: {watch.seen}"
    print(f"\nseed {seed}: {dict(tally.faults)}, {dict(tally.calls)}, at most {tally.latest:.2f} s late, {watch.seen}")
