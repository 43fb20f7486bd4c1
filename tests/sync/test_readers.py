"""Readers of a blocking hub lose no event, wake when they are closed, and outlive a lost connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dragoman.errors import UnknownName, UsageError
from dragoman.events import CallFinished, EventsDropped, ServerAdded, ServerChanged
from dragoman.protocol.changes import Change, Relistened, ResourceUpdated
from dragoman.sync import Hub, Reader
from tests.sync.hubs import NOTES, hub, server


def test_events_come_in_order_and_none_is_lost_to_a_time_out() -> None:
    """A `get` that gives up leaves what comes next to the next one."""
    with hub() as blocking, blocking.events(CallFinished) as events:
        heard: list[str] = []
        calls = threading.Thread(target=lambda: [blocking.call_tool("s.echo", {"message": "x"}) for _ in range(200)])
        calls.start()
        deadline = time.monotonic() + 20
        while len(heard) < 200 and time.monotonic() < deadline:
            event = events.get(0.0001)
            if event is not None:
                assert isinstance(event, CallFinished)
                heard.append(event.name)
        calls.join()
        assert len(heard) == 200
        assert events.get(0.01) is None
        assert not events.ended


def test_a_reader_that_is_asked_for_first_hears_of_the_start() -> None:
    """Nothing happens before it listens."""
    blocking = hub()
    with blocking.events(ServerAdded, ServerChanged) as events:
        assert isinstance(events.get(5), ServerAdded)
    blocking.close()


def test_iteration_ends_with_the_hub_and_what_had_come_is_read() -> None:
    """Closing wakes a reader that waits; one that is slow still gets what had come."""
    blocking = hub()
    waiting, late = blocking.events(CallFinished), blocking.events(CallFinished)
    heard: list[object] = []
    reading = threading.Thread(target=lambda: heard.extend(waiting))
    reading.start()
    for _ in range(3):
        blocking.call_tool("s.echo", {"message": "x"})
    blocking.close()
    reading.join(10)
    assert not reading.is_alive()
    assert len(heard) == 3
    assert len(list(late)) == 3
    assert late.ended
    assert late.get() is None
    late.close()


def test_closing_a_reader_wakes_the_thread_that_waits_for_it() -> None:
    """It gets None, and the reader has ended for all."""
    with hub() as blocking:
        for reader in (blocking.events(CallFinished), blocking.subscribe("scripted:///one", server="s")):
            heard: list[object] = []
            reading = threading.Thread(target=read_one, args=(reader, heard))
            reading.start()
            assert reader.get(0.05) is None  # the other has its turn by now, or this one left it the next
            reader.close()
            reading.join(10)
            assert heard == [None]
            assert reader.ended
            assert list(reader) == []
            reader.close()


def test_threads_that_share_a_reader_get_each_event_once() -> None:
    """One waits for the next, the others for their turn, no longer than they said."""
    with hub() as blocking, blocking.events(CallFinished) as events:
        heard: list[object] = []

        def read() -> None:
            while (event := events.get(1)) is not None:
                heard.append(event)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for _ in range(50):
            blocking.call_tool("s.echo", {"message": "x"})
        for reader in readers:
            reader.join(10)
        assert len(heard) == 50


def test_a_slow_reader_learns_how_many_events_it_missed() -> None:
    """`limit` bounds what waits, as for an asynchronous reader."""
    with hub() as blocking, blocking.events(CallFinished, EventsDropped, limit=2) as events:
        for _ in range(5):
            blocking.call_tool("s.echo", {"message": "x"})
        first = events.get(5)
        assert isinstance(first, EventsDropped)
        assert first.count == 3


def test_a_reader_can_not_be_read_in_the_hub_s_own_thread() -> None:
    """A progress handler that reads would stop the hub."""
    caught: list[str] = []
    with hub() as blocking:
        events = blocking.events()

        def nested(*_: object) -> None:
            for use in (events.get, events.close):
                with pytest.raises(UsageError, match="own thread"):
                    use()
                caught.append(use.__name__)

        blocking.call_tool("s.wait", {"seconds": 0.1}, on_progress=nested)
        assert caught


def test_changes_are_heard_over_a_lost_connection() -> None:
    """A `Relistened` comes when the server is there again, then changes as before."""
    notes = server(name="notes")
    command, *args = NOTES
    with Hub([type(notes)(name="notes", command=command, args=tuple(args), restart=notes.restart)]) as blocking:
        with blocking.subscribe("note:///welcome") as changes:
            assert isinstance(heard_while(changes, lambda: add(blocking)), ResourceUpdated)
            blocking.restart_server("notes")
            while not isinstance(change := changes.get(20), Relistened):
                assert change is not None
            assert isinstance(heard_while(changes, lambda: add(blocking)), ResourceUpdated)
        assert list(changes) == []


def test_a_resource_that_nobody_has_is_told_where_it_is_read() -> None:
    """The error of the asynchronous hub, once; then the reader has ended."""
    with hub() as blocking:
        changes = blocking.subscribe("nowhere:///", server="nobody")
        with pytest.raises(UnknownName):
            changes.get(10)
        assert changes.get(10) is None


def read_one(reader: Reader[Any], heard: list[object]) -> None:
    """Keep what comes next."""
    heard.append(reader.get())


def add(blocking: Hub) -> None:
    """Change a resource of the notebook."""
    blocking.call_tool("notes.add_note", {"title": "welcome", "text": "Hello."})


def heard_while(changes: Reader[Change], act: Callable[[], None]) -> Change | None:
    """Do something until a change is heard: nobody tells when the server has begun to listen."""
    for _ in range(50):
        act()
        change = changes.get(0.2)
        if change is not None:
            return change
    return None
