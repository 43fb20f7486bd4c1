"""A server's processes as a whole, where the system has no room to look at them."""

from __future__ import annotations

import errno
import os
import subprocess
import time

import pytest

from dragoman.transports.group import ProcessGroup


def test_a_group_that_can_not_be_looked_at_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a free descriptor nothing is raised, and what lives counts as living."""

    def full(*_: object) -> list[str]:
        raise OSError(errno.EMFILE, "Too many open files")

    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        group = ProcessGroup(process.pid)
        monkeypatch.setattr(os, "listdir", full)
        group.find_strays(time.monotonic())
        group.lost_leader()
        assert not group.gone()
    finally:
        process.kill()
        process.wait()
