"""The server's own stream in the handshake era, and answer streams that are taken up again after a break."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.config.model import ServerConfig
from dragoman.errors import OutcomeUnknown
from dragoman.transports import listening
from dragoman.transports.http import StreamableHttp
from dragoman.transports.listening import pause
from tests.servers.http_faults import FaultyServer, Script, Visit, serving
from tests.transports.exchanges import HANDSHAKE, STATELESS, ExchangeInbox, initialize, notification, request

NEWS = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test not wait for a second."""
    monkeypatch.setattr(listening, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(listening, "SHORTEST_PAUSE", 0.01)


@asynccontextmanager
async def conversing(
    script: Script, version: str = HANDSHAKE, **settings: Any
) -> AsyncGenerator[tuple[FaultyServer, StreamableHttp, ExchangeInbox]]:
    """A server whose stream and calls follow the script, and a transport that has been through the handshake."""

    async def whole(visit: Visit) -> None:
        if visit.method == "initialize":
            await visit.answer(visit.result(), headers={"Mcp-Session-Id": "s"})
        elif visit.verb == "DELETE" or visit.method.startswith("notifications/"):
            await visit.answer(status="202 Accepted", kind=None)
        else:
            await script(visit)

    async with serving(whole) as server:
        http, inbox = StreamableHttp(ServerConfig(name="far", url=server.url, **settings)), ExchangeInbox()
        await http.open(inbox)
        try:
            await http.send(initialize())
            http.negotiated(version)
            await http.send(notification())
            yield server, http, inbox
        finally:
            await http.aclose()


# The server's own stream.


async def test_news_come_on_the_servers_own_stream_until_it_is_closed() -> None:
    """The stream is opened after the handshake, within the session, and the server sees its end."""

    async def script(visit: Visit) -> None:
        await visit.stream()
        await visit.event(NEWS)
        await visit.event(b"")
        await visit.chunk(b"event: ping\ndata: x\n\n")
        await visit.event(NEWS)
        await visit.hang()

    async with conversing(script) as (server, _http, inbox):
        await inbox.until(lambda: len(inbox.received) == 3)
        (visit,) = server.of("GET")
        wanted = ("accept", "mcp-session-id", "mcp-protocol-version")
        assert [visit.headers[name] for name in wanted] == ["text/event-stream", "s", HANDSHAKE]
        assert not {"content-type", "last-event-id"} & visit.headers.keys()
    assert inbox.received[1:] == [(NEWS, None)] * 2
    await asyncio.sleep(0)
    assert inbox.lost == []


async def test_the_stateless_era_has_no_such_stream() -> None:
    """Neither GET nor DELETE; the session id there is, if any, only came with a handshake."""

    async def script(visit: Visit) -> None:
        await visit.answer(visit.result())

    async with conversing(script, STATELESS) as (server, http, _inbox):
        await http.send(request())
        assert server.of("GET") == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("405 Method Not Allowed", None),
        ("404 Not Found", None),
        ("400 Bad Request", None),
        ("401 Unauthorized", None),
        ("501 Not Implemented", None),
        ("200 OK", "text/html"),
        ("204 No Content", None),
    ],
)
async def test_a_server_without_the_stream_is_asked_once(status: str, kind: str | None) -> None:
    """Whatever it says, the conversation goes on."""

    async def script(visit: Visit) -> None:
        if visit.verb == "GET":
            await visit.answer(b"" if status.startswith("204") else b"no", status=status, kind=kind)
        else:
            await visit.answer(visit.result())

    async with conversing(script) as (server, http, inbox):
        await server.until(lambda: bool(server.of("GET")))
        for number in range(10):
            await http.send(request(number))
            await asyncio.sleep(0.01)
        assert len(server.of("GET")) == 1
        assert len(inbox.received) == 11


@pytest.mark.parametrize("ending", ["closed", "reset", "ended", "silent"])
async def test_the_stream_comes_back_where_it_broke(ending: str) -> None:
    """With the last event's id, after the time that the server asked for."""
    asked = 0.15

    async def script(visit: Visit) -> None:
        await visit.stream()
        await visit.event(NEWS, id=f"e{len(seen)}", retry=int(asked * 1000))
        seen.append(time.monotonic())
        if ending == "closed":
            visit.close()
        elif ending == "reset":
            visit.reset()
        elif ending == "ended":
            await visit.end()
        else:
            await visit.hang()

    seen: list[float] = []
    async with conversing(script, sse_read_timeout=0.1 if ending == "silent" else 60) as (server, _http, inbox):
        await inbox.until(lambda: len(inbox.received) >= 4)
        visits = server.of("GET")[:3]
    assert [visit.headers.get("last-event-id") for visit in visits] == [None, "e0", "e1"]
    assert all(later - earlier >= asked for earlier, later in itertools.pairwise(seen))


