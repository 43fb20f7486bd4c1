"""What a hub repeats and what it never does, shown by the effects that a real server left in a file."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from dragoman import Restart, Retry
from dragoman.errors import ConnectionLost, OutcomeUnknown, RateLimited, RequestTimeout
from dragoman.events import CallFailed, CallFinished, CallRetried
from tests.hub.listening import until
from tests.hub.serving import a_peer, counting, effects, heard, hub_of, peers, says
from tests.server.peer import Json, Peer, Request, text

__all__ = ["peers"]

QUICK = Restart(first_delay=0.01, longest_delay=0.02, breaker=50)
TRUSTING = Retry(first_delay=0.01, longest_delay=0.05, attempts=4, trust_hints=True)


@pytest.mark.parametrize(
    ("tool", "retry", "times"),
    [
        ("write", TRUSTING, 1),
        ("read", Retry(first_delay=0.01), 1),
        ("read", TRUSTING, 3),
        ("put", TRUSTING, 3),
        ("write", Retry(first_delay=0.01, tools=("wri*",)), 3),
        ("write", Retry(attempts=1, tools=("wri*",)), 1),
    ],
)
async def test_a_call_whose_fate_is_unknown_is_repeated_only_where_that_is_safe(
    tmp_path: Path, tool: str, retry: Retry, times: int
) -> None:
    """The server dies after the effect, twice: a tool that nobody vouches for is never called again."""
    file = tmp_path / "effects"
    async with hub_of(counting("one", file, "lose=2", retry=retry, restart=QUICK)) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallRetried))
        if times == 1:
            with pytest.raises(OutcomeUnknown):
                await hub.call_tool(f"one.{tool}", timeout=10)
        else:
            assert (await hub.call_tool(f"one.{tool}", timeout=10)).text == "3"
        await until(lambda: len(events) == times - 1)
    assert effects(file) == [tool] * times
    assert [(e.attempt, e.why, e.code) for e in events if isinstance(e, CallRetried)] == [
        (attempt, "retry", OutcomeUnknown.code) for attempt in range(2, times + 1)
    ]


async def test_attempts_are_bounded(tmp_path: Path) -> None:
    """The last error comes out, with a note of how many were made."""
    file = tmp_path / "effects"
    async with hub_of(counting("one", file, "lose=99", retry=TRUSTING, restart=QUICK)) as hub:
        await hub.wait_ready()
        with pytest.raises(OutcomeUnknown) as lost:
            await hub.call_tool("one.read", timeout=20)
        assert lost.value.__notes__ == ["4 attempts were made."]
    assert effects(file) == ["read"] * 4


async def test_what_was_not_sent_is_repeated_whatever_the_tool(peers: dict[str, Peer]) -> None:
    """The connection broke before the request left it."""
    config = a_peer("one", {"write": says("done")}, restart=QUICK, retry=Retry(first_delay=0.01))
    async with hub_of(config) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallRetried))
        transport = peers["one"].transport

        async def refuse(_: object) -> None:
            transport.carry = None
            raise ConnectionLost("it broke")

        transport.carry = refuse
        assert (await hub.call_tool("one.write")).text == "done"
        await until(lambda: events)
        assert len(peers["one"].params("tools/call")) == 1


async def test_a_server_s_wish_to_wait_is_obeyed(peers: dict[str, Peer]) -> None:
    """It counts for more than the back-off."""
    calls: list[float] = []
    async with hub_of(a_peer("one", {"write": says("done")}, retry=Retry(first_delay=0.01, longest_delay=0.02))) as hub:
        await hub.wait_ready()
        transport = peers["one"].transport

        async def carry(message: object) -> None:
            calls.append(time.monotonic())
            if len(calls) > 1:
                transport.carry = None
                await _sent(transport.send(message))  # pyright: ignore[reportArgumentType]
                return
            raise RateLimited("too many", status=429, retry_after=0.3)

        transport.carry = carry
        assert (await hub.call_tool("one.write", timeout=5)).text == "done"
    assert 0.3 <= calls[1] - calls[0] < 1


async def _sent(sending: object) -> None:
    if sending is not None:
        await sending  # pyright: ignore[reportGeneralTypeIssues]


async def test_a_wish_beyond_the_timeout_is_not_waited_for(peers: dict[str, Peer]) -> None:
    """The caller learns of it at once."""
    async with hub_of(a_peer("one", {"write": says("done")})) as hub:
        await hub.wait_ready()
        calls: list[float] = []

        async def carry(_: object) -> None:
            calls.append(time.monotonic())
            raise RateLimited("too many", status=429, retry_after=30)

        peers["one"].transport.carry = carry
        began = time.monotonic()
        with pytest.raises(RateLimited):
            await hub.call_tool("one.write", timeout=1)
        assert time.monotonic() - began < 0.5
        assert len(calls) == 1


async def test_attempts_together_keep_to_the_timeout(peers: dict[str, Peer]) -> None:
    """Each new one has what is left."""
    async with hub_of(a_peer("one", {"write": says("done")}, retry=Retry(attempts=20, first_delay=0.05))) as hub:
        await hub.wait_ready()

        async def carry(_: object) -> None:
            raise RateLimited("too many", status=429, retry_after=0.1)

        peers["one"].transport.carry = carry
        began = time.monotonic()
        with pytest.raises(RateLimited):
            await hub.call_tool("one.write", timeout=0.6)
        assert time.monotonic() - began < 0.9


async def test_a_timeout_is_never_repeated(peers: dict[str, Peer]) -> None:
    """Who waits no longer does not want it twice."""
    release = asyncio.Event()

    async def slow(_: Request) -> Json:
        await release.wait()
        return text("late")

    async with hub_of(a_peer("one", {"read": slow}, retry=Retry(tools=("*",)))) as hub:
        await hub.wait_ready()
        with pytest.raises(RequestTimeout):
            await hub.call_tool("one.read", timeout=0.2)
        assert len(peers["one"].params("tools/call")) == 1


async def test_a_repeated_call_has_one_beginning_and_one_end(tmp_path: Path) -> None:
    """However often it was made."""
    file = tmp_path / "effects"
    async with hub_of(counting("one", file, "lose=1", retry=TRUSTING, restart=QUICK)) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallFinished, CallFailed))
        await hub.call_tool("one.read", timeout=10)
        await until(lambda: events)
    assert [type(event) for event in events] == [CallFinished]
