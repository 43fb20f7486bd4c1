"""The fallback of http_echo.c, where no C compiler is: POST /json and POST /sse over HTTP/1.1, on asyncio alone.

Prints its port on stdout, and ends when its stdin does. What it answers is in answers.py, beside it.
"""

from __future__ import annotations

import asyncio
import re
import sys

from answers import Answers, tools_wanted

LENGTH = re.compile(rb"\ncontent-length:\s*(\d+)", re.IGNORECASE)
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
EVENTS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
)
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
NOT_ALLOWED = b"HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client's connection; requests are answered in order."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.held = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write to."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request that has come in."""
        self.held += data
        while (blank := self.held.find(b"\r\n\r\n")) >= 0:
            head = self.held[:blank]
            found = LENGTH.search(head)
            end = blank + 4 + (int(found.group(1)) if found else 0)
            if len(self.held) < end:
                return
            self.transport.write(self._response(head, self.held[blank + 4 : end]))
            self.held = self.held[end:]

    def _response(self, head: bytes, body: bytes) -> bytes:
        if not head.startswith(b"POST "):
            return NOT_ALLOWED
        answer = self.answers(body)
        if not answer:
            return ACCEPTED
        if head.startswith(b"POST /sse"):
            event = b"event: message\ndata: %b\n\n" % answer
            return EVENTS % (len(event), event)
        return JSON % (len(answer), answer)


async def main() -> None:
    """Serve until stdin ends."""
    answers = Answers(tools_wanted())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(main())
