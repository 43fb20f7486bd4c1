"""How many connections a server gets: requests wait their turn, unsent, and what must not wait does not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Self

import pytest

from dragoman import ServerConfig, connect
from dragoman.errors import ConnectionClosed, DragomanError, OutcomeUnknown, RequestTimeout
from dragoman.transports.http import StreamableHttp
from tests.parts import ROOT
from tests.server.http_peer import honest
from tests.servers.http_faults import EVENTS, Script, Visit, serving
from tests.transports.exchanges import STATELESS, ExchangeInbox, notification, request

CLIENT = """
import asyncio, json, resource, sys
from collections import Counter
from dragoman import ServerConfig, connect

async def main(url):
    async with connect(ServerConfig(url=url, timeout=30, max_connections=1000)) as server:
        await server.call_tool("echo")
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        calls = [server.call_tool("echo") for _ in range(200)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    print(json.dumps(Counter(type(each).__name__ for each in outcomes)))

asyncio.run(main(sys.argv[1]))
"""


class Open:
    """A transport with one connection to a server, and its inbox."""

    def __init__(self, url: str, most: int = 1) -> None:
        self.http = StreamableHttp(ServerConfig(name="far", url=url, max_connections=most))
        self.inbox = ExchangeInbox()

    async def __aenter__(self) -> Self:
        await self.http.open(self.inbox)
        self.http.negotiated(STATELESS)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()


def gated(gate: asyncio.Event) -> Script:
    """Answer requests when the gate opens; accept all else at once, and hold streams open."""

    async def script(visit: Visit) -> None:
        if "id" not in visit.message:
            await visit.answer(status="202 Accepted", kind=None)
        elif visit.method == "subscriptions/listen":
            await visit.head(kind=EVENTS)
            await visit.hang()
        else:
            await gate.wait()
            await visit.answer(visit.result())

    return script


async def test_requests_beyond_the_bound_wait_their_turn() -> None:
    """All are answered, in the order they came, over as many connections as there may be."""
    gate = asyncio.Event()
    async with serving(gated(gate)) as server, Open(server.url, most=3) as client:
        calls = [asyncio.ensure_future(client.http.send(request(number))) for number in range(20)]
        await server.until(lambda: len(server.visits) == 3)
        assert client.inbox.held == [(number, True) for number in range(3, 20)]
        gate.set()
        await asyncio.gather(*calls)
        assert server.connections == 3
        assert len(client.inbox.received) == 20
        assert [number for number, held in client.inbox.held if not held] == list(range(3, 20))


async def test_what_others_may_wait_for_does_not_wait() -> None:
    """A notification, a reply and a lasting request go out while every connection is taken."""
    gate = asyncio.Event()
    async with serving(gated(gate)) as server, Open(server.url) as client:
        call = asyncio.ensure_future(client.http.send(request(1)))
        await server.until(lambda: len(server.visits) == 1)
        await asyncio.wait_for(client.http.send(notification("notifications/progress")), 5)
        listening = asyncio.ensure_future(client.http.send(request(2, "subscriptions/listen", lasting=True)))
        await server.until(lambda: len(server.visits) == 3)
        assert client.inbox.held == []
        gate.set()
        await call
        listening.cancel()
        await asyncio.wait({listening})


async def test_a_request_that_is_given_up_while_it_waits_is_never_sent() -> None:
    """And its turn goes to the next one."""
    gate = asyncio.Event()
    async with serving(gated(gate)) as server, Open(server.url) as client:
        calls = [asyncio.ensure_future(client.http.send(request(number))) for number in (1, 2, 3)]
        await server.until(lambda: len(server.visits) == 1)
        calls[1].cancel()
        await asyncio.wait({calls[1]})
        gate.set()
        await asyncio.gather(calls[0], calls[2])
        assert [visit.id for visit in server.visits] == [1, 3]


@pytest.mark.parametrize("how", ["status", "reset", "cancelled", "stream"])
async def test_a_turn_comes_back_however_a_request_ends(how: str) -> None:
    """With one connection, the next request would hang otherwise."""

    async def script(visit: Visit) -> None:
        if visit.id % 2 == 0:
            await visit.answer(visit.result())
        elif how == "status":
            await visit.answer(status="500 Oh No")
        elif how == "reset":
            visit.reset()
        elif how == "stream":
            await visit.stream()
            await visit.event(visit.result())
            await visit.hang()
        else:
            await visit.hang()

    async with serving(script) as server, Open(server.url) as client:
        for number in range(1, 7):
            sending = asyncio.ensure_future(client.http.send(request(number)))
            if number % 2 and how == "cancelled":
                await server.until(lambda number=number: len(server.visits) == number)
                sending.cancel()
            await asyncio.wait({sending}, timeout=5)
            assert sending.done()
            assert sending.cancelled() or number % 2 or sending.exception() is None
        assert client.inbox.received[-1][1] == 6


async def test_a_call_that_was_never_sent_says_so() -> None:
    """Its time runs while it waits; closing tells the one that was sent from the one that was not."""

    async def hang(visit: Visit) -> None:
        await visit.hang()

    async with serving(honest(instead={"slow": hang})) as served:
        server = await connect(ServerConfig(url=served.url, max_connections=1))
        calls = [asyncio.ensure_future(server.call_tool("slow")) for _ in range(2)]
        await served.until(lambda: "slow" in [visit.message["params"].get("name") for visit in served.visits])
        with pytest.raises(RequestTimeout):
            await server.call_tool("never", timeout=0.1)
        await server.aclose()
        sent, waiting = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(sent, OutcomeUnknown)
        assert isinstance(waiting, ConnectionClosed)
        assert isinstance(waiting, DragomanError)
        assert Counter(
            visit.message["params"].get("name") for visit in served.visits if visit.method == "tools/call"
        ) == {"slow": 1}


async def test_without_descriptors_requests_wait_for_each_other() -> None:
    """A process that may open few gets all its answers over those it has."""
    async with serving(honest()) as served:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT, served.url, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        try:
            out, _ = await asyncio.wait_for(client.communicate(), 40)
        finally:
            if client.returncode is None:
                client.kill()
                await client.wait()
        assert json.loads(out) == {"ToolResult": 200}
        assert served.connections < 60
