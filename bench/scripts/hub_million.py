"""Makes very many calls through a hub and tells what stays: hub_million.py CALLS COMMAND….

Memory is read after each twentieth: the resident size (which the kernel moves for reasons of its own), what the
allocator has given out (mallinfo2, where the C library has it), and how many objects the collector knows. Growth is
the median of the last fifth against the third reading, when all is warm. Prints the figures as JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import sys
from statistics import median
from time import perf_counter

from bench.workloads import kernel, stay_apart
from dragoman import Hub, HubConfig, ServerConfig

AT_ONCE = 256
READINGS = 20
WARM = 2
FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class Allocated(ctypes.Structure):
    """What mallinfo2 gives, all of it in bytes or pieces."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in FIELDS)


def allocated() -> float:
    """Give the bytes that the C library's allocator has given out; 0 where it does not tell."""
    try:
        told = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0.0
    told.restype = Allocated
    info = told()
    return float(info.uordblks + info.hblkhd)


def reading() -> dict[str, float]:
    """Read everything once."""
    gc.collect()
    return {
        "rss": kernel("VmRSS"),
        "heap": allocated(),
        "blocks": sys.getallocatedblocks(),
        "objects": len(gc.get_objects()),
    }


async def call(hub: Hub, count: int) -> None:
    """Make so many calls, so many at once."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            if (await hub.call_tool("echo.echo", {"message": f"hello {number}"})).text != f"hello {number}":
                raise ValueError("the echo is not what was said")

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


async def main(count: int, command: list[str]) -> None:
    """Measure."""
    config = ServerConfig(name="echo", command=command[0], args=tuple(command[1:]))
    readings: list[dict[str, float]] = []
    async with Hub(HubConfig(servers=(config,), keep_catalogue=False)) as hub:
        await hub.tools()
        stay_apart()
        began = perf_counter()
        for _ in range(READINGS):
            await call(hub, count // READINGS)
            readings.append(reading())
        taken = perf_counter() - began
    base, late = readings[WARM], readings[-READINGS // 5 :]
    grown = {
        f"{key}_grows": 100 * (median(each[key] for each in late) / base[key] - 1) if base[key] else 0.0 for key in base
    }
    print(json.dumps({"calls": count, "seconds": taken, "rss_mb": late[-1]["rss"] / 1e6, **grown}))
    print([round(each["rss"] / 1e6, 2) for each in readings], file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
