"""Hearing of changes, in both eras: what was agreed to, what comes, what ends it, and what brings it back."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from dragoman import Server, connect
from dragoman.errors import (
    ConnectionLost,
    LoginRequired,
    OutcomeUnknown,
    ProtocolError,
    RequestTimeout,
    ServerError,
    SessionExpired,
)
from dragoman.protocol.changes import (
    Change,
    ChangeFilter,
    PromptsChanged,
    Relistened,
    ResourcesChanged,
    ResourceUpdated,
    TaskChanged,
    ToolsChanged,
)
from dragoman.server.subscriptions import Listening
from dragoman.transports.base import Outgoing
from tests.server.conftest import Clock, quiet
from tests.server.peer import HANDSHAKE, META, STATELESS, Json, Peer, Request, RpcError, always, silence

FAMILIES = ["channel", "exchanges"]


class Listened(Peer):
    """A server that takes subscriptions. ``streams`` are those that are open, in order."""

    def __init__(self, version: str = STATELESS, *, family: str = "channel", honours: Json | None = None) -> None:
        super().__init__(version, exchanges=family == "exchanges")
        self.honours = honours
        self.streams: list[Request] = []
        self.ends: dict[int, asyncio.Future[Json]] = {}
        self.answers["subscriptions/listen"] = self._listen
        self.answers["resources/subscribe"] = self.answers["resources/unsubscribe"] = always({})

    async def _listen(self, request: Request) -> Json:
        self.streams.append(request)
        honoured = request.params["notifications"] if self.honours is None else self.honours
        self.tell(request, "subscriptions/acknowledged", notifications=honoured)
        self.ends[request.id] = end = asyncio.get_running_loop().create_future()
        self.stir()
        try:
            return await end
        finally:
            self.streams.remove(request)
            self.stir()

    def tell(self, stream: Request, method: str, **params: object) -> None:
        """Send a notification on one stream."""
        stream.notify(method, _meta={META + "subscriptionId": stream.id}, **params)

    async def streaming(self, count: int = 1) -> None:
        """Wait until so many streams are open."""
        await self.until(lambda: len(self.streams) == count)


async def take(changes: Listening, count: int) -> list[Change]:
    """Take so many events."""
    async with asyncio.timeout(5):
        return [await anext(changes) for _ in range(count)]


async def rest(changes: Listening) -> list[Change]:
    """Take all events up to the end."""
    async with asyncio.timeout(5):
        return [change async for change in changes]


# The stateless era.


@pytest.mark.parametrize("family", FAMILIES)
async def test_each_kind_of_change_is_heard_and_leaving_ends_the_stream(family: str, neighbour: Server) -> None:
    """The request tells what is wanted; the server is told when nobody listens any more."""
    peer = Listened(family=family)
    async with connect(peer.transport) as server:
        listening = server.listen(tools=True, prompts=True, resources=True, uris=["file:///a"], task_ids=["t"])
        async with listening as changes:
            stream = peer.streams[0]
            for method, params in [
                ("tools/list_changed", {}),
                ("prompts/list_changed", {}),
                ("resources/list_changed", {}),
                ("resources/updated", {"uri": "file:///a"}),
                ("tasks", {"taskId": "t", "status": "completed"}),
            ]:
                peer.tell(stream, method, **params)
            heard = await take(changes, 5)
        *four, fifth = heard
        assert four == [ToolsChanged(), PromptsChanged(), ResourcesChanged(), ResourceUpdated("file:///a")]
        assert isinstance(fifth, TaskChanged)
        assert (fifth.task.task_id, fifth.task.status) == ("t", "completed")
        await peer.streaming(0)
        if family == "channel":
            assert (await peer.got("notifications/cancelled"))["requestId"] == stream.id
        else:
            assert peer.broken_off == [stream.id]
    assert peer.params("subscriptions/listen")[0]["notifications"] == {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourcesListChanged": True,
        "resourceSubscriptions": ["file:///a"],
        "taskIds": ["t"],
    }


async def test_what_the_server_agreed_to_is_told(neighbour: Server) -> None:
    """The acknowledgement holds the subset that is honoured."""
    peer = Listened(honours={"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]})
    async with connect(peer.transport) as server:
        listening = server.listen(tools=True, prompts=True, uris=["file:///a", "file:///b"])
        async with listening as changes:
            assert changes.honoured == ChangeFilter(tools=True, uris=("file:///a",))


async def test_listeners_hear_their_own_streams_only(neighbour: Server) -> None:
    """On one channel the subscription's id tells whose a notification is; leaving one leaves the other."""
    peer = Listened()
    async with connect(peer.transport) as server, server.listen(tools=True) as first:
        async with server.listen(tools=True) as second:
            peer.tell(peer.streams[1], "tools/list_changed")
            peer.notify("tools/list_changed")
            assert await take(second, 1) == [ToolsChanged()]
        await peer.streaming(1)
        peer.tell(peer.streams[0], "tools/list_changed")
        assert await take(first, 1) == [ToolsChanged()]
        await quiet()
        assert first.subscription_id == peer.streams[0].id


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_result_ends_the_iteration_in_good_order(family: str, neighbour: Server) -> None:
    """The server says that it is over: what came before is still heard, and nothing is asked again."""
    peer = Listened(family=family)
    async with connect(peer.transport) as server, server.listen(tools=True) as changes:
        peer.tell(peer.streams[0], "tools/list_changed")
        peer.ends[peer.streams[0].id].set_result({})
        assert await rest(changes) == [ToolsChanged()]
        assert await rest(changes) == []
        assert len(peer.params("subscriptions/listen")) == 1


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_dropped_stream_is_opened_again_and_said_so(family: str, clock: Clock, neighbour: Server) -> None:
    """After a pause the same is asked for under a new id; a `Relistened` stands where something may be missing."""
    peer = Listened(family=family)
    async with connect(peer.transport) as server, server.listen(tools=True) as changes:
        first = peer.streams[0]
        if family == "channel":
            peer.notify("cancelled", requestId=first.id)
            await quiet()
        else:
            peer.ends[first.id].cancel()
            await peer.streaming(0)
        await clock.forward(0.2)
        await peer.until(lambda: any(stream is not first for stream in peer.streams))
        again = peer.streams[-1]
        peer.tell(again, "tools/list_changed")
        assert await take(changes, 2) == [Relistened(), ToolsChanged()]
        assert again.id != first.id
        assert again.params["notifications"] == first.params["notifications"]


