"""Finds the transport that a configuration names: ours first, then those that other distributions registered.

Modules are imported when their transport is first asked for, so that nobody pays for what he does not use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, NoReturn

from dragoman.config.model import ServerConfig
from dragoman.errors import ConfigError
from dragoman.transports.base import Transport, TransportFactory

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ENTRY_POINTS", "create"]

#: The group of entry points in which another distribution registers a transport, under the name used in settings.
ENTRY_POINTS: Final = "dragoman.transports"

#: Where our own lie, as module and class. They can't be replaced by an entry point of the same name.
_BUILT_IN: Final[Mapping[str, tuple[str, str]]] = {
    "stdio": ("dragoman.transports.stdio", "StdioTransport"),
    "streamable_http": ("dragoman.transports.http", "StreamableHttp"),
    "sse": ("dragoman.transports.sse", "SseTransport"),
    "websocket": ("dragoman.transports.websocket", "WebSocketTransport"),
}


def create(config: ServerConfig) -> Transport:
    """Make the transport that ``config.transport`` names; it is not open yet.

    Raises:
        ConfigError: there is none of that name, or the distribution that has it can't be used.
    """
    return _factory(config)(config)


def _factory(config: ServerConfig) -> TransportFactory:
    name = config.transport
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name]
        return getattr(import_module(module), attribute)
    registered = _registered()
    if name not in registered:
        _unknown(config, sorted({*_BUILT_IN, *registered}))
    entry = registered[name]
    try:
        factory: object = entry.load()
    except Exception as error:  # noqa: BLE001 - a foreign module may fail in any way while it is imported
        _unusable(config, entry, f"{type(error).__name__}: {error}")
    if not callable(factory):
        _unusable(config, entry, "it is not callable")
    return _called(factory)


def _called(factory: Callable[..., object]) -> TransportFactory:
    return factory  # pyright: ignore[reportReturnType] - what a plug-in gives shows when it is used


def _registered() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _unknown(config: ServerConfig, names: list[str]) -> NoReturn:
    from difflib import get_close_matches

    near = get_close_matches(config.transport, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "Install the distribution that has it, or correct the name."
    what = f"transport: {config.transport!r} is unknown; there are {', '.join(names)}"
    raise ConfigError(what, server=config.name, hint=hint)


def _unusable(config: ServerConfig, entry: EntryPoint, why: str) -> NoReturn:
    owner = f" of {entry.dist.name}" if entry.dist is not None else ""
    what = f"transport: {entry.name!r} ({entry.value}{owner}) can't be used ({why})"
    raise ConfigError(what, server=config.name, hint="Update or reinstall the distribution that has it.")
