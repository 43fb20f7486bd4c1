"""An address is shown with its host marked, and with a word on whatever looks suspicious about it."""

from __future__ import annotations

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
