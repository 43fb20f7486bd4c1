"""Everything that a stdio server can do wrong once it is connected, and what the caller gets.

Each fault is a row of `FAULTS`; one test takes them all through the same steps, with a real process. What is left
behind (processes, descriptors, tasks) is looked for after every test by ``tests/conftest.py``.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from dragoman import DragomanError, Server, ServerConfig, connect
from dragoman.errors import (
    InvalidResult,
    MalformedMessage,
    MessageTooLarge,
    OutcomeUnknown,
    RequestTimeout,
    UnknownResultType,
)
from tests.server.conftest import quiet
from tests.server.reference import documented
from tests.servers import scripted

Meeting = Callable[[Server], Awaitable[str]]
"""What is done with the server; gives the text of the answer, or raises."""


def call(tool: str, **arguments: Any) -> Meeting:
    """Call one tool."""

    async def meet(server: Server) -> str:
        return (await server.call_tool(tool, arguments, timeout=10)).text

    return meet


async def stop_reading(server: Server) -> str:
    """Fill the pipe of a server that no longer reads, with more calls than it holds."""
    await server.call_tool("stop_reading")
    calls = [server.call_tool("echo", {"message": "x" * 10_000}, timeout=0.5) for _ in range(1000)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in outcomes} == {RequestTimeout}
    raise outcomes[0] if isinstance(outcomes[0], Exception) else AssertionError


async def be_silent(server: Server) -> str:
    """Wait for an answer that does not come."""
    return (await server.call_tool("silent", timeout=0.2)).text


async def two_answers(server: Server) -> str:
    """Call a tool that answers twice, between other calls."""
    first = server.call_tool("duplicate")
    others = [server.call_tool("echo", {"message": str(number)}) for number in range(10)]
    answer, *rest = await asyncio.gather(first, *others)
    assert [other.text for other in rest] == [str(number) for number in range(10)]
    return answer.text


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong in ``meet``, and the error that the caller gets, or the answer in spite of it.

    ``lives``: the server still answers afterwards. ``tells``: words that the error must have.
    """

    name: str
    meet: Meeting
    error: type[DragomanError] | None = None
    answer: str = ""
    tells: tuple[str, ...] = ()
    lives: bool = True
    words: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


FAULTS = [
    Fault(
        name="dies mid-call",
        meet=call("die"),
        error=OutcomeUnknown,
        tells=("tools/call", "status 7", "dying as asked", "check before you repeat"),
        lives=False,
    ),
    Fault(
        name="is killed mid-call",
        meet=call("die", signal=9),
        error=OutcomeUnknown,
        tells=("tools/call", "SIGKILL"),
        lives=False,
    ),
    Fault(
        name="prints half a line and dies",
        meet=call("half"),
        error=OutcomeUnknown,
        tells=("tools/call", "status 5"),
        lives=False,
    ),
    Fault(
        name="closes its output and lives on",
        meet=call("hang_up"),
        error=OutcomeUnknown,
        tells=("tools/call", "closed its output"),
        lives=False,
    ),
    Fault(name="never answers", meet=be_silent, error=RequestTimeout, tells=("tools/call", "0.2 s", "timeout=")),
    Fault(
        name="stops reading its input",
        meet=stop_reading,
        error=RequestTimeout,
        tells=("tools/call", "0.5 s"),
        lives=False,
        settings={"shutdown_timeout": 0.1},
    ),
    Fault(name="ignores EOF and TERM", words=("stubborn",), meet=call("echo", message="here"), answer="here"),
    Fault(
        name="leaves grandchildren",
        words=("children=plain,stubborn,session,both",),
        meet=call("echo", message="here"),
        answer="here",
    ),
    Fault(
        name="dies and leaves grandchildren",
        words=("children=plain,stubborn",),
        meet=call("die"),
        error=OutcomeUnknown,
        tells=("status 7",),
        lives=False,
    ),
    Fault(name="floods stderr", meet=call("flood_stderr", bytes=20_000_000), answer="flooded"),
    Fault(name="prints rubbish", meet=call("rubbish", lines=2000), answer="after the rubbish"),
    Fault(
        name="prints invalid UTF-8",
        meet=call("invalid_utf8"),
        error=InvalidResult,
        tells=("'utf-8' codec can't decode", "makers"),
    ),
    Fault(
        name="prints a line over the limit",
        meet=call("big", bytes=200_000_000),
        error=MessageTooLarge,
        tells=("200000", "134217728", "max_message_bytes"),
    ),
    Fault(name="answers twice", meet=two_answers, answer="first"),
    Fault(name="answers nobody", meet=call("stray"), answer="yours"),
    Fault(
        name="answers with an unknown resultType",
        meet=call("result_type", name="riddle"),
        error=UnknownResultType,
        tells=("tools/call", "'riddle'"),
    ),
    Fault(
        name="answers with neither result nor error",
        meet=call("malformed", kind="empty"),
        error=MalformedMessage,
        tells=("without method, result or error",),
    ),
    Fault(name="answers with a broken error", meet=call("malformed", kind="error"), error=MalformedMessage),
    Fault(name="answers in a batch", meet=call("malformed", kind="batch"), answer="in a batch"),
]


