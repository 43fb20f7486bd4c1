"""Events: frozen values with names for the wire that follow from their classes."""

from __future__ import annotations

import gc
import re

import msgspec
import pytest
from msgspec import structs

from dragoman import events
from dragoman.events import CallFinished, CallStarted, Event, EventsDropped, ServerAdded, event_names, wire_name

KINDS = list(event_names().values())


def test_wire_names_follow_from_class_names() -> None:
    """The noun, a dot, and what happened; of an event as of its class."""
    assert wire_name(CallFinished) == "call.finished"
    assert wire_name(ServerAdded(at=1.0, server="s")) == "server.added"
    assert wire_name(EventsDropped) == "events.dropped"


def test_every_kind_has_a_name_of_its_own() -> None:
    """All public kinds, and no two with one name."""
    public = {getattr(events, name) for name in events.__all__}
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Event)} - {Event}
    assert set(KINDS) == kinds
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+", name) for name in event_names())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_frozen_keyword_only_and_told(kind: type[Event]) -> None:
    """Nobody changes what others are told; fields are named where an event is made; a docstring says what it means."""
    config = kind.__struct_config__
    assert config.frozen
    assert not config.gc
    assert kind.__doc__
    assert structs.fields(kind)[0].name == "at"
    with pytest.raises(TypeError):
        kind(1.0)  # pyright: ignore[reportCallIssue]


def test_events_can_be_written_as_json() -> None:
    """As the gateway sends them on."""
    event = CallStarted(at=1.5, call_id=7, server="s", method="tools/call", name="t", arguments=("a",))
    assert msgspec.json.decode(msgspec.json.encode(event)) == {
        "at": 1.5,
        "call_id": 7,
        "server": "s",
        "method": "tools/call",
        "name": "t",
        "arguments": ["a"],
    }


def test_the_collector_does_not_look_at_events() -> None:
    """Thousands of them wait in queues; none can be part of a circle."""
    assert not gc.is_tracked(ServerAdded(at=1.0, server="s"))
