"""What servers are and how to reach them: frozen values that are checked once, and the files they are read from.

All but `ServerConfig` is imported when it is first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from dragoman.config.model import ServerConfig

if TYPE_CHECKING:
    from dragoman.config.discovery import Found, discover
    from dragoman.config.files.interpolate import Input
    from dragoman.config.hub import Group, HubConfig
    from dragoman.config.loading import from_dict, load, parse
    from dragoman.config.supervision import Restart, Retry

__all__ = [
    "Found",
    "Group",
    "HubConfig",
    "Input",
    "Restart",
    "Retry",
    "ServerConfig",
    "discover",
    "from_dict",
    "load",
    "parse",
]

_HOMES: Final = {
    "Found": "discovery",
    "Group": "hub",
    "HubConfig": "hub",
    "Input": "files.interpolate",
    "Restart": "supervision",
    "Retry": "supervision",
    "discover": "discovery",
    "from_dict": "loading",
    "load": "loading",
    "parse": "loading",
}


def __getattr__(name: str) -> object:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module 'dragoman.config' has no attribute {name!r}")
    value = getattr(import_module(f"dragoman.config.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
