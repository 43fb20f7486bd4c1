"""What a process of `multiprocessing` does in a test: it must be found by its name."""

from __future__ import annotations

from dragoman.sync import Hub
from tests.sync.hubs import hub, server

__all__ = ["work"]


def work(inherited: Hub | None) -> None:
    """Use a hub, tell the process of its server, and leave the hub open."""
    blocking = inherited or hub(server("stubborn", shutdown_timeout=0.3))
    about = blocking.call_tool("s.about").structured
    assert about is not None
    print(about["pid"], flush=True)
