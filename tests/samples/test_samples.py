"""The bundled servers are honest peers: other people's client gets along with them, in both eras, however reached."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.session import ClientRequestContext

MODES = ["auto", "legacy"]
VERSIONS = {"auto": "2026-07-28", "legacy": "2025-11-25"}
META = "io.modelcontextprotocol/"


async def confirm(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
    """A person who says yes."""
    assert params.message == "Delete the note 'welcome' for good?"
    return types.ElicitResult(action="accept", content={"delete": True})


@contextlib.asynccontextmanager
async def listening(name: str) -> AsyncGenerator[str]:
    """A sample behind an address."""
    words = [sys.executable, "-m", f"dragoman.samples.{name}", "--http", "0"]
    process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def client(name: str, *, mode: Any, over_http: bool, asks: bool = True) -> AsyncGenerator[Client]:
    """Other people's client, connected to a sample."""
    async with contextlib.AsyncExitStack() as stack:
        command = StdioServerParameters(command=sys.executable, args=["-m", f"dragoman.samples.{name}"])
        target = await stack.enter_async_context(listening(name)) if over_http else command
        made = Client(target, mode=mode, elicitation_callback=confirm if asks else None)
        yield await stack.enter_async_context(made)


@pytest.mark.parametrize("over_http", [False, True], ids=["stdio", "http"])
@pytest.mark.parametrize("mode", MODES)
async def test_the_notes_serve_another_client(mode: str, *, over_http: bool) -> None:
    """Everything that they offer."""
    async with client("notes", mode=mode, over_http=over_http) as notes:
        assert notes.protocol_version == VERSIONS[mode]
        assert [tool.name for tool in (await notes.list_tools()).tools] == ["add_note", "find_notes", "delete_note"]
        added = await notes.call_tool("add_note", {"title": "a/b é", "text": "kept"})
        assert added.structured_content == {"title": "a/b é", "text": "kept", "tags": []}
        (contents,) = (await notes.read_resource("note:///a%2Fb%20%C3%A9")).contents
        assert isinstance(contents, types.TextResourceContents)
        assert contents.text == "kept"
        assert len((await notes.list_resources()).resources) == 3
        assert len((await notes.list_resource_templates()).resource_templates) == 1
        (deleted,) = (await notes.call_tool("delete_note", {"title": "welcome"})).content
        assert isinstance(deleted, types.TextContent)
        assert deleted.text == "Deleted the note 'welcome'."
        assert len((await notes.get_prompt("summarize", {"title": "shopping"})).messages) == 2
        reference = types.PromptReference(type="ref/prompt", name="summarize")
        found = await notes.complete(reference, {"name": "style", "value": "r"})
        assert found.completion.values == ["rhyming"]


@pytest.mark.parametrize("over_http", [False, True], ids=["stdio", "http"])
@pytest.mark.parametrize("mode", MODES)
async def test_the_clock_serves_another_client(mode: str, *, over_http: bool) -> None:
    """Structure, progress, pictures, sounds, failures and errors."""
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with client("clock", mode=mode, over_http=over_http) as clock:
        now = await clock.call_tool("now", {"offset_hours": -3.5})
        assert now.structured_content is not None
        assert str(now.structured_content["time"]).endswith("-03:30")
        counted = await clock.call_tool("countdown", {"steps": 3, "pause": 0.01}, progress_callback=hear)
        assert counted.structured_content == {"counted": 3}
        assert heard == [0.0, 1.0, 2.0, 3.0]
        face = await clock.call_tool("face", {"hour": 9, "minute": 30})
        assert [block.type for block in face.content] == ["text", "image"]
        assert [block.type for block in (await clock.call_tool("ring")).content] == ["audio"]
        assert (await clock.call_tool("face", {"hour": 24})).is_error
        assert (await clock.call_tool("timer", {"seconds": 0.05})).content
        with pytest.raises(MCPError, match="Unknown tool: nothing"):
            await clock.call_tool("nothing")
        with pytest.raises(MCPError, match="Resource not found"):
            await clock.read_resource("clock://nothing")


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_without_a_person_is_not_asked(mode: str) -> None:
    """The stateless era names the missing capability; the handshake era gets a failed tool."""
    async with client("notes", mode=mode, over_http=False, asks=False) as notes:
        if mode == "legacy":
            assert (await notes.call_tool("delete_note", {"title": "welcome"})).is_error
        else:
            with pytest.raises(MCPError) as caught:
                await notes.call_tool("delete_note", {"title": "welcome"})
            assert caught.value.error.code == -32021
        confirmed = await notes.call_tool("delete_note", {"title": "welcome", "confirmed": True})
        assert not confirmed.is_error


