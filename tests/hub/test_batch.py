"""Many at once: bytes through, every server that has a tool, calls in order, resources."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from dragoman import ToolCall
from dragoman.errors import (
    AmbiguousName,
    DragomanError,
    InvalidArguments,
    ServerNotReady,
    UnknownName,
    UsageError,
)
from dragoman.events import CallFailed, CallStarted
from dragoman.protocol.types import PromptReference, ResourceReference
from tests.hub.listening import until
from tests.hub.serving import a_peer, a_process, echo, heard, hub_of, never, peers, says
from tests.server.peer import Json, Peer, Request, a_tool, text

__all__ = ["peers"]


# Bytes through.


async def test_bytes_go_through_as_they_are(peers: dict[str, Peer]) -> None:
    """Numbers that no float holds, members that nobody knows; line ends between tokens are taken out."""
    exact = b'{"resultType":"complete","content":[],"odd":123456789012345678901234567890.10,"x":{"y":1}}'

    async def answer(request: Request) -> Json:
        peers["one"].send_bytes(b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (request.id, exact))
        return await asyncio.get_running_loop().create_future()

    async with hub_of(a_peer("one", {"raw": answer})) as hub:
        await hub.wait_ready()
        given = b'{\n"n": 12345678901234567890123,\r\n "t": "a\\nb", "l": [1,\n2]}'
        for arguments in (given, bytearray(given), memoryview(given)):
            result = await hub.call_raw("one.raw", arguments)
            assert isinstance(result, memoryview)
            assert bytes(result) == exact
        assert bytes(await hub.call_raw("one.raw", {"a": 1})) == exact
        assert bytes(await hub.call_raw("one.raw")) == exact
        sent = [
            message["params"]["arguments"] for message in peers["one"].received if message["method"] == "tools/call"
        ]
        assert sent[0] == sent[2] == {"n": 12345678901234567890123, "t": "a\nb", "l": [1, 2]}
        assert sent[3:] == [{"a": 1}, {}]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b'"text"',
        b'{"a": NaN}',
        b'{"a": 1} x',
        b'{"a": "\xff"}',
        b'{"\xff": 1}',
        b"[" * 9999,
    ],
)
async def test_bytes_that_are_no_json_object_are_refused(peers: dict[str, Peer], wrong: bytes) -> None:
    """Before anything is sent."""
    async with hub_of(a_peer("one", {"raw": echo})) as hub:
        await hub.wait_ready()
        with pytest.raises(InvalidArguments, match="no JSON object"):
            await hub.call_raw("one.raw", wrong)
        assert peers["one"].params("tools/call") == []


async def test_bytes_are_held_against_the_schema_too(peers: dict[str, Peer]) -> None:
    """And the events name the arguments in them."""
    schema: Json = {"inputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    async with hub_of(a_peer("one", {"raw": echo}, a_tool("raw", **schema))) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallStarted))
        with pytest.raises(InvalidArguments) as refused:
            await hub.call_raw("one.raw", b'{"n": "x"}')
        assert refused.value.path == "/n"
        await hub.call_raw("one.raw", b'{"n": 1, "m": 2}')
        await until(lambda: events)
        assert isinstance(events[0], CallStarted)
        assert events[0].arguments == ("n", "m")


async def test_ten_megabytes_go_both_ways() -> None:
    """Through a real process."""
    async with hub_of(a_process("one")) as hub:
        await hub.wait_ready()
        words = "x" * 10_000_000
        result = await hub.call_raw("one.echo", json.dumps({"message": words}).encode())
        assert len(result) > len(words)
        assert json.loads(bytes(result))["content"][0]["text"] == words


async def test_bytes_are_not_held_against_the_output_schema(peers: dict[str, Peer]) -> None:
    """That is for whoever reads them."""
    listed = a_tool("odd", outputSchema={"type": "object", "required": ["x"]})
    async with hub_of(a_peer("one", {"odd": says("no structure")}, listed)) as hub:
        await hub.wait_ready()
        assert b"no structure" in bytes(await hub.call_raw("one.odd", b"{}"))
        with pytest.raises(DragomanError):
            await hub.call_tool("one.odd")


# Every server that has it.


async def test_a_broadcast_gives_an_outcome_of_each_server_that_has_the_tool(peers: dict[str, Peer]) -> None:
    """One that is away has one, too; one without the tool has none."""
    servers = [a_peer("a", {"who": says("a")}), a_peer("b", {"who": says("b")}), a_peer("c", {"other": says("c")})]
    async with hub_of(*servers) as hub:
        await hub.wait_ready()
        await hub.stop_server("b")
        outcomes = await hub.broadcast("who")
        assert [(each.name, each.ok) for each in outcomes] == [("a.who", True), ("b.who", False)]
        assert [each.server for each in outcomes] == ["a", "b"]
        assert outcomes[0].unwrap().text == "a"
        assert isinstance(outcomes[1].error, ServerNotReady)
        with pytest.raises(ServerNotReady):
            outcomes[1].unwrap()
        with pytest.raises(UnknownName) as unknown:
            await hub.broadcast("whu")
        assert unknown.value.nearest != ()
        with pytest.raises(UnknownName, match="Give the name that servers list"):
            await hub.broadcast("a.who")


async def test_a_broadcast_keeps_to_its_timeout(peers: dict[str, Peer]) -> None:
    """The wait for a server that hangs included."""

    async def slow(_: Request) -> Json:
        await asyncio.sleep(0.15)
        return text("a")

    hung = a_peer("hung", {})
    peers["hung"].answers = {"server/discover": never(), "initialize": never()}
    async with hub_of(a_peer("a", {"who": slow}), a_peer("b", {"who": never()}), hung) as hub:
        await hub.wait_ready("a", "b")
        began = time.monotonic()
        outcomes = await hub.broadcast("who", timeout=0.8)
        assert time.monotonic() - began < 1.4
        assert [each.ok for each in outcomes] == [True, False]


# Calls in order.


async def test_a_batch_keeps_its_order_and_its_failures_apart(peers: dict[str, Peer]) -> None:
    """Whatever goes wrong with one of them."""
    async with hub_of(a_peer("a", {"echo": echo})) as hub:
        await hub.wait_ready()
        calls: list[Any] = [
            ToolCall("a.echo", {"n": 1}),
            ("a.nothing", None),
            ("a.echo", {"n": 2}),
            ("a.echo", "text"),
            ("a.echo", {"n": float("nan")}),
            ("gone.echo", {}),
            ToolCall("a.echo", {"n": 3}, timeout=-1),
            ("echo", {"n": 4}),
        ]
        outcomes = await hub.call_many(calls)
        assert [each.result.structured if each.result else None for each in outcomes] == [
            {"n": 1}, None, {"n": 2}, None, None, None, None, {"n": 4},
        ]  # fmt: skip
        assert [each.name for each in outcomes][1] == "a.nothing"
        assert all(each.ok is (each.error is None) for each in outcomes)
        assert await hub.call_many([]) == []


@pytest.mark.parametrize("wrong", ["abc", 5, ToolCall(5, {}), ("a",) * 9, ()])  # pyright: ignore[reportArgumentType]
async def test_what_is_no_call_is_refused_before_any_is_made(peers: dict[str, Peer], wrong: Any) -> None:
    """It is a mistake of the program's, not the outcome of a call."""
    async with hub_of(a_peer("a", {"echo": echo})) as hub:
        await hub.wait_ready()
        with pytest.raises(UsageError, match=r"is no call\. Write ToolCall"):
            await hub.call_many([("a.echo", {}), wrong])
        with pytest.raises(UsageError, match="limit"):
            await hub.call_many([("a.echo", {})], limit=0)
        assert peers["a"].params("tools/call") == []


