"""What is remembered of a server between two connections of one process."""

from __future__ import annotations

import sys

import pytest
from msgspec import structs

from dragoman import ServerConfig, connect
from dragoman.protocol.lifecycle import Verdict
from dragoman.server import verdicts

CLOCK = ServerConfig(name="clock", command=sys.executable, args=("-m", "dragoman.samples.clock"))


@pytest.mark.parametrize("pin", [{"era": "handshake"}, {"protocol_version": "2025-06-18"}])
async def test_what_a_pin_enforced_is_not_remembered_without_it(pin: dict[str, str]) -> None:
    """A server that was asked for an old revision once is spoken to in the newest one afterwards."""
    async with connect(structs.replace(CLOCK, **pin)) as pinned:
        assert pinned.era == "handshake"
    async with connect(CLOCK) as free:
        assert free.era == "stateless"


def test_the_name_makes_no_difference_and_the_address_does() -> None:
    """One server under two names is one; the same program with other arguments is another."""
    verdicts.remember(CLOCK, Verdict("2025-11-25", "stdio"))
    assert verdicts.recall(structs.replace(CLOCK, name="other")) == Verdict("2025-11-25", "stdio")
    assert verdicts.recall(structs.replace(CLOCK, args=())) is None
    verdicts.forget(CLOCK)
    assert verdicts.recall(CLOCK) is None
