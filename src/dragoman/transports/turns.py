"""Turns to use one of a bounded number of connections: whoever came first is next.

It knows neither connections nor requests; ``pool.py`` gives a turn to each request that may wait.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Turns"]


class Turns:
    """So many can be taken at once; each must be given back."""

    __slots__ = ("_free", "_queue")

    def __init__(self, most: int) -> None:
        self._free = most
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    async def take(self, on_held: Callable[[bool], None]) -> None:
        """Take a turn, waiting for it if need be; ``on_held`` learns when the waiting begins and ends.

        Cancelling it leaves the queue, without telling ``on_held``.
        """
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        on_held(True)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queue.pop(turn, None)
            else:  # it was given just then
                self.give()
            raise
        on_held(False)

    def give(self) -> None:
        """Give a turn back, to whoever waits longest."""
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
