"""A blocking hub beside event loops: in a notebook's, in threads of one, under uvloop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from tests.sync.hubs import hub, ran


@pytest.mark.may_block
async def test_it_works_inside_a_running_loop_and_stops_that_for_as_long() -> None:
    """As in a notebook's cell: the answer comes, the cell's loop waits meanwhile, and works on afterwards."""
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    blocking = hub()
    assert blocking.call_tool("s.wait", {"seconds": 0.3}).text
    assert len(beats) == 1
    await asyncio.sleep(0.05)
    assert len(beats) > 1
    blocking.close()
    beating.cancel()
    await asyncio.wait({beating})


async def test_threads_of_a_loop_leave_the_loop_free() -> None:
    """`asyncio.to_thread` is the way for a coroutine that has only a blocking hub."""
    blocking = hub()
    calls = [asyncio.to_thread(blocking.call_tool, "s.echo", {"message": str(each)}) for each in range(20)]
    assert [result.text for result in await asyncio.gather(*calls)] == [str(each) for each in range(20)]
    await asyncio.to_thread(blocking.close)
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not there")
def test_it_works_while_the_main_thread_runs_uvloop() -> None:
    """In its thread, in others, and where uvloop is the policy and makes the hub's own loop."""
    lines, err = ran(
        """
import asyncio, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import uvloop
from tests.sync.hubs import hub
def called():
    with hub() as blocking:
        return blocking.call_tool("s.echo", {"message": type(blocking._keeper._loop).__module__.partition(".")[0]}).text
async def main():
    print(called(), await asyncio.to_thread(called))
uvloop.run(main())
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
print(called())
"""
    )
    assert lines == ["asyncio asyncio", "uvloop"]
    assert err == ""


def test_the_blocking_face_is_light() -> None:
    """Importing it brings neither web clients nor parsers."""
    source = "import sys, dragoman.sync; print(*{'aiohttp', 'yaml', 'multiprocessing', 'ctypes'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
