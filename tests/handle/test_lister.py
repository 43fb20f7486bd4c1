"""What a server offers, kept up to date: changes in both eras, failures, no more requests than needed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable

import pytest

from dragoman.catalogue.catalogue import Delta
from dragoman.catalogue.listings import Listed, Listing
from dragoman.config.model import ServerConfig
from dragoman.errors import ConnectionLost
from dragoman.events import CatalogueChanged, ServerLost, ServerRecovered
from dragoman.handle import lister
from tests.handle.stage import LONG, SOON, Stage, http, listing_http, stage, stdio
from tests.samples.test_samples import listening
from tests.server.peer import META, Json, Peer, Request, RpcError, a_tool, always, silence, text
from tests.servers.http_faults import Visit, serving

LOCAL = ServerConfig(name="local", transport="peer", restart=SOON)
ERAS = ["2025-11-25", "2026-07-28"]
TELLING: Json = {"tools": {"listChanged": True}}


def offering(*tools: str, version: str = ERAS[1], capabilities: Json | None = None) -> Peer:
    """Give a server in this process that lists tools and tells of changes."""
    peer = Peer(version, capabilities=TELLING if capabilities is None else capabilities)
    peer.listed = [a_tool(name) for name in tools]
    peer.answers["subscriptions/listen"] = acknowledge

    async def answer(_: Request) -> Json:
        return text("answered")

    for name in tools:
        peer.tools[name] = answer
    return peer


async def acknowledge(request: Request) -> Json:
    """Agree to tell of changes, and hold the request open."""
    await say_acknowledged(request)
    return await silence(request)


async def say_acknowledged(request: Request) -> None:
    """Agree to tell of changes."""
    meta = {META + "subscriptionId": request.id}
    request.notify("subscriptions/acknowledged", _meta=meta, notifications=request.params["notifications"])


def announce(peer: Peer, what: str = "tools") -> None:
    """Tell of a changed list, in the way of the era."""
    subscriptions = peer.ids("subscriptions/listen")
    meta = {"_meta": {META + "subscriptionId": subscriptions[-1]}} if subscriptions else {}
    peer.notify(f"{what}/list_changed", **meta)


def only(on: Stage) -> Peer:
    """Give the server of the last attempt."""
    return on.made["local"][-1]


def listings(peer: Peer) -> int:
    """Count how often the tools were listed."""
    return len(peer.params("tools/list"))


# Changes.


@pytest.mark.parametrize("version", ERAS)
async def test_a_changed_list_is_fetched_anew(version: str) -> None:
    """In both eras; what came and went is told."""
    async with stage(LOCAL, peers={"local": lambda: offering("one", "two", version=version)}) as on:
        await on.until_listed("local")
        only(on).listed = [a_tool("two"), a_tool("three")]
        announce(only(on))
        await on.until(lambda: on.tools("local") == ["two", "three"])
        change = on.events(CatalogueChanged, "local")[-1]
        assert (change.what, change.added, change.removed, change.total) == ("tools", ("three",), ("one",), 2)
        assert on.status("local").tools == 2
        assert listings(only(on)) == 2


@pytest.mark.parametrize("over_http", [False, True], ids=["stdio", "http"])
@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_a_real_server_s_changes_arrive(era: str, *, over_http: bool) -> None:
    """A note that is added is a resource more, over either transport and in either era."""
    async with listening("notes") as url:
        words = (sys.executable, "-m", "dragoman.samples.notes")
        if over_http:
            config = http("notes", url, era=era)
        else:
            config = ServerConfig(name="notes", command=words[0], args=words[1:], era=era)  # pyright: ignore[reportArgumentType]
        async with stage(config) as on:
            await on.until_listed("notes")
            before = len(list(on.catalogue.all_resources("notes")))
            await on.call("notes", "add_note", title="new", text="kept")
            await on.until(lambda: len(list(on.catalogue.all_resources("notes"))) == before + 1)


@pytest.mark.parametrize("version", ERAS)
async def test_a_burst_of_changes_is_few_listings(version: str) -> None:
    """What changed a hundred times meanwhile is fetched once more, and the last state is known."""
    async with stage(LOCAL, peers={"local": lambda: offering(version=version)}) as on:
        await on.until_listed("local")
        for number in range(100):
            only(on).listed = [a_tool(f"tool_{number}")]
            announce(only(on))
            await asyncio.sleep(0)
        await on.until(lambda: on.tools("local") == ["tool_99"])
        assert listings(only(on)) <= 4


async def test_a_server_that_tells_of_a_change_at_each_listing_is_asked_in_moderation() -> None:
    """Else the two would keep each other busy for ever."""

    def restless() -> Peer:
        peer = offering("one")
        listed = peer.answers["tools/list"]

        async def answer(request: Request) -> Json:
            asyncio.get_running_loop().call_soon(announce, peer)
            return await listed(request)

        peer.answers["tools/list"] = answer
        return peer

    async with stage(LOCAL, peers={"local": restless}) as on:
        await on.until_listed("local")
        await asyncio.sleep(0.35)
        assert 2 <= listings(only(on)) <= 6


async def test_a_change_before_anybody_hears_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is slow to agree is listed first, and once more when it tells of changes."""
    monkeypatch.setattr(lister, "_HEARING", 0.02)
    agreed = asyncio.Event()

    def slow() -> Peer:
        peer = offering("one")

        async def listen(request: Request) -> Json:
            await agreed.wait()
            return await acknowledge(request)

        peer.answers["subscriptions/listen"] = listen
        return peer

    async with stage(LOCAL, peers={"local": slow}) as on:
        await on.until_listed("local")
        only(on).listed = [a_tool("two")]
        agreed.set()
        await on.until(lambda: on.tools("local") == ["two"])


