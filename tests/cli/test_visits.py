"""An address is shown with its host marked, and with a word on whatever looks suspicious about it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.cli.visits import examined

QUIET = [
    ("https://example.com/login?x=1", "example.com"),
    ("https://sub.example.com:8443/", "sub.example.com"),
    ("HTTPS://Example.COM/", "Example.COM"),
    ("http://localhost:3000/", "localhost"),
    ("http://127.0.0.1/", "127.0.0.1"),
    ("http://[::1]:80/", "::1"),
]

LOUD = [
    ("https://google.com@evil.example/", "evil.example", "user name, not the host; the host is evil.example"),
    ("https://evil.example@evil.example/", "evil.example", "user name, not the host"),
    ("https://xn--pple-43d.com/", "xn--pple-43d.com", "xn--pple-43d.com is shown as \u0430pple.com"),
    ("https://\u0430pple.com/", "\u0430pple.com", "\u0430pple.com is sent as xn--pple-43d.com"),
    ("http://example.com/", "example.com", "not encrypted"),
    ("https://93.184.216.34/", "93.184.216.34", "bare number"),
    ("javascript:alert(1)", "", "no web page (its scheme is javascript)"),
    ("file:///etc/passwd", "", "no web page (its scheme is file)"),
    ("example.com/login", "", "no web page (its scheme is missing)"),
    ("http://[broken", "", "no address at all"),
    ("", "", "no web page"),
]


SURPRISING = [
    ("https://evil.example\\@bank.example/login", "backslash"),
    ("https:/\\evil.example", "backslash"),
    ("https://evil.example/\n\n  Host: bank.example\n", "white space"),
    ("https://ev\til.example/", "white space"),
    (" https://evil.example/", "white space"),
    ("https://evil.example/" + " " * 40 + "Host: bank.example", "white space"),
    ("https://evil.example\u3000/", "white space"),
    ("https://bank.ex\u200bample/", "invisible"),
    ("https://bank\u3164.example/", "invisible"),
    ("https://evil.example/\x1b[2K", "invisible"),
    ("https://bank.example%40evil.example/", "characters that no host has"),
    ("https://bank_x.example/", "characters that no host has"),
    ("https://bank\u2044login.example/", "characters that no host has"),
    ("https://\ufb01.example/", "characters that no host has"),
    ("https://bank\uff20evil.example/", "no address at all"),
    ("http://2130706433/", "a number in disguise"),
    ("http://0x7f000001/", "a number in disguise"),
    ("http://127.1/", "a number in disguise"),
    ("http://127.0.0.01./", "a number in disguise"),
    ("http://example.0x/", "a number in disguise"),
    ("http://[::1]evil.example/", "no address at all|can't be told"),
    ("https:///evil.example/", "can't be told"),
    ("https:evil.example/", "can't be told"),
    ("https://evil.example:port/", "can't be told"),
    ("https://@/", "can't be told"),
    ("https://\u0130" + "a" * 70 + ".example/", "can't be told"),
]


@pytest.mark.parametrize(("url", "warning"), SURPRISING)
def test_an_address_that_browsers_may_read_otherwise_is_not_opened(url: str, warning: str) -> None:
    """No host is marked in it: the wrong one could be."""
    visit = examined(url)
    assert (visit.host, visit.can_open, len(visit.warnings)) == ("", False, 1)
    assert re.search(warning, visit.warnings[0])
    assert visit.warnings[0].endswith("; it will not be opened")


def test_a_letter_that_grows_moves_no_mark() -> None:
    """Lower case can be longer than what it came from."""
    visit = examined("https://" + "\u0130" * 14 + "@evil-x.example/bank-y.example")
    assert visit.host == "evil-x.example"
    assert any("user name" in told for told in visit.warnings)


@pytest.mark.parametrize(("url", "host"), QUIET)
def test_an_ordinary_address_has_its_host_marked(url: str, host: str) -> None:
    """And nothing to warn of."""
    visit = examined(url)
    assert (visit.before + visit.host + visit.after, visit.host, visit.warnings) == (url, host, ())
    assert visit.can_open


@pytest.mark.parametrize(("url", "host", "warning"), LOUD)
def test_a_suspicious_address_is_warned_of(url: str, host: str, warning: str) -> None:
    """The warning says what is wrong, and only web pages can be opened."""
    visit = examined(url)
    assert visit.host == host
    assert any(warning in told for told in visit.warnings)
    assert visit.can_open == bool(host)


@given(st.text() | st.text().map(lambda rest: f"https://{rest}"))
def test_the_whole_address_is_always_shown(url: str) -> None:
    """Whatever it is, its three parts are all of it."""
    visit = examined(url)
    assert visit.before + visit.host + visit.after == url


@given(st.from_regex(r"https?://[a-z0-9@:.%\[\]\\/?#-]{0,20}", fullmatch=True))
def test_a_marked_host_is_the_one_that_is_visited(url: str) -> None:
    """As `urlsplit` reads it, too."""
    visit = examined(url)
    assert visit.can_open == bool(visit.host)
    if visit.host:
        assert urlsplit(url).hostname == visit.host
