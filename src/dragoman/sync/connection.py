"""`Connection`: a server's standing connection, for what a blocking hub has no method for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dragoman.server.server import Server
from dragoman.sync.thread import Keeper

__all__ = ["Connection"]

T = TypeVar("T")


class Connection:
    """The connection that stood when it was asked for. It ends with that: ask again rather than keep it."""

    def __init__(self, keeper: Keeper, server: Server, owner: object) -> None:
        self._keeper = keeper
        self._server = server
        self._owner = owner  # a hub that nobody holds is closed, so this holds it

    def do(self, work: Callable[[Server], Coroutine[Any, Any, T]]) -> T:
        """Do something with it in the hub's thread, and give what comes of it.

        ``work`` takes a `dragoman.Server`: ``connection.do(lambda server: server.set_log_level("debug"))``, or an
        ``async def`` of your own that does several things. It raises what that raises.
        """
        return self._keeper.do(lambda _: work(self._server))

    def __repr__(self) -> str:
        return f"<dragoman.sync.Connection {self._server.name!r}>"
