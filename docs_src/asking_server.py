"""A server over stdio whose tools ask the client for something; `answer_servers.py` starts it."""

from __future__ import annotations

import json
import sys
from typing import Any

QUESTIONS: dict[str, dict[str, Any]] = {
    "sign_up": {
        "method": "elicitation/create",
        "params": {
            "mode": "url",
            "elicitationId": "1",
            "url": "https://accounts.example.com/start",
            "message": "Please sign up.",
        },
    },
    "think": {
        "method": "sampling/createMessage",
        "params": {
            "messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}],
            "maxTokens": 100,
        },
    },
    "look_around": {"method": "roots/list", "params": {}},
}


def serve() -> None:
    """Answer each request, until the client closes stdin."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            result = {"resultType": "complete"} | answer(message["method"], message["params"])
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Give a result: of a call, the question first, and then what the client answered."""
    if method == "server/discover":
        return {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in QUESTIONS]}
    answers = params.get("inputResponses")
    if answers is None:
        return {"resultType": "input_required", "inputRequests": {"q": QUESTIONS[params["name"]]}}
    return {"content": [{"type": "text", "text": json.dumps(answers["q"])}]}


if __name__ == "__main__":
    serve()
