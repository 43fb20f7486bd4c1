"""What servers are and how to reach them: frozen values that are checked once, and the files they are read from.

`load` and `discover` are imported when they are first touched.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

from dragoman.config.model import ServerConfig

if TYPE_CHECKING:
    from dragoman.config.discover import Found, discover
    from dragoman.config.hub import Group, HubConfig
    from dragoman.config.interpolate import Input
    from dragoman.config.load import from_dict, load, parse
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
    "Found": "discover",
    "Group": "hub",
    "HubConfig": "hub",
    "Input": "interpolate",
    "Restart": "supervision",
    "Retry": "supervision",
    "discover": "discover",
    "from_dict": "load",
    "load": "load",
    "parse": "load",
}


def __getattr__(name: str) -> object:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module 'dragoman.config' has no attribute {name!r}")
    value = getattr(import_module(f"dragoman.config.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps `load` and `discover` the functions: importing the modules of those names would put the modules there."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
