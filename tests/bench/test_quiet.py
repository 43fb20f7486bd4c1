"""Waiting for a quiet moment is bounded."""

from __future__ import annotations

import sys
import time

import pytest

from bench.quiet import Quiet, idle_seconds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells what a process costs")


def test_a_wait_takes_no_more_than_its_budget() -> None:
    """However busy the machine is."""
    quiet = Quiet(0.2)
    started = time.monotonic()
    for _ in range(10):
        quiet.wait()
    assert time.monotonic() - started < 5
    assert quiet.budget < 0.2


def test_idle_time_only_grows() -> None:
    """It is a count since the machine's start."""
    before = idle_seconds()
    assert 0 < before <= idle_seconds()
