"""What the tests of the engine share: a clock that they turn themselves, and a neighbour that has to stay well."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from dragoman import Server, connect
from tests.server.peer import Peer, text


class Clock:
    """The event loop's clock: it goes by itself, and can be turned forward."""

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self._turned = 0.0

    def time(self) -> float:
        """Give the time, in seconds."""
        return self._real() + self._turned

    async def forward(self, seconds: float) -> None:
        """Turn the clock forward, after all that is ready was done, and let happen what is due then."""
        await quiet()
        self._turned += seconds
        await quiet()


@pytest_asyncio.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the running loop a clock that can be turned forward."""
    loop = asyncio.get_running_loop()
    turned = Clock(loop.time)
    monkeypatch.setattr(loop, "time", turned.time)
    return turned


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test without verdicts on servers met before."""
    monkeypatch.setattr("dragoman.server.verdicts._verdicts", OrderedDict[object, object]())


@pytest_asyncio.fixture
async def neighbour() -> AsyncIterator[Server]:
    """Give a second server, which must still answer after whatever the test did to the first."""
    peer = Peer()

    async def echo(request: object) -> dict[str, object]:
        return text("still here")

    peer.tools["echo"] = echo
    async with connect(peer.transport, name="neighbour") as server:
        yield server
        assert (await server.call_tool("echo")).text == "still here"


async def quiet(turns: int = 30) -> None:
    """Let the loop turn often enough for all that is ready, and what follows from it, to be done."""
    for _ in range(turns):
        await asyncio.sleep(0)
