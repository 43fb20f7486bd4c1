"""Mending: what servers get slightly wrong is put right, and nothing that was right is touched."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from dragoman.protocol.mending import mended
from tests.protocol.json_values import objects, values, written


@pytest.mark.parametrize(
    ("text", "better"),
    [
        (rb'{"a":"\ud83d"}', rb'{"a":"\ufffd"}'),
        (rb'{"a":"\uDE00"}', rb'{"a":"\ufffd"}'),
        (rb'["\ud83d x","\ud83d\u0041"]', rb'["\ufffd x","\ufffd\u0041"]'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'{"\udfff":1}', rb'{"\ufffd":1}'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (b'{"a":null,"b":1}', b'{"b":1}'),
        (b'{"a":3.0,"b":-0.00,"c":10.50}', b'{"a":3,"b":-0,"c":10.50}'),
        (rb'{"a":null,"b":"\ud83d"}', rb'{"b":"\ufffd"}'),
        (b'{"a":{"b":null,"c":1.0},"d":null}', b'{"a":{"b":null,"c":1.0}}'),
    ],
)
def test_what_is_slightly_wrong_is_put_right(text: bytes, better: bytes) -> None:
    """Half a surrogate pair anywhere; nulls and floats for integers in the outermost object only."""
    assert mended(text) == better
    assert mended(Raw(text)) == better


@pytest.mark.parametrize(
    "text",
    [
        rb'"\\ud83d"',
        rb'"\\\\ud83d"',
        rb'"\ud83d\ude00"',
        rb'"\u00e9\n\""',
        b'{"a":"null","b":"3.0"}',
        b'{"a":[null,3.0]}',
        b"[null,3.0]",
        b"null",
        b"3.0",
        b"{",
        b'{"a":\xff}',
        b"\\ud83",
        b"",
        b"[" * 100_000,
    ],
)
def test_what_is_right_or_beyond_help_is_left_alone(text: bytes) -> None:
    """An escaped backslash before a ``u`` is no escape; a list's elements have their places; rubbish stays rubbish."""
    assert mended(text) is None


def test_a_huge_text_is_not_mended() -> None:
    """Everyone else would have to wait for it."""
    assert mended(b'{"a":null,"b":"%b"}' % (b"x" * 17 * 1024 * 1024)) is None


@given(st.binary())
def test_mending_never_fails(data: bytes) -> None:
    """It is asked about whatever could not be read."""
    mended(data)
    mended(b'{"a":"\\ud8' + data)


halves = st.text(st.characters(min_codepoint=0xD7F0, max_codepoint=0xE00F), max_size=6)


@given(values, halves, halves)
def test_a_text_with_halves_of_pairs_can_be_read_after_mending(value: object, one: str, other: str) -> None:
    """Python writes them as JavaScript does; what comes out is the same text with replacement signs."""
    text = json.dumps({"told": [one, value, other]}).encode()
    better = mended(text)
    read = msgspec.json.decode(text if better is None else better)
    wanted = [json.loads(re.sub(r"[\ud800-\udfff]", "\ufffd", json.dumps(_whole(part)))) for part in (one, other)]
    assert [read["told"][0], read["told"][2]] == wanted


def _whole(text: str) -> str:
    """Join what are pairs, as every decoder does, and put a replacement sign for each half that is left."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(objects.flatmap(written))
def test_only_nulls_and_whole_floats_change_in_an_object(text: bytes) -> None:
    """Every other member stays as it was, in its place, byte for byte."""
    before = msgspec.json.decode(text, type=dict[str, Raw])
    better = mended(text)
    after = before if better is None else msgspec.json.decode(better, type=dict[str, Raw])
    assert list(after) == [name for name, value in before.items() if bytes(value) != b"null"]
    for name, value in after.items():
        told = bytes(before[name])
        assert bytes(value) in (told, re.sub(rb"\.0+$", b"", told))