class Wire:
    """A sample's stdin and stdout, a message at a time."""

    def __init__(self, name: str) -> None:
        words = [sys.executable, "-m", f"dragoman.samples.{name}"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ask(
        self,
        method: str,
        request_id: int | str = 1,
        *,
        version: str = "2026-07-28",
        meta: dict[str, Any] | None = None,
        **params: object,
    ) -> None:
        own: dict[str, Any] = {META + "protocolVersion": version, META + "clientCapabilities": {}}
        message = {
            "jsonrpc": "2.0",
            "id": request_id,
            "method": method,
            "params": {"_meta": own | (meta or {}), **params},
        }
        self.send(json.dumps(message))

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def clock() -> Iterator[Wire]:
    """The clock, spoken to directly."""
    wire = Wire("clock")
    with wire.process:
        yield wire
        assert wire.process.stdin is not None
        wire.process.stdin.close()
        assert wire.process.wait(5) == 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{broken", -32600),
        ("[]", -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"x": 1}}}', -32602),
    ],
)
def test_a_malformed_request_is_refused(clock: Wire, line: str, code: int) -> None:
    """And the server goes on."""
    clock.send(line)
    assert clock.hear()["error"]["code"] == code
    clock.ask("server/discover")
    assert clock.hear()["result"]["supportedVersions"][0] == "2026-07-28"


def test_an_unknown_version_is_answered_with_the_known_ones(clock: Wire) -> None:
    """As the specification asks of every server."""
    clock.ask("tools/list", version="1900-01-01")
    error = clock.hear()["error"]
    assert (error["code"], error["data"]["requested"]) == (-32022, "1900-01-01")
    assert "2026-07-28" in error["data"]["supported"]


def test_methods_of_the_other_era_are_unknown(clock: Wire) -> None:
    """The stateless era has no ping, the handshake era no discovery."""
    clock.ask("ping")
    assert clock.hear()["error"]["code"] == -32601
    clock.ask("tools/call", name="now", arguments={}, meta={META + "logLevel": "loud"})
    assert clock.hear()["error"]["code"] == -32602


def test_results_of_the_stateless_era_say_what_they_are(clock: Wire) -> None:
    """Their type, whose they are, and for how long a listing may be kept."""
    clock.ask("tools/list")
    result = clock.hear()["result"]
    assert result["resultType"] == "complete"
    assert result["_meta"][META + "serverInfo"]["name"] == "clock"
    assert (result["ttlMs"], result["cacheScope"]) == (60000, "public")


def test_a_cancelled_call_is_not_answered(clock: Wire) -> None:
    """Its work stops, too."""
    clock.ask("tools/call", "slow", name="countdown", arguments={"steps": 1, "pause": 60}, meta={"progressToken": 7})
    assert clock.hear()["params"]["progressToken"] == 7
    clock.send('{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}}')
    clock.ask("tools/list", "next")
    assert clock.hear()["id"] == "next"


def test_log_lines_are_sent_only_when_asked_for(clock: Wire) -> None:
    """At the level that the request names."""
    clock.ask("tools/call", name="countdown", arguments={"steps": 1, "pause": 0})
    assert "result" in clock.hear()
    clock.ask("tools/call", name="countdown", arguments={"steps": 1, "pause": 0}, meta={META + "logLevel": "notice"})
    assert clock.hear()["params"] == {"level": "notice", "logger": "sample", "data": {"counted": 1}}


def test_a_task_is_told_of_until_it_ends(clock: Wire) -> None:
    """By asking and by listening; cancelling stops it."""
    takes: dict[str, Any] = {META + "clientCapabilities": {"extensions": {META + "tasks": {}}}}
    clock.ask("tools/call", name="timer", arguments={"seconds": 60}, meta=takes)
    created = clock.hear()["result"]
    assert (created["resultType"], created["status"]) == ("task", "working")
    clock.ask("subscriptions/listen", "sub", notifications={"taskIds": [created["taskId"], "other"]}, meta=takes)
    while (heard := clock.hear())["method"] != "notifications/subscriptions/acknowledged":
        pass
    assert heard["params"]["notifications"] == {"taskIds": [created["taskId"]]}
    clock.ask("tasks/cancel", "stop", taskId=created["taskId"], meta=takes)
    answers = [clock.hear(), clock.hear()]
    while answers[-1].get("params", {}).get("status") != "cancelled":
        answers.append(clock.hear())
    assert "stop" in [answer.get("id") for answer in answers]
    clock.ask("tasks/get", "get", taskId="nothing", meta=takes)
    while (heard := clock.hear()).get("id") != "get":
        pass
    assert heard["error"]["code"] == -32602


def test_the_command_line_is_checked() -> None:
    """With its usage."""
    words = [sys.executable, "-m", "dragoman.samples.notes", "--htp", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: notes [--http PORT]")
