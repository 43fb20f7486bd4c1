"""The processors: how many this process may use, and how idle the kernel says they are."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.handle.gate import Idleness
from dragoman.handle.processors import Processors, Quota, idle_seconds, quota_of

TICKS = os.sysconf("SC_CLK_TCK")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in /proc")


class Clock:
    """A clock that goes when it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Kernel:
    """The files of a kernel, written by the test."""

    def __init__(self, place: Path) -> None:
        self.proc = place / "proc"
        self.groups = place / "groups"
        (self.proc / "self").mkdir(parents=True)
        self.groups.mkdir()
        self.clock = Clock()
        self.idle = 100.0

    def write(self) -> None:
        """Write how long all processors have been idle, all of it on the first that this process may use."""
        lines = ["cpu  1 2 3 4 5 6 7 0 0 0"]
        usable = sorted(os.sched_getaffinity(0))
        for number in usable:
            ticks = round(self.idle * TICKS) if number == usable[0] else 0
            lines.append(f"cpu{number} 10 0 10 {ticks} 1000 0 0 0 0 0")
        lines += ["intr 1 2 3", "ctxt 5"]
        (self.proc / "stat").write_text("\n".join(lines))

    def join(self, *lines: str) -> None:
        """Put this process into control groups."""
        (self.proc / "self" / "cgroup").write_text("\n".join(lines))

    def limit(self, group: str, text: str, used: int = 0) -> None:
        """Give a group of version 2 a limit and a usage in microseconds."""
        (self.groups / group).mkdir(parents=True, exist_ok=True)
        (self.groups / group / "cpu.max").write_text(text)
        (self.groups / group / "cpu.stat").write_text(f"usage_usec {used}\nuser_usec 0\n")

    def processors(self) -> Processors:
        """Give the processors of this kernel."""
        return Processors(proc=self.proc, groups=self.groups, clock=self.clock)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A kernel that tells."""
    kernel = Kernel(tmp_path)
    kernel.write()
    return kernel


@LINUX
def test_idleness_is_the_average_since_the_last_look(kernel: Kernel) -> None:
    """Half a second idle within a second is half a processor."""
    processors = kernel.processors()
    assert processors.idle() is None
    kernel.clock.now += 1
    kernel.idle += 0.5
    kernel.write()
    assert processors.idle() == pytest.approx(0.5)
    kernel.clock.now += 0.1
    kernel.write()
    assert processors.idle() == 0


@LINUX
def test_looks_in_quick_succession_give_one_answer(kernel: Kernel) -> None:
    """The counters go in steps: two looks within a step would tell of nothing."""
    processors = kernel.processors()
    processors.idle()
    kernel.clock.now += 1
    kernel.idle += 1
    kernel.write()
    assert processors.idle() == pytest.approx(1)
    kernel.clock.now += 0.001
    assert processors.idle() == pytest.approx(1)
    kernel.clock.now += 0.999
    assert processors.idle() == 0


@LINUX
def test_no_more_is_idle_than_there_is(kernel: Kernel) -> None:
    """Coarse counters neither make processors nor debts."""
    processors = kernel.processors()
    processors.idle()
    kernel.clock.now += 1
    kernel.idle += 1000
    kernel.write()
    assert processors.idle() == processors.count
    kernel.clock.now += 1
    kernel.idle -= 1000
    kernel.write()
    assert processors.idle() == 0


@LINUX
def test_a_file_that_is_gone_or_odd_makes_the_idleness_unknown(kernel: Kernel) -> None:
    """And it is known again when the file is."""
    processors = kernel.processors()
    processors.idle()
    kernel.clock.now += 1
    assert processors.idle() == 0
    for text in ("", "cpu0 1 2\n", "cpu0 a b c d e\n", "cpu0 0 0 0 0 0 0\n"):
        kernel.clock.now += 1
        (kernel.proc / "stat").write_text(text)
        assert processors.idle() is None
    (kernel.proc / "stat").unlink()
    kernel.clock.now += 1
    assert processors.idle() is None
    kernel.idle += 0.5
    kernel.write()
    kernel.clock.now += 1
    assert processors.idle() is not None


@LINUX
def test_waiting_for_a_disk_is_not_idle() -> None:
    """More starts would wait for the disk as well."""
    assert idle_seconds(f"cpu0 0 0 0 {TICKS} 500 0", frozenset()) == 1


@LINUX
def test_only_the_processors_that_may_be_used_count() -> None:
    """Others may be as idle as they like."""
    text = f"cpu 0 0 0 9 0\ncpu0 0 0 0 {TICKS} 0\ncpu1 0 0 0 {5 * TICKS} 0\ncpu10 0 0 0 {7 * TICKS} 0\n"
    assert idle_seconds(text, frozenset({1})) == 5
    assert idle_seconds(text, frozenset({0, 10})) == 8
    assert idle_seconds(text, frozenset()) == 13


@given(text=st.text(st.sampled_from("cpu 0123456789\nx-"), max_size=80))
def test_any_text_gives_seconds_or_a_plain_refusal(text: str) -> None:
    """The kernel's file may look like anything."""
    with contextlib.suppress(ValueError):
        assert idle_seconds(text, frozenset()) > 0


