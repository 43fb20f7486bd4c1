"""What the hub adds to a call: hub_calls.py SECONDS COMMAND… calls the echo server over three ways, in turns.

The ways: the bare connection, the hub while nobody listens, the hub with a stream of all events that somebody reads.
All go to processes of the same server and are measured in one process, in short turns, so that busy moments of the
machine meet all alike. Prints the figures as JSON: CPU per call, the best turn of each way.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle, islice
from time import perf_counter, process_time
from typing import TypeAlias

from bench.workloads import stay_apart
from dragoman import Hub, HubConfig, ServerConfig, connect
from dragoman.protocol.results import ToolResult

TURN = 0.15
MESSAGE = "hello"
Way: TypeAlias = Callable[[str, dict[str, str]], Awaitable[ToolResult]]


async def call(way: Way, name: str, at_once: int, seconds: float) -> float:
    """Call over and over, so many at once; give the CPU seconds per call."""
    deadline = perf_counter() + seconds

    async def caller() -> int:
        done = 0
        while perf_counter() < deadline:
            if (await way(name, {"message": MESSAGE})).text != MESSAGE:
                raise ValueError("the echo is not what was said")
            done += 1
        return done

    began = process_time()
    done = await caller() if at_once == 1 else sum(await asyncio.gather(*(caller() for _ in range(at_once))))
    return (process_time() - began) / done


@asynccontextmanager
async def hub_of(config: ServerConfig) -> AsyncGenerator[Hub]:
    """Have a hub with this one server, listed."""
    async with Hub(HubConfig(servers=(config,), keep_catalogue=False)) as hub:
        await hub.tools()
        yield hub


async def read_all(hub: Hub) -> None:
    """Read every event of a hub."""
    async for _ in hub.events():
        pass


async def main(seconds: float, command: list[str]) -> None:
    """Measure."""
    config = ServerConfig(name="echo", command=command[0], args=tuple(command[1:]))
    async with connect(config) as server, hub_of(config) as quiet, hub_of(config) as heard:
        await server.list_tools()
        reading = asyncio.create_task(read_all(heard))
        stay_apart()
        ways: dict[str, tuple[Way, str]] = {
            "bare": (server.call_tool, "echo"),
            "quiet": (quiet.call_tool, "echo.echo"),
            "heard": (heard.call_tool, "echo.echo"),
        }
        figures: dict[str, float] = {}
        for at_once, ending in ((1, ""), (256, "_256")):
            turns = max(len(ways), round(seconds / TURN) * len(ways))
            taken: dict[str, list[float]] = {way: [] for way in ways}
            for key in islice(cycle(ways), turns):
                taken[key].append(await call(*ways[key], at_once, TURN) * 1e6)
            best = {key: min(times) for key, times in taken.items()}
            figures |= {
                f"bare{ending}_us": best["bare"],
                f"adds{ending}_us": best["quiet"] - best["bare"],
                f"heard_adds{ending}_us": best["heard"] - best["bare"],
            }
        reading.cancel()
        await asyncio.wait({reading})
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2:]))
