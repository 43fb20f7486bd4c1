"""Whatever a server sends, in whatever order: nothing is raised where it arrives, and the conversation goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman import DragomanError, connect
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult
from dragoman.protocol.results import ToolResult
from dragoman.server.callbacks import QuestionContext
from dragoman.server.subscriptions import Listening
from tests.server.conftest import quiet
from tests.server.peer import HANDSHAKE, META, STATELESS, Peer, silence

METHODS = [
    "elicitation/create",
    "notifications/cancelled",
    "notifications/message",
    "notifications/progress",
    "notifications/resources/updated",
    "notifications/subscriptions/acknowledged",
    "notifications/tasks",
    "notifications/tools/list_changed",
    "ping",
    "roots/list",
    "tools/call",
]
MEMBERS = ["uri", "requestId", "progressToken", "progress", "message", "level", "data", "taskId", "status", "_meta"]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=3), inner),
    max_leaves=8,
)
ids = st.integers(-2, 6) | st.integers() | st.sampled_from(["1", "2", "3", "4", "x", "", "²", "٣"]) | values
meta = st.fixed_dictionaries({"_meta": st.fixed_dictionaries({META + "subscriptionId": ids})})
params = st.fixed_dictionaries(dict.fromkeys(MEMBERS, ids | values)) | meta | values
messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": ids,
        "method": st.sampled_from(METHODS) | st.text(max_size=5),
        "params": params,
        "result": values | meta,
        "error": st.fixed_dictionaries({"code": st.integers() | values, "message": st.text(max_size=3) | values}),
    },
)
wire = st.binary(max_size=40) | st.one_of(messages, st.lists(messages, max_size=3), values).map(
    lambda message: json.dumps(message).encode()
)


async def accept(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Answer every form."""
    return ElicitationResult(action="accept")


async def converse(version: str, family: str, sent: list[tuple[bytes, int | None]]) -> None:
    """Send all that while calls and a listener wait; then close."""
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    peer = Peer(version, exchanges=family == "exchanges")
    peer.tools["silent"] = silence
    peer.answers["subscriptions/listen"] = silence
    server = await connect(peer.transport, elicitation=accept, roots=[], on_log=print, on_notification=print)
    waiting: list[asyncio.Task[object]] = [
        asyncio.create_task(server.call_tool("silent", on_progress=print)),
        asyncio.create_task(server.call_tool("silent")),
        asyncio.create_task(server.listen(tools=True, uris=["x"]).__aenter__()),
    ]
    await quiet()
    inbox = peer.transport.inbox
    assert inbox is not None
    for data, during in sent:
        inbox.message_received(data, during)
        await asyncio.sleep(0)
    await quiet()
    await server.ping()
    await server.aclose()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, DragomanError | ToolResult | Listening) for each in outcomes)
    await quiet()
    assert failures == []
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("family", ["channel", "exchanges"])
@pytest.mark.parametrize("version", [STATELESS, HANDSHAKE])
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_comes_is_taken(version: str, family: str, data: st.DataObject) -> None:
    """Answers nobody waits for, questions out of place, notifications without sense, and bytes that are nothing."""
    during = st.none() | st.integers(1, 6) if family == "exchanges" else st.none()
    sent = data.draw(st.lists(st.tuples(wire, during), max_size=8))
    asyncio.run(converse(version, family, sent))


@pytest.mark.parametrize("data", [b"[" + b"0," * 500_000 + b"0]", b"[" + b"{}," * 900 + b"{}]"])
async def test_a_batch_of_rubbish_costs_no_more_than_a_few_messages(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Too many parts are one piece of rubbish; after ten parts that are no messages, the rest is dropped."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, name="loud") as server:
        for _ in range(8):
            peer.send_bytes(data)
        await server.ping()
    counts = [int(record.getMessage().split(",")[1].split()[0]) for record in caplog.records]
    assert counts[-1] in (8, 64)


async def test_a_server_can_not_write_lines_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A method's name is shown on one line, and only its begin."""
    peer = Peer(HANDSHAKE)
    async with connect(peer.transport, on_notification=print) as server:
        peer.send({"jsonrpc": "2.0", "method": "x\nforged \x1b[0m" + "x" * 9000, "params": [1]})
        peer.send_bytes(b'{"jsonrpc":"2.0","id":1,"error":{"code":"\\n"}}')
        await server.ping()
    assert len(caplog.records) == 2
    assert all(record.getMessage().isprintable() and len(record.getMessage()) < 1000 for record in caplog.records)
