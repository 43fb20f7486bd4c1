"""What a handle needs of its hub, and tells it: the seam between one supervised server and the fleet."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

from dragoman.config.model import ServerConfig
from dragoman.errors import DragomanError
from dragoman.events import Listing
from dragoman.model import ServerState, ServerStatus
from dragoman.protocol.lifecycle import Verdict
from dragoman.protocol.types import Page
from dragoman.server.connect import Connecting
from dragoman.server.server import Server

__all__ = ["Ailment", "Keeper", "Supervised"]

#: What a connected server can suffer from: it can't be listed, or it does not answer.
Ailment: TypeAlias = Literal["listing", "silence"]


class Supervised(Protocol):
    """A handle, as its hub and its tending see it.

    ``in_flight`` counts calls under way, ``held`` the listeners that need the connection, ``answered`` the calls that
    were answered so far.
    """

    name: str
    config: ServerConfig
    in_flight: int
    held: int
    answered: int

    def status(self) -> ServerStatus:
        """Give how it is now."""
        ...

    def suspect(self) -> None:
        """Take note that a request failed as if the server were gone: it is asked whether it is."""
        ...

    def check(self) -> None:
        """Have the server asked whether it is there, for something else than a call went wrong."""
        ...

    def degrade(self, ailment: Ailment, reason: str, error: DragomanError) -> None:
        """Take note that the server is connected and not well."""
        ...

    def heal(self, ailment: Ailment) -> None:
        """Take note that the server is well again, as far as this ailment goes."""
        ...

    def settled(self) -> None:
        """Take note that all that the server offers was listed on this connection."""
        ...


class Keeper(Protocol):
    """A handle's hub. All methods are synchronous, are called in the loop's thread and must not raise."""

    def connecting(self, config: ServerConfig, verdict: Verdict | None) -> Connecting:
        """Give a connection in the making, with the callbacks of the hub's user."""
        ...

    def changed(self, handle: Supervised, before: ServerState) -> None:
        """Take note that the handle is in another state than ``before``."""
        ...

    def lost(self, handle: Supervised, error: DragomanError) -> None:
        """Take note that a standing connection was lost."""
        ...

    def recovered(self, handle: Supervised, away: float) -> None:
        """Take note that a lost server is there again, after ``away`` seconds, with its listings fetched anew."""
        ...

    def is_fresh(self, handle: Supervised, what: Listing) -> bool:
        """Tell whether a kept listing is within the lifetime that its server gave it, and need not be fetched."""
        ...

    def listed(self, handle: Supervised, what: Listing, page: Page[Any]) -> None:
        """Take a listing that has just come."""
        ...

    def offered(self, handle: Supervised, server: Server) -> None:
        """Take note that a round of listing is over."""
        ...
