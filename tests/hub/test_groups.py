"""Servers that stand in for one another: who is asked, who is asked next, and when two are asked at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from dragoman import Group, Restart, Retry
from dragoman.errors import (
    InvalidArguments,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    ServerNotReady,
    ToolDisabled,
    UnknownName,
)
from dragoman.events import CallFailed, CallFinished, CallRetried, CallStarted
from tests.hub.listening import until
from tests.hub.serving import (
    READ_ONLY,
    a_peer,
    a_process,
    counting,
    effects,
    heard,
    hub_of,
    never,
    peers,
    says,
)
from tests.server.peer import Json, Peer, Request, RpcError, a_tool

__all__ = ["peers"]

BOTH = {"g": Group(servers=("a", "b"))}
HEDGED = {"g": Group(servers=("a", "b"), hedge_after=0.1)}
TRUSTING = Retry(first_delay=0.01, longest_delay=0.02, attempts=2, trust_hints=True)
QUICK = Restart(first_delay=0.01, longest_delay=0.02)


async def test_the_first_that_can_be_asked_answers(peers: dict[str, Peer]) -> None:
    """By the group's name, or by a bare name that its servers share; a server's own name means that server."""
    async with hub_of(a_peer("a", {"who": says("a")}), a_peer("b", {"who": says("b")}), groups=BOTH) as hub:
        await hub.wait_ready()
        assert (await hub.call_tool("g.who")).text == "a"
        assert (await hub.call_tool("who")).text == "a"
        assert (await hub.call_tool("b.who")).text == "b"
        assert (await hub.call_tool("b__who")).text == "b"
        await hub.stop_server("a")
        assert (await hub.call_tool("g.who")).text == "b"
        assert (await hub.call_tool("who")).text == "b"
        for own in ("a.who", "a__who"):
            with pytest.raises(ServerNotReady):
                await hub.call_tool(own)


async def test_a_call_goes_to_those_that_have_the_tool(peers: dict[str, Peer]) -> None:
    """Members need not have the same tools; one that nobody has is told by its group."""
    async with hub_of(a_peer("a", {"only_a": says("a")}), a_peer("b", {"only_b": says("b")}), groups=BOTH) as hub:
        await hub.wait_ready()
        assert (await hub.call_tool("g.only_b")).text == "b"
        assert (await hub.call_tool("g.only_a")).text == "a"
        with pytest.raises(UnknownName):
            await hub.call_tool("g.nothing")


async def test_a_member_that_hides_the_tool_or_takes_other_arguments_is_passed_over(peers: dict[str, Peer]) -> None:
    """As long as there is another; else the first reason is told."""
    schema: Json = {"inputSchema": {"type": "object", "required": ["x"]}}
    servers = [
        a_peer("a", {"who": says("a"), "rm": says("a")}, a_tool("who", **schema), disabled_tools=("rm",)),
        a_peer("b", {"who": says("b"), "rm": says("b")}, disabled_tools=("nothing",)),
    ]
    async with hub_of(*servers, groups=BOTH) as hub:
        await hub.wait_ready()
        assert (await hub.call_tool("g.who")).text == "b"
        assert (await hub.call_tool("g.who", {"x": 1})).text == "a"
        assert (await hub.call_tool("g.rm")).text == "b"
        assert peers["a"].params("tools/call") != []


async def test_what_all_members_refuse_is_told(peers: dict[str, Peer]) -> None:
    """By the first of them."""
    schema: Json = {"inputSchema": {"type": "object", "required": ["x"]}}
    hidden = {"disabled_tools": ("rm",)}
    servers = [a_peer(name, {"who": says(name), "rm": says(name)}, a_tool("who", **schema), **hidden) for name in "ab"]
    async with hub_of(*servers, groups=BOTH) as hub:
        await hub.wait_ready()
        with pytest.raises(InvalidArguments):
            await hub.call_tool("g.who")
        with pytest.raises(ToolDisabled):
            await hub.call_tool("g.rm")


async def test_a_failure_goes_on_to_the_next_only_if_that_is_safe(tmp_path: Path) -> None:
    """The first dies after the effect: a read is made on the second, a write is not."""
    first, second = tmp_path / "first", tmp_path / "second"
    servers = [
        counting("a", first, "lose=9", retry=TRUSTING, restart=QUICK),
        counting("b", second, "name=b", retry=TRUSTING),
    ]
    async with hub_of(*servers, groups=BOTH) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallRetried))
        with pytest.raises(OutcomeUnknown):
            await hub.call_tool("g.write", timeout=10)
        assert effects(second) == []
        await until(lambda: hub.status()["a"].connections == 2)
        assert (await hub.call_tool("g.read", timeout=10)).text == "b"
        await until(lambda: events)
    assert effects(first) == ["write", "read"]
    assert effects(second) == ["read"]
    (told,) = events
    assert isinstance(told, CallRetried)
    assert (told.why, told.server, told.attempt) == ("failover", "b", 2)


async def test_an_answer_is_an_answer(peers: dict[str, Peer]) -> None:
    """A server's refusal is not asked for again elsewhere, hedged or not."""

    async def refuse(_: Request) -> Json:
        raise RpcError(-32050)

    for groups in (BOTH, HEDGED):
        servers = [
            a_peer("a", {"who": refuse}, a_tool("who", **READ_ONLY), retry=TRUSTING),
            a_peer("b", {"who": says("b")}, a_tool("who", **READ_ONLY), retry=TRUSTING),
        ]
        async with hub_of(*servers, groups=groups) as hub:
            await hub.wait_ready()
            with pytest.raises(ServerError):
                await hub.call_tool("g.who")
            assert peers["b"].params("tools/call") == []


