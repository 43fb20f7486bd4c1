"""`Watch`: what changes in one resource, for as long as somebody wants to know, over any number of connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from dragoman.errors import CannotConnect, ConnectionLost, DragomanError, OutcomeUnknown, RequestTimeout
from dragoman.events import ResourceChanged
from dragoman.handle.handle import Handle
from dragoman.hub.bus import Bus
from dragoman.protocol.changes import Change, Relistened, ResourceUpdated

__all__ = ["Watch"]

#: How long a server that is on its way is waited for (seconds) before it is looked at again.
_PATIENCE: Final = 60.0
#: How long to wait (seconds) before a server that is away is looked at again.
_PAUSE: Final = 0.5
#: What a connection may be lost by, and come back after.
_PASSING: Final = (CannotConnect, ConnectionLost, OutcomeUnknown, RequestTimeout)


class Watch:
    """Changes of one resource: ``async with hub.subscribe(uri) as changes: async for change in changes: …``.

    It gives `ResourceUpdated`, and `Relistened` when the connection was lost and is there again: what changed between
    is unknown then. It ends when the hub or the server is closed. Without ``async with``, close it by `aclose`.
    """

    def __init__(self, uri: str, find: Callable[[], Awaitable[Handle]], bus: Bus) -> None:
        self.uri = uri
        self._changes = _changes(uri, find, bus)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        return await anext(self._changes)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._changes.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def _changes(uri: str, find: Callable[[], Awaitable[Handle]], bus: Bus) -> AsyncGenerator[Change]:
    heard = False
    while True:
        try:
            handle = await find()
        except DragomanError:
            if not heard:
                raise
            return  # the hub is closed, or the server was taken out
        handle.held += 1
        try:
            server = await handle.ready(asyncio.get_running_loop().time() + _PATIENCE)
            async with server.listen(uris=[uri]) as changes:
                if heard:
                    yield Relistened()
                heard = True
                async for change in changes:
                    if isinstance(change, ResourceUpdated) and bus.active:
                        bus.publish(ResourceChanged(at=time.time(), server=handle.name, uri=change.uri))
                    yield change
        except _PASSING:
            if not heard:
                raise
        finally:
            handle.held -= 1
        await asyncio.sleep(_PAUSE)
