"""What the tests of the bus have in common: events that can be told apart, and waiting with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dragoman.events import Event, ServerAdded

PATIENCE = 10.0
"""Seconds that a test waits for what must come."""


def added(number: int) -> ServerAdded:
    """An event that can be told from others by its number."""
    return ServerAdded(at=float(number), server=f"s{number}")


def numbers(seen: list[Event]) -> list[float]:
    """The numbers of the events."""
    return [event.at for event in seen]


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)