async def test_no_more_calls_than_the_limit_are_under_way(peers: dict[str, Peer]) -> None:
    """And no fewer, while there are some."""
    here = most = 0

    async def count(_: Request) -> Json:
        nonlocal here, most
        here += 1
        most = max(most, here)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        here -= 1
        return text("done")

    async with hub_of(a_peer("a", {"count": count})) as hub:
        await hub.wait_ready()
        assert all(each.ok for each in await hub.call_many([("a.count", None)] * 100, limit=7))
        assert most == 7


async def test_ten_thousand_calls_are_a_batch() -> None:
    """To a real process."""
    async with hub_of(a_process("a")) as hub:
        await hub.wait_ready()
        outcomes = await hub.call_many([("a.echo", {"message": str(n)}) for n in range(10_000)], limit=64)
        assert [each.unwrap().text for each in outcomes] == [str(n) for n in range(10_000)]


async def test_a_batch_that_is_given_up_cancels_what_is_under_way(peers: dict[str, Peer]) -> None:
    """Each of them ends as cancelled; no further one is made."""
    async with hub_of(a_peer("a", {"silent": never()})) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallFailed))
        batch = asyncio.create_task(hub.call_many([("a.silent", None)] * 10, limit=3))
        await peers["a"].until(lambda: len(peers["a"].params("tools/call")) == 3)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        await until(lambda: len(events) == 3)
        assert {event.code for event in events if isinstance(event, CallFailed)} == {"call.cancelled"}
        assert len(peers["a"].params("tools/call")) == 3


