"""The backlog: every byte is written once and in order, whatever pieces the pipe takes."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConnectionLost
from dragoman.transports.backlog import CHUNK, Backlog
from dragoman.transports.base import Outgoing

SIZES = st.one_of(st.integers(0, 200), st.integers(CHUNK - 2, CHUNK + 2), st.integers(0, 3 * CHUNK))


def messages(sizes: list[int]) -> list[Outgoing]:
    """Give messages of these sizes, each with content of its own."""
    return [Outgoing(bytes([65 + number % 26]) * size, "m", number) for number, size in enumerate(sizes)]


@given(st.lists(SIZES, min_size=1, max_size=12), st.data())
def test_whatever_the_pipe_takes_at_a_time_the_stream_is_whole(sizes: list[int], data: st.DataObject) -> None:
    """The pieces joined are the messages with their line ends."""
    backlog, sent, written = Backlog(), messages(sizes), b""
    begun = data.draw(st.integers(0, len(sent[0].data)))
    backlog.begin(sent[0], begun)
    written += sent[0].data[:begun]
    for message in sent[1:]:
        backlog.add(message)
    while backlog:
        chunk = bytes(backlog.chunk())
        assert chunk
        count = data.draw(st.one_of(st.just(len(chunk)), st.integers(0, len(chunk))))
        written += chunk[:count]
        backlog.wrote(count)
    assert written == b"".join(message.data + b"\n" for message in sent)


@given(st.lists(SIZES, min_size=1, max_size=12), st.integers(0, 10 * CHUNK))
def test_what_was_begun_is_told_apart_from_what_was_not(sizes: list[int], written: int) -> None:
    """After a loss, exactly the messages of which no byte was written are given back."""
    backlog, sent = Backlog(), messages(sizes)
    for message in sent:
        backlog.add(message)
    left = written
    while backlog and left:
        count = min(left, len(backlog.chunk()))
        backlog.wrote(count)
        left -= count
    starts = [sum(size + 1 for size in sizes[:number]) for number in range(len(sizes))]
    expected = [number for number, start in enumerate(starts) if start >= written]
    assert [message.id for message in backlog.abandon(lambda: ConnectionLost("gone"))] == expected
    assert not backlog


async def test_those_outside_get_in_in_order_and_one_by_one_give_up() -> None:
    """Room is made below the low water; a cancelled entry takes its message along."""
    backlog = Backlog()
    entries = [backlog.add(message) for message in messages([200_000] * 10)]
    outside = [number for number, entry in enumerate(entries) if entry is not None]
    assert outside == [6, 7, 8, 9]
    gave_up = entries[7]
    assert gave_up is not None
    gave_up.cancel()
    for _ in range(4):
        backlog.take()
    assert not any(entry.done() for entry in entries if entry not in (None, gave_up))
    await asyncio.sleep(0)
    taken = [backlog.take()[:1] for _ in range(5)]
    assert taken == [b"E", b"F", b"G", b"I", b"J"]
    assert not backlog


async def test_who_gives_up_leaves_nothing_behind() -> None:
    """A caller that times out again and again costs no memory."""
    backlog = Backlog()
    for message in messages([600_000] * 10):
        entry = backlog.add(message)
        if entry is not None:
            entry.cancel()
    await asyncio.sleep(0)
    assert backlog.turn_away(lambda: ConnectionLost("gone")) == []


async def test_those_outside_are_turned_away_with_an_error_each() -> None:
    """Nobody has to await it for the log to stay quiet."""
    backlog = Backlog()
    entries = [backlog.add(message) for message in messages([600_000] * 4)]
    turned_away = backlog.turn_away(lambda: ConnectionLost("gone"))
    assert [message.id for message in turned_away] == [2, 3]
    assert backlog.turn_away(lambda: ConnectionLost("gone")) == []
    errors = [entry.exception() for entry in entries if entry is not None]
    assert [type(error) for error in errors] == [ConnectionLost, ConnectionLost]
    assert errors[0] is not errors[1]
    assert len(backlog.chunk()) == CHUNK