async def test_one_that_hangs_while_it_connects_does_not_hold_the_other() -> None:
    """None is connected yet: the first to come up is asked."""
    async with hub_of(a_process("a", "mute"), a_process("b"), groups=BOTH) as hub:
        events = heard(hub.events(CallFinished))
        began = time.monotonic()
        assert (await hub.call_tool("g.echo", {"message": "b"}, timeout=5)).text == "b"
        assert time.monotonic() - began < 3
        await until(lambda: events)
        assert [getattr(each, "server", "") for each in events] == ["b"]


async def test_all_of_them_away_is_told_at_once() -> None:
    """With the last one's state."""
    async with hub_of(a_process("a", "exit=3"), a_process("b", "exit=3"), groups=BOTH) as hub:
        await hub.wait_ready()
        began = time.monotonic()
        with pytest.raises(ServerNotReady):
            await hub.call_tool("g.echo", timeout=5)
        assert time.monotonic() - began < 2


async def test_a_slow_read_is_asked_on_the_next_server_too(peers: dict[str, Peer]) -> None:
    """The first answer counts, and the loser hears that nobody waits any more."""
    servers = [
        a_peer("a", {"who": never()}, a_tool("who", **READ_ONLY), retry=TRUSTING),
        a_peer("b", {"who": says("b")}, a_tool("who", **READ_ONLY), retry=TRUSTING),
    ]
    async with hub_of(*servers, groups=HEDGED) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallRetried, CallFinished))
        assert (await hub.call_tool("g.who")).text == "b"
        await peers["a"].got("notifications/cancelled")
        await until(lambda: len(events) == 2)
        told, finished = events
        assert isinstance(told, CallRetried)
        assert (told.why, told.server) == ("hedge", "b")
        assert isinstance(finished, CallFinished)
        assert finished.server == "b"


async def test_the_end_of_a_call_is_told_of_the_server_that_was_asked_last(peers: dict[str, Peer]) -> None:
    """Whether it answered or failed; the beginning names the one that was to be asked first."""

    async def busy(_: object) -> None:
        raise RateLimited("later", status=429, retry_after=60.0)

    async with hub_of(a_peer("a", {"who": says("a")}), a_peer("b", {"who": says("b")}), groups=BOTH) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallStarted, CallFinished, CallFailed))
        peers["a"].transport.carry = busy
        assert (await hub.call_tool("g.who")).text == "b"
        peers["b"].transport.carry = busy
        with pytest.raises(RateLimited):
            await hub.call_tool("g.who")
        await until(lambda: len(events) == 4)
        assert [(type(each), getattr(each, "server", "")) for each in events] == [
            *((CallStarted, "a"), (CallFinished, "b")),
            *((CallStarted, "a"), (CallFailed, "b")),
        ]


async def test_a_hedge_that_fails_leaves_the_first_alone(peers: dict[str, Peer]) -> None:
    """What did not come from the one still comes from the other."""
    release = asyncio.Event()

    async def slow(_: Request) -> Json:
        await release.wait()
        return {"content": [{"type": "text", "text": "a"}]}

    servers = [
        a_peer("a", {"who": slow}, a_tool("who", **READ_ONLY), retry=TRUSTING),
        a_peer("b", {"who": says("b")}, a_tool("who", **READ_ONLY), retry=TRUSTING),
    ]
    async with hub_of(*servers, groups=HEDGED) as hub:
        await hub.wait_ready()
        await hub.stop_server("b")
        calling = asyncio.create_task(hub.call_tool("g.who"))
        events = heard(hub.events(CallRetried))
        await until(lambda: events)
        release.set()
        assert (await calling).text == "a"


@pytest.mark.parametrize("hints", [{}, {"annotations": {"idempotentHint": True}}])
async def test_what_is_not_read_only_on_every_member_is_never_asked_twice(peers: dict[str, Peer], hints: Json) -> None:
    """Not even when it is slow, and the other would be quick."""
    servers = [
        a_peer("a", {"who": never()}, a_tool("who", **READ_ONLY), retry=TRUSTING),
        a_peer("b", {"who": says("b")}, a_tool("who", **hints), retry=TRUSTING),
    ]
    async with hub_of(*servers, groups=HEDGED) as hub:
        await hub.wait_ready()
        calling = asyncio.create_task(hub.call_tool("g.who", timeout=0.5))
        await asyncio.wait({calling})
        assert calling.exception() is not None
        assert peers["b"].params("tools/call") == []


async def test_a_caller_that_gives_up_cancels_both(peers: dict[str, Peer]) -> None:
    """Neither goes on."""
    servers = [a_peer(name, {"who": never()}, a_tool("who", **READ_ONLY), retry=TRUSTING) for name in "ab"]
    async with hub_of(*servers, groups=HEDGED) as hub:
        await hub.wait_ready()
        calling = asyncio.create_task(hub.call_tool("g.who"))
        await peers["b"].got("tools/call")
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        for name in "ab":
            await peers[name].got("notifications/cancelled")
