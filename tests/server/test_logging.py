"""What a server tells on the side (log lines, progress, other notifications); and the small requests."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from dragoman import Server, ServerConfig, connect
from dragoman.errors import InvalidArguments, RequestTimeout, ServerError
from dragoman.protocol.types import LogMessage, Progress, PromptReference, ResourceReference
from tests.server.conftest import Clock, quiet
from tests.server.peer import HANDSHAKE, META, STATELESS, Answer, Json, Peer, Request, RpcError, always, silence, text
from tests.servers import scripted

VERSIONS = [STATELESS, HANDSHAKE]
FAMILIES = ["channel", "exchanges"]


def telling(*notifications: tuple[str, Json]) -> Answer:
    """Send notifications during a call, then answer."""

    async def answer(request: Request) -> Json:
        for method, params in notifications:
            request.notify(method, **params)
        return text("done")

    return answer


# Log lines.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("family", FAMILIES)
async def test_log_lines_are_heard_as_they_come(version: str, family: str, neighbour: Server) -> None:
    """Level, logger and any kind of data; a handler may be a function or a coroutine function."""
    peer = Peer(version, exchanges=family == "exchanges")
    values: list[Any] = ["text", {"deep": [1, None]}, 5, None]
    lines = [("message", {"level": "warning", "logger": "db", "data": value}) for value in values]
    peer.tools["talk"] = telling(*lines)
    heard: list[LogMessage] = []

    async def later(message: LogMessage) -> None:
        heard.append(message)

    async with connect(peer.transport, on_log=later if family == "channel" else heard.append) as server:
        assert (await server.call_tool("talk")).text == "done"
        await quiet()
    assert [(line.level, line.logger, line.data) for line in heard] == [("warning", "db", each) for each in values]


async def test_a_handshake_server_is_told_the_level_once(neighbour: Server) -> None:
    """By ``logging/setLevel``; later requests say nothing of it."""
    peer = Peer(HANDSHAKE)
    peer.answers["logging/setLevel"] = always({})
    peer.tools["t"] = always(text(""))
    async with connect(peer.transport) as server:
        await server.set_log_level("debug")
        await server.call_tool("t")
    assert peer.params("logging/setLevel") == [{"level": "debug"}]
    assert "_meta" not in peer.params("tools/call")[0]


async def test_a_stateless_server_is_told_the_level_with_each_request(neighbour: Server) -> None:
    """Nothing is sent for it alone; without a level, no request asks for log lines."""
    peer = Peer(STATELESS)
    peer.tools["t"] = always(text(""))
    async with connect(peer.transport) as server:
        await server.call_tool("t")
        await server.set_log_level("error")
        assert len(peer.received) == 2
        await server.call_tool("t")
        await server.list_tools()
    first, second = peer.params("tools/call")
    assert META + "logLevel" not in first["_meta"]
    assert second["_meta"][META + "logLevel"] == "error"
    assert peer.params("tools/list")[0]["_meta"][META + "logLevel"] == "error"


async def test_a_refused_level_is_told(neighbour: Server) -> None:
    """A server without logging refuses in its own words."""
    peer = Peer(HANDSHAKE, capabilities={})
    async with connect(peer.transport) as server:
        with pytest.raises(ServerError, match="-32601"):
            await server.set_log_level("debug")


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_a_configured_level_is_asked_for_by_itself(era: str) -> None:
    """A setting does it, in either era: a server that is started anew is told again."""
    command, *args = scripted(f"era={era}")
    config = ServerConfig(command=command, args=tuple(args), log_level="notice")
    for _ in range(2):
        sent: list[bytes] = []
        async with connect(
            config, on_message=lambda way, data, to=sent: to.append(data) if way == "out" else None
        ) as it:
            await it.call_tool("echo", {"message": "hi"})
        told = [data for data in sent if b'"notice"' in data]
        assert told
        assert all(b"logging/setLevel" in data for data in told) == (era == "handshake")


# Progress.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("family", FAMILIES)
async def test_progress_reaches_the_call_it_belongs_to(version: str, family: str, neighbour: Server) -> None:
    """Twenty calls at once each hear their own; steps, totals and messages as they came."""
    peer = Peer(version, exchanges=family == "exchanges")

    async def work(request: Request) -> Json:
        start: int = request.arguments["start"]
        for step in range(3):
            request.progress(start + step, total=100.5, message=f"at {start + step}")
            await asyncio.sleep(0)
        return text("done")

    peer.tools["work"] = work
    heard: dict[int, list[Progress]] = {start: [] for start in range(0, 200, 10)}
    async with connect(peer.transport) as server:
        await asyncio.gather(
            *(server.call_tool("work", {"start": start}, on_progress=told.append) for start, told in heard.items())
        )
    for start, told in heard.items():
        assert [each.progress for each in told] == [start, start + 1, start + 2]
        assert {each.total for each in told} == {100.5}
        assert told[0].message == f"at {start}"


async def test_a_call_that_does_not_listen_asks_for_no_progress(neighbour: Server) -> None:
    """No token goes along, and progress that comes all the same disturbs nobody."""
    peer = Peer()
    peer.tools["work"] = telling(("progress", {"progressToken": 2, "progress": 1}))
    async with connect(peer.transport) as server:
        assert (await server.call_tool("work")).text == "done"
    assert "progressToken" not in peer.params("tools/call")[0]["_meta"]


async def test_progress_for_a_call_that_is_over_is_dropped(neighbour: Server) -> None:
    """The handler hears nothing after its call returned."""
    peer = Peer()
    peer.tools["work"] = always(text("done"))
    heard: list[Progress] = []
    async with connect(peer.transport) as server:
        await server.call_tool("work", on_progress=heard.append)
        peer.notify("progress", progressToken=peer.ids("tools/call")[0], progress=1)
        await server.ping()
    assert heard == []


# Handlers that fail.


@pytest.mark.parametrize("kind", ["function", "coroutine"])
async def test_a_handler_that_fails_hurts_no_call(
    kind: str, neighbour: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raises is logged with the server's name; answers and later notifications still come."""
    peer = Peer(HANDSHAKE)
    peer.tools["work"] = telling(
        ("message", {"level": "info", "data": 1}),
        ("progress", {"progressToken": 2, "progress": 1}),
        ("odd", {}),
    )

    def fail(*_: object) -> None:
        raise ValueError("my handler")

    async def fail_later(*_: object) -> None:
        raise ValueError("my handler")

    handler: Any = fail if kind == "function" else fail_later
    options: Any = {"on_log": handler, "on_notification": handler, "on_message": handler}
    async with connect(peer.transport, name="patient", **options) as server:
        assert (await server.call_tool("work", on_progress=handler)).text == "done"
        await quiet()
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(failures) >= 3
    assert {record.getMessage() for record in failures} == {"patient: a handler failed"}
    assert all(record.exc_info for record in failures)


