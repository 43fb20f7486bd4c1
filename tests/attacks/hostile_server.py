"""A hostile MCP server on stdio: the first argument tells how, the second how much. Standard library only.

plain; storm (announces changed tools without end, and changes them); logs, progress (floods with each call); forge
(answers every number); many (lists so many tools); crash (on each call); mute (never ends connecting); repeat (answers
with the pairs of the arguments as they came).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

MODE, COUNT = sys.argv[1], int(sys.argv[2])
CAPABILITIES = {"tools": {"listChanged": True}, "logging": {}}
lock = threading.Lock()
counted = {"lists": 0, "calls": 0}


def send(**message: Any) -> None:
    """Write one message."""
    with lock:
        sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        sys.stdout.buffer.flush()


def storm() -> None:
    """Announce changes until nobody listens."""
    while True:
        try:
            send(method="notifications/tools/list_changed")
        except OSError:
            os._exit(0)
        time.sleep(0.0005)


def tools() -> list[dict[str, Any]]:
    """Give the tools as they are now."""
    names = ["count", *(f"t{at}" for at in range(COUNT - 1))] if MODE == "many" else ["count"]
    if MODE == "storm":
        names.append(f"t{counted['lists']}")
    return [{"name": name, "inputSchema": {"type": "object"}} for name in names]


def flood(number: int, params: dict[str, Any]) -> None:
    """Send what nobody asked for, before the answer."""
    for at in range(COUNT):
        if MODE == "logs":
            told = {"level": "info", "logger": "l" * 100_000, "data": {"k": ["x" * 2_000_000]}}
            send(method="notifications/message", params=told)
        elif MODE == "progress":
            told = {"progressToken": params["_meta"]["progressToken"], "progress": at, "message": "y" * 100_000}
            send(method="notifications/progress", params=told)
        elif MODE == "forge" and at != number:
            send(id=at, result={"content": [{"type": "text", "text": "forged"}]})


def main() -> None:
    """Answer what comes."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        number, method = message.get("id"), message.get("method")
        params: dict[str, Any] = message.get("params") or {}
        if method == "initialize" and MODE != "mute":
            info = {"name": "hostile", "version": "1"}
            send(id=number, result={"protocolVersion": "2025-06-18", "capabilities": CAPABILITIES, "serverInfo": info})
            if MODE == "storm":
                threading.Thread(target=storm, daemon=True).start()
        elif method == "tools/list":
            counted["lists"] += 1
            send(id=number, result={"tools": tools()})
        elif method == "tools/call":
            counted["calls"] += 1
            if MODE == "crash":
                os._exit(9)
            flood(number, params)
            text: Any = counted
            if MODE == "repeat":
                pairs = json.loads(line, object_pairs_hook=list)
                text = dict(dict(pairs)["params"])["arguments"]
            send(id=number, result={"content": [{"type": "text", "text": json.dumps(text)}]})
        elif number is not None and method != "initialize":
            send(id=number, error={"code": -32601, "message": "no"})


main()