async def test_a_stream_that_brings_nothing_is_opened_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends it at once, or is down, does not see a storm."""
    monkeypatch.setattr(listening, "LONGEST_PAUSE", 0.2)
    times: list[float] = []

    async def script(visit: Visit) -> None:
        times.append(time.monotonic())
        if len(times) % 2:
            await visit.answer(status="503 Service Unavailable")
        else:
            await visit.stream()
            await visit.end()

    async with conversing(script) as (server, _http, _inbox):
        await server.until(lambda: len(server.of("GET")) == 8)
    assert times[7] - times[5] > 2 * 0.09
    assert times[7] - times[5] > times[2] - times[0]


async def test_retry_after_is_kept_to_when_the_stream_is_refused_for_now() -> None:
    """429 and 503 may say when to come back."""
    times: list[float] = []

    async def script(visit: Visit) -> None:
        times.append(time.monotonic())
        await visit.answer(status="429 Too Many Requests", headers={"Retry-After": "0.3"})

    async with conversing(script) as (server, _http, _inbox):
        await server.until(lambda: len(server.of("GET")) == 2)
    assert times[1] - times[0] >= 0.3


async def test_a_new_handshake_opens_the_stream_anew() -> None:
    """The old session's stream is closed, and its event ids are forgotten."""

    async def script(visit: Visit) -> None:
        await visit.stream()
        await visit.event(NEWS, id="old")
        await visit.hang()

    async with conversing(script) as (server, http, inbox):
        await inbox.until(lambda: len(inbox.received) == 2)
        await http.send(initialize(1))
        await server.until(lambda: server.open <= 2)
        await http.send(notification())
        await server.until(lambda: len(server.of("GET")) == 2)
        assert "last-event-id" not in server.of("GET")[1].headers


@given(st.none() | st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_pause_is_never_shorter_than_asked_nor_endless(retry: int | None, failures: int) -> None:
    """What the server asked for is the least; without it a minute is the most."""
    seconds = pause(retry, failures)
    assert seconds >= (retry or 0) / 1000
    assert 0.01 <= seconds <= max(60.0, (retry or 0) / 1000)


# Answers taken up again.


async def test_an_answer_comes_on_the_stream_that_is_asked_for_again() -> None:
    """The server closes on purpose after an event that only carries an id, and asks for half a second."""
    closed: list[float] = []

    async def script(visit: Visit) -> None:
        if visit.verb == "POST":
            await visit.stream()
            await visit.event(b"", id="7-0", retry=500)
            await visit.end()
            closed.append(time.monotonic())
        elif "last-event-id" in visit.headers:
            closed.append(time.monotonic())
            assert visit.headers["last-event-id"] == "7-0"
            await visit.stream()
            await visit.event(b'{"jsonrpc":"2.0","id":7,"result":{}}')
            await visit.hang()
        else:
            await visit.answer(status="405 No")

    async with conversing(script) as (_server, http, inbox):
        await http.send(request(7))
        assert inbox.received[-1] == (b'{"jsonrpc":"2.0","id":7,"result":{}}', 7)
    assert 0.5 <= closed[1] - closed[0] < 1.0


async def test_a_stream_that_breaks_again_and_again_is_taken_up_each_time() -> None:
    """Progress is kept: each attempt begins after the last event that came."""
    ids: list[str | None] = []

    async def script(visit: Visit) -> None:
        ids.append(visit.headers.get("last-event-id"))
        if visit.verb == "GET" and ids[-1] is None:
            ids.pop()
            await visit.answer(status="405 No")
            return
        await visit.stream()
        if len(ids) == 4:
            await visit.event(b'{"jsonrpc":"2.0","id":7,"result":{}}', id="last")
            await visit.end()
        else:
            await visit.event(NEWS, id=f"e{len(ids)}")
            visit.reset()

    async with conversing(script) as (_server, http, inbox):
        await http.send(request(7))
    assert ids == [None, "e1", "e2", "e3"]
    assert [number for _data, number in inbox.received] == [0, 7, 7, 7, 7]


@pytest.mark.parametrize("refusal", ["405 Method Not Allowed", "404 Not Found", "200 OK", "503 Unavailable", "gone"])
async def test_an_answer_that_can_t_be_taken_up_is_lost(refusal: str) -> None:
    """A server that offers no resumption after all, or stays away: the outcome is unknown."""

    async def script(visit: Visit) -> None:
        if visit.verb == "GET":
            if refusal == "gone":
                visit.reset()
            else:
                await visit.answer(b"", status=refusal, kind="text/plain")
            return
        await visit.stream()
        await visit.event(b"", id="1", retry=10)
        visit.reset()

    async with conversing(script) as (server, http, _inbox):
        with pytest.raises(OutcomeUnknown, match="far: the answer to tools/call"):
            await http.send(request())
        assert len([visit for visit in server.of("GET") if "last-event-id" in visit.headers]) <= 6


async def test_nothing_is_taken_up_without_event_ids_or_in_the_stateless_era() -> None:
    """There is no cursor, or no resumption: the outcome is unknown at once."""

    async def script(visit: Visit) -> None:
        if visit.verb == "GET":
            await visit.answer(status="405 No")
            return
        await visit.stream()
        await visit.event(NEWS, id="1" if visit.headers["mcp-protocol-version"] == STATELESS else None)
        visit.reset()

    for version in (HANDSHAKE, STATELESS):
        async with conversing(script, version) as (server, http, _inbox):
            with pytest.raises(OutcomeUnknown):
                await http.send(request())
            assert all("last-event-id" not in visit.headers for visit in server.visits)


async def test_a_caller_who_gives_up_ends_the_taking_up() -> None:
    """While it pauses, and while it reads."""

    async def script(visit: Visit) -> None:
        if visit.verb == "GET":
            await visit.stream()
            await visit.hang()
        await visit.stream()
        await visit.event(b"", id="1", retry=10_000 if visit.id == 1 else 10)
        await visit.end()

    async with conversing(script) as (server, http, _inbox):
        for number in (1, 2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await http.send(request(number))
        await server.until(lambda: server.open <= 2)
