"""Dragoman: one client for every MCP server.

The names below are the whole front door; each is imported when it is first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from dragoman.version import VERSION

if TYPE_CHECKING:
    from dragoman.catalogue.entries import ToolEntry
    from dragoman.config.hub import Group, HubConfig
    from dragoman.config.model import ServerConfig, Tls
    from dragoman.config.supervision import Restart, Retry
    from dragoman.errors import DragomanError
    from dragoman.hub.finding import Found
    from dragoman.hub.hub import Hub
    from dragoman.hub.outcomes import Outcome, ToolCall
    from dragoman.hub.server_face import HubServer
    from dragoman.model import ServerStatus
    from dragoman.protocol.results import ToolResult
    from dragoman.server.connect import connect
    from dragoman.server.server import Server

__all__ = [
    "DragomanError",
    "Found",
    "Group",
    "Hub",
    "HubConfig",
    "HubServer",
    "Outcome",
    "Restart",
    "Retry",
    "Server",
    "ServerConfig",
    "ServerStatus",
    "Tls",
    "ToolCall",
    "ToolEntry",
    "ToolResult",
    "__version__",
    "connect",
]

__version__: Final = VERSION

_HOMES: Final = {
    "DragomanError": "dragoman.errors",
    "Found": "dragoman.hub.finding",
    "Group": "dragoman.config.hub",
    "Hub": "dragoman.hub.hub",
    "HubConfig": "dragoman.config.hub",
    "HubServer": "dragoman.hub.server_face",
    "Outcome": "dragoman.hub.outcomes",
    "Restart": "dragoman.config.supervision",
    "Retry": "dragoman.config.supervision",
    "Server": "dragoman.server.server",
    "ServerConfig": "dragoman.config.model",
    "ServerStatus": "dragoman.model",
    "Tls": "dragoman.config.model",
    "ToolCall": "dragoman.hub.outcomes",
    "ToolEntry": "dragoman.catalogue.entries",
    "ToolResult": "dragoman.protocol.results",
    "connect": "dragoman.server.connect",
}


def __getattr__(name: str) -> object:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module 'dragoman' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
