"""Hearing of changes: one stream of events for each listener, in both eras.

Stateless era: each listener has its own ``subscriptions/listen`` request, opened again with back-off when it breaks.
Handshake era: listeners share the connection's notifications, and ``resources/subscribe`` is counted per resource.
Source: 2026-07-28 basic/patterns/subscriptions; 2025-11-25 server/resources#subscriptions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from asyncio import Future, Queue, Task
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from msgspec import Raw, Struct

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    AccessDenied,
    ConnectionLost,
    DragomanError,
    HttpError,
    LoginRequired,
    OutcomeUnknown,
    ProtocolError,
    RequestTimeout,
    ServerError,
    UsageError,
)
from dragoman.protocol.changes import Change, ChangeFilter, Relistened, read_change
from dragoman.protocol.jsonrpc import RequestId, encode
from dragoman.protocol.lifecycle import Agreement
from dragoman.server.calls import Calls
from dragoman.server.connection import Connection

__all__ = ["Listening", "Subscriptions"]

log: Final = logging.getLogger("dragoman")

_UNSUBSCRIBE_SECONDS: Final = 5.0
_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
_MOST_QUEUED: Final = 1024
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 30.0


class _Meta(Struct):
    subscription_id: RequestId | None = msgspec.field(default=None, name="io.modelcontextprotocol/subscriptionId")


class _Params(Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta, name="_meta")
    notifications: dict[str, Any] = {}


class _Over(Struct, frozen=True):
    """Marks the end of a queue; ``error`` is None for a graceful end."""

    error: DragomanError | None


class Subscriptions:
    """All listeners of one connection. ``on_tools_changed`` is called when the list of tools is another now."""

    def __init__(self, connection: Connection, calls: Calls, agreement: Agreement) -> None:
        self.connection = connection
        self.calls = calls
        self.agreement = agreement
        self.on_tools_changed: Callable[[], None] | None = None
        self._listeners: set[Listening] = set()
        self._watched: dict[str, int] = {}
        self._subscribing = asyncio.Lock()
        connection.on_change = self._heard
        calls.on_renewed = self._missed

    def listen(self, wanted: ChangeFilter, on_break: Callable[[], object] | None = None) -> Listening:
        """Give a listener; it begins to hear when it is entered. ``on_break`` is called when its stream breaks."""
        return Listening(self, wanted, on_break)

    async def join(self, listener: Listening) -> ChangeFilter:
        """Let a listener of the handshake era hear, subscribing to its resources; give what is honoured."""
        self._listeners.add(listener)
        wanted = listener.wanted
        for uri in wanted.uris:
            await self._watch(uri)
            listener.watched.append(uri)
        offered = self.agreement.capabilities
        return ChangeFilter(
            tools=wanted.tools and _tells_changes(offered.tools),
            prompts=wanted.prompts and _tells_changes(offered.prompts),
            resources=wanted.resources and _tells_changes(offered.resources),
            uris=wanted.uris,
            task_ids=wanted.task_ids if offered.tasks is not None else (),
        )

    def leave(self, listener: Listening) -> list[Task[None]]:
        """Let a listener go; a resource that nobody watches any more is unsubscribed by the tasks that are given."""
        self._listeners.discard(listener)
        leaving: list[Task[None]] = []
        while listener.watched:
            uri = listener.watched.pop()
            self._watched[uri] -= 1
            if not self._watched[uri]:
                del self._watched[uri]
                self.calls.standing.pop(f"resource {uri}", None)
                leaving.append(self.connection.background(self._unsubscribe(uri)))
        return leaving

    async def _watch(self, uri: str) -> None:
        async with self._subscribing:
            if uri not in self._watched:
                members = b'"uri":%b' % encode(uri)
                await self.calls.simple("resources/subscribe", members)
                self.calls.standing[f"resource {uri}"] = ("resources/subscribe", members)
            self._watched[uri] = self._watched.get(uri, 0) + 1

    async def _unsubscribe(self, uri: str) -> None:
        async with self._subscribing:
            if uri in self._watched:  # somebody else has come meanwhile
                return
            try:
                await self.calls.simple(
                    "resources/unsubscribe", b'"uri":%b' % encode(uri), timeout=_UNSUBSCRIBE_SECONDS
                )
            except DragomanError as error:
                log.debug("%s: could not unsubscribe %s (%s)", self.connection.config.name, uri, error.what)

    def _missed(self) -> None:
        """Tell all that a session was lost, and with it perhaps what changed meanwhile."""
        for listener in self._listeners:
            listener.put(Relistened())

    def enter(self, listener: Listening) -> None:
        """Let a listener of the stateless era hear."""
        self._listeners.add(listener)

    def _heard(self, method: str, params: Raw) -> None:
        if method == "notifications/tools/list_changed" and self.on_tools_changed is not None:
            self.on_tools_changed()
        if not self._listeners:
            return
        if self.agreement.era == "stateless":
            told = msgspec.json.decode(params, type=_Params)
            for listener in list(self._listeners):
                if listener.subscription_id is not None and str(listener.subscription_id) == str(
                    told.meta.subscription_id
                ):
                    listener.heard(method, params, told.notifications)
            return
        change = read_change(method, params)
        if change is not None:
            for listener in list(self._listeners):
                if listener.wanted.wants(change):
                    listener.put(change)


class Listening:
    """One listener: enter it, then iterate. ``honoured`` tells what the server agreed to.

    Leaving ends the subscription. If events come faster than they are taken, the oldest are dropped and a
    `Relistened` says so.
    """

    def __init__(
        self, subscriptions: Subscriptions, wanted: ChangeFilter, on_break: Callable[[], object] | None = None
    ) -> None:
        self.wanted = wanted
        self.honoured = ChangeFilter()
        self.subscription_id: int | None = None
        self.watched: list[str] = []
        self.keeper: object = None  # what must live as long as this
        self._subscriptions = subscriptions
        self._on_break = on_break
        self._broken = False
        self._queue: Queue[Change | _Over] = Queue()
        self._stream: Task[None] | None = None
        self._acknowledged: Future[None] | None = None
        self._over = False

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def _begin(self) -> None:
        if self._subscriptions.agreement.era == "handshake":
            self.honoured = await self._subscriptions.join(self)
            self._stream = asyncio.create_task(self._await_end(), name="dragoman listening")
            return
        self._subscriptions.enter(self)
        self._acknowledged = asyncio.get_running_loop().create_future()
        self._stream = asyncio.create_task(self._keep_listening(), name="dragoman listening")
        seconds = self._config.timeout
        try:
            async with asyncio.timeout(seconds):
                await self._acknowledged
        except TimeoutError:
            what = f"the subscription was not acknowledged within {seconds:g} s"
            raise RequestTimeout(
                what, timeout=seconds, method="subscriptions/listen", server=self._config.name
            ) from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Listening:
        return self

    async def __anext__(self) -> Change:
        if self._stream is None and not self._over:
            raise UsageError(
                "a listener hears nothing before it is entered",
                server=self._config.name,
                hint="Write: async with server.listen(…) as changes: async for change in changes: …",
            )
        event = await self._queue.get()
        if isinstance(event, _Over):
            # Whoever else iterates, or comes later, finds the end as well.
            self._queue.put_nowait(_Over(None))
            if event.error is not None:
                raise event.error
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """End the subscription. Safe to repeat."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)
        leaving = self._subscriptions.leave(self)
        self._finish(None)
        if leaving:  # a server that does not answer must not hold up the one who leaves
            await asyncio.wait(leaving, timeout=self._config.shutdown_timeout)

    def put(self, change: Change) -> None:
        """Queue an event for the one who iterates."""
        if self._over:
            return
        if self._queue.qsize() >= _MOST_QUEUED:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(Relistened())
        self._queue.put_nowait(change)

    def heard(self, method: str, params: Raw, notifications: dict[str, Any]) -> None:
        """Take a notification of this listener's own stream."""
        if method == _ACKNOWLEDGED:
            self.honoured = ChangeFilter.from_wire(notifications)
            self._broken = False
            if self._acknowledged is not None and not self._acknowledged.done():
                self._acknowledged.set_result(None)
            else:
                self.put(Relistened())
            return
        change = read_change(method, params)
        if change is not None:
            self.put(change)

    def _finish(self, error: DragomanError | None) -> None:
        if self._acknowledged is not None and not self._acknowledged.done():
            what = "the server ended the subscription before it acknowledged it"
            self._acknowledged.set_exception(error or ProtocolError(what, server=self._config.name))
            self._acknowledged.exception()  # so that nothing is logged if nobody awaits it any more
        if not self._over:
            self._over = True
            self._queue.put_nowait(_Over(error))

    async def _keep_listening(self) -> None:
        """Hold the listen request open; after a break, open it again with back-off and jitter."""
        connection = self._subscriptions.connection
        members = b'"notifications":%b' % encode(self.wanted.to_wire())
        pause = _FIRST_PAUSE
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await connection.request("subscriptions/listen", members, lasting=True, on_sent=self._sent)
            except (OutcomeUnknown, ConnectionLost, RequestTimeout, HttpError, ServerError) as error:
                if connection.ended is not None:
                    self._finish(await connection.wait_ended())
                    return
                if self._is_refusal(error):
                    self._finish(error)
                    return
                self._tell_broken(error)
            except DragomanError as error:
                self._finish(error)
                return
            else:
                self._finish(None)
                return
            if asyncio.get_running_loop().time() - started > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _tell_broken(self, error: DragomanError) -> None:
        """Tell that the stream broke: in the log once, until it stands again."""
        level = logging.DEBUG if self._broken else logging.INFO
        self._broken = True
        log.log(level, "%s: the stream of changes broke (%s); listening again", self._config.name, error.what)
        if self._on_break is not None:
            self._on_break()

    def _is_refusal(self, error: DragomanError) -> bool:
        """Whether asking again would not help, or asking did not work even once: that is the caller's to know."""
        first = self._acknowledged is not None and not self._acknowledged.done()
        return first or isinstance(error, ServerError | LoginRequired | AccessDenied)

    def _sent(self, number: int) -> None:
        self.subscription_id = number

    async def _await_end(self) -> None:
        """Handshake era: notifications come by themselves; only the connection's end has to be told.

        A session that an HTTP server dropped shows with the next request only, so now and then one is made.
        """
        connection = self._subscriptions.connection
        pause = self._config.sse_read_timeout if connection.transport.exchanges else None
        while connection.ended is None:
            try:
                async with asyncio.timeout(pause):
                    await connection.wait_ended()
            except TimeoutError:
                with contextlib.suppress(DragomanError):
                    await self._subscriptions.calls.simple("ping")
        self._finish(await connection.wait_ended())

    @property
    def _config(self) -> ServerConfig:
        return self._subscriptions.connection.config


def _tells_changes(capability: dict[str, Any] | None) -> bool:
    return capability is not None and capability.get("listChanged") is True
