"""What the fallback echo servers answer, where no C compiler is: the same as answers.c, with json alone.

Knows nothing of pipes and sockets; its neighbours are stdio_echo.py and http_echo.py, which run as plain scripts.
"""

from __future__ import annotations

import json
import sys
from typing import Any

SERVER = {"name": "echo", "version": "1.0"}
CAPABILITIES: dict[str, Any] = {"tools": {}}
KEPT = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}


def schema(**properties: object) -> dict[str, object]:
    """Give an object schema; the first property is required."""
    return {"type": "object", "properties": properties, "required": list(properties)[:1]}


def tool(number: int) -> dict[str, object]:
    """Give one of the tools that only fill the listing, about as large as tools are."""
    query = {"type": "string", "description": "Words to look for"}
    limit = {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    fields = {"type": "array", "items": {"type": "string", "enum": ["title", "date", "body"]}}
    since = {"type": "string", "format": "date-time"}
    return {
        "name": f"search_records_{number:04}",
        "title": f"Search records {number}",
        "description": f"Search the records of collection {number} by words, newest first, "
        "and give their titles, dates and first lines.",
        "inputSchema": schema(query=query, limit=limit, since=since, fields=fields) | {"additionalProperties": False},
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }


def tools_wanted() -> int:
    """Read ``--tools N`` from the arguments; without it there are the two tools that do something."""
    arguments = sys.argv[1:]
    return int(arguments[arguments.index("--tools") + 1]) if "--tools" in arguments else 2


class Answers:
    """Answers single messages, for either era of the protocol."""

    def __init__(self, tools: int) -> None:
        message = {"type": "string"}
        size = {"type": "integer", "minimum": 0}
        self.listing = [
            {"name": "echo", "description": "Give the message back.", "inputSchema": schema(message=message)},
            {"name": "blob", "description": "Give that many letters.", "inputSchema": schema(size=size)},
            *map(tool, range(2, tools)),
        ]

    def __call__(self, line: bytes) -> bytes:
        """Give the answer to one message without a line end, or nothing if it wants none."""
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            return b""
        try:
            outcome = {"result": self._result(message["method"], message.get("params") or {})}
        except LookupError:
            outcome = {"error": {"code": -32602, "message": "no such method, or not its arguments"}}
        return json.dumps({"jsonrpc": "2.0", "id": message["id"], **outcome}).encode()

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, object]:
        if method == "tools/call":
            arguments = params["arguments"]
            text = arguments["message"] if params["name"] == "echo" else "x" * arguments["size"]
            return {"resultType": "complete", "content": [{"type": "text", "text": text}]}
        if method == "initialize":
            return {"protocolVersion": params["protocolVersion"], "capabilities": CAPABILITIES, "serverInfo": SERVER}
        told = {"_meta": {"io.modelcontextprotocol/serverInfo": SERVER}, "capabilities": CAPABILITIES}
        results: dict[str, Any] = {
            "server/discover": KEPT | told | {"supportedVersions": ["2026-07-28", "2025-11-25"]},
            "tools/list": KEPT | {"tools": self.listing},
            "ping": {},
        }
        return results[method]
