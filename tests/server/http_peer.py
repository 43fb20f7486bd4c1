"""An honest MCP server over HTTP, in either era, but for what a test does to some of its requests.

It is a script for `tests.servers.http_faults`, which has the sockets.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from tests.servers.http_faults import Script, Visit

SESSION = "Mcp-Session-Id"


def honest(*, era: str = "stateless", instead: Mapping[str, Script] | None = None, sessions: bool = True) -> Script:
    """Give a server of one era. ``instead`` maps methods, tools' names or ``"GET"`` to what is done in their place.

    In the handshake era it gives out sessions, unless told not to; any session is welcome to it.
    """
    replaced = instead or {}
    numbers = itertools.count(1)

    async def serve(visit: Visit) -> None:
        name = visit.message.get("params", {}).get("name", "") if visit.method == "tools/call" else ""
        script = replaced.get(name) or replaced.get(visit.method or visit.verb)
        if script is not None:
            await script(visit)
        elif visit.verb != "POST":
            await visit.answer(status="405 Method Not Allowed" if visit.verb == "GET" else "200 OK", kind=None)
        elif visit.method.startswith("notifications/"):
            await visit.answer(status="202 Accepted", kind=None)
        elif visit.method == "tools/call":
            await visit.answer(said(visit))
        elif (visit.method, era) == ("server/discover", "stateless"):
            await visit.answer(visit.result(supportedVersions=["2026-07-28"], capabilities={"tools": {}}))
        elif (visit.method, era) == ("initialize", "handshake"):
            given = {SESSION: f"session-{next(numbers)}"} if sessions else {}
            await visit.answer(initialized(visit), headers=given)
        else:
            await visit.answer(visit.error(-32601), status="404 Not Found" if era == "stateless" else "200 OK")

    return serve


def initialized(visit: Visit) -> bytes:
    """Give the answer to the handshake."""
    info = {"name": "honest", "version": "1"}
    version = visit.message["params"]["protocolVersion"]
    return visit.result(protocolVersion=version, capabilities={"tools": {}}, serverInfo=info)


def said(visit: Visit, words: str | None = None) -> bytes:
    """Give a tool's answer: the words, or else the message that came."""
    told = visit.message["params"].get("arguments", {}).get("message", "") if words is None else words
    return visit.result(content=[{"type": "text", "text": told}])