async def test_a_stream_that_keeps_breaking_is_opened_more_and_more_rarely(
    clock: Clock, neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """In an hour of failures there are few attempts, each is told to who wants to know, and one line stands in the log.

    When the stream stood again, the next break is news.
    """
    caplog.set_level("INFO", "dragoman")
    peer = Listened(family="exchanges")
    breaks: list[None] = []

    def lines() -> int:
        return sum("stream of changes broke" in record.message for record in caplog.records)

    async with (
        connect(peer.transport) as server,
        server.listen(tools=True, on_break=lambda: breaks.append(None)) as changes,
    ):
        attempts = 0

        async def broken(message: Outgoing) -> None:
            nonlocal attempts
            attempts += 1
            raise ConnectionLost("nobody there")

        peer.transport.carry = broken
        peer.ends[peer.streams[0].id].cancel()
        for _ in range(360):
            await clock.forward(10)
        assert 60 < attempts < 300
        assert attempts <= len(breaks) <= attempts + 1
        assert lines() == 1
        peer.transport.carry = None
        await clock.forward(60)
        assert await take(changes, 1) == [Relistened()]
        peer.ends[peer.streams[-1].id].cancel()
        await quiet()
        assert lines() == 2


@pytest.mark.parametrize(
    "refusal", [LoginRequired("log in", status=401), ServerError("no", rpc_code=-32603)], ids=["401", "error"]
)
async def test_a_refusal_to_listen_again_ends_the_iteration_with_it(
    refusal: Exception, clock: Clock, neighbour: Server
) -> None:
    """Asking again would not help; the caller learns why nothing more comes."""
    peer = Listened(family="exchanges")
    async with connect(peer.transport, name="closed shop") as server, server.listen(tools=True) as changes:

        async def refuse(message: Outgoing) -> None:
            raise refusal

        peer.transport.carry = refuse
        peer.ends[peer.streams[0].id].cancel()
        await quiet()
        await clock.forward(0.2)
        with pytest.raises(type(refusal), match=r"^closed shop: "):
            await rest(changes)
        peer.transport.carry = None


@pytest.mark.parametrize(
    "error", [RpcError(-32601, "what?"), RpcError(-32021, "you can't do that")], ids=["unknown", "capability"]
)
async def test_a_refused_subscription_is_told_at_once(error: RpcError, neighbour: Server) -> None:
    """Entering raises what the server answered."""
    peer = Listened()

    async def refuse(_: Request) -> Json:
        raise error

    peer.answers["subscriptions/listen"] = refuse
    async with connect(peer.transport) as server:
        with pytest.raises(ServerError) as caught:
            await server.listen(tools=True).__aenter__()
        assert caught.value.rpc_code == error.wire["code"]


async def test_a_first_attempt_that_breaks_is_told_at_once(neighbour: Server) -> None:
    """Only what once worked is tried again."""
    peer = Listened(family="exchanges")
    async with connect(peer.transport, name="away") as server:

        async def broken(message: Outgoing) -> None:
            raise ConnectionLost("nobody there")

        peer.transport.carry = broken
        with pytest.raises(ConnectionLost, match=r"^away: nobody there"):
            await server.listen(tools=True).__aenter__()
        peer.transport.carry = None


async def test_an_end_before_the_acknowledgement_is_an_error_and_no_cancellation(neighbour: Server) -> None:
    """The server broke the order that the specification tells."""
    peer = Listened()
    peer.answers["subscriptions/listen"] = always({})
    async with connect(peer.transport, name="hasty") as server:
        with pytest.raises(ProtocolError, match=r"^hasty: .*before it acknowledged"):
            await server.listen(tools=True).__aenter__()


async def test_an_acknowledgement_that_never_comes_times_out(clock: Clock, neighbour: Server) -> None:
    """The request is taken back, so that no stream is left at the server."""
    peer = Listened()
    taken = asyncio.Event()

    async def mute(request: Request) -> Json:
        taken.set()
        return await asyncio.get_running_loop().create_future()

    peer.answers["subscriptions/listen"] = mute
    async with connect(peer.transport) as server:
        entering = asyncio.create_task(server.listen(tools=True).__aenter__())
        await taken.wait()
        await clock.forward(61)
        with pytest.raises(RequestTimeout, match="not acknowledged within 60 s"):
            await entering
        assert (await peer.got("notifications/cancelled"))["requestId"] == peer.ids("subscriptions/listen")[0]


async def test_a_quiet_stream_outlives_every_time_out(clock: Clock, neighbour: Server) -> None:
    """A subscription has no time-out and no hard maximum."""
    peer = Listened()
    async with connect(peer.transport) as server, server.listen(tools=True) as changes:
        await clock.forward(100_000)
        peer.tell(peer.streams[0], "tools/list_changed")
        assert await take(changes, 1) == [ToolsChanged()]


async def test_giving_up_while_entering_takes_the_request_back(neighbour: Server) -> None:
    """Nothing is left at either side."""
    peer = Listened()
    peer.answers["subscriptions/listen"] = silence
    async with connect(peer.transport) as server:
        entering = asyncio.create_task(server.listen(tools=True).__aenter__())
        await peer.got("subscriptions/listen")
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        await peer.got("notifications/cancelled")


# The handshake era.


@pytest.mark.parametrize("family", FAMILIES)
async def test_listeners_share_the_notifications_of_a_handshake_server(family: str, neighbour: Server) -> None:
    """Each hears what it asked for, and no subscription request is needed for lists."""
    peer = Listened(HANDSHAKE, family=family)
    async with (
        connect(peer.transport) as server,
        server.listen(tools=True) as tools,
        server.listen(prompts=True, resources=True) as others,
    ):
        for kind in ("tools", "prompts", "resources"):
            peer.notify(f"{kind}/list_changed")
        assert await take(others, 2) == [PromptsChanged(), ResourcesChanged()]
        assert await take(tools, 1) == [ToolsChanged()]
    assert peer.params("resources/subscribe") == []


async def test_what_a_handshake_server_does_not_announce_is_not_honoured(neighbour: Server) -> None:
    """Its capabilities tell whether it sends such notifications at all."""
    peer = Listened(HANDSHAKE)
    peer.capabilities = {"tools": {"listChanged": False}, "prompts": {}, "resources": {"listChanged": True}}
    async with connect(peer.transport) as server:
        listening = server.listen(tools=True, prompts=True, resources=True, task_ids=["t"])
        async with listening as changes:
            assert changes.honoured == ChangeFilter(resources=True)


async def test_a_resource_is_subscribed_once_and_given_back_by_the_last(neighbour: Server) -> None:
    """Two listeners of one resource cost one subscription; it ends with the second."""
    peer = Listened(HANDSHAKE)
    async with connect(peer.transport) as server:
        async with server.listen(uris=["file:///a"]) as first:
            async with server.listen(uris=["file:///a", "file:///b"]) as second:
                peer.notify("resources/updated", uri="file:///a")
                assert await take(first, 1) == await take(second, 1) == [ResourceUpdated("file:///a")]
            assert peer.params("resources/unsubscribe") == [{"uri": "file:///b"}]
            peer.notify("resources/updated", uri="file:///b")
            peer.notify("resources/updated", uri="file:///a/part")
            assert await take(first, 1) == [ResourceUpdated("file:///a/part")]
        assert peer.params("resources/unsubscribe") == [{"uri": "file:///b"}, {"uri": "file:///a"}]
        assert peer.params("resources/subscribe") == [{"uri": "file:///a"}, {"uri": "file:///b"}]


async def test_a_subscription_refused_halfway_gives_the_others_back(neighbour: Server) -> None:
    """Either all resources are watched or none is; another listener's stay."""
    peer = Listened(HANDSHAKE)

    async def refuse_some(request: Request) -> Json:
        if request.params["uri"] == "file:///bad":
            raise RpcError(-32002, "no such resource")
        return {}

    peer.answers["resources/subscribe"] = refuse_some
    async with connect(peer.transport) as server, server.listen(uris=["file:///kept"]) as kept:
        with pytest.raises(ServerError, match="no such resource"):
            await server.listen(uris=["file:///a", "file:///kept", "file:///bad"]).__aenter__()
        assert peer.params("resources/unsubscribe") == [{"uri": "file:///a"}]
        peer.notify("resources/updated", uri="file:///kept")
        assert await take(kept, 1) == [ResourceUpdated("file:///kept")]


async def test_two_that_enter_at_once_both_learn_of_a_refusal(neighbour: Server) -> None:
    """The second does not rely on the first's subscription before it stands."""
    peer = Listened(HANDSHAKE)

    async def refuse(request: Request) -> Json:
        await asyncio.sleep(0)
        raise RpcError(-32002, "no such resource")

    peer.answers["resources/subscribe"] = refuse
    async with connect(peer.transport) as server:
        entering = [server.listen(uris=["file:///a"]).__aenter__() for _ in range(2)]
        outcomes = await asyncio.gather(*entering, return_exceptions=True)
        assert [isinstance(outcome, ServerError) for outcome in outcomes] == [True, True]
        assert peer.params("resources/unsubscribe") == []


async def test_a_server_that_can_not_unsubscribe_is_left_in_peace(neighbour: Server) -> None:
    """Leaving never fails."""
    peer = Listened(HANDSHAKE)
    del peer.answers["resources/unsubscribe"]
    async with connect(peer.transport) as server:
        async with server.listen(uris=["file:///a"]):
            pass
        await server.ping()


async def test_a_session_that_was_dropped_is_noticed_while_nothing_is_asked(clock: Clock, neighbour: Server) -> None:
    """Who only listens over HTTP is not left waiting for ever: now and then the server is asked for a sign of life."""
    peer = Listened(HANDSHAKE, family="exchanges")
    dropped = False

    async def carry(message: Outgoing) -> None:
        if dropped and message.method not in ("initialize", "notifications/initialized", "resources/subscribe"):
            raise SessionExpired("the session is gone")
        await peer.transport.exchange(message)

    peer.transport.carry = carry
    async with connect(peer.transport) as server, server.listen(uris=["file:///a"]) as changes:
        await clock.forward(301)
        await peer.got("ping")
        dropped = True
        await clock.forward(301)
        await peer.got("resources/subscribe", 2)
        dropped = False
        assert await take(changes, 1) == [Relistened()]


async def test_over_a_channel_nothing_is_asked_while_one_listens(clock: Clock, neighbour: Server) -> None:
    """There the end of the connection shows by itself."""
    peer = Listened(HANDSHAKE)
    async with connect(peer.transport) as server, server.listen(tools=True):
        await clock.forward(10_000)
    assert peer.params("ping") == []


# The end, and too much at once.


@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
async def test_closing_the_connection_ends_the_iteration_in_good_order(version: str, neighbour: Server) -> None:
    """Whoever closed knows; the one who iterates simply comes to the end."""
    peer = Listened(version)
    server = await connect(peer.transport)
    async with server.listen(tools=True) as changes:
        iterating = asyncio.create_task(rest(changes))
        await quiet()
        await server.aclose()
        assert await iterating == []


@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
async def test_losing_the_connection_ends_the_iteration_with_the_loss(version: str, neighbour: Server) -> None:
    """All who iterate learn of it, once; leaving the block afterwards is harmless."""
    peer = Listened(version)
    server = await connect(peer.transport, name="frail")
    async with server.listen(tools=True) as changes:
        iterating = asyncio.create_task(rest(changes))
        await quiet()
        peer.lose(ConnectionLost("it broke", stderr="Ouch!"))
        with pytest.raises(ConnectionLost, match=r"^frail: it broke"):
            await iterating
        assert await rest(changes) == []
    await server.aclose()


@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
async def test_events_that_nobody_takes_are_dropped_and_said_so(version: str, neighbour: Server) -> None:
    """Ten thousand events cost bounded memory: the newest are kept, after a `Relistened`."""
    peer = Listened(version)
    async with connect(peer.transport) as server, server.listen(tools=True, uris=["file:///a"]) as changes:
        for number in range(10_000):
            if version == STATELESS:
                peer.tell(peer.streams[0], "resources/updated", uri=f"file:///a/{number}")
            else:
                peer.notify("resources/updated", uri=f"file:///a/{number}")
        await quiet()
        await server.aclose()
        heard = await rest(changes)
        assert heard[0] == Relistened()
        assert heard[-1] == ResourceUpdated("file:///a/9999")
        assert len(heard) <= 1025


async def test_several_tasks_may_iterate_over_one_listener(neighbour: Server) -> None:
    """Each event goes to one of them, and all of them come to the end."""
    peer = Listened()
    async with connect(peer.transport) as server, server.listen(tools=True) as changes:
        iterating = [asyncio.create_task(rest(changes)) for _ in range(3)]
        await quiet()
        for _ in range(6):
            peer.tell(peer.streams[0], "tools/list_changed")
        peer.ends[peer.streams[0].id].set_result({})
        heard = [await task for task in iterating]
        assert sum(len(events) for events in heard) == 6


async def test_a_broken_notification_costs_itself_only(neighbour: Server) -> None:
    """An update that names no resource is dropped; the next is heard."""
    peer = Listened()
    async with connect(peer.transport) as server, server.listen(uris=["file:///a"]) as changes:
        peer.tell(peer.streams[0], "resources/updated")
        peer.tell(peer.streams[0], "resources/updated", uri="file:///a")
        assert await take(changes, 1) == [ResourceUpdated("file:///a")]


async def test_leaving_a_block_that_failed_leaves_nothing(neighbour: Server) -> None:
    """The error comes out, the stream is closed."""
    peer = Listened()
    async with connect(peer.transport) as server:
        with contextlib.suppress(ZeroDivisionError):
            async with server.listen(tools=True):
                raise ZeroDivisionError
        await peer.streaming(0)


async def test_an_outcome_is_never_told_for_a_subscription(neighbour: Server) -> None:
    """Nothing was to be done, so nothing of it can be unknown: the one who iterates gets the loss itself."""
    peer = Listened(family="exchanges")
    server = await connect(peer.transport)
    async with server.listen(tools=True) as changes:
        peer.lose(ConnectionLost("it broke"))
        with pytest.raises(ConnectionLost) as caught:
            await rest(changes)
        assert not isinstance(caught.value, OutcomeUnknown)
    await server.aclose()
