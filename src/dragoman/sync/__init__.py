"""The blocking face of Dragoman, for code that does not await: `Hub` has the methods of `dragoman.Hub`."""

from __future__ import annotations

from dragoman.sync.hub import Hub
from dragoman.sync.server_face import HubServer
from dragoman.sync.thread import Reader

__all__ = ["Hub", "HubServer", "Reader"]
