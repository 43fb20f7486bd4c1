"""What every transport offers to a connection, and what a connection offers to its transport.

A transport moves whole messages as bytes. It knows nothing of requests' meaning: it neither correlates nor retries.
Two families share the seam: *channels* (stdio, WebSocket, HTTP+SSE, memory), where everything travels over one
stream, and *exchanges* (Streamable HTTP), where each request has an answer stream of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from msgspec import Struct

from dragoman.config.model import ServerConfig
from dragoman.errors import DragomanError
from dragoman.protocol.jsonrpc import RequestId

__all__ = ["Inbox", "Outgoing", "Transport", "TransportFactory"]


class Outgoing(Struct, gc=False, frozen=True):
    """One message on its way to the server.

    ``data`` is one JSON-RPC message without a line end. ``id`` is set for requests only, ``method`` for requests and
    notifications. ``name`` is what HTTP mirrors in ``Mcp-Name`` (tool, prompt, resource URI or task id); ``headers``
    are the ``Mcp-Param-*`` headers of a tool call. ``lasting`` marks a request whose answer stream stays open for as
    long as the server likes (``subscriptions/listen``). ``version`` is what a request made before anything is agreed
    (the probe) proposes; HTTP shows it in a header.
    """

    data: bytes
    method: str = ""
    id: int | None = None
    name: str | None = None
    headers: Mapping[str, str] | None = None
    lasting: bool = False
    version: str = ""


class Inbox(Protocol):
    """The connection, as its transport sees it.

    Every method is synchronous, must be called in the event loop's thread, and never raises.
    """

    def message_received(self, data: bytes, request_id: RequestId | None = None) -> bool:
        """Take one whole message (or a batch). ``request_id`` is the request on whose own stream it came, if any.

        Tell whether that request is settled: its transport need not read on. While it is not, its clock runs.
        """
        ...

    def request_failed(self, request_id: RequestId, error: DragomanError) -> None:
        """Take the failure of one request; the others go on."""
        ...

    def message_rejected(self, error: DragomanError, request_id: RequestId | None = None) -> None:
        """Take note of something unreadable that was dropped (rubbish, too large).

        ``request_id`` is told if it was an answer and shows whose; that request alone fails, and is settled.
        """
        ...

    def request_held(self, request_id: RequestId, *, held: bool) -> None:
        """Learn that a request waits within the transport, unsent, or that it no longer does."""
        ...

    def connection_lost(self, error: DragomanError) -> None:
        """Take the end of the whole transport, which nobody here asked for. Comes once at most."""
        ...


class Transport(Protocol):
    """One way to one server. It is opened once, closed once, and not used again.

    ``kind`` is the transport's name in the configuration. ``exchanges`` tells the family: True where each request has
    its own answer stream (closing it cancels the request, and the protocol's headers are mirrored), False for channels.
    """

    @property
    def kind(self) -> str:
        """Its name."""
        ...

    @property
    def exchanges(self) -> bool:
        """Its family."""
        ...

    async def open(self, inbox: Inbox) -> None:
        """Make the transport ready to send.

        Raises:
            ConfigError: what is configured can't work (a command that is not there, a bad URL).
            CannotConnect: nobody answers.
        """
        ...

    def send(self, message: Outgoing) -> Awaitable[None] | None:
        """Send one message. None means that it is on its way; an awaitable must be awaited by the caller's own task.

        A channel gives an awaitable only to push back when the server does not read. If that is a future, the message
        has not left while it is pending, and cancelling it takes the message back; of another awaitable this can't be
        told. An exchange gives one for each message: it ends when the answer stream has ended, after every
        message on it went to the inbox; cancelling it closes the stream.

        Raises (here or from the awaitable):
            ConnectionLost: it was certainly not sent.
            OutcomeUnknown: it was sent and its answer will not come.
            HttpError: an HTTP status came instead of an answer.
        """
        ...

    def negotiated(self, version: str) -> None:
        """Learn that the conversation stands, and its protocol version (HTTP shows it in a header from then on)."""
        ...

    def last_words(self) -> str:
        """Give what the server last wrote to stderr, at most 64 KiB; empty where there is no such thing."""
        ...

    async def aclose(self) -> None:
        """Close, leaving nothing behind: no process, no descriptor, no task. Bounded in time; safe to call twice."""
        ...


class TransportFactory(Protocol):
    """What a plug-in's entry point in the group ``dragoman.transports`` gives; its name is the ``transport`` value."""

    def __call__(self, config: ServerConfig) -> Transport:
        """Give an unopened transport."""
        ...
