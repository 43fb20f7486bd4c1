"""HTTP sessions that the server drops: begun anew behind the caller's back, once for all who notice it."""

from __future__ import annotations

import asyncio

import pytest

from dragoman import Server, connect
from dragoman.errors import ConnectionLost, Unavailable
from dragoman.protocol.changes import Relistened, ResourceUpdated
from tests.server.http_peer import SESSION, honest, initialized, said
from tests.servers.http_faults import Visit, serving


class Forgetful:
    """A handshake server that forgets all sessions on demand. ``asked`` are its requests: session and method."""

    def __init__(self) -> None:
        self.session = 0
        self.version: str | None = None
        self.refusal: str | None = None
        self.begun = asyncio.Event()
        self.ready = asyncio.Event()
        self.ready.set()
        self.asked: list[tuple[int, str]] = []

    def forget(self) -> None:
        """Drop the session."""
        self.session += 1

    async def serve(self, visit: Visit) -> None:
        """Know the newest session only, and give that one out."""
        if visit.verb != "POST":
            await visit.answer(status="405 Method Not Allowed", kind=None)
        elif visit.method == "initialize":
            await self._initialize(visit)
        elif visit.headers.get(SESSION.lower()) != f"s{self.session}":
            await visit.answer(status="404 Not Found", kind=None)
        elif visit.method.startswith("notifications/"):
            await visit.answer(status="202 Accepted", kind=None)
        else:
            self.asked.append((self.session, visit.method))
            await visit.answer(said(visit) if visit.method == "tools/call" else visit.result())

    async def _initialize(self, visit: Visit) -> None:
        self.asked.append((self.session, "initialize"))
        self.begun.set()
        await self.ready.wait()
        if self.refusal is not None and self.session:
            await visit.answer(status=self.refusal, kind=None)
            return
        answer = initialized(visit)
        if self.version is not None and self.session:
            answer = answer.replace(b"2025-11-25", self.version.encode())
        capabilities = b'"capabilities": {"tools": {}, "resources": {"subscribe": true}, "logging": {}}'
        answer = answer.replace(b'"capabilities": {"tools": {}}', capabilities)
        await visit.answer(answer, headers={SESSION: f"s{self.session}"})


async def test_calls_that_meet_a_dropped_session_together_begin_one_new_one(neighbour: Server) -> None:
    """A hundred calls at once: one handshake, and every one of them is answered."""
    forgetful = Forgetful()
    async with serving(forgetful.serve) as served, connect(served.url) as server:
        await server.call_tool("echo", {"message": "before"})
        forgetful.forget()
        calls = (server.call_tool("echo", {"message": str(number)}) for number in range(100))
        assert [result.text for result in await asyncio.gather(*calls)] == [str(number) for number in range(100)]
        assert forgetful.asked.count((1, "initialize")) == 1
        assert forgetful.asked.count((1, "tools/call")) == 100


async def test_calls_that_come_while_a_session_is_begun_wait_for_it(neighbour: Server) -> None:
    """None goes out without a session, to be refused for that."""
    forgetful = Forgetful()
    async with serving(forgetful.serve) as served, connect(served.url) as server:
        forgetful.forget()
        forgetful.begun.clear()
        forgetful.ready.clear()
        first = asyncio.create_task(server.call_tool("echo", {"message": "first"}))
        await forgetful.begun.wait()
        posts = len(served.of("POST"))
        second = asyncio.create_task(server.call_tool("echo", {"message": "second"}))
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(served.of("POST")) == posts
        forgetful.ready.set()
        assert [(await first).text, (await second).text] == ["first", "second"]


async def test_what_a_session_held_is_asked_for_again(neighbour: Server) -> None:
    """Subscriptions and the log level go into the new session; listeners learn that they may have missed something."""
    forgetful = Forgetful()
    async with serving(forgetful.serve) as served, connect(served.url) as server:
        await server.set_log_level("debug")
        async with server.listen(uris=["file:///a"]) as changes, server.listen(uris=["file:///a"]) as others:
            forgetful.forget()
            await server.call_tool("echo")
            assert [await anext(changes), await anext(others)] == [Relistened(), Relistened()]
        forgetful.forget()
        await server.call_tool("echo")
    held = ["logging/setLevel", "resources/subscribe"]
    assert forgetful.asked == [
        (0, "initialize"),
        *((0, method) for method in held),
        (1, "initialize"),
        *((1, method) for method in held),
        (1, "tools/call"),
        (1, "resources/unsubscribe"),
        (2, "initialize"),
        (2, "logging/setLevel"),
        (2, "tools/call"),
    ]


