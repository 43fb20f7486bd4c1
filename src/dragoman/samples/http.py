"""A sample over Streamable HTTP, on this machine only: sessions for the handshake era, single requests for the other.

An answer that comes alone is JSON; one that is preceded by progress, log lines or questions is an event stream.
Source: 2025-11-25 basic/transports, 2026-07-28 basic/transports/streamable-http.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import queue
import select
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import urlsplit

from .conversation import HANDSHAKE, META, STATELESS, Conversation
from .offer import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
    JsonObject,
    RpcError,
    Sample,
    as_object,
)

PATH = "/mcp"
PARSE_ERROR = -32700
HEADER_MISMATCH = -32020
LARGEST_BODY = 16 * 1024 * 1024
WATCH_SECONDS = 0.2
KEEP_ALIVE_SECONDS = 15.0

NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
STATUSES = {
    METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    MISSING_CAPABILITY: HTTPStatus.BAD_REQUEST,
    UNSUPPORTED_VERSION: HTTPStatus.BAD_REQUEST,
}


def serve_http(server: Server) -> None:
    """Serve all clients for ever; tell the address on stdout."""
    with server:
        print(f"{server.sample.name} listens on http://127.0.0.1:{server.server_port}{PATH}", flush=True)
        server.serve_forever(poll_interval=WATCH_SECONDS)


class Streams:
    """Where the messages of one conversation go: a queue for each request under way, one for all others."""

    def __init__(self) -> None:
        self._of_requests: dict[int | str, queue.SimpleQueue[JsonObject]] = {}
        self.others: queue.SimpleQueue[JsonObject] = queue.SimpleQueue()

    def open(self, request_id: int | str) -> queue.SimpleQueue[JsonObject]:
        """Give a new queue for a request."""
        messages: queue.SimpleQueue[JsonObject] = queue.SimpleQueue()
        self._of_requests[request_id] = messages
        return messages

    def forget(self, request_id: int | str) -> None:
        """Drop what still comes for a request."""
        self._of_requests.pop(request_id, None)

    def send(self, message: JsonObject, about: int | str | None) -> None:
        """Take a message of the conversation."""
        if about is None:
            self.others.put(message)
        elif (messages := self._of_requests.get(about)) is not None:
            messages.put(message)


class Session:
    """A client of the handshake era."""

    def __init__(self, sample: Sample) -> None:
        self.key = os.urandom(16).hex()
        self.streams = Streams()
        self.conversation = Conversation(sample, self.streams.send)


class Server(ThreadingHTTPServer):
    """The HTTP server and the sessions that it has."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], sample: Sample) -> None:
        super().__init__(address, Handler)
        self.sample = sample
        self.sessions: dict[str, Session] = {}