def config_of(fault: Fault) -> ServerConfig:
    """Give the configuration of the scripted server, called "faulty", with little patience at its end."""
    command, *args = scripted(*fault.words)
    told: dict[str, Any] = {"name": "faulty", "command": command, "args": tuple(args), "shutdown_timeout": 0.2}
    return ServerConfig(**{**told, **fault.settings})


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_costs_one_call_and_nobody_else(fault: Fault, neighbour: Server) -> None:
    """The caller gets the row's error or answer; another real server still answers, and this one too if it lives."""
    async with connect(scripted(), name="other") as other, connect(config_of(fault)) as server:
        if fault.error is None:
            assert await fault.meet(server) == fault.answer
        else:
            with pytest.raises(DragomanError) as caught:
                await fault.meet(server)
            told = str(caught.value)
            assert type(caught.value) is fault.error, told
            assert told.startswith("faulty: ")
            assert [words for words in fault.tells if words not in told] == []
            assert caught.value.hint
        if fault.lives:
            assert (await server.call_tool("echo", {"message": "on it goes"})).text == "on it goes"
        assert (await other.call_tool("echo", {"message": "still here"})).text == "still here"


def test_the_reference_lists_these_faults() -> None:
    """Whoever reads ``docs/reference/faults.md`` finds each of them, with the error it gives, and no other."""
    table = {fault.name: fault.error.__name__ if fault.error else "" for fault in FAULTS}
    assert documented("A stdio server") == table


async def test_an_oversize_answer_is_dropped_as_it_comes(neighbour: Server) -> None:
    """200 MB pass by while memory stays within the limit of one message; another call is answered meanwhile."""
    command, *args = scripted()
    config = ServerConfig(command=command, args=tuple(args), max_message_bytes=8 * 1024 * 1024)
    async with connect(config) as server:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(MessageTooLarge):
            await server.call_tool("big", {"bytes": 200_000_000})
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


async def test_a_server_that_does_not_read_costs_bounded_memory(neighbour: Server) -> None:
    """Calls that time out take their messages along: 100 MB of them leave nothing behind."""
    command, *args = scripted()
    config = ServerConfig(command=command, args=tuple(args), shutdown_timeout=0.1)
    async with connect(config) as server:
        await server.call_tool("stop_reading")
        message = "x" * 2_000_000
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(5):
                calls = [server.call_tool("echo", {"message": message}, timeout=0.1) for _ in range(10)]
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
                assert {type(error) for error in outcomes} == {RequestTimeout}
                del calls, outcomes
            await quiet()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
        assert held < 5_000_000


async def test_calls_under_way_share_the_fate_of_their_server(neighbour: Server) -> None:
    """A hundred calls wait when the server dies: each learns that its outcome is unknown, with the last words."""
    async with connect(scripted(), name="faulty") as server:
        waiting = [asyncio.create_task(server.call_tool("silent")) for _ in range(100)]
        await server.call_tool("echo", {"message": "all sent"})
        with pytest.raises(OutcomeUnknown):
            await server.call_tool("die")
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(error) for error in outcomes} == {OutcomeUnknown}
        assert all("dying as asked" in str(error) for error in outcomes)
        assert not server.is_connected
        assert "dying as asked" in server.last_words()