# Other notifications.


@pytest.mark.parametrize("version", VERSIONS)
async def test_other_notifications_are_heard_with_their_parameters(version: str, neighbour: Server) -> None:
    """Known ones that tell of changes, and unknown ones; without parameters they have an empty object."""
    peer = Peer(version)
    heard: list[tuple[str, Json]] = []
    async with connect(peer.transport, on_notification=lambda method, params: heard.append((method, params))) as server:
        peer.notify("tools/list_changed")
        peer.notify("elicitation/complete", elicitationId="e1")
        peer.send({"method": "notifications/of/the/future"})
        peer.send({"method": "notifications/with/a/list", "params": [1]})
        peer.notify("message", level="info", data="not this one")
        await server.ping()
    assert heard[:3] == [
        ("notifications/tools/list_changed", {}),
        ("notifications/elicitation/complete", {"elicitationId": "e1"}),
        ("notifications/of/the/future", {}),
    ]
    assert all(isinstance(params, dict) for _, params in heard)


# Ping and completion.


@pytest.mark.parametrize(("version", "method"), [(STATELESS, "server/discover"), (HANDSHAKE, "ping")])
async def test_a_ping_asks_what_its_era_has(version: str, method: str, clock: Clock, neighbour: Server) -> None:
    """A server that does not answer it times out, and the connection goes on."""
    peer = Peer(version)
    async with connect(peer.transport) as server:
        before = len(peer.params(method))
        await server.ping()
        assert len(peer.params(method)) == before + 1
        answer, peer.answers[method] = peer.answers[method], silence
        waiting = asyncio.create_task(server.ping(timeout=2))
        await peer.got(method, before + 2)
        await clock.forward(3)
        with pytest.raises(RequestTimeout):
            await waiting
        peer.answers[method] = answer
        await server.ping()


