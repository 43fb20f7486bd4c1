"""The line splitter: however the bytes are cut, the same lines, within bounds of memory and work."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dragoman.protocol.lines import LineSplitter, OversizeLine

ENDS = 512
"""Bytes of each end of a dropped line that are told."""

streams = st.binary() | st.lists(st.sampled_from([b"\n", b"\r\n", b" ", b"a", b"{}", b"ab" * 9, b"x" * 600])).map(
    b"".join
)


def fed(chunks: Iterable[bytes], limit: int) -> list[bytes | OversizeLine]:
    """The lines of a stream that comes in these chunks and then ends."""
    splitter = LineSplitter(limit)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    last = splitter.finish()
    assert splitter.finish() is None
    return lines if last is None else [*lines, last]


def split(stream: bytes, limit: int) -> list[bytes | OversizeLine]:
    """The lines of a stream, found in the plainest way."""
    lines = [line for line in stream.split(b"\n") if len(line) > limit or line.strip(b" \t\r\x0b\x0c")]
    return [OversizeLine(len(line), line[:ENDS], line[-ENDS:]) if len(line) > limit else line for line in lines]


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream, and chunks that it comes in."""
    stream = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)))))
    return stream, [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]


@given(cut_streams(), st.integers(0, 30) | st.integers(500, 700))
@example((b"a\n", [b"a", b"\n"]), 1)
@example((b"\n\n", [b"\n", b"\n"]), 0)
@example((b"ab\ncd", [b"ab\nc", b"d"]), 1)
@example((b"a\n\nb\n", [b"a", b"\n\nb\n"]), 9)
def test_any_chunking_gives_the_same_lines(cut: tuple[bytes, list[bytes]], limit: int) -> None:
    """Pipes cut where they like; the lines, the dropped ones among them, are those of the whole stream."""
    stream, chunks = cut
    assert fed(chunks, limit) == split(stream, limit)


@given(st.lists(st.binary(min_size=1, max_size=8).filter(lambda line: b"\n" not in line and not line.isspace())))
def test_lines_come_out_as_they_went_in(lines: list[bytes]) -> None:
    """In one chunk, in chunks of one byte, or each with its end."""
    stream = b"".join(line + b"\n" for line in lines)
    assert fed([stream], 100) == lines
    assert fed([bytes([byte]) for byte in stream], 100) == lines
    assert fed([line + b"\n" for line in lines], 100) == lines


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"  \n", b"\t\r\n", b" "])
def test_blank_lines_are_passed_over(blank: bytes) -> None:
    """Servers that print an empty line to be polite send no message by that."""
    assert fed([b"a\n" + blank + b"\nb\n" + blank], 10) == [b"a", b"b"]


def test_a_carriage_return_stays() -> None:
    """JSON takes it for a blank, so cutting it off would be work for nothing."""
    assert fed([b"{}\r\n"], 10) == [b"{}\r"]


def test_what_is_left_without_a_line_end_is_given_at_the_end() -> None:
    """A server that dies within a line has said that much."""
    splitter = LineSplitter(100)
    assert splitter.feed(b"a\nhalf a l") == [b"a"]
    assert splitter.finish() == b"half a l"
    assert splitter.feed(b"anew\n") == [b"anew"]


@pytest.mark.parametrize("size", [10, 11, 511, 512, 513, 1024, 5000])
@pytest.mark.parametrize("chunk", [1, 7, 512, 4096])
def test_a_line_over_the_bound_is_told_by_its_ends(size: int, chunk: int) -> None:
    """Its length and up to 512 bytes of each end, however it came; the line after it is unharmed."""
    line = bytes(number % 251 for number in range(size)).replace(b"\n", b" ")
    stream = line + b"\nnext\n"
    lines = fed([stream[at : at + chunk] for at in range(0, len(stream), chunk)], 10)
    told = OversizeLine(size, line[:ENDS], line[-ENDS:])
    assert lines == [line if size <= 10 else told, b"next"]


def test_a_line_over_the_bound_that_never_ends_is_told_when_the_stream_does() -> None:
    """Nothing is lost without a word."""
    assert fed([b"x" * 100] * 10, 50) == [OversizeLine(1000, b"x" * 512, b"x" * 512)]


@pytest.mark.parametrize("chunk", [1, 2, 100, 65536])
def test_memory_is_bounded_by_the_limit_and_a_chunk(chunk: int) -> None:
    """Whatever a server prints without a line end, and in crumbs however small, this much is held and not more."""
    limit = 256 * 1024
    splitter = LineSplitter(limit)
    piece = bytes(range(32, 32 + min(chunk, 90))) * (chunk // 90 + 1)
    tracemalloc.start()
    try:
        for _ in range(limit * 2 // chunk):
            splitter.feed(piece[:chunk])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * limit + 4 * chunk


class Watched(bytes):
    """Bytes that count how many of them are looked at. What is cut from them or added to them is watched too."""

    seen = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None, /) -> int:
        """Look from the begin."""
        found = super().find(sub, start, end)
        Watched.seen += (found if found >= 0 else len(self)) - start
        return found

    def rfind(self, sub: Any, start: Any = 0, end: Any = None, /) -> int:
        """Look from the end."""
        found = super().rfind(sub, start, end)
        Watched.seen += len(self) - max(found, 0)
        return found

    def split(self, sep: Any = None, maxsplit: Any = -1) -> list[bytes]:
        """Look at everything."""
        Watched.seen += len(self)
        return super().split(sep, maxsplit)

    def __getitem__(self, key: Any) -> Any:
        return Watched(cast("bytes", bytes(self)[key]))

    def __add__(self, other: Any) -> Watched:
        return Watched(bytes(self) + other)

    def __radd__(self, other: bytes) -> Watched:
        return Watched(other + bytes(self))

    def _never(self, *arguments: Any) -> Any:
        raise AssertionError("the splitter looks in a way that is not watched")

    count = index = rindex = partition = rpartition = _never


@given(cut_streams(), st.integers(0, 30) | st.just(10_000))
def test_no_byte_is_looked_at_twice(cut: tuple[bytes, list[bytes]], limit: int) -> None:
    """The work grows with the stream alone, however long its lines and however small its chunks."""
    stream, chunks = cut
    Watched.seen = 0
    fed([Watched(chunk) for chunk in chunks], limit)
    assert Watched.seen <= len(stream) + len(chunks)


def test_the_watch_sees_a_splitter_that_looks_again() -> None:
    """A splitter that searches its whole buffer at each chunk would fail the test above."""
    Watched.seen = 0
    buffer = Watched(b"")
    for _ in range(100):
        buffer += Watched(b"x")
        buffer.find(b"\n")
    assert Watched.seen > 1000
