"""A small honest MCP server that is there to be killed: ``server.py NAME ERA FOLDER [PORT]``. Standard library only.

It speaks one era (handshake or stateless), over stdio or, given a port, over HTTP. Its tool ``echo(message, delay)``
answers ``NAME message`` after so many seconds, so that an answer tells whose it is. It leaves its process id in
FOLDER/NAME. Over HTTP, every other answer is an event stream, a session that it did not give out is unknown (404), and
SIGUSR1 resets all connections. Run it with ``python -I -S``, so that it starts quickly.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[Json], None]

SCHEMA: Json = {
    "type": "object",
    "properties": {"message": {"type": "string"}, "delay": {"type": "number"}},
    "required": ["message"],
}
REFUSED = {"code": -32601, "message": "no such method"}


class Answers:
    """What the server says, some of it later."""

    def __init__(self, name: str, era: str) -> None:
        self.name = name
        self.stateless = era == "stateless"
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def receive(self, message: Json, send: Send) -> None:
        """Answer a request; ``send`` is kept until the answer is due."""
        result = self.result(message["method"], message.get("params") or {})
        told: Json = {"jsonrpc": "2.0", "id": message["id"]}
        if result is None:
            send(told | {"error": REFUSED})
            return
        answer = told | {"result": result | ({"resultType": "complete"} if self.stateless else {})}
        delay = message["params"]["arguments"].get("delay", 0) if message["method"] == "tools/call" else 0
        if delay:
            self.timers.append((time.monotonic() + delay, lambda: send(answer)))
        else:
            send(answer)

    def result(self, method: str, params: Json) -> Json | None:
        """Give the result of a request; None if there is no such method in this era."""
        kept: Json = {"ttlMs": 0, "cacheScope": "private"} if self.stateless else {}
        if method == "tools/call":
            return {"content": [{"type": "text", "text": f"{self.name} {params['arguments']['message']}"}]}
        if method == "tools/list":
            return {"tools": [{"name": "echo", "inputSchema": SCHEMA}], **kept}
        if method == "ping" and not self.stateless:
            return {}
        if method == "server/discover" and self.stateless:
            return {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **kept}
        if method == "initialize" and not self.stateless:
            info = {"name": self.name, "version": "1"}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
        return None

    def patience(self) -> float | None:
        """Give the seconds until the next answer is due; None if none is."""
        return max(0.0, min(when for when, _ in self.timers) - time.monotonic()) if self.timers else None

    def ring(self) -> None:
        """Send what is due."""
        now = time.monotonic()
        due = [timer for timer in self.timers if timer[0] <= now]
        self.timers = [timer for timer in self.timers if timer[0] > now]
        for _, act in due:
            act()


def serve_stdio(answers: Answers) -> None:
    """Serve until stdin ends."""
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)

    def send(message: Json) -> None:
        view = memoryview(json.dumps(message).encode() + b"\n")
        while view:
            view = view[os.write(1, view) :]

    held = b""
    while True:
        if selector.select(answers.patience()):
            data = os.read(0, 65536)
            if not data:
                return
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "id" in message and "method" in message:
                    answers.receive(message, send)
        answers.ring()


class Visitor:
    """One HTTP connection."""

    def __init__(self, sock: socket.socket, server: HttpServer) -> None:
        self.sock = sock
        self.server = server
        self.held = b""

    def readable(self) -> None:
        """Take what came."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.server.drop(self)
            return
        self.held += data
        while (blank := self.held.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.held[:blank].decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            end = blank + 4 + int(headers.get("content-length", "0"))
            if len(self.held) < end:
                return
            body, self.held = self.held[blank + 4 : end], self.held[end:]
            self.request(first.partition(" ")[0], headers, body)

    def request(self, verb: str, headers: dict[str, str], body: bytes) -> None:
        """Answer one request."""
        if verb != "POST":
            self.send_empty("405 Method Not Allowed" if verb == "GET" else "200 OK")
            return
        message: Json = json.loads(body)
        handshake, begins = not self.server.answers.stateless, message.get("method") == "initialize"
        if handshake and not begins and headers.get("mcp-session-id") != self.server.session:
            self.send_empty("404 Not Found")
        elif "id" in message:
            extra = f"Mcp-Session-Id: {self.server.session}\r\n" if handshake and begins else ""
            self.server.answers.receive(message, lambda answer: self.send_answer(answer, extra))
        else:
            self.send_empty("202 Accepted")

    def send_answer(self, message: Json, extra: str) -> None:
        """Send a message, every other time as an event."""
        body = json.dumps(message).encode()
        self.server.answered += 1
        if self.server.answered % 2:
            kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
        else:
            event = b"event: message\ndata: " + body + b"\n\n"
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)
            kind = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked"
        self.send(f"HTTP/1.1 200 OK\r\n{extra}{kind}\r\n\r\n".encode() + body)

    def send_empty(self, status: str) -> None:
        """Send a status alone."""
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    def send(self, data: bytes) -> None:
        """Send bytes; a visitor who has gone gets none."""
        try:
            self.sock.sendall(data)
        except OSError:
            self.server.drop(self)


class HttpServer:
    """All connections. ``session`` is the only one that it knows; another process gives out another."""

    def __init__(self, answers: Answers, port: int) -> None:
        self.answers = answers
        self.answered = 0
        self.session = f"{answers.name}-{os.getpid()}"
        self.visitors: set[Visitor] = set()
        self.resetting = False
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)

    def accept(self) -> None:
        """Let one in."""
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        visitor = Visitor(sock, self)
        self.visitors.add(visitor)
        self.selector.register(sock, selectors.EVENT_READ, visitor.readable)

    def drop(self, visitor: Visitor) -> None:
        """Close one."""
        if visitor in self.visitors:
            self.visitors.discard(visitor)
            self.selector.unregister(visitor.sock)
            visitor.sock.close()

    def reset_all(self) -> None:
        """Break all connections with a TCP reset."""
        for visitor in list(self.visitors):
            visitor.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.drop(visitor)

    def run(self) -> None:
        """Serve for ever."""

        def note(*_: object) -> None:
            self.resetting = True

        signal.signal(signal.SIGUSR1, note)
        waker, signalled = socket.socketpair()
        signalled.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(signalled.fileno())
        self.selector.register(waker, selectors.EVENT_READ, lambda: waker.recv(64))
        while True:
            for key, _ in self.selector.select(self.answers.patience()):
                key.data()
            if self.resetting:
                self.resetting = False
                self.reset_all()
            self.answers.ring()


def main() -> None:
    """Serve as the command line tells."""
    name, era, folder, *port = sys.argv[1:]
    answers = Answers(name, era)
    server = HttpServer(answers, int(port[0])) if port else None
    written = os.path.join(folder, f".{name}-{os.getpid()}")  # noqa: PTH118 - pathlib would double the time to start
    with open(written, "w", encoding="ascii") as file:  # noqa: PTH123 - as above
        file.write(str(os.getpid()))
    os.replace(written, os.path.join(folder, name))  # noqa: PTH105, PTH118 - as above
    if server is not None:
        server.run()
    else:
        serve_stdio(answers)


if __name__ == "__main__":
    main()
