"""Listings: all pages, one broken entry at a time, cursors that go stale, and tools whose arguments become headers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import force_setattr

from dragoman import Server, connect
from dragoman.errors import InvalidArguments, InvalidParams, InvalidResult, ProtocolError, RequestTimeout, ServerError
from tests.server.conftest import Clock
from tests.server.peer import HANDSHAKE, STATELESS, Answer, Json, Peer, Request, RpcError, a_tool, always, text

VERSIONS = [STATELESS, HANDSHAKE]


class Listing:
    """How one kind of thing is listed: its method, its member, an entry, and how a user asks for it."""

    def __init__(
        self, method: str, member: str, entry: Callable[[str], Json], ask: Callable[[Server], Awaitable[Sequence[Any]]]
    ) -> None:
        self.method = method
        self.member = member
        self.entry = entry
        self.ask = ask


def resource(name: str) -> Json:
    """Give a resource."""
    return {"uri": f"file:///{name}", "name": name}


def template(name: str) -> Json:
    """Give a resource template."""
    return {"uriTemplate": f"file:///{name}/{{id}}", "name": name}


def prompt(name: str) -> Json:
    """Give a prompt."""
    return {"name": name, "arguments": [{"name": "a", "required": True}]}


LISTINGS = [
    Listing("tools/list", "tools", a_tool, Server.list_tools),
    Listing("resources/list", "resources", resource, Server.list_resources),
    Listing("resources/templates/list", "resourceTemplates", template, Server.list_resource_templates),
    Listing("prompts/list", "prompts", prompt, Server.list_prompts),
]

each_listing = pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.member)


def paged(listing: Listing, pages: dict[str | None, tuple[list[str], str | None]]) -> Answer:
    """Answer with pages: by cursor, the entries' names and the next cursor."""

    async def answer(request: Request) -> Json:
        names, following = pages[request.params.get("cursor")]
        page: Json = {listing.member: [listing.entry(name) for name in names]}
        return page if following is None else page | {"nextCursor": following}

    return answer


def names_of(listed: Sequence[Any]) -> list[str]:
    """Give the names of what was listed."""
    return [entry.name for entry in listed]


@each_listing
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_listing_that_is_slightly_wrong_is_taken(listing: Listing, version: str, neighbour: Server) -> None:
    """Null for an empty list, for a cursor, for what is not said; a lifetime with a point in it."""
    peer = Peer(version)
    peer.answers[listing.method] = always({listing.member: None, "nextCursor": None, "ttlMs": 60000.0})
    async with connect(peer.transport) as server:
        assert list(await listing.ask(server)) == []


@each_listing
@pytest.mark.parametrize("version", VERSIONS)
async def test_all_pages_are_given_in_order(listing: Listing, version: str, neighbour: Server) -> None:
    """Cursors are handed back as they came, an empty one too; a null one is the end."""
    peer = Peer(version)
    peer.answers[listing.method] = paged(listing, {None: (["a", "b"], ""), "": ([], "ü\n"), "ü\n": (["c"], None)})
    async with connect(peer.transport) as server:
        assert names_of(await listing.ask(server)) == ["a", "b", "c"]
    assert [params.get("cursor") for params in peer.params(listing.method)] == [None, "", "ü\n"]
    assert ["cursor" in params for params in peer.params(listing.method)] == [False, True, True]


@each_listing
async def test_what_is_not_offered_is_not_asked_for(listing: Listing, neighbour: Server) -> None:
    """A capability that the server lacks is an empty listing."""
    peer = Peer(capabilities={})
    async with connect(peer.transport) as server:
        assert await listing.ask(server) == []
    assert peer.params(listing.method) == []


