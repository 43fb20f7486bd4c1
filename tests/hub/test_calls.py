"""One call through a hub: its name, its arguments, its time, its end, and what is told of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from dragoman import Hub, Restart, ServerConfig, connect
from dragoman.errors import (
    AmbiguousName,
    HttpError,
    InvalidArguments,
    RequestTimeout,
    ServerError,
    ServerNotReady,
    ToolDisabled,
    UnknownName,
    UsageError,
)
from dragoman.events import CallFailed, CallFinished, CallProgressed, CallStarted, PolicyDenied
from dragoman.protocol.types import Progress
from tests.handle.stage import listing_http
from tests.hub.listening import until
from tests.hub.serving import a_peer, a_process, echo, heard, hub_of, never, peers, says
from tests.server.peer import Json, Peer, Request, a_tool, text
from tests.servers.http_faults import Script, Visit, serving

__all__ = ["peers"]

SUM: Json = {
    "inputSchema": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "deep": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "required": ["a"],
    }
}


# Names.


async def test_a_tool_is_called_by_each_of_its_names(peers: dict[str, Peer]) -> None:
    """Its full name, its bare name where one server alone has it, its name for models; and through its server."""
    async with hub_of(
        a_peer("one", {"hello": says("1"), "only": says("only")}), a_peer("two", {"hello": says("2")})
    ) as hub:
        assert (await hub.call_tool("two.hello")).text == "2"
        assert (await hub.call_tool("only")).text == "only"
        assert (await hub.call_tool("one__hello")).text == "1"
        assert (await hub.server("two").call_tool("hello")).text == "2"
        assert (await hub.tool("only")).full_name == "one.only"


async def test_a_bare_name_of_two_servers_lists_both(peers: dict[str, Peer]) -> None:
    """Nothing is guessed."""
    async with hub_of(a_peer("one", {"hello": says("1")}), a_peer("two", {"hello": says("2")})) as hub:
        with pytest.raises(AmbiguousName) as refused:
            await hub.call_tool("hello")
        assert sorted(refused.value.candidates) == ["one.hello", "two.hello"]


async def test_a_wrong_name_is_told_the_nearest(peers: dict[str, Peer]) -> None:
    """Of the tool, and of the server; nothing is sent."""
    async with hub_of(a_peer("files", {"read_file": says("1")})) as hub:
        await hub.wait_ready()
        for wrong in ("files.read_fil", "read_fle", "file.read_file"):
            with pytest.raises(UnknownName) as refused:
                await hub.call_tool(wrong)
            assert refused.value.nearest == ("files.read_file",)
        with pytest.raises(UnknownName, match="Did you mean files"):
            hub.server("fils")
        assert peers["files"].params("tools/call") == []


async def test_a_bare_name_waits_for_servers_that_were_never_listed(peers: dict[str, Peer]) -> None:
    """A slow server may have it as well: it is looked at before anything is called."""
    async with hub_of(a_peer("one", {"hello": says("1")}), a_process("slow", "start_after=0.3")) as hub:
        await hub.wait_ready("one")
        assert (await hub.call_tool("echo", {"message": "hi"})).text == "hi"
        await hub.add_server(a_process("slow2", "start_after=0.2"))
        with pytest.raises(AmbiguousName):
            await hub.call_tool("echo", {"message": "hi"})


async def test_a_bare_name_that_is_found_leaves_half_the_time_for_the_call(peers: dict[str, Peer]) -> None:
    """A server that hangs does not take all of it; and the whole keeps to the time-out."""
    hung = a_peer("hung", {"x": says("x")})
    peers["hung"].answers = {"server/discover": never(), "initialize": never()}
    async with hub_of(a_peer("one", {"hello": says("1"), "silent": never()}), hung) as hub:
        await hub.wait_ready("one")
        began = time.monotonic()
        assert (await hub.call_tool("hello", timeout=1)).text == "1"
        assert 0.4 < time.monotonic() - began < 0.9
        began = time.monotonic()
        with pytest.raises(RequestTimeout):
            await hub.call_tool("silent", timeout=1)
        assert time.monotonic() - began < 1.4
        began = time.monotonic()
        with pytest.raises(UnknownName):
            await hub.call_tool("nowhere", timeout=0.5)
        assert time.monotonic() - began < 0.4  # it was waited for in vain before


async def test_a_server_that_failed_is_not_waited_for_while_it_is_tried_again(peers: dict[str, Peer]) -> None:
    """Only its first attempt is: else every bare name would wait for every attempt."""
    from dragoman import Restart

    quick = Restart(first_delay=0.01, longest_delay=0.02)
    bad = a_process("bad", "start_after=0.2", "die_on=initialize", "era=handshake", restart=quick, era="handshake")
    async with hub_of(a_peer("one", {"hello": says("1")}), bad) as hub:
        await hub.wait_ready()
        await until(lambda: hub.status()["bad"].state == "connecting")
        began = time.monotonic()
        await hub.call_tool("hello")
        await hub.tools()
        assert time.monotonic() - began < 0.15


async def test_names_of_servers_may_have_dots(peers: dict[str, Peer]) -> None:
    """The longest server's name counts, and the other's tool keeps its ways."""
    listed = a_tool("b.c", inputSchema={"type": "object", "additionalProperties": False})
    servers = [a_peer("a", {"b.c": says("a has b.c")}, listed), a_peer("a.b", {"c": says("a.b has c")})]
    async with hub_of(*servers) as hub:
        await hub.wait_ready()
        assert (await hub.call_tool("a.b.c")).text == "a.b has c"
        assert (await hub.server("a").call_tool("b.c")).text == "a has b.c"
        with pytest.raises(InvalidArguments):
            await hub.server("a").call_tool("b.c", {"odd": 1})
        assert [each.result.text for each in await hub.broadcast("b.c") if each.result] == ["a has b.c"]


async def test_a_disabled_tool_is_refused_by_every_way(peers: dict[str, Peer]) -> None:
    """By full and bare name, through its server, as bytes; nothing is sent, and each refusal is told."""
    async with hub_of(a_peer("one", {"rm": says("gone"), "ls": says("ok")}, disabled_tools=("r*",))) as hub:
        events = heard(hub.events(PolicyDenied))
        await hub.wait_ready()
        ways: list[Callable[[], Any]] = [
            lambda: hub.call_tool("one.rm"),
            lambda: hub.call_tool("rm"),
            lambda: hub.call_raw("one.rm", b"{}"),
            lambda: hub.server("one").call_tool("rm"),
            lambda: hub.server("one").call_raw("rm"),
            lambda: hub.broadcast("rm"),
        ]
        for way in ways:
            with pytest.raises(ToolDisabled):
                await way()
        await until(lambda: len(events) == len(ways))
        assert all(isinstance(event, PolicyDenied) and event.name == "rm" for event in events)
        assert [each.key for each in await hub.tools()] == ["ls"]
        assert peers["one"].params("tools/call") == []


# Arguments.


async def test_arguments_are_held_against_the_schema_before_they_are_sent(peers: dict[str, Peer]) -> None:
    """The error names the place and what was expected."""
    async with hub_of(a_peer("one", {"add": echo}, a_tool("add", **SUM))) as hub:
        await hub.wait_ready()
        for wrong, path in (({"a": "x"}, "/a"), ({}, ""), ({"a": 1, "deep": {"n": 1.5}}, "/deep/n")):
            with pytest.raises(InvalidArguments) as refused:
                await hub.call_tool("one.add", wrong)
            assert refused.value.path == path
            assert refused.value.server == "one"
        assert "number" in str(await _refused(hub, {"a": "x"}))
        assert peers["one"].params("tools/call") == []
        await hub.call_tool("one.add", {"a": 1})


async def _refused(hub: Hub, arguments: Any) -> InvalidArguments:
    with pytest.raises(InvalidArguments) as refused:
        await hub.call_tool("one.add", arguments)
    return refused.value


async def test_checking_can_be_switched_off(peers: dict[str, Peer]) -> None:
    """Then the server decides."""
    async with hub_of(a_peer("one", {"add": echo}, a_tool("add", **SUM)), check_arguments=False) as hub:
        await hub.wait_ready()
        assert (await hub.call_tool("one.add", {"a": "x"})).structured == {"a": "x"}


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"a": float("nan")}, "/a"),
        ({"a": 1, "deep": {"x/y": [0, float("-inf")]}}, "/deep/x~1y/1"),
        ("text", ""),
        ("", ""),
        ([1], ""),
        ([], ""),
        ({"a": object()}, ""),
        ({"a": "\ud800"}, ""),
    ],
)
async def test_what_json_has_no_words_for_is_never_sent(
    peers: dict[str, Peer], wrong: Any, path: str, *, checked: bool
) -> None:
    """NaN does not become null, a text no arguments; also on a bare connection."""
    async with hub_of(a_peer("one", {"add": echo}), check_arguments=checked) as hub:
        await hub.wait_ready()
        bare = await hub.server("one").connection()
        for call in (lambda: hub.call_tool("one.add", wrong), lambda: bare.call_tool("add", wrong)):
            with pytest.raises(InvalidArguments) as refused:
                await call()
            assert refused.value.path == path
            assert refused.value.server == "one"
        assert peers["one"].params("tools/call") == []


async def test_nan_is_told_as_such_where_the_schema_wants_a_number(peers: dict[str, Peer]) -> None:
    """Not as a null that nobody wrote; a null of the caller's own is told by the schema."""
    async with hub_of(a_peer("one", {"add": echo}, a_tool("add", **SUM))) as hub:
        await hub.wait_ready()
        assert "NaN or an infinity at /a" in str(await _refused(hub, {"a": float("nan")}))
        assert "must be a mapping" in str(await _refused(hub, "text"))
        assert 'null is not of type "number"' in str(await _refused(hub, {"a": None}))


