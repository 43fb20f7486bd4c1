"""No text of a server reaches a terminal with anything in it that acts."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.cli.plain import gist, one_line, one_word, safe, safe_json, shortened, size_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\tand\nlines", "plain\tand\nlines"),
        ("two\r\nlines", "two\nlines"),
        ("over\rwritten", "over\\x0dwritten"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("txt\u202etxt", "txt\\u202etxt"),
        ("a\u2066b\u2069c", "a\\u2066b\\u2069c"),
        ("\U000e0041hidden", "\\U000e0041hidden"),
        ("half \ud800", "half \\ud800"),
        ("café, 日本, 👩‍🚀", "café, 日本, 👩‍🚀"),
        ("❤\ufe0f 👩🏽\u200d🚀 1\ufe0f\u20e3", "❤\ufe0f 👩🏽\u200d🚀 1\ufe0f\u20e3"),
        ("a\u200db ❤\u200d b\u200d❤", "a\\u200db ❤\\u200d b\\u200d❤"),
        ("a\ufe0f ❤\ufe0f\ufe0f ❤\ufe01", "a\\ufe0f ❤\ufe0f\\ufe0f ❤\\ufe01"),
        ("soft\u00adhyphen zero\u200bwidth\ufeff", "soft\\xadhyphen zero\\u200bwidth\\ufeff"),
        ("\u115f\u1160\u3164\uffa0", "\\u115f\\u1160\\u3164\\uffa0"),
        ("a\U000e0100b\U000e01ef", "a\\U000e0100b\\U000e01ef"),
    ],
)
def test_what_acts_is_written_out(text: str, shown: str) -> None:
    """Escapes, overrides and invisible tags become visible; everything else stays."""
    assert safe(text) == shown


@given(st.text())
def test_safe_text_only_shows(text: str) -> None:
    """After it, no control character but tab and newline is left, and one line is one line."""
    kinds = {character: unicodedata.category(character) for character in safe(text)}
    assert {character for character, kind in kinds.items() if kind in ("Cc", "Cf", "Cs")} <= {"\t", "\n", "\u200d"}
    assert len(one_line(text).splitlines()) <= 1


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_safe_json_means_the_same(value: object) -> None:
    """Only escapes change, never the value."""
    text = json.dumps(value, ensure_ascii=False)
    shown = safe_json(text)
    assert json.loads(shown) == value
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown)


def test_all_of_a_category_is_written_out() -> None:
    """Whatever Unicode calls a format character, the joiner within emoji aside."""
    formats = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"]
    assert [character for character in formats if safe(character) == character] == []


@given(st.text())
def test_one_word_has_no_white_space(text: str) -> None:
    """So that it can't look like a line of something else."""
    assert not any(character.isspace() for character in one_word(text))
    assert one_word("a\tb\r\nc d\u3000") == "a\\x09b\\x0d\\x0ac\\x20d\\u3000"


def test_long_text_is_cut_between_words() -> None:
    """With a mark, and never longer than asked for."""
    assert shortened("one two  three\nfour", 40) == "one two three four"
    assert shortened("one two three four", 12) == "one two…"
    assert shortened("x" * 50, 10) == "x" * 9 + "…"


def test_the_gist_is_the_first_sentence() -> None:
    """Of the first paragraph, on one line."""
    assert gist("Finds files. Takes a pattern.\n\nMore.") == "Finds files."
    assert gist("Finds\nfiles, e.g. notes, quickly\n\nMore.") == "Finds files, e.g. notes, quickly"
    assert gist("") == ""


def test_sizes_are_told_for_people() -> None:
    """In bytes while they are few."""
    told = [size_text(count) for count in (0, 1, 999, 1234, 2_500_000, 3_000_000_000, 5_000_000_000_000)]
    assert told == ["0 bytes", "1 byte", "999 bytes", "1.2 kB", "2.5 MB", "3.0 GB", "5000.0 GB"]
