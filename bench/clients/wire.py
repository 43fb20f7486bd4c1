"""The bytes that both bare clients send, and how they look into what comes back. No library, msgspec alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, Struct, field

META = Raw(
    b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    b'"io.modelcontextprotocol/clientInfo":{"name":"bare","version":"1.0"},'
    b'"io.modelcontextprotocol/clientCapabilities":{}}'
)

AFTER_EVENT = b"\n\n\r\n0\r\n\r\n"
"""How a response of one event in one chunk ends."""


class Params(Struct, omit_defaults=True):
    """A request's parameters."""

    name: str = ""
    arguments: dict[str, Any] | None = None
    meta: Raw = field(default=Raw(b""), name="_meta")


class Request(Struct):
    """A request."""

    id: int
    method: str
    params: Params
    jsonrpc: str = "2.0"


class Text(Struct):
    """A content block."""

    text: str


class Tool(Struct, rename="camel"):
    """An entry of the listing; its schema stays bytes until it is looked into."""

    name: str
    description: str
    input_schema: Raw


class Result(Struct):
    """A result of any method here."""

    content: list[Text] = []
    tools: list[Tool] = []


class Answer(Struct):
    """An answer."""

    id: int
    result: Result


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Answer).decode
decode_schema = msgspec.json.Decoder(dict[str, Any]).decode


def request(number: int, method: str, name: str = "", arguments: dict[str, Any] | None = None) -> bytes:
    """Give one request as bytes."""
    return encode(Request(number, method, Params(name, arguments, META)))


def tool_names(tools: list[Tool], *, schemas: bool) -> list[str]:
    """Give the tools' names, having looked into each schema if asked."""
    if schemas:
        assert all(decode_schema(tool.input_schema) for tool in tools)
    return [tool.name for tool in tools]


def head(url: str) -> tuple[str, int, bytes]:
    """Give host, port and a POST's head with a place for the body's length."""
    parts = urlsplit(url)
    lines = (
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: echo",
        "Content-Length: %d",
    )
    return parts.hostname or "", parts.port or 80, "\r\n".join([*lines, "", ""]).encode()


def whole_body(pieces: list[bytes]) -> memoryview | None:
    """Give the message in a response, JSON or one event, if all of it is there; ``pieces`` are what came so far."""
    first = pieces[0]
    blank = first.find(b"\r\n\r\n") + 4
    declared = first.find(b"Content-Length: ", 0, blank)
    if declared < 0:
        last = pieces[-1] if len(pieces[-1]) >= len(AFTER_EVENT) else b"".join(pieces[-len(AFTER_EVENT) :])
        if not last.endswith(AFTER_EVENT):
            return None
        start, end = first.find(b"data: ", blank) + 6, -len(AFTER_EVENT)
    else:
        start, end = blank, blank + int(first[declared + 16 : first.find(b"\r", declared)])
        if sum(map(len, pieces)) < end:
            return None
    return memoryview(first if len(pieces) == 1 else b"".join(pieces))[start:end]