async def test_any_mapping_will_do(peers: dict[str, Peer]) -> None:
    """A view is written like the dict behind it; nulls are kept."""
    async with hub_of(a_peer("one", {"add": echo})) as hub:
        result = await hub.call_tool("one.add", MappingProxyType({"a": None, "b": [1]}))
        assert result.structured == {"a": None, "b": [1]}


# Time.


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "5"])
async def test_a_timeout_that_is_none_is_refused(peers: dict[str, Peer], wrong: Any) -> None:
    """Before anything is sent."""
    async with hub_of(a_peer("one", {"hello": says("hi")})) as hub:
        await hub.wait_ready()
        with pytest.raises(UsageError, match="timeout="):
            await hub.call_tool("one.hello", timeout=wrong)
        await hub.add_server(a_process("slow", "start_after=5"))
        for use in (hub.call_tool("hello", timeout=wrong), hub.broadcast("hello", timeout=wrong)):
            with pytest.raises(UsageError, match="timeout="):
                await use
        assert peers["one"].params("tools/call") == []


async def test_a_timeout_may_be_endless() -> None:
    """Also while the server is still on its way."""
    async with hub_of(a_process("one", "start_after=0.1")) as hub:
        assert (await hub.call_tool("one.echo", {"message": "hi"}, timeout=float("inf"))).text == "hi"


