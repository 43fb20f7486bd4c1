"""The stream on which a server of the handshake era sends what belongs to no request, and how streams come back.

``http.py`` starts and stops it. It ends by itself where the server offers no such stream; otherwise it comes back after
each break, more and more slowly while nothing comes of it.
Source: 2025-11-25 basic/transports#listening-for-messages-from-the-server.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from dragoman.config.model import ServerConfig
from dragoman.errors import DragomanError, HttpError, MessageTooLarge
from dragoman.protocol.headers import retry_after
from dragoman.protocol.jsonrpc import guess_id
from dragoman.protocol.sse import Event, EventParser, OversizeEvent
from dragoman.transports.base import Inbox

if TYPE_CHECKING:
    from dragoman.transports.answer import Answer

__all__ = ["EVENT_STREAM", "Listener", "deliver", "pause", "too_large"]

log: Final = logging.getLogger("dragoman")

EVENT_STREAM: Final = "text/event-stream"

SHORTEST_PAUSE: Final = 0.1
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts to open a stream, unless the server's ``retry`` asks for more."""


def pause(retry: int | None, failures: int) -> float:
    """Give the seconds to wait before a stream is opened again.

    ``retry`` is what the server asked for, in milliseconds; ``failures`` counts the attempts in a row that brought
    nothing. The first attempt keeps to ``retry`` exactly, later ones wait longer, with jitter.
    """
    asked = FIRST_PAUSE if retry is None else max(retry / 1000, SHORTEST_PAUSE)
    if not failures:
        return asked
    grown = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 16))
    return max(asked, grown * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret


def too_large(config: ServerConfig, event: OversizeEvent) -> MessageTooLarge:
    """Give the error for a message that went over the bound."""
    limit = config.max_message_bytes
    told = f"a message of {event.size:,} bytes is over the bound of {limit:,}"
    return MessageTooLarge(told, limit=limit, server=config.name)


def deliver(inbox: Inbox, config: ServerConfig, event: Event | OversizeEvent) -> None:
    """Hand the message in an event to the inbox; events of other types, and those that only carry an id, are none."""
    if isinstance(event, OversizeEvent):
        inbox.message_rejected(too_large(config, event), guess_id(event.head, event.tail))
    elif event.data and event.type == "message":
        inbox.message_received(event.data)


class Listener:
    """Listens from `start` to `stop`. ``get`` opens the stream after the event with the given id, or anew."""

    def __init__(self, config: ServerConfig, inbox: Inbox, get: Callable[[str], Awaitable[Answer]]) -> None:
        self._config = config
        self._inbox = inbox
        self._get = get
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, in a task of its own."""
        self._task = asyncio.get_running_loop().create_task(self._listen(), name=f"dragoman {self._config.name} stream")

    async def stop(self) -> None:
        """End it, and wait until nothing of it is left. Safe to repeat."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _listen(self) -> None:
        parser = EventParser(self._config.max_message_bytes)
        failures = 0
        while True:
            waiting = 0.0
            heard = False
            try:
                answer = await self._get(parser.last_event_id)
            except DragomanError as error:
                log.debug("%s: the server's stream could not be opened (%s)", self._config.name, error.what)
                if isinstance(error, HttpError):  # sent to another origin
                    return
            else:
                try:
                    if not self._is_stream(answer):
                        return
                    waiting = retry_after(answer.header("Retry-After"), time.time()) or 0.0
                    if answer.status == 200:
                        heard = await self._hear(answer, parser)
                finally:
                    answer.close()
            failures = 0 if heard else failures + 1
            parser = EventParser(self._config.max_message_bytes, last_event_id=parser.last_event_id, retry=parser.retry)
            await asyncio.sleep(max(waiting, pause(parser.retry, failures)))

    def _is_stream(self, answer: Answer) -> bool:
        """Whether the server offers the stream, now or after a while."""
        if answer.status == 200 and answer.kind == EVENT_STREAM:
            return True
        if answer.status == 429 or answer.status >= 500:
            return answer.status not in (501, 505)
        log.debug("%s: offers no stream of its own (HTTP %d)", self._config.name, answer.status)
        return False

    async def _hear(self, answer: Answer, parser: EventParser) -> bool:
        """Read the stream to its end or break; tell whether any event came on it."""
        heard = False
        try:
            while not answer.ended:
                for event in parser.feed(await answer.chunk()):
                    heard = True
                    deliver(self._inbox, self._config, event)
        except DragomanError as error:
            log.debug("%s: the server's stream broke (%s)", self._config.name, error.what)
        return heard
