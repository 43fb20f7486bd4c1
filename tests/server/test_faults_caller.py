"""Everything that a caller can do in the middle of things, over real processes and real sockets.

Each row of `FAULTS` is met over stdio and over HTTP; the finer points are in `test_connect.py` and
`test_connection.py`, where both ends are in the test's hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from dragoman import Server, ServerConfig, connect
from dragoman.errors import ConnectionClosed, OutcomeUnknown, RequestTimeout
from tests.parts import ROOT
from tests.server.http_peer import honest
from tests.server.reference import documented
from tests.servers import scripted
from tests.servers.http_faults import Visit, serving


class Place:
    """Where a server is: one that answers, and one that says nothing while the conversation opens."""

    def __init__(self, answering: ServerConfig, mute: ServerConfig) -> None:
        self.answering = answering
        self.mute = mute


def at(words: tuple[str, ...]) -> ServerConfig:
    """Give the configuration of a scripted server."""
    command, *args = scripted(*words)
    return ServerConfig(name="asked", command=command, args=tuple(args))


@pytest_asyncio.fixture(params=["stdio", "http"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Give servers over each kind of transport."""

    async def hang(visit: Visit) -> None:
        await visit.hang()

    if request.param == "stdio":
        yield Place(at(()), at(("mute",)))
        return
    async with serving(honest(instead={"silent": hang})) as served, serving(hang) as mute:
        yield Place(ServerConfig(name="asked", url=served.url), ServerConfig(name="asked", url=mute.url))


async def under_way(server: Server, count: int = 1) -> list[asyncio.Task[Any]]:
    """Begin calls that are never answered, and wait until they were sent."""
    calls = [asyncio.create_task(server.call_tool("silent")) for _ in range(count)]
    await server.call_tool("echo", {"message": "all sent"})
    return calls


async def cancelled_mid_call(place: Place) -> None:
    """Give one call up; the connection goes on."""
    async with connect(place.answering) as server:
        (call,) = await under_way(server)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            assert (await server.call_tool("echo", {"message": "on it goes"})).text == "on it goes"
        await call


async def cancelled_mid_handshake(place: Place) -> None:
    """Give the opening up once something was sent."""
    sent = asyncio.Event()

    def watch(direction: str, data: bytes) -> None:
        sent.set()

    async def open_it() -> Server:
        return await connect(place.mute, on_message=watch)

    opening = asyncio.create_task(open_it())
    await sent.wait()
    opening.cancel()
    await opening


async def timed_out(place: Place) -> None:
    """Have too little patience; the connection goes on."""
    async with connect(place.answering) as server:
        with pytest.raises(RequestTimeout) as caught:
            await server.call_tool("silent", timeout=0.1)
        assert (await server.call_tool("echo", {"message": "on it goes"})).text == "on it goes"
        raise caught.value


async def closed_in_another_task(place: Place) -> None:
    """Close while one call waits, from a task that neither opened nor called."""
    server = await connect(place.answering)
    (call,) = await under_way(server)
    await asyncio.create_task(server.aclose())
    await call


async def closed_with_a_thousand_calls(place: Place) -> None:
    """Close while a thousand calls wait."""
    server = await connect(place.answering)
    calls = await under_way(server, 1000)
    await server.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    sent = [error for error in outcomes if type(error) is OutcomeUnknown]
    held = [error for error in outcomes if type(error) is ConnectionClosed]  # over HTTP, those whose turn had not come
    assert len(sent) + len(held) == 1000
    assert len(held) == (900 if place.answering.url else 0)
    assert len({id(error) for error in outcomes}) == 1000
    await calls[0]


PROGRAM = """
import asyncio, json, sys
from dragoman import ServerConfig, connect

async def main():
    server = await connect(ServerConfig(**json.loads(sys.argv[1])))
    await server.call_tool("echo")
    waiting = asyncio.create_task(server.call_tool("silent"))
    await asyncio.sleep(0.05)
    return server, waiting

asyncio.run(main())
"""


async def loop_shut_down(place: Place) -> None:
    """Let a program end while its connection is open and a call waits."""
    config = place.answering
    told = {"url": config.url} if config.url else {"command": config.command, "args": config.args}
    command = [sys.executable, "-W", "default", "-c", PROGRAM, json.dumps(told)]
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(20):
        _, noise = await program.communicate()
    assert program.returncode == 0
    lines = noise.decode().splitlines()
    assert [line for line in lines if "ResourceWarning" not in line and not line.startswith("  ")] == []


@dataclass(frozen=True)
class Fault:
    """What the caller does, and what the caller gets for it."""

    name: str
    do: Callable[[Place], Awaitable[None]]
    gives: type[BaseException] | None


FAULTS = [
    Fault("cancelled mid-call", cancelled_mid_call, asyncio.CancelledError),
    Fault("cancelled mid-handshake", cancelled_mid_handshake, asyncio.CancelledError),
    Fault("timed out", timed_out, RequestTimeout),
    Fault("closed in another task", closed_in_another_task, OutcomeUnknown),
    Fault("closed with 1,000 calls in flight", closed_with_a_thousand_calls, OutcomeUnknown),
    Fault("event loop shut down without closing", loop_shut_down, None),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_caller_may_stop_at_any_moment(fault: Fault, place: Place, neighbour: Server) -> None:
    """The caller gets what the row says; another connection to the very same server still answers."""
    async with connect(place.answering, name="other") as other:
        if fault.gives is None:
            await fault.do(place)
        else:
            with pytest.raises(fault.gives) as caught:
                await fault.do(place)
            assert type(caught.value) is fault.gives
            assert fault.gives is asyncio.CancelledError or str(caught.value).startswith("asked: ")
        assert (await other.call_tool("echo", {"message": "still here"})).text == "still here"


def test_the_reference_lists_these_faults() -> None:
    """Whoever reads ``docs/reference/faults.md`` finds each of them, with the error it gives, and no other."""
    table = {fault.name: fault.gives.__name__ if fault.gives else "" for fault in FAULTS}
    assert documented("The caller") == table
