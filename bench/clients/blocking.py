"""The floor: a blocking loop over a bare pipe or socket.

It waits for nothing but the answer, so no asyncio client gets here; it also shows how much of the time is the servers'.
Its neighbour is `bare`, which has the event loop and nothing else.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from bench.clients.peer import Session, Target
from bench.clients.wire import Result, decode, head, request, tool_names, whole_body

READ = 65536


def echo() -> bytes:
    """Give one call of ``echo``; answers are counted, so that requests need no numbers of their own."""
    return request(1, "tools/call", "echo", {"message": "hello"})


class Pipe:
    """A server's stdin and stdout: requests go out together, answers come in line by line."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self.stdout = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._pieces: list[bytes] = []

    def send(self, messages: list[bytes]) -> None:
        """Write all messages at once."""
        os.write(self._stdin, b"\n".join([*messages, b""]))

    def receive(self) -> list[bytes]:
        """Wait for one whole line at least; give all that are there."""
        while True:
            chunk = os.read(self.stdout, READ)
            if not chunk:
                raise EOFError
            *lines, rest = chunk.split(b"\n")
            if lines:
                lines[0] = b"".join([*self._pieces, lines[0]])
                self._pieces = [rest] if rest else []
                return lines
            self._pieces.append(rest)

    def close(self) -> None:
        """End the server."""
        with self.process:
            pass


class Sockets:
    """Keep-alive HTTP connections, as many as there are requests at once."""

    def __init__(self, url: str) -> None:
        host, port, self._head = head(url)
        self._address = host, port
        self._free: list[socket.socket] = []
        self._busy: dict[socket.socket, list[bytes]] = {}
        self._selector = selectors.DefaultSelector()

    def send(self, messages: list[bytes]) -> None:
        """Send each message over a connection that has nothing to do."""
        for message in messages:
            if not self._free:
                self._free.append(socket.create_connection(self._address))
                self._selector.register(self._free[-1], selectors.EVENT_READ)
            connection = self._free.pop()
            self._busy[connection] = []
            connection.sendall(self._head % len(message) + message)

    def receive(self) -> list[memoryview]:
        """Wait for one whole answer at least; give all that are there."""
        answers: list[memoryview] = []
        while not answers:
            for connection in self._readable():
                pieces = self._busy[connection]
                pieces.append(connection.recv(READ))
                if (body := whole_body(pieces)) is not None:
                    answers.append(body)
                    del self._busy[connection]
                    self._free.append(connection)
        return answers

    def _readable(self) -> list[Any]:
        if len(self._busy) == 1:
            return list(self._busy)
        return [key.fileobj for key, _ in self._selector.select()]

    def close(self) -> None:
        """Close all connections."""
        for connection in self._free:
            connection.close()
        self._selector.close()


class BlockingSession:
    """A `Session` over either."""

    def __init__(self, wire: Pipe | Sockets) -> None:
        self._wire = wire

    def call(self, at_once: int, seconds: float) -> int:
        wire, done, deadline = self._wire, 0, perf_counter() + seconds
        wire.send([echo() for _ in range(at_once)])
        in_flight = at_once
        while in_flight:
            answers = wire.receive()
            for answer in answers:
                if decode(answer).result.content[0].text != "hello":
                    raise ValueError("the echo is not what was said")
            done += len(answers)
            in_flight -= len(answers)
            if perf_counter() < deadline:
                wire.send([echo() for _ in answers])
                in_flight += len(answers)
        return done

    def blob(self, size: int) -> int:
        return len(self._one(request(1, "tools/call", "blob", {"size": size})).content[0].text)

    def list_tools(self, *, schemas: bool) -> int:
        return len(tool_names(self._one(request(1, "tools/list")).tools, schemas=schemas))

    def _one(self, message: bytes) -> Result:
        self._wire.send([message])
        return decode(self._wire.receive()[0]).result


class BlockingPeer:
    """A `Peer`: processes are started and asked one after the other, and heard as they answer."""

    def __init__(self) -> None:
        self._wires: list[Pipe | Sockets] = []

    def connect(self, target: Target, count: int = 1) -> list[Session]:
        if target.url:
            self._wires += [Sockets(target.url) for _ in range(count)]
        else:
            self._wires += self._processes(target.command, count)
        return [BlockingSession(wire) for wire in self._wires[-count:]]

    def disconnect(self) -> None:
        for wire in self._wires:
            wire.close()
        self._wires.clear()

    def _processes(self, command: tuple[str, ...], count: int) -> Iterator[Pipe]:
        with selectors.DefaultSelector() as selector:
            for _ in range(count):
                pipe = Pipe(command)
                pipe.send([request(1, "server/discover")])
                selector.register(pipe.stdout, selectors.EVENT_READ, pipe)
            while selector.get_map():
                for key, _ in selector.select():
                    answered: Pipe = key.data
                    answered.receive()
                    selector.unregister(answered.stdout)
                    yield answered


def peer() -> BlockingPeer:
    """Give the floor."""
    return BlockingPeer()
