"""A pool of servers: one question to all that can answer it, and many calls at a time over the whole pool."""

from __future__ import annotations

import asyncio

from dragoman import Hub, ToolCall

NOTES = "python -m dragoman.samples.notes"

POOL = {
    "north": NOTES,
    "south": NOTES,
    "clock": "python -m dragoman.samples.clock",
    "broken": "no-such-program --serve",
}


async def fill(hub: Hub) -> None:
    """Put ten notes into each branch, five calls at a time."""
    calls = [
        ToolCall(f"{branch}.add_note", {"title": f"order {number}", "text": f"{number} lemons for {branch}"})
        for branch in ("north", "south")
        for number in range(1, 11)
    ]
    outcomes = await hub.call_many(calls, limit=5)
    print(f"kept {sum(outcome.ok for outcome in outcomes)} of {len(outcomes)} notes")


async def ask_all(hub: Hub, sought: str) -> None:
    """Ask every server that can find notes; a branch that fails costs the others nothing."""
    for outcome in await hub.broadcast("find_notes", {"text": sought}, timeout=5):
        print(f"{outcome.name}: {outcome.error or outcome.unwrap().text}")


async def main() -> None:
    """Fill the pool, ask it, and make calls of which some must fail."""
    async with Hub(POOL) as hub:
        await fill(hub)
        await ask_all(hub, "7 lemons")
        mixed = [
            ToolCall("clock.now", {"offset_hours": 9}),
            ToolCall("north.find_notes", {"limit": "three"}),
            ToolCall("broken.anything"),
            ToolCall("south.find_notes", {"text": "order 10"}),
        ]
        for outcome in await hub.call_many(mixed):
            print(f"{outcome.name}: {outcome.error.code if outcome.error else 'answered'}")
        for name, status in (await hub.wait_ready()).items():
            print(f"{name} is {status.state}{f' ({status.code})' if status.code else ''}")


if __name__ == "__main__":
    asyncio.run(main())