async def test_a_timeout_bounds_the_wait_for_a_server_that_is_connecting() -> None:
    """Nothing was sent, and the error says what it waited for."""
    async with hub_of(a_process("slow", "mute")) as hub:
        began = time.monotonic()
        with pytest.raises(RequestTimeout, match="not connected within") as late:
            await hub.call_tool("slow.echo", timeout=0.3)
        assert late.value.method == "connect"
        assert time.monotonic() - began < 1


async def test_a_timeout_bounds_the_wait_for_a_place_and_the_answer_together(peers: dict[str, Peer]) -> None:
    """A call that got its place late has only what is left."""
    release = asyncio.Event()

    async def hold(request: Request) -> Json:
        await release.wait()
        return text("done")

    async with hub_of(a_peer("one", {"hold": hold}, concurrency=1)) as hub:
        await hub.wait_ready()
        first = asyncio.create_task(hub.call_tool("one.hold", timeout=0.5))
        await until(lambda: peers["one"].params("tools/call"))
        began = time.monotonic()
        with pytest.raises(RequestTimeout):
            await hub.call_tool("one.hold", timeout=0.7)
        assert time.monotonic() - began < 1
        with pytest.raises(RequestTimeout):
            await first


async def test_progress_extends_the_wait_for_an_answer() -> None:
    """As it does on a bare connection: each report begins it anew."""
    seen: list[float] = []
    async with hub_of(a_process("one")) as hub:
        await hub.wait_ready()

        async def note(progress: Progress) -> None:
            seen.append(progress.progress)

        result = await hub.call_tool("one.wait", {"seconds": 1}, timeout=0.5, on_progress=note)
        assert result.text == "done"
        assert seen == list(range(1, 11))
        seen.clear()
        await hub.call_tool("one.wait", {"seconds": 0.1}, on_progress=lambda progress: seen.append(progress.progress))
        assert seen == list(range(1, 11))