@pytest.mark.parametrize("version", VERSIONS)
async def test_suggestions_are_given_for_prompts_and_templates(version: str, neighbour: Server) -> None:
    """The reference, what was typed, and the arguments already settled are told."""
    peer = Peer(version)
    peer.answers["completion/complete"] = always(
        {"completion": {"values": ["Ada", "Alan"], "total": 9, "hasMore": True}}
    )
    async with connect(peer.transport) as server:
        found = await server.complete(PromptReference("greet"), "name", "A", context={"language": "en"})
        bare = await server.complete(ResourceReference("file:///{name}"), "name")
    assert (found.values, found.total, found.has_more) == (("Ada", "Alan"), 9, True)
    assert bare.values == ("Ada", "Alan")
    first, second = ({k: v for k, v in each.items() if k != "_meta"} for each in peer.params("completion/complete"))
    assert first == {
        "ref": {"type": "ref/prompt", "name": "greet"},
        "argument": {"name": "name", "value": "A"},
        "context": {"arguments": {"language": "en"}},
    }
    assert second == {
        "ref": {"type": "ref/resource", "uri": "file:///{name}"},
        "argument": {"name": "name", "value": ""},
    }


async def test_any_request_can_be_made(neighbour: Server) -> None:
    """`request` sends what has no method here, with the caller's own metadata, and gives the result's bytes."""
    peer = Peer(exchanges=True)
    names: list[str | None] = []

    async def answer(request: Request) -> Json:
        names.append(request.sent.name)
        return {"echo": request.params}

    peer.answers["x/y"] = answer
    async with connect(peer.transport) as server:
        raw = await server.request("x/y", {"name": "n", "a": [1], "_meta": {"mine": 1, META + "protocolVersion": "no"}})
        with pytest.raises(ServerError):
            await server.request("z")
    assert b'"a": [1]' in raw
    sent = peer.params("x/y")[0]
    assert sent["_meta"]["mine"] == 1
    assert sent["_meta"][META + "protocolVersion"] == STATELESS
    assert names == ["n"]


async def test_errors_keep_their_code_and_data(neighbour: Server) -> None:
    """Whatever the server says is in the error."""
    peer = Peer()

    async def refuse(_: Request) -> Json:
        raise RpcError(-32099, "no\nway", {"reasons": [1, "ü"]})

    peer.tools["t"] = refuse
    async with connect(peer.transport, name="strict") as server:
        with pytest.raises(ServerError, match=r"^strict: tools/call was answered with error -32099: no") as caught:
            await server.call_tool("t")
    error = caught.value
    assert (error.rpc_code, error.rpc_message, error.data) == (-32099, "no\nway", {"reasons": [1, "ü"]})
    assert error.method == "tools/call"


async def test_half_a_character_is_refused_before_anything_is_sent(neighbour: Server) -> None:
    """A lone surrogate can't be written as JSON; the error itself can be printed."""
    peer = Peer()
    async with connect(peer.transport) as server:
        for call in (server.read_resource("file:///\ud800"), server.complete(PromptReference("p"), "a", "\ud800")):
            with pytest.raises(InvalidArguments) as caught:
                await call
            assert str(caught.value).encode()
    assert peer.params("resources/read") == peer.params("completion/complete") == []
