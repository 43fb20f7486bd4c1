"""The blocking face of Dragoman, for code that does not await: `Hub` has the methods of `dragoman.Hub`."""

from __future__ import annotations

from dragoman.sync.connection import Connection
from dragoman.sync.hub import Hub
from dragoman.sync.reader import Reader
from dragoman.sync.server_face import HubServer
from dragoman.sync.subscription import Subscription

__all__ = ["Connection", "Hub", "HubServer", "Reader", "Subscription"]
