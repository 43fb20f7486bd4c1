"""Turns: never more than there are, first come first served, and none is lost however a wait ends."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from dragoman.transports.turns import Turns

steps = st.lists(st.sampled_from(["ask", "give", "cancel", "give and cancel", "settle"]), max_size=30)


@given(most=st.integers(1, 3), steps=steps)
def test_turns_are_neither_lost_nor_made(most: int, steps: list[str]) -> None:
    """Whatever is asked, given back and cancelled in whatever order, also within one turn of the loop."""
    asyncio.run(play(most, steps))


class Game:
    """Those who ask for a turn, and the turns that were given back."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.asked: list[asyncio.Task[None]] = []
        self.order: list[int] = []
        self.back = 0

    async def take(self, number: int) -> None:
        """Take a turn."""
        await self.turns.take(lambda _: None)
        self.order.append(number)

    def ask(self) -> None:
        """Let one more ask."""
        self.asked.append(asyncio.create_task(self.take(len(self.asked))))

    def give(self) -> None:
        """Give a turn back, if any is taken."""
        if self.back < len(self.order):
            self.back += 1
            self.turns.give()

    def cancel(self) -> None:
        """Give up the one who has waited longest."""
        for task in [task for task in self.asked if not task.done()][:1]:
            task.cancel()


async def play(most: int, steps: list[str]) -> None:
    """Do all that; in the end as many can be taken as in the beginning."""
    game = Game(most)
    for step in steps:
        if step == "ask":
            game.ask()
        if "give" in step:
            game.give()
        if "cancel" in step:
            game.cancel()
        if step == "settle":
            await asyncio.sleep(0)
        assert len(game.order) - game.back <= most
    while game.back < len(game.order) or not all(task.done() for task in game.asked):
        await asyncio.sleep(0)
        game.give()
    assert game.order == sorted(game.order)
    for _ in range(most):
        await asyncio.wait_for(game.turns.take(lambda _: None), 1)
    extra = asyncio.create_task(game.turns.take(lambda _: None))
    await asyncio.sleep(0)
    assert not extra.done()
    extra.cancel()
    await asyncio.wait({extra})
