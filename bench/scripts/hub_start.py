"""Starts a hub of twenty servers that each take a second, three of them broken; then another from what was kept.

hub_start.py COMMAND…: the command of a server that takes a second. Prints the figures as JSON. Of the broken ones, one
exits, one never answers and one writes rubbish. With ``again FOLDER COMMAND…`` it is the second start alone, in a
process of its own, and the times count from before the imports.
"""

from __future__ import annotations

from time import perf_counter

BORN = perf_counter()

import asyncio  # noqa: E402 - the imports are part of what is timed
import json  # noqa: E402
import logging  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402

from dragoman import Hub, HubConfig, ServerConfig  # noqa: E402
from dragoman.events import ServerChanged  # noqa: E402

SOUND = 17
CALLED = "sound9"
REPEATS = 3
BROKEN = {
    "exits": "raise SystemExit(3)",
    "hangs": "import time; time.sleep(1000)",
    "babbles": "import time\nwhile True: print('not a message', flush=True); time.sleep(0.1)",
}


def configured(command: list[str]) -> HubConfig:
    """Give the settings of all twenty, the broken ones among the others."""
    words: list[tuple[str, list[str]]] = [(f"sound{number}", command) for number in range(SOUND)]
    for place, (name, program) in enumerate(BROKEN.items()):
        words.insert(place * 7, (name, [sys.executable, "-I", "-S", "-c", program]))
    return HubConfig(
        servers=tuple(ServerConfig(name=name, command=each[0], args=tuple(each[1:])) for name, each in words)
    )


def without_broken(config: HubConfig) -> HubConfig:
    """Give the settings of the sound servers alone."""
    return HubConfig(servers=tuple(server for server in config.servers if server.name not in BROKEN))


async def first_start(config: HubConfig, folder: str) -> dict[str, float]:
    """Start while nothing is kept: when all sound ones were ready, and how a call to one of them fared.

    The call is made at once, and once more to each server when it is ready.
    """
    hub = Hub(config, cache_folder=folder)
    ready: dict[str, float] = {}
    answered: dict[str, float] = {}
    calls: set[asyncio.Task[None]] = set()

    async def call(name: str) -> None:
        await hub.call_tool(f"{name}.echo", {"message": "hello"})
        answered[name] = perf_counter()

    began = perf_counter()
    changes = hub.events(ServerChanged)
    async with hub:
        calls.add(asyncio.create_task(call(CALLED)))
        async for change in changes:
            if change.status.state == "ready" and change.server not in ready:
                ready[change.server] = perf_counter()
                if change.server != CALLED:
                    calls.add(asyncio.create_task(call(change.server)))
                if len(ready) == SOUND:
                    break
        await asyncio.gather(*calls)
        await hub.wait_ready(*ready, timeout=10)
    return {
        "ready_s": max(ready.values()) - began,
        "called_s": answered[CALLED] - began,
        "late_ms": max(answered[name] - ready[name] for name in ready) * 1e3,
    }


async def second_start(config: HubConfig, folder: str, began: float | None = None) -> float:
    """Start with what was kept: the milliseconds until the tools were there, from the beginning of `Hub.start`."""
    hub = Hub(config, cache_folder=folder)
    began = perf_counter() if began is None else began
    await hub.start()
    tools = await hub.tools()
    taken = perf_counter() - began
    await hub.aclose()
    if len(tools) != SOUND * 2:
        raise ValueError(f"{len(tools)} tools are listed")
    return taken * 1e3


async def main(command: list[str]) -> None:
    """Measure all."""
    config = configured(command)
    with tempfile.TemporaryDirectory() as folder:
        figures = await first_start(config, folder)
        sound = without_broken(config)
        figures["tools_ms"] = min([await second_start(sound, folder) for _ in range(REPEATS)])
        figures["all_tools_ms"] = min([await second_start(config, folder) for _ in range(REPEATS)])
        again = [sys.executable, "-m", "bench.scripts.hub_start", "again", folder, *command]
        told = [subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout for _ in range(REPEATS)]
        figures["cold_tools_ms"] = min(map(float, told))
    print(json.dumps(figures))


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    if sys.argv[1] == "again":
        config = without_broken(configured(sys.argv[3:]))
        print(asyncio.run(second_start(config, sys.argv[2], began=BORN)))
    else:
        asyncio.run(main(sys.argv[1:]))
