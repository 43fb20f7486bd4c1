"""What a hub says there is: from memory or disk at once, from servers that come late, and how far to trust it."""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from dragoman import Hub, HubConfig, ServerConfig
from dragoman.errors import InvalidArguments, UnknownName, UsageError
from dragoman.events import CallStarted, CatalogueChanged, Event, ServerChanged, ServerRemoved
from dragoman.hub import finding
from tests.hub.listening import until
from tests.hub.serving import a_peer, a_process, echo, heard, hub_of, never, outcome, peers, says
from tests.server.peer import Answer, Json, Peer, Request, RpcError, a_tool, always
from tests.servers import scripted

__all__ = ["peers"]


async def took(work: Awaitable[object]) -> float:
    """Wait for it and give the seconds that it took."""
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def test_everything_is_listed_of_all_servers_or_of_one() -> None:
    """Tools, resources, templates, prompts; each with its server."""
    async with hub_of(a_process("one"), a_process("two")) as hub:
        assert {tool.server for tool in await hub.tools()} == {"one", "two"}
        assert {tool.server for tool in await hub.tools("two")} == {"two"}
        assert [each.uri for each in await hub.resources("one")] == ["text://hello", "bytes://hello"]
        assert [each.key for each in await hub.resource_templates("one")] == ["text://{name}"]
        assert [each.full_name for each in await hub.prompts()] == ["one.greet", "two.greet"]
        assert [each.name for each in await hub.server("one").prompts()] == ["greet"]
        for listing in (hub.tools, hub.resources, hub.resource_templates, hub.prompts):
            with pytest.raises(UnknownName):
                await listing("three")


async def test_what_is_known_is_given_at_once(peers: dict[str, Peer]) -> None:
    """Nobody is asked again."""
    async with hub_of(a_peer("one", {"hello": says("hi")})) as hub:
        await hub.wait_ready()
        before = len(peers["one"].received)
        for _ in range(3):
            assert len(await hub.tools()) == 1
        assert len(peers["one"].received) == before


async def test_a_server_that_was_never_listed_is_waited_for_and_no_longer_than_told(peers: dict[str, Peer]) -> None:
    """One that hangs costs the wait; one that fails costs nothing."""
    hung = a_peer("hung", {})
    peers["hung"].answers = {"server/discover": never(), "initialize": never()}
    async with hub_of(a_peer("one", {"hello": says("hi")}), hung) as hub:
        began = time.monotonic()
        assert len(await hub.tools(wait=0.3)) == 1
        assert 0.25 < time.monotonic() - began < 0.8
        began = time.monotonic()
        assert len(await hub.tools("one")) == 1
        assert len(await hub.tools(wait=0)) == 1
        assert time.monotonic() - began < 0.2
    async with hub_of(a_process("slow", "start_after=0.3"), a_process("bad", "exit=3")) as hub:
        assert {tool.server for tool in await hub.tools()} == {"slow"}


async def test_a_server_that_was_waited_for_in_vain_is_not_waited_for_again(tmp_path: Path) -> None:
    """Neither by this hub nor by the next one, unless somebody asks for it by name; until it was listed."""
    slow = tmp_path / "slow"  # while it is a FIFO, whoever reads it waits
    os.mkfifo(slow)
    late = ServerConfig(name="late", command="sh", args=("-c", f"cat {slow}; exec {shlex.join(scripted())}"))
    servers = HubConfig(servers=(a_process("one"), late))
    async with Hub(servers, cache_folder=tmp_path) as hub:
        await hub.wait_ready("one")
        assert {tool.server for tool in await hub.tools(wait=0.3)} == {"one"}
        assert await took(hub.tools()) < 0.25
    async with Hub(servers, cache_folder=tmp_path) as hub:
        assert await took(hub.tools()) < 0.25
        assert await took(hub.tools("late", wait=0.3)) >= 0.3
    slow.unlink()
    slow.touch()
    async with Hub(servers, cache_folder=tmp_path) as hub:
        await hub.wait_ready()
    async with Hub(servers, cache_folder=tmp_path) as hub:
        assert {tool.server for tool in await hub.tools()} == {"one", "late"}