async def test_a_subscription_that_the_server_ends_is_made_again() -> None:
    """Gracefully ended or refused for the moment: changes are heard again, and what was missed is fetched."""

    def ending() -> Peer:
        peer = offering("one")

        async def listen(request: Request) -> Json:
            await say_acknowledged(request)
            return {} if len(peer.ids("subscriptions/listen")) < 3 else await silence(request)

        peer.answers["subscriptions/listen"] = listen
        return peer

    async with stage(LOCAL, peers={"local": ending}) as on:
        await on.until_listed("local")
        only(on).listed = [a_tool("two")]
        await on.until(lambda: on.tools("local") == ["two"])
        await on.until(lambda: len(only(on).ids("subscriptions/listen")) == 3)


async def test_a_server_that_refuses_to_tell_of_changes_is_asked_once() -> None:
    """What it does not have it will not have in a second."""

    async def refuse(_: Request) -> Json:
        raise RpcError(-32601)

    def unwilling() -> Peer:
        peer = offering("one")
        peer.answers["subscriptions/listen"] = refuse
        return peer

    async with stage(LOCAL, peers={"local": unwilling}) as on:
        await on.until_listed("local")
        await asyncio.sleep(0.15)
        assert len(only(on).ids("subscriptions/listen")) == 1
        assert on.status("local").state == "ready"


# Failures.


async def test_a_listing_that_fails_leaves_the_others_and_calls_alone_and_is_tried_again() -> None:
    """Degraded and why; prompts are listed, calls are answered; well again when the listing is there."""
    broken = True

    def ailing() -> Peer:
        peer = offering("one", capabilities={"tools": {}, "prompts": {}})
        listed = peer.answers["tools/list"]

        async def answer(request: Request) -> Json:
            if broken:
                raise RpcError(-32603, "the database is away")
            return await listed(request)

        peer.answers["tools/list"] = answer
        peer.answers["prompts/list"] = always({"prompts": [{"name": "greet"}]})
        return peer

    async with stage(LOCAL, peers={"local": ailing}) as on:
        status = await on.until_state("local", "degraded")
        assert "the database is away" in status.reason
        assert status.code == "server.error"
        assert [entry.key for entry in on.catalogue.all_prompts("local")] == ["greet"]
        assert not on.catalogue.known("local")
        assert await on.call("local", "one") == "answered"
        await on.until(lambda: listings(only(on)) >= 5)
        on.handle("local").suspect()  # an answered question does not make the listing well
        await on.until(lambda: listings(only(on)) >= 8)
        assert [step for step in on.course("local") if step in ("ready", "degraded")] == ["ready", "degraded"]
        broken = False
        await on.until_state("local", "ready")
        assert on.tools("local") == ["one"]
        assert on.status("local").code == ""


async def test_a_server_with_resources_and_no_templates_is_well() -> None:
    """One capability stands for both, and many servers have only the first."""

    def older() -> Peer:
        peer = offering("one", capabilities={"tools": {}, "resources": {}, "prompts": {}})
        peer.answers["resources/list"] = always({"resources": [{"uri": "a://b", "name": "b"}]})
        peer.answers["prompts/list"] = always({"prompts": [{"name": "greet"}]})
        return peer

    async with stage(LOCAL, peers={"local": older}) as on:
        await on.until_listed("local")
        assert "degraded" not in on.course("local")
        assert on.catalogue.known("local", "templates")
        assert [entry.key for entry in on.catalogue.all_prompts("local")] == ["greet"]


