"""Calls one of fifty servers that start: hub_sdk.py CALLS COMMAND…, the command being a server of the official SDK.

Measured is the time until the first answer: of one server alone, over a bare connection; of one among fifty in a fresh
hub, called at once, and called when the others have been starting for a while. So many different ones are called, each
in a hub of its own. Prints the figures as JSON: the median alone, the worst among fifty, and the worst against what one
alone took just before and after.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from statistics import median
from time import perf_counter

from dragoman import Hub, HubConfig, ServerConfig, connect

SERVERS = 50
LATE = 2
"""So many are called late as well."""
A_WHILE = 1.0
"""Seconds that the others start before the late call."""


async def alone(config: ServerConfig) -> float:
    """Give the seconds until one server, started alone, has answered its first call."""
    began = perf_counter()
    async with connect(config) as server:
        await server.call_tool("echo", {"message": "hello"})
        return perf_counter() - began


async def among_others(config: HubConfig, name: str, pause: float) -> float:
    """Give the seconds until a server has answered that is called so many seconds after the start of the hub."""
    async with Hub(config) as hub:
        await asyncio.sleep(pause)
        began = perf_counter()
        result = await hub.call_tool(f"{name}.echo", {"message": "hello"}, timeout=90)
        taken = perf_counter() - began
        if result.text != "hello":
            raise ValueError("the echo is not what was said")
    return taken


async def main(calls: int, command: list[str]) -> None:
    """Measure."""
    servers = [
        ServerConfig(name=f"sdk{number}", command=command[0], args=tuple(command[1:])) for number in range(SERVERS)
    ]
    config = HubConfig(servers=tuple(servers), keep_catalogue=False)
    names = [f"sdk{number * (SERVERS - 1) // (calls - 1)}" for number in range(calls)]
    own = [await alone(servers[0])]  # in turns, so that busy moments of the machine meet all alike
    figures: dict[str, float] = {}
    for key, pause, called in (("called", 0.0, names), ("late", A_WHILE, names[-LATE:])):
        taken: list[float] = []
        ratios: list[float] = []
        for name in called:
            taken.append(await among_others(config, name, pause))
            own.append(await alone(servers[0]))
            ratios.append(taken[-1] / (sum(own[-2:]) / 2))
        figures |= {f"{key}_ms": max(taken) * 1e3, f"{key}_times_alone": max(ratios)}
    print(json.dumps({"alone_ms": median(own) * 1e3, **figures}))


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