# Resources, prompts, completion.


async def test_a_resource_is_found_by_its_uri_or_its_template(peers: dict[str, Peer]) -> None:
    """Where two may have it, the caller says which."""
    async with hub_of(a_process("one"), a_peer("plain", {"x": says("x")})) as hub:
        await hub.wait_ready()
        assert (await hub.read_resource("text://hello")).text == "Hello, resource"
        assert (await hub.read_resource("text://Ada")).text == "Hello, Ada"
        outcomes = await hub.read_resources(["text://b", "bytes://nothing", "text://a"], limit=2)
        assert [each.result.text if each.result else None for each in outcomes] == ["Hello, b", None, "Hello, a"]
        await hub.add_server(a_process("two"))
        await hub.wait_ready("two")
        with pytest.raises(AmbiguousName) as several:
            await hub.read_resource("text://hello")
        assert several.value.candidates == ("one", "two")
        assert (await hub.read_resource("text://hello", server="two")).text == "Hello, resource"
        with pytest.raises(UnknownName):
            await hub.read_resource("text://hello", server="three")


async def test_where_no_server_has_resources_that_is_told(peers: dict[str, Peer]) -> None:
    """Nobody is asked."""
    async with hub_of() as hub:
        with pytest.raises(UnknownName, match="no server has resources"):
            await hub.read_resource("text://hello")


async def test_prompts_and_completions_go_by_the_same_names() -> None:
    """A prompt by its full or bare name, a template by its URI."""
    async with hub_of(a_process("one", "era=handshake")) as hub:
        for name in ("one.greet", "greet"):
            assert "Ada" in (await hub.get_prompt(name, {"name": "Ada"})).raw.decode()
            assert (await hub.complete(PromptReference(name), "name", "A")).values == ("Ada", "Alan")
        assert (await hub.complete(ResourceReference("text://{name}"), "name", "G")).values == ("Grace",)
        assert (await hub.complete(PromptReference("greet"), "name", "B", server="one")).values == ("Barbara",)
        face = hub.server("one")
        assert (await face.read_resource("text://Ada")).text == "Hello, Ada"
        assert (await face.complete(PromptReference("greet"), "name", "A")).values == ("Ada", "Alan")
        assert (await face.get_prompt("greet", {"name": "Bob"})).messages
        with pytest.raises(UnknownName, match="Did you mean"):
            await hub.get_prompt("one.gret")