@each_listing
async def test_a_broken_entry_costs_itself_only(
    listing: Listing, neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are listed; what was left out, and why, is in `problems` and in the log, once."""
    peer = Peer()
    broken: list[Any] = [5, "text", None, [], {}, {"name": 7}, {**listing.entry("half"), "title": 3}]
    peer.answers[listing.method] = always({listing.member: [listing.entry("a"), *broken, listing.entry("b")]})
    async with connect(peer.transport, name="sloppy") as server:
        for _ in range(2):
            assert names_of(await listing.ask(server)) == ["a", "b"]
            assert len(server.problems) == len(broken)
        assert "'half'" in server.problems[-1]
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == len(broken)
        assert all(record.getMessage().startswith("sloppy: ") for record in caplog.records)


@each_listing
async def test_unknown_members_are_kept(listing: Listing, neighbour: Server) -> None:
    """What this client has no field for is in `extra`, and in the raw bytes."""
    peer = Peer()
    peer.answers[listing.method] = always({listing.member: [listing.entry("a") | {"flavour": "mint"}]})
    async with connect(peer.transport) as server:
        (entry,) = await listing.ask(server)
    assert entry.extra == {"flavour": "mint"}
    assert b'"mint"' in entry.raw


@each_listing
@pytest.mark.parametrize("page", ['{"%s": {}}', '["%s"]', '{"%s": [], "nextCursor": 5}'])
async def test_what_is_no_listing_is_an_error_that_names_the_server(
    listing: Listing, page: str, neighbour: Server
) -> None:
    """The connection goes on."""
    peer = Peer()

    async def answer(request: Request) -> Json:
        peer.send({"id": request.id, "result": json.loads(page % listing.member)})
        return await asyncio.get_running_loop().create_future()

    peer.answers[listing.method] = answer
    async with connect(peer.transport, name="odd") as server:
        with pytest.raises(InvalidResult, match=r"^odd: "):
            await listing.ask(server)
        await server.ping()


@each_listing
async def test_a_cursor_that_goes_stale_begins_the_listing_anew_once(listing: Listing, neighbour: Server) -> None:
    """Pages of before and after are not mixed."""
    peer = Peer()
    refused = 0

    async def answer(request: Request) -> Json:
        nonlocal refused
        if request.params.get("cursor") is None:
            return {listing.member: [listing.entry(f"a{refused}")], "nextCursor": f"c{refused}"}
        if not refused:
            refused += 1
            raise RpcError(-32602, "no such cursor")
        return {listing.member: [listing.entry("b")]}

    peer.answers[listing.method] = answer
    async with connect(peer.transport) as server:
        assert names_of(await listing.ask(server)) == ["a1", "b"]
    assert [params.get("cursor") for params in peer.params(listing.method)] == [None, "c0", None, "c1"]


async def test_a_cursor_that_keeps_going_stale_is_an_error(neighbour: Server) -> None:
    """Two attempts, then the server's own words."""
    peer = Peer()

    async def answer(request: Request) -> Json:
        if request.params.get("cursor") is None:
            return {"tools": [], "nextCursor": "c"}
        raise RpcError(-32602, "no such cursor")

    peer.answers["tools/list"] = answer
    async with connect(peer.transport) as server:
        with pytest.raises(InvalidParams, match="no such cursor"):
            await server.list_tools()
    assert len(peer.params("tools/list")) == 4


async def test_a_refused_listing_is_not_asked_twice(neighbour: Server) -> None:
    """Only a stale cursor is worth another attempt."""
    peer = Peer()

    async def answer(request: Request) -> Json:
        raise RpcError(-32602, "no listing for you")

    peer.answers["tools/list"] = answer
    async with connect(peer.transport) as server:
        with pytest.raises(ServerError, match="no listing for you"):
            await server.list_tools()
    assert len(peer.params("tools/list")) == 1


async def test_cursors_that_go_round_are_an_error(neighbour: Server) -> None:
    """A listing whose pages never end is given up as soon as a cursor comes again."""
    peer = Peer()

    async def answer(request: Request) -> Json:
        number = int(request.params.get("cursor") or 0)
        return {"tools": [a_tool(str(number))], "nextCursor": str(number % 5 + 1)}

    peer.answers["tools/list"] = answer
    async with connect(peer.transport, name="endless") as server:
        with pytest.raises(ProtocolError, match=r"^endless: tools/list: the pages never end"):
            await server.list_tools()
    assert len(peer.params("tools/list")) == 6


# Tools whose arguments are mirrored in headers.


def mirroring(name: str, header: Any, kind: str = "string") -> Json:
    """Give a tool one of whose parameters is mirrored."""
    schema = {"type": "object", "properties": {"place": {"type": kind, "x-mcp-header": header}}}
    return {"name": name, "inputSchema": schema}


class Headed(Peer):
    """A stateless HTTP server that wants a header, and is told the right one by its listing only."""

    def __init__(self, wanted: str, *, listed: str | None = None, version: str = STATELESS) -> None:
        super().__init__(version, exchanges=True)
        self.seen: list[dict[str, str]] = []
        self.wanted = wanted
        self.listed = [mirroring("go", listed or wanted)]
        self.tools["go"] = self._go

    async def _go(self, request: Request) -> Json:
        given = dict(request.sent.headers or {})
        self.seen.append(given)
        if list(given) != [f"Mcp-Param-{self.wanted}"]:
            raise RpcError(-32020, "header mismatch")
        return text("gone")


async def test_arguments_are_mirrored_as_the_listing_says(neighbour: Server) -> None:
    """What is not safe in a header is encoded; null and absent ones are left out."""
    peer = Headed("Place")
    async with connect(peer.transport) as server:
        await server.list_tools()
        await server.call_tool("go", {"place": "Rome"})
        await server.call_tool("go", {"place": " Zürich"})
        for arguments in ({"place": None}, {}):
            with pytest.raises(ServerError):
                await server.call_tool("go", arguments)
    assert peer.seen[0] == {"Mcp-Param-Place": "Rome"}
    assert peer.seen[1] == {"Mcp-Param-Place": "=?base64?IFrDvHJpY2g=?="}
    assert peer.seen[2] == {}


async def test_a_mismatch_is_mended_by_listing_anew_once(neighbour: Server) -> None:
    """A call before any listing, or after the listing changed: list, send again under a new id, and no more."""
    peer = Headed("Place")
    async with connect(peer.transport) as server:
        assert (await server.call_tool("go", {"place": "Rome"})).text == "gone"
        assert peer.seen == [{}, {"Mcp-Param-Place": "Rome"}]
        assert len(set(peer.ids("tools/call"))) == 2
        peer.wanted = "Town"
        peer.listed = [mirroring("go", "Town")]
        assert (await server.call_tool("go", {"place": "Rome"})).text == "gone"
        assert len(peer.params("tools/list")) == 2
        peer.wanted = "Village"
        with pytest.raises(ServerError) as caught:
            await server.call_tool("go", {"place": "Rome"})
    assert caught.value.rpc_code == -32020
    assert len(peer.seen) == 6


BROKEN = [
    mirroring("empty", ""),
    mirroring("no token", "a b"),
    mirroring("line end", "a\r\nHost: evil"),
    mirroring("number", "Place", kind="number"),
    mirroring("no string", 5),
    {
        "name": "twice",
        "inputSchema": {
            "type": "object",
            "properties": {
                "a": {"type": "string", "x-mcp-header": "Same"},
                "b": {"type": "string", "x-mcp-header": "sAME"},
            },
        },
    },
]


async def test_tools_with_broken_annotations_are_left_out_over_stateless_http(
    neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is named with the reason; the others stay."""
    peer = Peer(exchanges=True)
    peer.listed = [a_tool("plain"), *BROKEN, mirroring("fine", "Place")]
    async with connect(peer.transport, name="loose") as server:
        for _ in range(2):
            assert names_of(await server.list_tools()) == ["plain", "fine"]
            assert len(server.problems) == len(BROKEN)
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == len(BROKEN)
        assert [tool["name"] for tool in BROKEN if repr(tool["name"]) not in caplog.text] == []


@pytest.mark.parametrize(("version", "exchanges"), [(STATELESS, False), (HANDSHAKE, True), (HANDSHAKE, False)])
async def test_elsewhere_annotations_mean_nothing(
    version: str,
    exchanges: bool,  # noqa: FBT001 - a column of the table
    neighbour: Server,
) -> None:
    """Over a channel, and in the handshake era, no tool is left out and nothing is mirrored."""
    peer = Peer(version, exchanges=exchanges)
    peer.listed = BROKEN
    peer.tools["number"] = always(text("done"))
    async with connect(peer.transport) as server:
        assert len(await server.list_tools()) == len(BROKEN)
        assert (await server.call_tool("number", {"place": 1.5})).text == "done"


async def test_a_number_that_no_header_may_carry_is_refused_before_it_is_sent(neighbour: Server) -> None:
    """The error names server and argument."""
    peer = Peer(exchanges=True)
    peer.listed = [mirroring("go", "Place", kind="integer")]
    async with connect(peer.transport, name="strict") as server:
        await server.list_tools()
        with pytest.raises(InvalidArguments, match=r"^strict: ") as caught:
            await server.call_tool("go", {"place": 2**53})
        assert caught.value.path == "/place"
    assert peer.params("tools/call") == []


@pytest.mark.parametrize("arguments", [{"a": object()}, {"a": "\ud800"}, {1j: 1}], ids=["object", "surrogate", "key"])
async def test_arguments_that_are_no_json_are_refused_before_they_are_sent(arguments: Any, neighbour: Server) -> None:
    """The error names server and tool; nothing is sent."""
    peer = Peer()
    async with connect(peer.transport, name="strict") as server:
        with pytest.raises(InvalidArguments, match=r"^strict: the arguments of go can't be written as JSON"):
            await server.call_tool("go", arguments)
        with pytest.raises(InvalidArguments, match=r"^strict: the metadata can't be written as JSON"):
            await server.call_tool("go", meta=arguments)
        with pytest.raises(InvalidArguments, match=r"^strict: the parameters of go can't be written as JSON"):
            await server.request("go", arguments)
        await server.ping()
    assert peer.params("tools/call") == []


@each_listing
@pytest.mark.parametrize("entry", [0, {}])
async def test_a_flood_of_broken_entries_is_told_in_a_few_lines(
    listing: Listing, entry: object, neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred are kept with a count of the others, ten are logged with a sum, and others have their turn."""
    peer = Peer()
    peer.answers[listing.method] = always({listing.member: [entry] * 5000})
    turns: list[None] = []

    async def turn() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    async with connect(peer.transport) as server:
        others = asyncio.create_task(turn())
        assert await listing.ask(server) == []
        others.cancel()
        assert len(turns) >= 25
        assert len(server.problems) == 101
        assert server.problems[-1] == f"{listing.method}: 4,900 more entries were left out"
        assert len(caplog.records) == 11


@each_listing
async def test_all_pages_together_have_the_bound_of_one_message(listing: Listing, neighbour: Server) -> None:
    """A server whose pages go on, each with a cursor of its own, is refused once they are too large."""
    peer = Peer()

    async def answer(request: Request) -> Json:
        number = int(request.params.get("cursor", "0"))
        return {listing.member: [listing.entry("x" * 1000)], "nextCursor": str(number + 1)}

    peer.answers[listing.method] = answer
    async with connect(peer.transport) as server:
        force_setattr(server.config, "max_message_bytes", 20_000)
        with pytest.raises(ProtocolError, match="20000 bytes together"):
            await listing.ask(server)
    assert len(peer.params(listing.method)) < 20


@each_listing
async def test_a_whole_listing_has_the_time_of_the_longest_call(
    listing: Listing, clock: Clock, neighbour: Server
) -> None:
    """Pages that come just in time, one after the other, do not go on for ever."""
    peer = Peer()
    gates = [asyncio.Event() for _ in range(3)]

    async def answer(request: Request) -> Json:
        number = int(request.params.get("cursor", "0"))
        if number:
            await gates[number].wait()
        return {listing.member: [], "nextCursor": str(number + 1)}

    peer.answers[listing.method] = answer
    async with connect(peer.transport) as server:
        force_setattr(server.config, "timeout", 300.0)
        force_setattr(server.config, "max_timeout", 200.0)
        listed = asyncio.ensure_future(listing.ask(server))
        await peer.until(lambda: len(peer.params(listing.method)) == 2)
        await clock.forward(150)
        gates[1].set()
        await peer.until(lambda: len(peer.params(listing.method)) == 3)
        assert not listed.done()
        await clock.forward(60)
        with pytest.raises(RequestTimeout, match="not all pages"):
            await listed