async def test_every_kind_of_request_survives_a_dropped_session(neighbour: Server) -> None:
    """Not tool calls alone."""
    forgetful = Forgetful()
    async with serving(forgetful.serve) as served, connect(served.url) as server:
        for act in (server.list_tools, server.list_resources, server.ping, server.list_resource_templates):
            forgetful.forget()
            await act()
    assert [session for session, method in forgetful.asked if method == "initialize"] == [0, 1, 2, 3, 4]


async def test_a_server_that_came_back_with_another_version_ends_the_call(neighbour: Server) -> None:
    """What was agreed does not hold any more: the caller has to connect anew."""
    forgetful = Forgetful()
    async with serving(forgetful.serve) as served, connect(served.url, name="updated") as server:
        forgetful.version = "2025-06-18"
        forgetful.forget()
        with pytest.raises(ConnectionLost, match=r"^updated: .*2025-06-18, not 2025-11-25"):
            await server.call_tool("echo")


async def test_a_server_that_gives_no_new_session_ends_the_call(neighbour: Server) -> None:
    """Its refusal is told to all who wait, without asking for each of them; once it is well again, calls are."""
    forgetful = Forgetful()
    async with serving(forgetful.serve) as served, connect(served.url, name="closed") as server:
        forgetful.refusal = "503 Service Unavailable"
        forgetful.forget()
        calls = [server.call_tool("echo") for _ in range(50)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in outcomes} == {Unavailable}
        assert str(outcomes[0]).startswith("closed: ")
        assert forgetful.asked.count((1, "initialize")) < 5
        forgetful.refusal = None
        assert (await server.call_tool("echo", {"message": "well again"})).text == "well again"


async def test_a_handshake_that_breaks_off_leaves_the_call_unsent(neighbour: Server) -> None:
    """The server had refused the call for its session: the error says that it may be repeated."""
    forgetful = Forgetful()

    async def serve(visit: Visit) -> None:
        if visit.method == "initialize" and forgetful.session == 1:
            visit.reset()
        else:
            await forgetful.serve(visit)

    async with serving(serve) as served, connect(served.url, name="shaky") as server:
        forgetful.forget()
        with pytest.raises(ConnectionLost, match=r"^shaky: the session is lost.*not sent"):
            await server.call_tool("echo")
        forgetful.forget()
        assert (await server.call_tool("echo", {"message": "well again"})).text == "well again"


async def test_a_session_is_given_back_on_closing(neighbour: Server) -> None:
    """DELETE with the session's id; a server that does not know DELETE is fine."""
    for status in ("200 OK", "405 Method Not Allowed"):

        async def delete(visit: Visit, status: str = status) -> None:
            await visit.answer(status=status, kind=None)

        async with serving(honest(era="handshake", instead={"DELETE": delete})) as served:
            async with connect(served.url):
                pass
            assert [visit.headers[SESSION.lower()] for visit in served.of("DELETE")] == ["session-1"]


async def test_updates_come_on_the_server_s_own_stream(neighbour: Server) -> None:
    """In the handshake era, changes arrive on the stream that a GET opens."""
    forgetful = Forgetful()

    async def serve(visit: Visit) -> None:
        if visit.verb != "GET":
            await forgetful.serve(visit)
            return
        await visit.stream()
        while ("resources/subscribe", 0) not in [(method, session) for session, method in forgetful.asked]:
            await asyncio.sleep(0.01)
        update = b'{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///a"}}'
        await visit.event(update)
        await visit.hang()

    async with serving(serve) as served, connect(served.url) as server, server.listen(uris=["file:///a"]) as changes:
        async with asyncio.timeout(5):
            assert await anext(changes) == ResourceUpdated("file:///a")