async def test_a_listing_that_can_t_be_taken_costs_that_listing_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is logged once, the server stays, and what can be taken is."""

    def two() -> Peer:
        peer = offering("one", capabilities={"tools": {}, "prompts": {}})
        peer.answers["prompts/list"] = always({"prompts": [{"name": "greet"}]})
        return peer

    async with stage(LOCAL, peers={"local": two}) as on:
        update = on.catalogue.update

        def failing(server: str, what: Listing, listing: Listed, *, stale: bool = False) -> Delta:
            if what == "tools":
                raise ValueError("a fault")
            return update(server, what, listing, stale=stale)

        monkeypatch.setattr(on.catalogue, "update", failing)
        status = await on.until_state("local", "degraded")
        assert "ValueError: a fault" in status.reason
        await on.until(lambda: listings(only(on)) >= 3)
        assert on.catalogue.known("local", "prompts")
        assert await on.call("local", "one") == "answered"
        monkeypatch.undo()
        await on.until_state("local", "ready")
        assert on.attempts["local"] == 1
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_a_server_that_dies_while_it_is_listed_is_lost() -> None:
    """There is nothing to list on a connection that is gone."""
    async with stage(stdio("a", "die_on=resources/list")) as on:
        await on.until(lambda: on.attempts["a"] >= 2)
        assert "ServerLost" in on.course("a")
        assert "ServerRecovered" not in on.course("a")


# Coming back, and asking anew.


def changing(lists: list[list[str]]) -> Callable[[], Peer]:
    """Give servers that list something else each time, for an hour as they say."""

    def make() -> Peer:
        peer = offering()
        names = lists.pop(0)
        peer.answers["tools/list"] = always({"tools": [a_tool(name) for name in names], "ttlMs": 3_600_000})
        return peer

    return make


async def test_a_server_that_comes_back_is_listed_anew_however_fresh_its_list_is() -> None:
    """It may be another one by now. Meanwhile its tools are listed as stale."""
    async with stage(LOCAL, peers={"local": changing([["one"], ["two"]])}) as on:
        await on.until_listed("local")
        assert not on.catalogue.stale("local")
        only(on).lose(ConnectionLost("it is gone"))
        await on.until_state("local", "waiting")
        assert on.catalogue.stale("local")
        await on.until(lambda: on.events(ServerRecovered, "local"))
        assert on.tools("local") == ["two"]
        assert not on.catalogue.stale("local")


async def test_a_server_that_is_lost_again_before_it_was_listed_was_away_all_the_time() -> None:
    """It counts as back when it is listed, and the time away is the time since the first loss."""
    count = 0

    def make() -> Peer:
        nonlocal count
        count += 1
        peer = offering("one")
        if count == 2:
            peer.answers["tools/list"] = silence
        return peer

    async with stage(LOCAL, peers={"local": make}) as on:
        await on.until_listed("local")
        only(on).lose(ConnectionLost("it is gone"))
        await on.until(lambda: len(on.made["local"]) == 2 and listings(only(on)) == 1)
        await asyncio.sleep(0.1)
        assert not on.events(ServerRecovered, "local")
        only(on).lose(ConnectionLost("it is gone again"))
        await on.until(lambda: on.events(ServerRecovered, "local"))
        first, second = on.events(ServerLost, "local")
        (recovered,) = on.events(ServerRecovered, "local")
        assert second.reason == "it is gone again"
        assert recovered.away == pytest.approx(recovered.at - first.at, abs=0.05)


async def test_whoever_asks_for_a_listing_waits_for_it_and_many_ask_once() -> None:
    """A hundred at once are two rounds at most: the one under way, and one that began after they asked."""
    async with stage(LOCAL, peers={"local": lambda: offering("one")}) as on:
        await on.until_listed("local")
        only(on).listed = [a_tool("two")]
        await asyncio.gather(*(on.handle("local").refresh() for _ in range(100)))
        assert on.tools("local") == ["two"]
        assert listings(only(on)) <= 3


async def test_whoever_asks_for_a_listing_is_let_go_when_the_connection_is_lost() -> None:
    """And one who asks while there is none, at once."""

    def mute() -> Peer:
        peer = offering("one")
        listed = peer.answers["tools/list"]

        async def answer(request: Request) -> Json:
            return await (listed(request) if listings(peer) == 1 else silence(request))

        peer.answers["tools/list"] = answer
        return peer

    async with stage(LOCAL, peers={"local": mute}) as on:
        await on.until_listed("local")
        asking = [asyncio.create_task(on.handle("local").refresh())]
        await on.until(lambda: listings(only(on)) == 2)
        asking.append(asyncio.create_task(on.handle("local").refresh()))
        await asyncio.sleep(0.01)
        await on.handle("local").stop()
        await asyncio.gather(*asking)
        await on.handle("local").refresh()


async def test_a_cancelled_asker_leaves_the_listing_alone() -> None:
    """Whoever else waits for it gets it."""
    async with stage(LOCAL, peers={"local": lambda: offering("one")}) as on:
        await on.until_listed("local")
        only(on).listed = [a_tool("two")]
        first, second = (asyncio.create_task(on.handle("local").refresh()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert on.tools("local") == ["two"]


async def test_a_process_that_was_killed_is_listed_anew() -> None:
    """And heard anew: a change after it came back arrives."""
    async with stage(stdio("a")) as on:
        await on.until_listed("a")
        await on.kill("a", signal.SIGKILL)
        await on.until(lambda: on.events(ServerRecovered, "a"))
        assert await on.call("a", "change", what="tools") == "changed"
        assert on.status("a").state == "ready"


async def test_a_broken_stream_of_changes_has_the_server_asked() -> None:
    """A server behind an address is gone, and nobody calls it: the stream tells, not the next question in an hour."""

    async def discovered(visit: Visit) -> None:
        await visit.answer(visit.result(supportedVersions=ERAS[1:], capabilities=TELLING))

    async def listened(visit: Visit) -> None:
        meta = {META + "subscriptionId": visit.id}
        told = {"_meta": meta, "notifications": visit.message["params"]["notifications"]}
        said = {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": told}
        await visit.stream()
        await visit.event(json.dumps(said).encode())
        await ended.wait()
        visit.reset()

    async def reset(visit: Visit) -> None:
        visit.reset()

    ended = asyncio.Event()
    script = listing_http({"server/discover": discovered, "subscriptions/listen": listened})
    async with serving(script) as server, stage(http("a", server.url, health_interval=3600.0)) as on:
        await on.until_listed("a")
        server.script = reset
        ended.set()
        await on.until(lambda: on.events(ServerLost, "a"))


async def test_whoever_asks_for_one_listing_leaves_the_others_alone() -> None:
    """Another one that failed is tried again when that is due, and does not count as failed once more."""
    peer = offering("one", capabilities={"tools": {}, "prompts": {}})

    async def refuse(_: Request) -> Json:
        raise RpcError(-32603, "the database is away")

    peer.answers["prompts/list"] = refuse
    slowly = ServerConfig(name="local", transport="peer", restart=LONG)
    async with stage(slowly, peers={"local": lambda: peer}) as on:
        await on.until_state("local", "degraded")
        for _ in range(3):
            await on.handle("local").refresh("tools")
        assert [len(peer.params(f"{what}/list")) for what in ("tools", "prompts")] == [4, 1]
        assert on.handle("local").state == "degraded"
        peer.answers["prompts/list"] = always({"prompts": [{"name": "greet"}]})
        await on.handle("local").refresh("prompts")
        assert on.handle("local").state == "ready"


async def test_a_listing_that_was_not_tried_since_another_failed_is_tried_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both had changed; it had been listed before, and is outdated all the same."""
    monkeypatch.setattr(lister, "_PAUSE", 0.2)  # so both come into one round
    peer = offering("one", capabilities={"tools": {"listChanged": True}, "prompts": {"listChanged": True}})
    peer.answers["prompts/list"] = always({"prompts": [{"name": "greet"}]})

    async def refuse(_: object) -> None:
        peer.transport.carry = None
        raise ConnectionLost("it broke")

    async with stage(LOCAL, peers={"local": lambda: peer}) as on:
        await on.until_listed("local")
        peer.answers["prompts/list"] = always({"prompts": [{"name": "farewell"}]})
        peer.transport.carry = refuse
        announce(peer, "tools")
        announce(peer, "prompts")
        await on.until(lambda: "degraded" in on.course("local"))
        await on.until(lambda: [entry.key for entry in on.catalogue.all_prompts("local")] == ["farewell"])