async def test_metadata_goes_with_the_call(peers: dict[str, Peer]) -> None:
    """As the caller gave it."""

    async def meta(request: Request) -> Json:
        return text(str(request.meta["trace"]))

    async with hub_of(a_peer("one", {"meta": meta})) as hub:
        assert (await hub.call_tool("one.meta", meta={"trace": "abc"})).text == "abc"
        assert (await hub.server("one").call_tool("meta", meta={"trace": "x"})).text == "x"


# Events.


async def test_a_call_is_told_from_its_beginning_to_its_end() -> None:
    """Names of arguments without values, progress, size; all under one number."""
    async with hub_of(a_process("one")) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallStarted, CallProgressed, CallFinished))
        await hub.call_tool("one.wait", {"seconds": 0.1})
        await hub.call_tool("one.fail", {"message": "secret"})
        await until(lambda: sum(isinstance(event, CallFinished) for event in events) == 2)
    assert [type(event).__name__ for event in events[:12]] == ["CallStarted", *["CallProgressed"] * 10, "CallFinished"]
    assert len({getattr(event, "call_id", 0) for event in events[:12]}) == 1
    started, finished = events[0], events[-1]
    assert isinstance(started, CallStarted)
    assert (started.server, started.method, started.name, started.arguments) == (
        "one",
        "tools/call",
        "wait",
        ("seconds",),
    )
    assert isinstance(finished, CallFinished)
    assert finished.is_error is True
    assert finished.size > 20
    assert "secret" not in repr(events)


async def test_a_failed_call_is_told_with_its_code(peers: dict[str, Peer]) -> None:
    """The error's own code, and the server's where it answered with one."""
    async with hub_of(a_process("one")) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallFailed))
        with pytest.raises(ServerError):
            await hub.call_tool("one.refuse", {"code": -32050})
        with pytest.raises(RequestTimeout):
            await hub.call_tool("one.silent", timeout=0.2)
        await until(lambda: len(events) == 2)
    refused, late = events
    assert isinstance(refused, CallFailed) and isinstance(late, CallFailed)  # noqa: PT018 - narrowing
    assert (refused.code, refused.rpc_code) == (ServerError.code, -32050)
    assert (late.code, late.rpc_code) == (RequestTimeout.code, None)


async def test_a_caller_that_gives_up_cancels_the_request_and_is_told_of(peers: dict[str, Peer]) -> None:
    """The server hears of it; the event says that nobody failed."""
    async with hub_of(a_process("one")) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallStarted, CallFailed))
        calling = asyncio.create_task(hub.call_tool("one.silent"))
        await until(lambda: events)
        await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        about = (await hub.call_tool("one.about")).structured
        assert about is not None
        assert len(about["cancelled"]) == 1
        await until(lambda: any(isinstance(event, CallFailed) for event in events))
        failed = next(event for event in events if isinstance(event, CallFailed))
        assert failed.code == "call.cancelled"