async def test_a_server_that_can_not_be_listed_is_not_waited_for_again(peers: dict[str, Peer]) -> None:
    """It is connected, and says why it has no tools."""

    async def refuse(_: Request) -> Json:
        raise RpcError(-32050)

    async with hub_of(a_peer("odd", {"hello": says("hi")})) as hub:
        peers["odd"].answers["tools/list"] = refuse
        assert await hub.tools() == []
        assert hub.status()["odd"].state == "degraded"
        began = time.monotonic()
        assert await hub.tools() == []
        assert time.monotonic() - began < 0.5


async def test_what_is_past_its_lifetime_is_listed_anew(peers: dict[str, Peer]) -> None:
    """Within the wait; a server that does not answer then is listed as stale."""
    async with hub_of(a_peer("one", {"hello": says("hi")})) as hub:
        peer = peers["one"]

        async def listing(_: Request) -> Json:
            return {"tools": peer.listed, "ttlMs": 0, "cacheScope": "private"}

        peer.answers["tools/list"] = listing
        assert [tool.name for tool in await hub.tools()] == ["hello"]
        peer.listed = [a_tool("other")]
        assert [tool.name for tool in await hub.tools()] == ["other"]
        peer.answers["tools/list"] = never()
        began = time.monotonic()
        (tool,) = await hub.tools(wait=0.2)
        assert time.monotonic() - began < 0.7
        assert tool.stale


async def test_changes_arrive_and_are_told(peers: dict[str, Peer]) -> None:
    """A listing that the server says is another now."""
    config = a_peer("one", {"hello": says("hi")})
    peers["one"].answers["subscriptions/listen"] = _listening
    async with hub_of(config) as hub:
        events = heard(hub.events(CatalogueChanged))
        await hub.wait_ready()
        await peers["one"].got("subscriptions/listen")
        peers["one"].listed = [a_tool("other")]
        meta = {"io.modelcontextprotocol/subscriptionId": peers["one"].ids("subscriptions/listen")[0]}
        peers["one"].notify("tools/list_changed", _meta=meta)
        await until(lambda: len(events) == 2)
        changed = events[1]
        assert isinstance(changed, CatalogueChanged)
        assert (changed.what, changed.added, changed.removed, changed.total) == ("tools", ("other",), ("hello",), 1)
        assert [tool.name for tool in await hub.tools()] == ["other"]


async def _listening(request: Request) -> Json:
    meta = {"io.modelcontextprotocol/subscriptionId": request.id}
    request.notify("subscriptions/acknowledged", _meta=meta, notifications=request.params["notifications"])
    return await never()(request)


async def test_a_second_start_lists_from_disk_and_marks_what_may_be_outdated(tmp_path: Path) -> None:
    """Before anything is connected; the tools of a server that is away are known, and stale."""
    config = HubConfig(servers=(a_process("one"),))
    async with Hub(config, cache_folder=tmp_path) as hub:
        first = [tool.full_name for tool in await hub.tools()]
        assert not (await hub.tools())[0].stale or (await hub.tools())[0].standing.expires_at is not None
    async with Hub(config, cache_folder=tmp_path) as hub:
        began = time.monotonic()
        tools = await hub.tools()
        assert time.monotonic() - began < 0.2
        assert [tool.full_name for tool in tools] == first
        assert all(tool.stale for tool in tools)


async def test_tools_are_found_by_what_they_do(peers: dict[str, Peer]) -> None:
    """Best first; of one server; none where none fits."""
    servers = [
        a_peer("mail", {"send": echo}, a_tool("send", description="Send an e-mail message to somebody")),
        a_peer("files", {"read": echo}, a_tool("read", description="Read a file from the disk")),
    ]
    async with hub_of(*servers) as hub:
        found = await hub.find("send a mail")
        assert found[0].name == "mail.send"
        assert found[0].score >= found[-1].score
        tool = await hub.find_tool("read file")
        assert tool is not None
        assert tool.full_name == "files.read"
        assert await hub.find_tool("read file", server="mail") is None
        assert await hub.find_tool("xylophone") is None
        with pytest.raises(UsageError, match="limit"):
            await hub.find("x", 0)
        await hub.remove_server("files")
        assert await hub.find_tool("read file") is None


