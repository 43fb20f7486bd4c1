"""The samples over HTTP keep the transport's rules: statuses, headers, sessions, origins, broken connections."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.samples.test_samples import META, listening

ACCEPT = {"Accept": "application/json, text/event-stream"}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


class Post:
    """Sends messages to one address."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def raw(self, message: object, **headers: str) -> tuple[int, Any, Any]:
        """Give status, headers and body of an answer; the body as JSON if it is some."""
        async with self.session.post(self.url, data=json.dumps(message), headers=ACCEPT | headers) as answer:
            text = await answer.text()
            return answer.status, answer.headers, json.loads(text) if text.startswith("{") else text

    async def stateless(
        self, method: str, *, params: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, Any, Any]:
        """Send a request of the stateless era, with the headers that belong to it or others."""
        meta: dict[str, Any] = {META + "protocolVersion": "2026-07-28", META + "clientCapabilities": {}}
        message: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method,
            "params": {"_meta": meta, **(params or {})},
        }
        own = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        return await self.raw(message, **{key: value for key, value in (own | headers).items() if value})


@pytest_asyncio.fixture
async def notes() -> AsyncIterator[Post]:
    """The notes behind an address."""
    async with listening("notes") as url, aiohttp.ClientSession() as session:
        yield Post(session, url)


@pytest.mark.parametrize(
    ("method", "params", "headers", "status", "code"),
    [
        ("tools/list", {}, {}, 200, None),
        ("tools/list", {}, {"Mcp-Method": "tools/call"}, 400, -32020),
        ("tools/list", {}, {"Mcp-Method": ""}, 400, -32020),
        ("tools/list", {}, {"MCP-Protocol-Version": "2025-11-25"}, 400, -32020),
        ("tools/call", {"name": "find_notes"}, {}, 400, -32020),
        ("tools/call", {"name": "find_notes"}, {"Mcp-Name": "find_notes"}, 200, None),
        ("tools/call", {"name": "find_notes"}, {"Mcp-Name": "=?base64?ZmluZF9ub3Rlcw==?="}, 200, None),
        ("tools/call", {"name": "find_notes"}, {"Mcp-Name": "=?base64?%%?="}, 400, -32020),
        ("resources/read", {"uri": "note:///welcome"}, {"Mcp-Name": "note:///shopping"}, 400, -32020),
        ("no/such/method", {}, {}, 404, -32601),
        ("tools/call", {"name": "nothing"}, {"Mcp-Name": "nothing"}, 200, -32602),
        (
            "tools/call",
            {"name": "delete_note", "arguments": {"title": "welcome"}},
            {"Mcp-Name": "delete_note"},
            400,
            -32021,
        ),
    ],
)
async def test_a_stateless_request_has_the_status_that_belongs_to_it(
    notes: Post, method: str, params: dict[str, Any], headers: dict[str, str], status: int, code: int | None
) -> None:
    """Headers and body have to agree; errors of the protocol have statuses of their own."""
    got, _, body = await notes.stateless(method, params=params, **headers)
    assert (got, body.get("error", {}).get("code")) == (status, code)


async def test_what_is_no_message_is_refused(notes: Post) -> None:
    """With 400 and an error without id."""
    async with notes.session.post(notes.url, data="{", headers=ACCEPT) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, -32700)
    assert (await notes.raw([]))[0] == 400
    assert (await notes.raw({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))[0] == 400


async def test_a_page_of_another_site_is_refused(notes: Post) -> None:
    """A rebound name does not help it."""
    assert (await notes.stateless("tools/list", Origin="http://evil.example"))[0] == 403
    assert (await notes.stateless("tools/list", Origin="http://localhost:1"))[0] == 200


async def test_a_session_begins_and_ends(notes: Post) -> None:
    """Made by `initialize`, needed from then on, gone after DELETE."""
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
    status, headers, body = await notes.raw(opening)
    assert (status, body["result"]["protocolVersion"]) == (200, "2025-11-25")
    key = headers["Mcp-Session-Id"]
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    assert (await notes.raw(listing))[0] == 400
    assert (await notes.raw(listing, **{"Mcp-Session-Id": "another"}))[0] == 404
    assert (await notes.raw(listing, **{"Mcp-Session-Id": key}))[0] == 200
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await notes.raw(ready, **{"Mcp-Session-Id": key}))[0] == 202
    async with notes.session.delete(notes.url, headers={"Mcp-Session-Id": key}) as answer:
        assert answer.status == 204
    assert (await notes.raw(listing, **{"Mcp-Session-Id": key}))[0] == 404


async def test_there_is_no_stream_without_a_session(notes: Post) -> None:
    """GET is for the handshake era."""
    async with notes.session.get(notes.url, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status == 405


async def test_a_session_hears_of_changes_on_its_stream(notes: Post) -> None:
    """What another session writes."""
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
    key = (await notes.raw(opening))[1]["Mcp-Session-Id"]
    async with notes.session.get(notes.url, headers={"Accept": "text/event-stream", "Mcp-Session-Id": key}) as stream:
        arguments = {"title": "new", "text": "x"}
        params = {"name": "add_note", "arguments": arguments}
        assert (await notes.stateless("tools/call", params=params, **{"Mcp-Name": "add_note"}))[0] == 200
        async with asyncio.timeout(10):
            while b"list_changed" not in (line := await stream.content.readline()):
                assert line


async def test_a_stateless_call_ends_with_its_connection() -> None:
    """Closing the stream is how such a call is cancelled: the subscription is gone, and the server serves on."""
    async with listening("notes") as url, aiohttp.ClientSession() as session:
        meta: dict[str, Any] = {META + "protocolVersion": "2026-07-28", META + "clientCapabilities": {}}
        params: dict[str, Any] = {"_meta": meta, "notifications": {"resourcesListChanged": True}}
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
        headers = {**ACCEPT, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
        async with session.post(url, data=json.dumps(message), headers=headers) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            async with asyncio.timeout(10):
                assert b"acknowledged" in await answer.content.readuntil(b"\n\n")
        assert (await Post(session, url).stateless("tools/list"))[0] == 200


async def test_calls_on_one_connection_wait_for_no_receipts(notes: Post) -> None:
    """Head and body of an answer go out at once, not 40 ms apart."""
    loop = asyncio.get_running_loop()
    took: list[float] = []
    for _ in range(21):
        begun = loop.time()
        assert (await notes.stateless("tools/list"))[0] == 200
        took.append(loop.time() - begun)
    assert sorted(took)[len(took) // 2] < 0.035


@pytest.mark.parametrize("port", ["{used}", "70000"])
async def test_a_port_that_cannot_be_had_is_told_in_a_sentence(notes: Post, port: str) -> None:
    """In use, or no port at all."""
    words = ["-m", "dragoman.samples.notes", "--http", port.format(used=urlsplit(notes.url).port)]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stderr=asyncio.subprocess.PIPE)
    _, told = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert told.count(b"\n") == 1
    assert b"is in use. Name another one" in told or b"a port up to 65535" in told
