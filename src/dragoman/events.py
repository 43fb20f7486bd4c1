"""What a hub tells those who listen: frozen values, named in the past tense.

Pure. The wire name is derived from the class name: `CallFinished` is ``call.finished``. No event holds a secret: not
the values of arguments, no headers, no environment; URLs and texts of errors are redacted where they are made. ``at``
is seconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from dragoman.model import ServerState, ServerStatus

__all__ = [
    "CacheHit",
    "CacheStored",
    "CallFailed",
    "CallFinished",
    "CallProgressed",
    "CallRetried",
    "CallStarted",
    "CatalogueChanged",
    "ConfigReloaded",
    "Event",
    "EventsDropped",
    "HandlerFailed",
    "Instrument",
    "LogReceived",
    "PolicyDenied",
    "ResourceChanged",
    "ServerAdded",
    "ServerChanged",
    "ServerLost",
    "ServerRecovered",
    "ServerRemoved",
    "event_names",
    "wire_name",
]

Listing: TypeAlias = Literal["tools", "resources", "templates", "prompts"]

#: All kinds of listings, in the order in which they are fetched.
LISTINGS: Final[tuple[Listing, ...]] = ("tools", "resources", "templates", "prompts")

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """The base of all events: when it happened."""

    at: float


class ServerAdded(Event, frozen=True, kw_only=True, gc=False):
    """A server was added to the hub, at its start or while it runs."""

    server: str


class ServerChanged(Event, frozen=True, kw_only=True, gc=False):
    """A server came into another state. ``status`` is how it is now, ``before`` the state it was in."""

    server: str
    before: ServerState
    status: ServerStatus


class ServerLost(Event, frozen=True, kw_only=True, gc=False):
    """A standing connection was lost. ``code`` and ``reason`` tell the error."""

    server: str
    code: str
    reason: str


class ServerRecovered(Event, frozen=True, kw_only=True, gc=False):
    """A server that had been lost is connected again: listed anew and subscribed anew. ``away`` is in seconds."""

    server: str
    away: float


class ServerRemoved(Event, frozen=True, kw_only=True, gc=False):
    """A server was taken out of the hub."""

    server: str


class ConfigReloaded(Event, frozen=True, kw_only=True, gc=False):
    """The configuration was read again. The names of the servers that were added, removed and changed."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class CatalogueChanged(Event, frozen=True, kw_only=True, gc=False):
    """What a server offers is another now. ``added`` and ``removed`` are names on that server (or URIs).

    They are complete up to a million characters of names each; ``total`` counts what is listed now.
    """

    server: str
    what: Listing
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    total: int = 0


class CallStarted(Event, frozen=True, kw_only=True, gc=False):
    """A request is about to be made. ``call_id`` joins the events of one call and is unique within the hub.

    ``method`` is the protocol's (``tools/call``, ``resources/read``, ``prompts/get``, ``completion/complete``),
    ``name`` the tool's or prompt's name on its server, or the URI. ``arguments`` are the names of the arguments only.
    """

    call_id: int
    server: str
    method: str
    name: str
    arguments: tuple[str, ...] = ()


class CallProgressed(Event, frozen=True, kw_only=True, gc=False):
    """The server told how far a call is: ``progress`` of ``total``, in its own unit.

    Of ``message``, 4,000 characters are repeated.
    """

    call_id: int
    server: str
    name: str
    progress: float
    total: float | None = None
    message: str | None = None


class CallFinished(Event, frozen=True, kw_only=True, gc=False):
    """A call was answered, after ``seconds`` in all, with ``size`` bytes. ``is_error``: the tool reports a failure.

    ``server`` is the one that answered: of a group, that may be another than the call began on.
    """

    call_id: int
    server: str
    method: str
    name: str
    seconds: float
    size: int = 0
    is_error: bool = False


class CallFailed(Event, frozen=True, kw_only=True, gc=False):
    """A call ended in an error, or was given up by its caller (code ``call.cancelled``).

    ``server`` is the one that failed, of a group the last one. ``code`` and ``reason`` tell the error; ``rpc_code`` is
    the JSON-RPC code, if the server answered with one.
    """

    call_id: int
    server: str
    method: str
    name: str
    seconds: float
    code: str
    reason: str
    rpc_code: int | None = None


class CallRetried(Event, frozen=True, kw_only=True, gc=False):
    """A call is made again after ``delay`` seconds: attempt number ``attempt``, on ``server``, because of ``reason``.

    ``why`` tells whether it is a repetition after a failure, a failover to another server, or a hedge.
    """

    call_id: int
    server: str
    name: str
    attempt: int
    delay: float
    code: str
    reason: str
    why: Literal["retry", "failover", "hedge"] = "retry"


class CacheHit(Event, frozen=True, kw_only=True, gc=False):
    """A listing came from the kept catalogue. ``age`` is in seconds; ``stale``: it is past its lifetime."""

    server: str
    age: float
    stale: bool


class CacheStored(Event, frozen=True, kw_only=True, gc=False):
    """What a server offers was kept on disk."""

    server: str


class PolicyDenied(Event, frozen=True, kw_only=True, gc=False):
    """A call was refused before it was sent. ``rule`` names the setting that refused it."""

    server: str
    name: str
    rule: str


class ResourceChanged(Event, frozen=True, kw_only=True, gc=False):
    """A resource that somebody subscribed to holds something else now."""

    server: str
    uri: str


class LogReceived(Event, frozen=True, kw_only=True, gc=False):
    """A server sent a log line; ``data`` is any JSON value, as the server chose it.

    Of one that has more than 64 KiB, ``data`` is a text: its beginning.
    """

    server: str
    level: str
    logger: str | None
    data: Any


class HandlerFailed(Event, frozen=True, kw_only=True, gc=False):
    """A handler of events raised, or took too long. ``handler`` is its name, ``reason`` what happened."""

    handler: str
    reason: str


class EventsDropped(Event, frozen=True, kw_only=True, gc=False):
    """A listener did not keep up: its oldest ``count`` events were dropped. The first that it hears after the gap."""

    count: int


class Instrument(Protocol):
    """What stands beside every call, inline and in the caller's context, as `dragoman.telemetry.Tracing` does.

    The hub calls it where the call is made, so context variables are those of the caller. It must not wait. One that
    raises is told in the log once; the call goes on without it.
    """

    def begin(self, event: CallStarted) -> Mapping[str, str] | None:
        """See a call begin, before it is sent. What is given goes into ``_meta`` of the request: trace context."""
        ...

    def end(self, event: CallFinished | CallFailed) -> None:
        """See its end; each beginning has exactly one."""
        ...

    def note(self, event: Event) -> None:
        """See what happens meanwhile: progress and retries of calls, and changes of servers."""
        ...


def wire_name(event: Event | type[Event]) -> str:
    """Give the event's name on the wire, as in ``call.finished``."""
    return _wire_name(event if isinstance(event, type) else type(event))


def event_names() -> dict[str, type[Event]]:
    """Give every kind of event by its wire name."""
    return {_wire_name(kind): kind for kind in Event.__subclasses__()}


@cache
def _wire_name(kind: type[Event]) -> str:
    noun, *verb = _CAPITAL.sub(" ", kind.__name__).split()
    return f"{noun.lower()}.{'_'.join(verb).lower()}"