async def test_one_tool_is_given_by_any_of_its_names(peers: dict[str, Peer]) -> None:
    """As `call_tool` takes them; one that can't be known is told as such."""
    async with hub_of(a_peer("one", {"hello": says("hi")}), a_process("bad", "exit=3")) as hub:
        for name in ("one.hello", "hello", "one__hello"):
            assert (await hub.tool(name)).full_name == "one.hello"
        with pytest.raises(UnknownName):
            await hub.tool("one.nothing")
        with pytest.raises(UnknownName, match="not known"):
            await hub.tool("bad.echo", wait=1)


async def test_an_instrument_stands_beside_every_request(peers: dict[str, Peer]) -> None:
    """What its beginning gives goes along in `_meta`, of each kind of request; one that raises costs nothing."""

    class Traces:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def begin(self, event: CallStarted) -> dict[str, str]:
            self.seen.append(f"begin {event.method}")
            return {"traceparent": f"00-{event.call_id}"}

        def end(self, event: object) -> None:
            self.seen.append(f"end {type(event).__name__}")

        def note(self, event: object) -> None:
            self.seen.append(f"note {type(event).__name__}")

    class Broken:
        def begin(self, event: object) -> dict[str, str]:
            raise ValueError("broken")

        end = note = begin

    config = a_peer("one", {"hello": says("hi")})
    peer = peers["one"]
    peer.capabilities = {"tools": {}, "resources": {}, "prompts": {}, "completions": {}}

    async def empty(request: Request) -> Json:
        kind = {
            "resources/list": "resources",
            "resources/templates/list": "resourceTemplates",
            "prompts/list": "prompts",
        }
        return {kind[request.method]: []}

    async def completion(_: Request) -> Json:
        return {"completion": {"values": ["x"]}}

    async def nothing(request: Request) -> Json:
        return {"contents": [], "messages": []}

    peer.answers |= dict.fromkeys(("resources/list", "resources/templates/list", "prompts/list"), empty)
    peer.answers |= {"resources/read": nothing, "prompts/get": nothing, "completion/complete": completion}
    async with hub_of(config) as hub:
        traces = Traces()
        hub.instrument(Broken())  # pyright: ignore[reportArgumentType]
        hub.instrument(traces)
        await hub.wait_ready()
        from dragoman.protocol.types import PromptReference

        face = hub.server("one")
        await hub.call_tool("one.hello", meta={"mine": 1})
        await hub.call_raw("one.hello", b"{}")
        await face.read_resource("a:b")
        await face.get_prompt("p")
        await face.complete(PromptReference("p"), "x")
        methods = ("tools/call", "tools/call", "resources/read", "prompts/get", "completion/complete")
        sent = [message["params"]["_meta"] for message in peer.received if message["method"] in methods]
        assert [meta["traceparent"] for meta in sent] == [f"00-{n}" for n in range(1, 6)]
        assert sent[0]["mine"] == 1
        seen = [word for word in traces.seen if not word.startswith(("note Server", "note Catalogue"))]
        assert seen == [word for method in methods for word in (f"begin {method}", "end CallFinished")]


async def test_an_instrument_hears_of_servers_though_nobody_listens_to_events(peers: dict[str, Peer]) -> None:
    """So a span can tell how its server is connected; and the hub's servers come and go as always if it raises."""
    seen: list[Event] = []

    class Notes:
        def begin(self, event: CallStarted) -> None:
            pass

        def end(self, event: object) -> None:
            pass

        def note(self, event: Event) -> None:
            seen.append(event)
            raise ValueError("broken")

    hub = hub_of(a_peer("one", {"hello": says("hi")}))
    hub.instrument(Notes())
    async with hub:
        await hub.wait_ready()
        await hub.remove_server("one")
    states = [each.status.state for each in seen if isinstance(each, ServerChanged)]
    assert states[:2] == ["connecting", "ready"]
    assert any(isinstance(each, ServerRemoved) for each in seen)


