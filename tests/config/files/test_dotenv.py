"""Files of variables, line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.config.files.dotenv import parse_dotenv
from dragoman.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("  export A = b  ", "b"),
        ("A=", ""),
        ("A=b c # no", "b c"),
        ("A=b#c", "b#c"),
        ("A=#c", ""),
        ("A='b # c'", "b # c"),
        ("A='b\\n' # no", "b\\n"),
        ('A="b # c"', "b # c"),
        ('A="b\\n\\"c\\\\"', 'b\n"c\\'),
        ('A="b\nc"\nB=d', "b\nc"),
        ("A=1\nA=2", "2"),
        ("# no\n\nA=${B}", "${B}"),
        ("A==b=", "=b="),
    ],
)
def test_a_variable_is_read(text: str, value: str) -> None:
    """Bare, in single quotes as it is, in double quotes with escapes and over lines."""
    assert parse_dotenv(text)["A"] == value


@pytest.mark.parametrize(
    ("text", "line"), [("A=b\nhush", 2), ("=hush", 1), ("A='hush", 1), ("A='hush' b", 1), ('\nA="hush\nb', 2)]
)
def test_what_is_no_variable_is_told_by_its_line(text: str, line: int) -> None:
    """And never by what it holds."""
    with pytest.raises(ConfigError) as caught:
        parse_dotenv(text)
    assert (caught.value.line, "hush" in str(caught.value)) == (line, False)


@given(st.text())
def test_any_text_is_read_or_told(text: str) -> None:
    """Nothing but the error that is meant."""
    try:
        parse_dotenv(text)
    except ConfigError as error:
        assert error.line  # noqa: PT017 - either way is right