@LINUX
def test_a_quota_bounds_the_count_and_the_idleness(kernel: Kernel) -> None:
    """A container with half a processor left has half a processor, however idle the machine is."""
    kernel.join("0::/box/inner")
    kernel.limit("box", "100000 100000", used=1_000_000)
    kernel.limit("box/inner", "max 100000")
    processors = kernel.processors()
    assert processors.count == 1
    processors.idle()
    kernel.clock.now += 1
    kernel.idle += 1
    kernel.write()
    kernel.limit("box", "100000 100000", used=1_750_000)
    assert processors.idle() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50000 100000", 0.5), ("max 100000", None), ("", None), ("150000 100000", 1.5), ("-1 100000", None), ("5", None)],
)
def test_quotas_are_read(tmp_path: Path, text: str, expected: float | None) -> None:
    """Of the root of the groups, where a container sees its own."""
    kernel = Kernel(tmp_path)
    kernel.join("0::/")
    kernel.limit("", text)
    quota = quota_of(kernel.proc / "self" / "cgroup", kernel.groups)
    assert (quota and quota.processors) == expected


def test_the_tightest_quota_counts(tmp_path: Path) -> None:
    """Each group above holds as well."""
    kernel = Kernel(tmp_path)
    kernel.join("12:pids:/", "0::/a/b")
    kernel.limit("a", "100000 100000")
    kernel.limit("a/b", "400000 100000")
    quota = quota_of(kernel.proc / "self" / "cgroup", kernel.groups)
    assert quota is not None
    assert (quota.processors, quota.usage) == (1.0, kernel.groups / "a" / "cpu.stat")


def test_groups_of_version_1_are_read(tmp_path: Path) -> None:
    """Older systems and containers have them."""
    kernel = Kernel(tmp_path)
    kernel.join("3:cpu,cpuacct:/box", "0::/")
    group = kernel.groups / "cpu,cpuacct" / "box"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text("150000\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    (group / "cpuacct.usage").write_text("2500000000\n")
    quota = quota_of(kernel.proc / "self" / "cgroup", kernel.groups)
    assert quota is not None
    assert (quota.processors, quota.used()) == (1.5, 2.5)


@pytest.mark.parametrize("path", ["/../../other", "/gone"])
def test_a_group_out_of_sight_is_looked_for_where_the_mount_is(tmp_path: Path, path: str) -> None:
    """A container may be told the path that its host knows."""
    kernel = Kernel(tmp_path)
    kernel.join(f"0::{path}")
    kernel.limit("", "200000 100000")
    quota = quota_of(kernel.proc / "self" / "cgroup", kernel.groups)
    assert quota is not None
    assert quota.processors == 2


def test_no_file_is_no_quota(tmp_path: Path) -> None:
    """Not every system has control groups."""
    assert quota_of(tmp_path / "none", tmp_path) is None
    assert Quota(processors=1, usage=tmp_path / "none").used() is None


@LINUX
def test_this_machine_tells_and_no_descriptor_is_kept() -> None:
    """The real files, while a real process computes."""
    processors: Idleness = Processors()
    assert 1 <= processors.count <= len(os.sched_getaffinity(0))
    before = len(list(Path("/proc/self/fd").iterdir()))
    processors.idle()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        least: float | None = processors.count
        end = time.monotonic() + 20
        while (least is None or least > 0.5) and time.monotonic() < end:
            time.sleep(0.2)
            least = processors.idle()
        assert least is not None
        assert least <= 0.5
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