async def test_only_the_kind_that_is_asked_for_is_listed_anew(peers: dict[str, Peer]) -> None:
    """A server whose lists live no time is asked for the one list, and for no other."""
    config = a_peer("one", {"hello": says("hi")})
    peer = peers["one"]
    peer.capabilities = {"tools": {}, "prompts": {}}

    async def prompts(_: Request) -> Json:
        return {"prompts": [{"name": "greet"}], "ttlMs": 0}

    async def tools(_: Request) -> Json:
        return {"tools": peer.listed, "ttlMs": 0}

    peer.answers |= {"prompts/list": prompts, "tools/list": tools}
    async with hub_of(config) as hub:
        await hub.wait_ready()
        for _ in range(2):
            assert [tool.name for tool in await hub.tools()] == ["hello"]
        assert [len(peer.params(f"{what}/list")) for what in ("tools", "prompts")] == [3, 1]
        assert [prompt.key for prompt in await hub.prompts()] == ["greet"]
        assert [len(peer.params(f"{what}/list")) for what in ("tools", "prompts")] == [3, 2]


async def test_an_index_of_many_tools_is_built_beside_the_loop(
    peers: dict[str, Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop goes on meanwhile; whoever gives up leaves it to the others, and a change is found by the next."""
    filled: list[object] = []
    fill: Any = getattr(finding, "_filled")  # noqa: B009 - what runs in the thread

    def counted(*given: Any) -> Any:
        filled.append(given)
        return fill(*given)

    monkeypatch.setattr(finding, "_filled", counted)
    many: dict[str, Answer] = {f"tool_{number}": echo for number in range(3000)}
    told = [a_tool(name, description=f"Do the thing {name} with care") for name in many]
    async with hub_of(a_peer("big", many, *told)) as hub:
        await hub.wait_ready()
        impatient = asyncio.create_task(hub.find("thing tool_1"))
        others = [asyncio.create_task(hub.find(f"tool_{number}", 1)) for number in range(20)]
        turns = 0
        while not all(each.done() for each in others):
            turns += 1
            await asyncio.sleep(0)
            if filled:
                impatient.cancel()
        assert turns > 100
        assert len(filled) == 1
        assert impatient.cancelled()
        assert [found.result()[0].name for found in others] == [f"big.tool_{number}" for number in range(20)]
        await hub.add_server(a_peer("late", {"xylophone": echo}))
        await hub.wait_ready()
        assert (await hub.find("xylophone"))[0].name == "late.xylophone"
        await hub.remove_server("big")
        assert [found.name for found in await hub.find("tool_1 thing xylophone", 1)] == ["late.xylophone"]


async def test_a_hub_may_be_closed_while_it_indexes(peers: dict[str, Peer]) -> None:
    """Nothing is left of it, and whoever asked is told."""
    many: dict[str, Answer] = {f"tool_{number}": echo for number in range(1000)}
    hub = hub_of(a_peer("big", many))
    async with hub:
        await hub.wait_ready()
        asking = [asyncio.create_task(hub.find("tool")) for _ in range(2)]
        await asyncio.sleep(0)
    for each in asking:
        assert isinstance(await outcome(each), UsageError)


async def test_arguments_of_prompts_are_texts(peers: dict[str, Peer]) -> None:
    """What is none is refused before anything is sent, by its name."""
    config = a_peer("one")
    peers["one"].capabilities = {"prompts": {}}
    peers["one"].answers["prompts/list"] = always({"prompts": [{"name": "greet"}]})
    peers["one"].answers["prompts/get"] = always({"messages": []})
    wrong: Any = {"name": "you", "a/ge": 3}
    async with hub_of(config) as hub:
        for asking in (hub.get_prompt("one.greet", wrong), hub.server("one").get_prompt("greet", wrong)):
            with pytest.raises(
                InvalidArguments, match="argument a/ge of the prompt greet must be a text, not a int"
            ) as no:
                await asking
            assert (no.value.path, no.value.server) == ("/a~1ge", "one")
        assert peers["one"].params("prompts/get") == []
