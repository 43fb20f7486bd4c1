"""The stdio transport against real processes: talking, failing, pushing back."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import tracemalloc
from itertools import pairwise

import psutil
import pytest
import uvloop

from dragoman.errors import (
    ConnectionLost,
    MalformedMessage,
    MessageTooLarge,
    ServerExited,
)
from dragoman.protocol.jsonrpc import encode_request
from dragoman.transports.base import Outgoing
from tests.transports.recording import RecordingInbox, alive, ask, call, gone, send
from tests.transports.started import about, opened, run_on, shell

# The first loop of libuv opens a pipe for signals, which stays for the life of the process.
uvloop.new_event_loop().close()


MEGABYTE = 1_000_000


# Talking.


async def test_an_answer_comes_back_for_a_request() -> None:
    """A message goes out as one line and its answer comes in as one."""
    async with opened() as (transport, inbox):
        answer = await ask(transport, inbox, call(1, "echo", message="héllo\n\u2028"))
        assert answer["result"]["content"] == [{"type": "text", "text": "héllo\n\u2028"}]
        assert (transport.kind, transport.exchanges) == ("stdio", False)


async def test_thousands_of_requests_at_once_are_all_answered_in_order() -> None:
    """A burst is written in few pieces without losing or mixing a message."""
    async with opened() as (transport, inbox):
        sizes = [number * 37 % 4000 for number in range(3000)]
        for number, size in enumerate(sizes):
            await send(transport, call(number, "echo", message="x" * size))
        await inbox.until(lambda: len(inbox.lines) == len(sizes))
        answers = [json.loads(line) for line in inbox.lines]
        assert [answer["id"] for answer in answers] == list(range(len(sizes)))
        assert [len(answer["result"]["content"][0]["text"]) for answer in answers] == sizes


async def test_a_message_larger_than_the_pipe_arrives_whole() -> None:
    """Ten megabytes go out in many pieces and come back in many pieces."""
    async with opened() as (transport, inbox):
        words = "".join(str(number) for number in range(MEGABYTE))
        await send(transport, call(1, "echo", message=words))
        await send(transport, call(2, "echo", message="after"))
        assert (await inbox.answer(1))["result"]["content"][0]["text"] == words
        assert (await inbox.answer(2))["result"]["content"][0]["text"] == "after"


async def test_a_message_with_line_breaks_goes_out_as_one_line() -> None:
    """A caller's own JSON may be laid out over several lines."""
    async with opened() as (transport, inbox):
        data = call(1, "echo", message="hi").data.replace(b",", b",\r\n  ").replace(b"}", b"\n}")
        assert data.count(b"\n") > 3
        for number in (1, 2):  # written in place, and with a burst
            await send(transport, Outgoing(data.replace(b'"id":1', b'"id":%d' % number), "tools/call", number))
        for number in (1, 2):
            assert (await inbox.answer(number))["result"]["content"][0]["text"] == "hi"


async def test_a_pipe_that_takes_a_part_gets_the_rest_later() -> None:
    """A server may speak while it does not read; what is sent then is cut by the pipe, not by us."""
    transport, inbox = shell("echo 1; sleep 0.2; echo 2; sleep 0.2; exec cat"), RecordingInbox()
    await transport.open(inbox)
    sent = [b"%d" % number * 50_000 for number in range(4)]
    await inbox.until(lambda: len(inbox.lines) == 1)
    transport.send(Outgoing(sent[0]))
    await inbox.until(lambda: len(inbox.lines) == 2)
    for data in sent[1:]:
        transport.send(Outgoing(data))
    await inbox.until(lambda: len(inbox.lines) == 2 + len(sent))
    assert inbox.lines[2:] == sent
    await transport.aclose()


