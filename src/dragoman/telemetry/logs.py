"""Events as lines of structlog: one line each, at a level by its kind.

Calls are at debug, what needs a look is at warning. The events hold no values of arguments; all that a line says goes
through `redaction`, above all what a server chose to log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, TypeAlias, cast

from msgspec import structs

from dragoman import events
from dragoman.events import Event, wire_name
from dragoman.telemetry.extra import missing
from dragoman.telemetry.redaction import redacted

__all__ = ["StructuredLogs"]

Level: TypeAlias = str

_LEVELS: Final[Mapping[type[Event], Level]] = {
    events.ServerAdded: "info",
    events.ServerRemoved: "info",
    events.ServerLost: "warning",
    events.ServerRecovered: "info",
    events.ConfigReloaded: "info",
    events.CatalogueChanged: "info",
    events.CallFailed: "warning",
    events.CallRetried: "info",
    events.PolicyDenied: "warning",
    events.HandlerFailed: "warning",
    events.EventsDropped: "warning",
}
"""The level of each kind of event; the rest is at debug."""

_TROUBLED: Final = frozenset({"degraded", "waiting", "needs_login", "failed"})

_SYSLOG: Final[Mapping[str, Level]] = {
    "debug": "debug",
    "info": "info",
    "notice": "info",
    "warning": "warning",
    "error": "error",
    "critical": "critical",
    "alert": "critical",
    "emergency": "critical",
}
"""The protocol's levels of log lines, in structlog's words."""


_NUMBERS: Final[Mapping[Level, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""As in `logging`."""


class Logger(Protocol):
    """What is asked of a logger: structlog's own have it, whatever wrapper class they use."""

    def debug(self, event: str, **fields: object) -> object: ...
    def info(self, event: str, **fields: object) -> object: ...
    def warning(self, event: str, **fields: object) -> object: ...
    def error(self, event: str, **fields: object) -> object: ...
    def critical(self, event: str, **fields: object) -> object: ...


class StructuredLogs:
    """Writes events with structlog: ``hub.on(None, StructuredLogs())``.

    The text of a line is the event's wire name; its fields are those of the event, without empty ones. A change of a
    server's state is one line with ``state``, ``before`` and the reason. What servers write has their level.

    Args:
        logger: What writes; None takes ``structlog.get_logger("dragoman")``.

    Raises:
        ConfigError: structlog is not installed.
    """

    __slots__ = ("_logger",)

    def __init__(self, logger: Logger | None = None) -> None:
        if logger is None:
            try:
                import structlog
            except ImportError:
                raise missing("structlog", "StructuredLogs") from None
            logger = cast("Logger", structlog.get_logger("dragoman"))
        self._logger = logger

    def __call__(self, event: Event) -> None:
        """Write one event."""
        level = _level(event)
        logger = _bound(self._logger)
        if not _wants(logger, level):
            return
        write = getattr(logger, level)
        write(wire_name(event), **{name: redacted(value, name) for name, value in _fields(event).items()})


def _bound(logger: Logger) -> Logger:
    """Give what structlog's stand-in for a logger would make anew at each touch."""
    bind = getattr(logger, "bind", None)
    return logger if bind is None else bind()


def _wants(logger: Logger, level: Level) -> bool:
    """Tell whether a line of this level would be written; one that would not is not even made."""
    ask = getattr(logger, "is_enabled_for", None) or getattr(logger, "isEnabledFor", None)
    return ask is None or bool(ask(_NUMBERS[level]))


def _level(event: Event) -> Level:
    match event:
        case events.ServerChanged():
            return "warning" if event.status.state in _TROUBLED else "info"
        case events.LogReceived():
            return _SYSLOG.get(event.level, "info")
        case _:
            return _LEVELS.get(type(event), "debug")


def _fields(event: Event) -> dict[str, object]:
    if isinstance(event, events.ServerChanged):
        status = event.status
        told = {name: getattr(status, name) for name in ("state", "reason", "code", "failures", "retry_at")}
        fields: dict[str, object] = {"at": event.at, "server": event.server, "before": event.before, **told}
    else:
        fields = structs.asdict(event)
        # The line has a level of its own, which says the same.
        fields.pop("level", None)
    return {name: value for name, value in fields.items() if value is not None and value not in ("", ())}
