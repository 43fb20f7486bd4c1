"""What a hub says of a server, as text for people."""

from __future__ import annotations

from dragoman.model import ServerStatus


def test_a_status_is_one_line_for_people() -> None:
    """`print(status)` tells the state and why; of a connected server, what was agreed; no times in raw seconds."""
    ready = ServerStatus(
        name="clock",
        state="ready",
        reason="connected",
        since=1.0,
        tools=5,
        transport="stdio",
        protocol_version="2026-07-28",
        era="stateless",
    )
    assert str(ready) == "clock: ready (connected), 5 tools, stdio, 2026-07-28"
    away = ServerStatus(name="web", state="needs_login", reason="HTTP 401", code="auth.needed", since=1.0)
    assert str(away) == "web: needs login (HTTP 401)"
    assert str(ServerStatus(name="new", state="configured", since=1.0)) == "new: configured"
