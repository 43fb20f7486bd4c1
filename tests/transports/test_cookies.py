"""Cookies of one origin: what is kept of those that servers set."""

from __future__ import annotations

from dragoman.config.model import ServerConfig
from dragoman.transports.cookies import Cookies
from dragoman.transports.network import address_of


def cookies(**configured: str) -> Cookies:
    """Give the cookies of a server."""
    config = ServerConfig(name="c", url="http://127.0.0.1/mcp", cookies=configured)
    return Cookies(config, address_of(config))


def test_servers_fill_neither_memory_nor_the_head_of_requests() -> None:
    """Fifty cookies are kept, 64 KiB of them, and none over 4 KiB; one's own stay."""
    many = cookies(own="1")
    for number in range(100):
        many.take([f"c{number}=x"], "/mcp")
    assert len(many.header("/mcp").split("; ")) == 50
    assert "own=1" in many.header("/mcp")
    large = cookies(own="1")
    large.take([f"c{number}={'x' * 4000}" for number in range(30)], "/mcp")
    assert 60_000 < len(large.header("/mcp")) < 66_000
    assert "own=1" in large.header("/mcp")
    large.take([f"huge={'x' * 5000}"], "/mcp")
    assert "huge" not in large.header("/mcp")


def test_a_configured_cookie_may_be_of_any_size() -> None:
    """The bounds are for what servers set."""
    assert cookies(own="x" * 5000).header("/mcp") == "own=" + "x" * 5000