async def test_answers_that_come_while_much_waits_do_not_upset_the_order() -> None:
    """A message never overtakes, or lands within, one that is half written."""
    async with opened() as (transport, inbox):
        for number in range(9):
            await send(transport, call(number, "echo", message="x" * 100_000))
        for number in range(9, 200):
            await inbox.until(lambda number=number: len(inbox.lines) > (number - 9) // 20)
            await send(transport, call(number, "echo", message="small"))
        await inbox.until(lambda: len(inbox.lines) == 200)
        assert [json.loads(line)["id"] for line in inbox.lines] == list(range(200))


async def test_a_server_that_starts_slowly_gets_what_was_sent_before() -> None:
    """What is sent before the server reads waits in the pipe."""
    async with opened("start_after=0.3") as (transport, inbox):
        assert (await ask(transport, inbox, call(1, "echo", message="early")))["id"] == 1


def test_it_works_on_uvloop() -> None:
    """Talking, the exit and the end work on another event loop."""

    async def main() -> None:
        async with opened("children=plain") as (transport, inbox):
            assert (await ask(transport, inbox, call(1, "echo", message="x" * MEGABYTE)))["id"] == 1
            family = [(told := await about(transport, inbox))["pid"], *told["children"]]
            await send(transport, call(2, "die", status=4))
            error = await inbox.loss()
            assert isinstance(error, ServerExited)
            assert error.returncode == 4
        await gone(*family)

    run_on(uvloop.new_event_loop(), main())


# What the server does wrong.


async def test_a_server_that_exits_at_once_is_told_with_status_and_stderr() -> None:
    """The error of a failed start has what one needs to mend it."""
    async with opened("stderr=no such key: API_TOKEN", "exit=3") as (transport, inbox):
        error = await inbox.loss()
        assert isinstance(error, ServerExited)
        assert error.returncode == 3
        assert error.stderr == "no such key: API_TOKEN"
        assert "exited with status 3" in str(error)
        with pytest.raises(ConnectionLost):
            transport.send(call(1, "echo"))


async def test_death_during_the_handshake_is_a_failure_to_connect() -> None:
    """As long as no version was negotiated, the error is about connecting, whatever was said before."""
    async with opened("die_on=initialize") as (transport, inbox):
        await ask(transport, inbox, call(1, "echo", message="hi"))
        await send(transport, Outgoing(encode_request(2, "initialize", b"{}"), "initialize", 2))
        assert isinstance(await inbox.loss(), ServerExited)


@pytest.mark.parametrize(("arguments", "told"), [({"status": 9}, "status 9"), ({"signal": 9}, "SIGKILL")])
async def test_death_in_the_middle_of_a_call_is_a_loss(arguments: dict[str, int], told: str) -> None:
    """After the handshake, the inbox learns once how the server ended and what it wrote last."""
    async with opened() as (transport, inbox):
        transport.negotiated("2025-11-25")
        await send(transport, call(1, "die", **arguments))
        error = await inbox.loss()
        assert type(error) is ConnectionLost
        assert told in str(error)
        if "status" in arguments:
            assert error.stderr == "dying as asked\n"
        assert error.server == "scripted"


async def test_death_is_noticed_although_a_grandchild_holds_the_pipe() -> None:
    """The end of the process counts, not the end of its output."""
    async with opened("children=stubborn") as (transport, inbox):
        children = (await about(transport, inbox))["children"]
        started = time.monotonic()
        await send(transport, call(1, "die"))
        await inbox.loss()
        assert time.monotonic() - started < 1
        assert all(alive(child) for child in children)
    await gone(*children)


async def test_what_a_server_said_before_it_died_is_heard_first() -> None:
    """An answer, even without its line end, comes before the loss."""
    answers = "read line; printf '%s\\n%s' '{\"id\":1}' '{\"id\":2}'"
    for how in ("exit 0", "exec >&-; sleep 10"):
        transport, inbox = shell(f"{answers}; {how}"), RecordingInbox()
        await transport.open(inbox)
        await send(transport, Outgoing(b"{}"))
        await inbox.loss()
        assert inbox.lines == [b'{"id":1}', b'{"id":2}']
        await transport.aclose()


@pytest.mark.parametrize("words", [(), ("children=plain",)], ids=["pipe-ends", "pipe-held-open"])
async def test_half_a_line_is_no_answer_and_the_loss_follows(words: tuple[str, ...]) -> None:
    """What there was of it is told as rejected: the loss decides the fate of the request."""
    async with opened(*words) as (transport, inbox):
        await send(transport, call(1, "half"))
        await inbox.loss()
        ((number, error),) = inbox.rejected
        assert number is None
        assert isinstance(error, MalformedMessage)
        assert error.excerpt == '{"jsonrpc":"2.0","id":1,"result":{"cont'
        assert inbox.lines == []


async def test_rubbish_is_handed_on_and_hurts_no_answer() -> None:
    """What is no message is the connection's affair; the lines after it are whole."""
    async with opened("rubbish") as (transport, inbox):
        answer = await ask(transport, inbox, call(1, "rubbish", lines=1000))
        assert answer["result"]["content"][0]["text"] == "after the rubbish"
        assert len(inbox.lines) == 8 + 1000 + 1
        await send(transport, call(2, "invalid_utf8"))
        await inbox.until(lambda: len(inbox.lines) == 8 + 1000 + 2)
        assert b"caf\xe9 \xff" in inbox.lines[-1]


@pytest.mark.parametrize("how", ["exec sleep 10", "exit 0"], ids=["lives", "exits"])
async def test_a_flood_of_short_lines_leaves_others_their_turn(how: str) -> None:
    """At most 500 messages are handed on in one turn of the loop, in order, and the end comes after the last."""
    transport, inbox = shell(f"seq -f '{{}}%.0f' 60000; printf last; {how}"), RecordingInbox()
    seen = [0]

    def look() -> None:
        seen.append(len(inbox.lines))
        if not inbox.lost and len(inbox.lines) < 60_000:
            asyncio.get_running_loop().call_soon(look)

    await transport.open(inbox)
    look()
    await (inbox.loss() if how == "exit 0" else inbox.until(lambda: len(inbox.lines) == 60_000))
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 500
    assert inbox.lines == [b"{}%d" % number for number in range(1, 60_001)]
    assert len(inbox.rejected) == (how == "exit 0")
    await transport.aclose()


async def test_closing_amid_a_flood_drops_the_rest_and_ends_the_server() -> None:
    """What waits to be handed on is told to nobody; the server can write on and end in its own way."""
    transport, inbox = shell("while :; do seq -f '{}%.0f' 20000; done"), RecordingInbox()
    await transport.open(inbox)
    await inbox.until(lambda: bool(inbox.lines))
    await transport.aclose()
    heard = len(inbox.lines)
    await asyncio.sleep(0)
    assert (len(inbox.lines), inbox.lost) == (heard, [])


async def test_a_line_over_the_limit_is_dropped_and_told_with_its_id() -> None:
    """Two hundred megabytes cost neither memory nor the connection."""
    async with opened(max_message_bytes=MEGABYTE) as (transport, inbox):
        before = psutil.Process().memory_info().rss
        await send(transport, call(7, "big", bytes=200 * MEGABYTE))
        await inbox.until(lambda: bool(inbox.rejected))
        ((number, error),) = inbox.rejected
        assert number == 7
        assert isinstance(error, MessageTooLarge)
        assert error.limit == MEGABYTE
        assert (await ask(transport, inbox, call(8, "echo", message="still here")))["id"] == 8
        assert psutil.Process().memory_info().rss - before < 20 * MEGABYTE


async def test_a_flood_on_stderr_neither_blocks_the_server_nor_fills_memory(caplog: pytest.LogCaptureFixture) -> None:
    """All is read, the last 64 KiB are kept."""
    caplog.set_level(logging.INFO, logger="dragoman.stdio")  # at DEBUG, stderr is logged, and pytest keeps all of that
    async with opened("flood_stderr=5000000") as (transport, inbox):
        # Not the process's memory: on a machine that reclaims idle pages, that moves by itself.
        tracemalloc.start()
        try:
            await ask(transport, inbox, call(1, "flood_stderr", bytes=30 * MEGABYTE))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < MEGABYTE
        await send(transport, call(2, "die"))
        error = await inbox.loss()
        assert isinstance(error, ServerExited)
        assert error.stderr.endswith("stderr \ndying as asked\n") or error.stderr.endswith("dying as asked\n")
        assert len(transport.last_words()) == 64 * 1024


async def test_a_server_that_closes_its_output_is_lost_and_ended() -> None:
    """Nothing can come any more, so the process has no reason to live."""
    async with opened() as (transport, inbox):
        transport.negotiated("2025-11-25")
        pid = (await about(transport, inbox))["pid"]
        await send(transport, call(1, "hang_up"))
        error = await inbox.loss()
        assert "closed its output" in str(error)
        await gone(pid)


async def test_a_server_that_closes_its_input_is_lost_at_the_next_message() -> None:
    """The message that could not be written was not sent, and says so."""
    async with opened() as (transport, inbox):
        transport.negotiated("2025-11-25")
        await ask(transport, inbox, call(1, "close_stdin"))
        with pytest.raises(ConnectionLost, match="stopped reading its input"):
            transport.send(call(2, "echo"))
        assert isinstance(await inbox.loss(), ConnectionLost)
        assert inbox.failed == {}


# Back-pressure.


async def test_a_server_that_stops_reading_pushes_back_and_memory_stays_bounded() -> None:
    """Beyond a megabyte of waiting bytes, the sender waits; who gives up takes the message back."""
    async with opened() as (transport, inbox):
        await ask(transport, inbox, call(1, "stop_reading"))
        waiting: list[asyncio.Future[None]] = []
        for number in range(1000):
            sending = transport.send(call(number, "echo", message="x" * 100_000))
            if sending is None:
                assert not waiting
            else:
                waiting.append(sending)
        assert 980 < len(waiting) < 995
        done, _ = await asyncio.wait(waiting, timeout=0.1)
        assert not done
        for sending in waiting:
            sending.cancel()
        await asyncio.sleep(0)
        assert transport.send(call(2000, "echo")) is not None


async def test_who_waits_gets_in_as_soon_as_the_server_reads_again() -> None:
    """Back-pressure ends by itself, nothing is lost and the order is kept."""
    async with opened("start_after=0.5") as (transport, inbox):
        sendings = [transport.send(call(number, "echo", message="x" * 100_000)) for number in range(60)]
        assert any(sending is not None for sending in sendings)
        for sending in sendings:
            if sending is not None:
                await sending
        await inbox.until(lambda: len(inbox.lines) == 60)
        assert [json.loads(line)["id"] for line in inbox.lines] == list(range(60))


async def test_what_was_not_written_is_told_apart_from_what_may_have_been_read() -> None:
    """After a death, a request of which a byte was written has an unknown fate; the others were not sent."""
    async with opened("deaf") as (transport, inbox):
        transport.negotiated("2025-11-25")
        sendings = {number: transport.send(call(number, "echo", message="x" * 100_000)) for number in range(20)}
        await asyncio.sleep(0)
        outside = {number: sending for number, sending in sendings.items() if sending is not None}
        assert outside
        (server,) = (child for child in psutil.Process().children() if "deaf" in child.cmdline())
        server.kill()
        error = await inbox.loss()
        assert "SIGKILL" in str(error)
        # The pipe holds less than one of them, so the fate of the first alone is unknown.
        assert sorted(inbox.failed) == list(range(1, 20))
        for told in inbox.failed.values():
            assert type(told) is ConnectionLost
        for sending in outside.values():
            with pytest.raises(ConnectionLost, match="before the message was written"):
                await sending
