"""An MCP server whose tools leave a mark in a file, so that a test can count what was really done.

counting_server.py FILE [NAME=VALUE …], standard library only. Each call of a tool appends its name to FILE. Words:

    lose=N      while FILE has N lines at most, the process ends after the mark and before the answer
    delay=S     an answer takes S seconds
    name=TEXT   what ``who`` answers

Tools: ``read`` (says that it is read-only), ``write`` (says nothing), ``put`` (says that it is idempotent), ``who``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

HINTS: dict[str, dict[str, bool]] = {
    "read": {"readOnlyHint": True},
    "write": {},
    "put": {"idempotentHint": True, "readOnlyHint": False},
    "who": {"readOnlyHint": True},
}


def answer(method: str, params: dict[str, Any], file: str, words: dict[str, str]) -> dict[str, Any] | None:
    """Give the result of a request; None if the method is unknown."""
    if method == "initialize":
        info = {"name": "counting", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        schema = {"type": "object"}
        return {"tools": [{"name": name, "inputSchema": schema, "annotations": HINTS[name]} for name in HINTS]}
    if method == "ping":
        return {}
    if method != "tools/call":
        return None
    with Path(file).open("a+", encoding="utf-8") as marks:
        marks.write(f"{params['name']}\n")
        marks.flush()
        marks.seek(0)
        done = len(marks.readlines())
    if done <= int(words.get("lose", 0)):
        os._exit(3)
    time.sleep(float(words.get("delay", 0)))
    return {"content": [{"type": "text", "text": words.get("name", str(done))}]}


def main(file: str, words: dict[str, str]) -> None:
    """Serve until stdin ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        result = answer(message["method"], message.get("params") or {}, file, words)
        told = {"result": result} if result is not None else {"error": {"code": -32601, "message": "unknown"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **told}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], {name: value for name, _, value in (word.partition("=") for word in sys.argv[2:])})
