"""The processor that hides secrets: in lines of the real structlog, and in any value."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import LogCapture

from dragoman.telemetry import redact

SECRET = "s3cr3t-v4lue"


def hidden(**fields: Any) -> dict[str, Any]:
    """What `redact` makes of a line."""
    return dict(redact(None, "info", fields))


@pytest.mark.parametrize(
    "key",
    [
        "authorization",
        "Authorization",
        "proxy-authorization",
        "token",
        "access_token",
        "accessToken",
        "refresh-token",
        "bearer_token",
        "password",
        "db_passwd",
        "api_key",
        "API_KEY",
        "apiKey",
        "x-api-key",
        "client_secret",
        "clientSecret",
        "private_key",
        "cookie",
        "Set-Cookie",
        "credentials",
        "GITHUB_TOKEN",
        "OPENAI_API_KEY",
        "aws_secret_access_key",
        "mcp-session-id",
        "jwt",
        "githubToken",
    ],
)
def test_values_of_secret_keys_are_hidden_at_any_depth(key: str) -> None:
    """On top, in mappings, in lists of mappings; whatever type the value has."""
    assert hidden(**{key: SECRET}) == {key: "***"}
    assert hidden(**{key: {"value": SECRET}}) == {key: "***"}
    assert hidden(headers=[{"outer": {key: [SECRET]}}]) == {"headers": [{"outer": {key: "***"}}]}


@pytest.mark.parametrize(
    "key", ["tokenizer", "keyboard", "monkey", "passenger", "progressToken", "progress_token", "author"]
)
def test_harmless_keys_are_left(key: str) -> None:
    """A processor that hides too much is taken out again."""
    assert hidden(**{key: "shown"}) == {key: "shown"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://me:pw@example.com/a?key=v#f failed", "GET https://***@example.com/a?key=*** failed"),
        ("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer ***"),
        ("run with --token=abc123 now", "run with --token=*** now"),
        ('{"api_key": "abc 123", "a": 1}', '{"api_key": ***, "a": 1}'),
        ("GITHUB_TOKEN=abc make", "GITHUB_TOKEN=*** make"),
        ("note:///welcome says hello", "note:///welcome says hello"),
        ("5 tokens were counted", "5 tokens were counted"),
    ],
)
def test_secrets_in_texts_are_hidden(text: str, shown: str) -> None:
    """In URLs, after the name of a scheme, and after a name with a sign."""
    assert hidden(event=text) == {"event": shown}


def test_empty_secrets_and_flags_are_told() -> None:
    """Whether there is one is no secret."""
    assert hidden(token=None, password="", api_key=True) == {"token": None, "password": "", "api_key": True}


def test_bulk_is_not_repeated() -> None:
    """Long texts are cut, bytes counted, and what is too deep to look into is hidden."""
    deep: Any = SECRET
    for _ in range(50):
        deep = [deep]
    line = hidden(text="x" * 100_000, raw=b"12345", deep=deep)
    assert len(line["text"]) < 5000
    assert line["raw"] == "[5 bytes]"
    assert SECRET not in str(line["deep"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_any_value_passes(value: Any) -> None:
    """Nothing makes the processor raise; what it gives can be rendered; a second time changes nothing."""
    once = hidden(data=value, token=SECRET)
    assert SECRET not in json.dumps(once)
    assert hidden(**once) == once


def test_redact_works_in_a_chain_of_structlog() -> None:
    """Before the renderer, for lines of the program itself; what was bound is hidden, too."""
    capture = LogCapture()
    logger = structlog.wrap_logger(None, processors=[redact, capture])
    logger.bind(authorization=SECRET).info("asked", url=f"https://example.com/?key={SECRET}")
    assert capture.entries == [
        {"event": "asked", "log_level": "info", "authorization": "***", "url": "https://example.com/?key=***"}
    ]


def test_counts_of_tokens_are_told() -> None:
    """Models count them; a password of digits is hidden all the same."""
    assert hidden(max_tokens=5, tokens=1.5, password=1234) == {"max_tokens": 5, "tokens": 1.5, "password": "***"}


@pytest.mark.parametrize("text", ["a." * 2000, "a-" * 2000, "token" * 800, "://" * 1300, "token=" * 700, " " * 4000])
def test_odd_texts_take_no_time(text: str) -> None:
    """No pattern is slow for what somebody thought of."""
    begun = time.process_time()
    hidden(text=f"x: {text}")
    assert time.process_time() - begun < 0.1
