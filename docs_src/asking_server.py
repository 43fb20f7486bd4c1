"""A server in this process whose tools ask the client for something; `answer_servers.py` talks to it."""

from __future__ import annotations

import json
from typing import Any

from dragoman.transports.memory import MemoryPeer, MemoryTransport

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


def asking() -> MemoryTransport:
    """Give the way to a new one."""
    return MemoryTransport(_serve, name="asker")


async def _serve(peer: MemoryPeer) -> None:
    async for data in peer:
        message = json.loads(data)
        if "id" in message:
            result = {"resultType": "complete"} | _answer(message["method"], message["params"])
            await peer.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode())


def _answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "server/discover":
        return {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in QUESTIONS]}
    answers = params.get("inputResponses")
    if answers is None:
        return {"resultType": "input_required", "inputRequests": {"q": QUESTIONS[params["name"]]}}
    return {"content": [{"type": "text", "text": json.dumps(answers["q"])}]}