async def test_an_end_is_told_even_of_what_nobody_expected(peers: dict[str, Peer]) -> None:
    """Each beginning has exactly one end, whatever a foreign exception is."""

    class Odd(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise RuntimeError("a secret")

        def __iter__(self) -> Iterator[str]:
            return iter(["name"])

        def __len__(self) -> int:
            return 1

    async with hub_of(a_peer("one", {"hello": says("hi")}), check_arguments=False) as hub:
        await hub.wait_ready()
        events = heard(hub.events(CallFailed))
        with pytest.raises(RuntimeError, match="a secret"):
            await hub.call_tool("one.hello", Odd())
        await until(lambda: events)
        failed = events[0]
        assert isinstance(failed, CallFailed)
        assert failed.reason == "an unexpected RuntimeError"


# The server's state.


async def test_a_call_to_a_server_that_is_away_fails_at_once(peers: dict[str, Peer]) -> None:
    """With its state; a disabled server is never started."""
    servers = [a_process("bad", "exit=3"), ServerConfig(name="off", command="nowhere", disabled=True)]
    async with hub_of(*servers) as hub:
        await hub.wait_ready()
        for name, state in (("bad", "waiting"), ("off", "disabled")):
            with pytest.raises(ServerNotReady) as refused:
                await hub.call_tool(f"{name}.echo")
            assert refused.value.state == state


async def test_a_call_starts_a_server_that_is_started_on_use(peers: dict[str, Peer]) -> None:
    """And waits for it."""
    async with hub_of(a_peer("lazy", {"hello": says("hi")}, start="on_use")) as hub:
        assert hub.status()["lazy"].state == "configured"
        assert (await hub.call_tool("lazy.hello")).text == "hi"


async def test_a_server_s_face_speaks_for_that_server_alone(peers: dict[str, Peer]) -> None:
    """Tools that it does not list are its own business; its standing connection is at hand."""
    async with hub_of(a_peer("one", {"hello": says("1")}), a_peer("two", {"other": says("2")})) as hub:
        one = hub.server("one")
        assert [tool.name for tool in await one.tools()] == ["hello"]
        assert await one.resources() == await one.resource_templates() == await one.prompts() == []
        assert bytes(await one.call_raw("hello", b"{}")).startswith(b'{"resultType"')
        with pytest.raises(ServerError):
            await one.call_tool("other")
        assert (await one.connection()).name == "one"
        assert one.status.state == "ready"
        await hub.remove_server("one")
        with pytest.raises(UnknownName):
            await one.call_tool("hello")


async def test_a_bare_connection_is_as_strict(peers: dict[str, Peer]) -> None:
    """`connect` without a hub refuses the same arguments."""
    async with connect(a_process("one")) as server:
        with pytest.raises(InvalidArguments, match="one: the arguments of echo must be a mapping"):
            await server.call_tool("echo", "hi")  # pyright: ignore[reportArgumentType]


# What a failed call tells of its server.


async def _broken(visit: Visit) -> None:
    await visit.answer(status="500 Internal Server Error", kind=None)


async def _unauthorised(visit: Visit) -> None:
    await visit.answer(status="401 Unauthorized", kind=None)


@pytest.mark.parametrize(
    ("trouble", "state"), [(_broken, "waiting"), (_unauthorised, "needs_login")], ids=["500", "401"]
)
async def test_a_server_behind_an_address_that_fails_all_calls_is_noticed(trouble: Script, state: str) -> None:
    """A failed call has the server asked at once, not when it is next due."""
    restart = Restart(first_delay=30.0, longest_delay=60.0)
    async with (
        serving(listing_http()) as server,
        hub_of(ServerConfig(name="web", url=server.url, timeout=2.0, restart=restart)) as hub,
    ):
        await hub.wait_ready()
        server.script = trouble
        with pytest.raises(HttpError):
            await hub.call_tool("web.echo")
        await until(lambda: hub.status()["web"].state == state)