class Handler(BaseHTTPRequestHandler):
    """One HTTP connection."""

    protocol_version = "HTTP/1.1"
    #: Head and body of an answer are two writes; held back, the second waits 40 ms for the first one's receipt.
    disable_nagle_algorithm = True

    @property
    def _served(self) -> Server:
        return cast("Server", self.server)

    def do_POST(self) -> None:
        """Take one message."""
        message = self._message()
        if message is None:
            return
        meta = as_object(as_object(message.get("params")).get("_meta"))
        if META + "protocolVersion" in meta:
            self._serve_alone(message, meta)
            return
        session = self._session(message)
        if session is not None:
            self._converse(session.conversation, session.streams, message, session)

    def do_GET(self) -> None:
        """Open the stream of a session for what belongs to no request."""
        session = self._served.sessions.get(self.headers.get("Mcp-Session-Id", ""))
        if session is None or not self._is_local():
            self._send_empty(HTTPStatus.METHOD_NOT_ALLOWED)
            return
        self._begin_stream()
        with contextlib.suppress(OSError):
            self._relay(session.streams.others, None)

    def do_DELETE(self) -> None:
        """End a session."""
        session = self._served.sessions.pop(self.headers.get("Mcp-Session-Id", ""), None)
        if session is not None:
            session.conversation.close()
        self._send_empty(HTTPStatus.NOT_FOUND if session is None else HTTPStatus.NO_CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""

    # What comes in.

    def _message(self) -> JsonObject | None:
        """Give the message of the body; None if the request was refused."""
        length = self.headers.get("Content-Length", "")
        if urlsplit(self.path).path != PATH:
            self._send_empty(HTTPStatus.NOT_FOUND)
        elif not self._is_local():
            self._send_empty(HTTPStatus.FORBIDDEN)
        elif not length.isdecimal() or int(length) > LARGEST_BODY:
            self._send_empty(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            try:
                message = as_object(json.loads(self.rfile.read(int(length))))
            except ValueError:
                self._send_error(None, RpcError(PARSE_ERROR, "Parse error"))
                return None
            if message:
                return message
            self._send_error(None, RpcError(INVALID_REQUEST, "one message a request, no batches"))
        return None

    def _is_local(self) -> bool:
        """Whether a page of another site may be behind this (a rebound name)."""
        origin = self.headers.get("Origin")
        return origin is None or urlsplit(origin).hostname in ("127.0.0.1", "localhost", "::1")

    def _session(self, message: JsonObject) -> Session | None:
        """Give the session that a message belongs to; None if the request was refused."""
        key = self.headers.get("Mcp-Session-Id")
        if message.get("method") == "initialize":
            session = Session(self._served.sample)
            self._served.sessions[session.key] = session
            return session
        told = self.headers.get("MCP-Protocol-Version")
        if told in STATELESS:
            self._send_error(message.get("id"), RpcError(INVALID_PARAMS, f"_meta lacks {META}protocolVersion"))
        elif key is None or (told is not None and told not in HANDSHAKE):
            what = "no Mcp-Session-Id" if key is None else f"unsupported MCP-Protocol-Version: {told}"
            self._send_error(message.get("id"), RpcError(INVALID_REQUEST, what))
        elif key not in self._served.sessions:
            self._send_empty(HTTPStatus.NOT_FOUND)
        else:
            return self._served.sessions[key]
        return None

    def _mismatch(self, message: JsonObject, version: object) -> str:
        """Tell in what the headers differ from the message; empty if they fit."""
        method, params = message.get("method"), as_object(message.get("params"))
        wanted = {"MCP-Protocol-Version": version, "Mcp-Method": method}
        if method in NAMED_BY:
            wanted["Mcp-Name"] = params.get(NAMED_BY[method])
        elif isinstance(method, str) and method.startswith("tasks/"):
            wanted["Mcp-Name"] = params.get("taskId")
        for header, value in wanted.items():
            told = self.headers.get(header)
            if told is None:
                return f"{header} is missing"
            if _plain(told) != value:
                return f"{header} header value {told!r} does not match body value {value!r}"
        return ""

    # What goes out.

    def _serve_alone(self, message: JsonObject, meta: JsonObject) -> None:
        if META + "clientCapabilities" not in meta:
            self._send_error(message.get("id"), RpcError(INVALID_PARAMS, f"_meta lacks {META}clientCapabilities"))
            return
        mismatch = self._mismatch(message, meta[META + "protocolVersion"])
        if mismatch:
            self._send_error(message.get("id"), RpcError(HEADER_MISMATCH, f"Header mismatch: {mismatch}"))
            return
        streams = Streams()
        conversation = Conversation(self._served.sample, streams.send)
        try:
            self._converse(conversation, streams, message)
        finally:
            conversation.close()

    def _converse(
        self, conversation: Conversation, streams: Streams, message: JsonObject, session: Session | None = None
    ) -> None:
        request_id = message.get("id")
        if request_id is None or "method" not in message or not isinstance(request_id, int | str):
            conversation.receive(message)
            self._send_empty(HTTPStatus.ACCEPTED)
            return
        messages = streams.open(request_id)
        conversation.receive(message)
        try:
            first = self._next(messages)
            if first is not None and _answers(first, request_id):
                self._send_answer(first, session)
            elif first is not None:
                self._begin_stream()
                self._send_event(first)
                self._relay(messages, request_id)
        except OSError:
            pass
        finally:
            streams.forget(request_id)
            if session is None:
                conversation.cancel(request_id)

    def _next(self, messages: queue.SimpleQueue[JsonObject], *, patience: float = float("inf")) -> JsonObject | None:
        """Give the next message; None if the client has gone.

        Raises:
            queue.Empty: none came within `patience` seconds.
        """
        waited = 0.0
        while waited < patience:
            with contextlib.suppress(queue.Empty):
                return messages.get(timeout=WATCH_SECONDS)
            if self._has_left():
                return None
            waited += WATCH_SECONDS
        raise queue.Empty

    def _has_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _relay(self, messages: queue.SimpleQueue[JsonObject], request_id: int | str | None) -> None:
        """Send messages as events until the request is answered or the client has gone."""
        while True:
            try:
                message = self._next(messages, patience=KEEP_ALIVE_SECONDS)
            except queue.Empty:
                self._send_chunk(b":\n\n")
                continue
            if message is None:
                self.close_connection = True
                return
            self._send_event(message)
            if request_id is not None and _answers(message, request_id):
                self._send_chunk(b"")
                return

    def _begin_stream(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Accel-Buffering", "no")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send_event(self, message: JsonObject) -> None:
        self._send_chunk(b"event: message\ndata: " + _encoded(message) + b"\n\n")

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _send_answer(self, message: JsonObject, session: Session | None) -> None:
        code = message.get("error", {}).get("code")
        status = STATUSES.get(code, HTTPStatus.OK) if session is None else HTTPStatus.OK
        self._send_body(status, _encoded(message), session)

    def _send_error(self, request_id: object, error: RpcError) -> None:
        told: JsonObject = {"jsonrpc": "2.0", "error": error.to_wire()}
        if isinstance(request_id, int | str):
            told["id"] = request_id
        self._send_body(HTTPStatus.BAD_REQUEST, _encoded(told))

    def _send_body(self, status: HTTPStatus, body: bytes, session: Session | None = None) -> None:
        self.send_response(status)
        if session is not None:
            self.send_header("Mcp-Session-Id", session.key)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_empty(self, status: HTTPStatus) -> None:
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", "0")
        if status >= HTTPStatus.BAD_REQUEST:
            self.send_header("Connection", "close")
        self.end_headers()


def _encoded(message: JsonObject) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _answers(message: JsonObject, request_id: int | str) -> bool:
    return "method" not in message and message.get("id") == request_id


def _plain(value: str) -> str | None:
    """Give a header's value without its base64 wrapping; None if that is broken."""
    if not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
