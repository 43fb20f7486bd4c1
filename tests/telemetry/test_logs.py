"""Events as lines of the real structlog."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
import structlog
from msgspec import NODEFAULT, convert, structs
from structlog.testing import LogCapture

from dragoman import events
from dragoman.errors import ConfigError
from dragoman.events import Event
from dragoman.model import ServerState, ServerStatus
from dragoman.telemetry import StructuredLogs

SECRET = "s3cr3t-v4lue"


class Captured:
    """A logger with a chain of its own, and the lines that came out."""

    def __init__(self) -> None:
        self._capture = LogCapture()
        self.write = StructuredLogs(structlog.wrap_logger(None, processors=[self._capture]))

    @property
    def lines(self) -> list[Any]:
        """What was written."""
        return list(self._capture.entries)


@pytest.fixture
def captured() -> Captured:
    """A fresh one."""
    return Captured()


def changed(state: ServerState, **fields: Any) -> events.ServerChanged:
    """A change of state."""
    status = ServerStatus(name="math", state=state, since=1.0, **fields)
    return events.ServerChanged(at=2.0, server="math", before="connecting", status=status)


def test_a_change_of_state_is_one_line(captured: Captured) -> None:
    """With the state before and after, and why; empty fields are left out."""
    captured.write(changed("waiting", reason="it exited", code="connect.exited", retry_at=9.0, failures=2))
    captured.write(changed("ready"))
    assert captured.lines == [
        {
            "event": "server.changed",
            "log_level": "warning",
            "at": 2.0,
            "server": "math",
            "before": "connecting",
            "state": "waiting",
            "reason": "it exited",
            "code": "connect.exited",
            "failures": 2,
            "retry_at": 9.0,
        },
        {
            "event": "server.changed",
            "log_level": "info",
            "at": 2.0,
            "server": "math",
            "before": "connecting",
            "state": "ready",
            "failures": 0,
        },
    ]


def test_calls_are_told_at_debug_and_their_failures_at_warning(captured: Captured) -> None:
    """Names of arguments, never values: the event has none."""
    captured.write(
        events.CallStarted(at=1.0, call_id=1, server="s", method="tools/call", name="t", arguments=("token", "path"))
    )
    captured.write(
        events.CallFailed(
            at=2.0,
            call_id=1,
            server="s",
            method="tools/call",
            name="t",
            seconds=1.0,
            code="call.timeout",
            reason="late",
        )
    )
    first, second = captured.lines
    assert (first["event"], first["log_level"], first["arguments"]) == ("call.started", "debug", ["token", "path"])
    assert (second["event"], second["log_level"], second["code"]) == ("call.failed", "warning", "call.timeout")
    assert "rpc_code" not in second


@pytest.mark.parametrize(
    ("level", "written"),
    [("debug", "debug"), ("notice", "info"), ("error", "error"), ("emergency", "critical"), ("odd", "info")],
)
def test_what_a_server_writes_has_its_level(captured: Captured, level: str, written: str) -> None:
    """And its secrets are hidden, whoever wrote them."""
    data = {"text": "hello", "config": {"apiKey": SECRET}}
    captured.write(events.LogReceived(at=1.0, server="math", level=level, logger="db", data=data))
    (line,) = captured.lines
    assert line["log_level"] == written
    assert line["logger"] == "db"
    assert "level" not in line
    assert line["data"] == {"text": "hello", "config": {"apiKey": "***"}}


@pytest.mark.parametrize("kind", events.event_names().values(), ids=lambda kind: kind.__name__)
def test_every_event_can_be_written(captured: Captured, kind: type[Event]) -> None:
    """Each kind, through a renderer, with its wire name."""
    captured.write(sample(kind))
    (line,) = captured.lines
    assert line["event"] == events.wire_name(kind)
    assert json.loads(structlog.processors.JSONRenderer()(None, "info", dict(line)))["at"] == 1.0


def sample(kind: type[Event]) -> Event:
    """One event of a kind, with any values."""
    values: dict[str, object] = {"at": 1.0}
    for field in structs.fields(kind):
        if field.name not in values and field.default is NODEFAULT:
            values[field.name] = {
                "before": "ready",
                "status": {"name": "s", "state": "ready", "since": 1.0},
                "what": "tools",
                "stale": False,
            }.get(field.name, 1 if field.type in (int, float) else "x")
    return convert(values, kind)


def test_the_default_logger_is_structlogs_own() -> None:
    """Configured by the program, as ever."""
    with structlog.testing.capture_logs() as lines:
        StructuredLogs()(events.ServerAdded(at=1.0, server="math"))
    assert lines == [{"event": "server.added", "log_level": "info", "at": 1.0, "server": "math"}]


def test_lines_that_nobody_wants_are_not_made() -> None:
    """The level of the logger is asked first, be it structlog's own or that of `logging`."""
    capture = LogCapture()
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    started = events.CallStarted(at=1.0, call_id=1, server="s", method="tools/call", name="t")
    lost = events.ServerLost(at=1.0, server="s", code="c", reason="r")
    for logger in (
        structlog.wrap_logger(None, processors=[capture], wrapper_class=quiet),
        structlog.wrap_logger(
            logging.getLogger("test_logs"), processors=[capture], wrapper_class=structlog.stdlib.BoundLogger
        ),
    ):
        capture.entries.clear()
        write = StructuredLogs(logger)
        write(started)
        write(lost)
        assert [line["event"] for line in capture.entries] == ["server.lost"]


def test_any_logger_with_five_methods_will_do() -> None:
    """It need not be structlog's."""
    lines: list[tuple[str, dict[str, object]]] = []

    class Plain:
        def info(self, event: str, **fields: object) -> None:
            lines.append((event, fields))

        debug = warning = error = critical = info

    StructuredLogs(Plain())(events.ServerAdded(at=1.0, server="math"))
    assert lines == [("server.added", {"at": 1.0, "server": "math"})]


def test_without_the_library_the_words_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an import error from somewhere within; a logger of one's own needs no structlog."""
    monkeypatch.setitem(sys.modules, "structlog", None)
    with pytest.raises(ConfigError, match=r'structlog.*pip install "dragoman\[telemetry\]"'):
        StructuredLogs()
