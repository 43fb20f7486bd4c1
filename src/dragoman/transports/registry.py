"""Finds the transport of a configuration by its name: the built-in ones, then plug-ins.

A plug-in is an entry point in the group ``dragoman.transports``; its name is the value of ``transport``, and it gives
a `TransportFactory`. Built-in ones are imported when first used, and what finds plug-ins only when one is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from dragoman.config.model import ServerConfig
from dragoman.errors import ConfigError
from dragoman.transports.base import Transport, TransportFactory

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "open_transport"]

GROUP: Final = "dragoman.transports"

_BUILT_IN: Final = {
    "stdio": ("dragoman.transports.stdio", "StdioTransport"),
    "streamable_http": ("dragoman.transports.http", "HttpTransport"),
    "sse": ("dragoman.transports.sse", "SseTransport"),
    "websocket": ("dragoman.transports.websocket", "WebSocketTransport"),
}


def open_transport(config: ServerConfig) -> Transport:
    """Give an unopened transport for a configuration.

    Raises:
        ConfigError: there is no transport of that name, or its plug-in can't be loaded.
    """
    home = _BUILT_IN.get(config.transport)
    if home is not None:
        factory = cast("TransportFactory", getattr(import_module(home[0]), home[1]))
        return factory(config)
    from importlib.metadata import entry_points

    plugins = {entry.name: entry for entry in entry_points(group=GROUP)}
    plugin = plugins.get(config.transport)
    if plugin is None:
        raise _unknown(config, [*_BUILT_IN, *plugins])
    return _load(plugin, config)(config)


def _load(plugin: EntryPoint, config: ServerConfig) -> TransportFactory:
    try:
        return cast("TransportFactory", plugin.load())
    except Exception as error:
        raise ConfigError(
            f"transport: the plug-in {plugin.value!r} for {config.transport!r} can't be loaded ({error})",
            server=config.name,
            hint="Reinstall the package that brings it.",
        ) from error


def _unknown(config: ServerConfig, known: list[str]) -> ConfigError:
    from difflib import get_close_matches

    near = get_close_matches(config.transport, known, n=1)
    return ConfigError(
        f"transport: there is no transport {config.transport!r}",
        server=config.name,
        hint=f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(sorted(known))}.",
    )
