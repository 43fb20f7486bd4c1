"""The parser of server-sent events: what the standard says, for any chunking, in linear time and bounded space."""

from __future__ import annotations

import itertools
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.protocol.sse import Event, EventParser, OversizeEvent

BOUND = 1 << 30

LINES = st.sampled_from(
    [
        b"",
        b"",
        b"data",
        b"data:",
        b"data: ",
        b"data:  two",
        b'data: {"jsonrpc":"2.0"}',
        b"data: a:b",
        b"DATA: no",
        b"datax: no",
        b":comment",
        b":",
        b"event: message",
        b"event:endpoint",
        b"event",
        b"id: 7",
        b"id:\x00x",
        b"id",
        b"id: \xff\xfe",
        b"retry: 500",
        b"retry: 5x",
        b"retry: 00000000000000500",
        b"retry: 99999999999999999999",
        b"unknown: field",
        b"\xef\xbb\xbfdata: late mark",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.one_of(
    st.binary(max_size=300),
    st.lists(st.tuples(LINES, ENDS), max_size=30).map(lambda parts: b"".join(a + b for a, b in parts)),
    st.lists(st.tuples(LINES, ENDS), max_size=10).map(
        lambda parts: b"\xef\xbb\xbf" + b"".join(a + b for a, b in parts)
    ),
)
CUTS = st.lists(st.integers(0, 400), max_size=20)


def parse(*chunks: bytes, limit: int = BOUND) -> list[Event | OversizeEvent]:
    """The events of a stream that comes in these chunks."""
    parser = EventParser(limit)
    return [event for chunk in chunks for event in parser.feed(chunk)]


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream, cut at these places."""
    places = sorted({min(place, len(stream)) for place in cuts} | {0, len(stream)})
    return [stream[a:b] for a, b in itertools.pairwise(places)] or [b""]


def by_the_letter(stream: bytes) -> tuple[list[Event], str, int | None]:
    """The standard's algorithm on the whole stream at once, written as the standard tells it."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    *lines, _unfinished = text.split(b"\n")
    events: list[Event] = []
    last_id, id_buffer, retry = "", "", None
    data, kind = b"", ""
    for line in lines:
        if not line:
            last_id = id_buffer
            if data:
                events.append(Event(data[:-1], kind or "message"))
            data, kind = b"", ""
            continue
        name, colon, value = line.partition(b":")
        if colon and not name:
            continue
        value = value[1:] if value[:1] == b" " else value
        if name == b"data":
            data += value + b"\n"
        elif name == b"event":
            kind = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            id_buffer = value.decode("utf-8", "replace")
        elif name == b"retry" and value and not value.strip(b"0123456789"):
            retry = min(int(value), 10**9 - 1)
    return events, last_id, retry


@given(STREAMS, CUTS)
def test_any_chunking_gives_what_the_standard_says(stream: bytes, cuts: list[int]) -> None:
    """Events, last id and reconnection time are those of the standard's algorithm, however the bytes arrive."""
    parser = EventParser(BOUND)
    events = [event for chunk in cut(stream, cuts) for event in parser.feed(chunk)]
    assert (events, parser.last_event_id, parser.retry) == by_the_letter(stream)


@given(STREAMS)
def test_byte_by_byte_gives_the_same_events(stream: bytes) -> None:
    """The worst chunking of all changes nothing."""
    assert parse(*(bytes([byte]) for byte in stream)) == parse(stream)


@given(STREAMS, CUTS, st.integers(0, 40))
def test_a_bound_turns_large_events_into_their_ends_and_leaves_the_others(
    stream: bytes, cuts: list[int], limit: int
) -> None:
    """Under any bound and chunking, events within it are whole, and the others are told by size and ends."""
    expected = [
        event if len(event.data) <= limit else OversizeEvent(len(event.data), event.data[:512], event.data[-512:])
        for event in by_the_letter(stream)[0]
    ]
    assert parse(*cut(stream, cuts), limit=limit) == expected


def test_a_message_comes_with_its_type() -> None:
    """The type is the event field's, or ``message``."""
    assert parse(b'event: endpoint\ndata: /messages\n\ndata: {"a":1}\n\n') == [
        Event(b"/messages", "endpoint"),
        Event(b'{"a":1}', "message"),
    ]


def test_a_line_end_split_between_chunks_is_one_line_end() -> None:
    """CR at the end of a chunk and LF at the start of the next do not make a blank line."""
    assert parse(b"data: a\r", b"\ndata: b\r", b"", b"\n\r\n") == [Event(b"a\nb", "message")]


def test_a_priming_event_sets_the_id_and_has_empty_data() -> None:
    """An id with an empty data field, as servers send it before they close the connection."""
    parser = EventParser(BOUND)
    assert parser.feed(b"id: 1\nretry: 500\ndata: \n\n") == [Event(b"", "message")]
    assert (parser.last_event_id, parser.retry) == ("1", 500)


def test_an_id_counts_only_once_its_event_is_complete() -> None:
    """A stream that breaks within an event is resumed from the one before."""
    parser = EventParser(BOUND, last_event_id="0")
    parser.feed(b"id: 1\ndata: whole\n\nid: 2\ndata: cut o")
    assert parser.last_event_id == "1"


def test_a_comment_without_end_is_not_held() -> None:
    """Keep-alive bytes that never end a line take no memory and hide nothing."""
    parser = EventParser(100)
    for _ in range(1000):
        assert parser.feed(b":" * 1000) == []
    assert parser.feed(b"\ndata: still here\n\n") == [Event(b"still here", "message")]


def test_a_field_over_the_bound_is_passed_over() -> None:
    """A field other than data that never ends takes no memory either."""
    parser = EventParser(100)
    for _ in range(1000):
        assert parser.feed(b"i" * 1000) == []
    assert parser.feed(b"\ndata: still here\n\n") == [Event(b"still here", "message")]


def test_an_event_over_the_bound_shows_its_ends() -> None:
    """Its length and up to 512 bytes of each end are told, so that an answer's id can be read off."""
    (event,) = parse(b'data: {"id":5,', b"x" * 5000, b'"y":1}\n\n', limit=1000)
    assert isinstance(event, OversizeEvent)
    assert (event.size, event.head[:8], event.tail[-7:]) == (5014, b'{"id":5,', b'"y":1}'.rjust(7, b"x"))


@pytest.mark.may_block
def test_an_event_of_50_mb_in_one_line_takes_linear_time() -> None:
    """Ten times the data takes about ten times as long, not a hundred; and memory of about twice the data."""
    seconds = {size: _time_to_parse(size, chunk=16_384) for size in (5_000_000, 50_000_000)}
    assert seconds[50_000_000] < 40 * max(seconds[5_000_000], 0.002)
    tracemalloc.start()
    try:
        _time_to_parse(5_000_000, chunk=65_536)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.3 * 5_000_000


def test_many_short_lines_in_one_chunk_take_linear_time() -> None:
    """A chunk of a million line ends is read in well under a second per million."""
    started = time.process_time()
    assert parse(b"data\n" * 200_000 + b"\n") == [Event(b"\n" * 199_999, "message")]
    assert time.process_time() - started < 2


def _time_to_parse(size: int, *, chunk: int) -> float:
    piece = b"x" * chunk
    parser = EventParser(BOUND)
    started = time.process_time()
    parser.feed(b"data: ")
    for _ in range(size // chunk):
        assert parser.feed(piece) == []
    (event,) = parser.feed(b"\n\n")
    assert isinstance(event, Event)
    assert len(event.data) == size // chunk * chunk
    return time.process_time() - started


def test_an_event_id_that_fits_no_header_is_ignored() -> None:
    """Over 4 KiB, the id before it stays; the event counts."""
    parser = EventParser(100_000)
    assert len(parser.feed(b"id: a\ndata: x\n\nid: " + b"y" * 4097 + b"\ndata: x\n\n")) == 2
    assert parser.last_event_id == "a"
    parser.feed(b"id: " + b"y" * 4096 + b"\n\n")
    assert parser.last_event_id == "y" * 4096
