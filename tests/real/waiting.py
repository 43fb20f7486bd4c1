"""Waits for what another process does, with a bound and without guessing how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds after which something that should happen soon has not happened."""


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """Wait until `condition` holds.

    Raises:
        TimeoutError: it does not.
    """
    async with asyncio.timeout(PATIENCE):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.01)


async def take(source: AsyncIterator[T], count: int) -> list[T]:
    """The next `count` values of `source`.

    Raises:
        TimeoutError: fewer came.
    """
    taken: list[T] = []
    async with asyncio.timeout(PATIENCE):
        while len(taken) < count:
            taken.append(await anext(source))
    return taken
