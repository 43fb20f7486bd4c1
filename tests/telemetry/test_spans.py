"""Calls as spans, through the real OpenTelemetry SDK: names, attributes, parents, ends, and the context for servers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dragoman.errors import ConfigError
from dragoman.events import (
    CallFailed,
    CallFinished,
    CallProgressed,
    CallRetried,
    CallStarted,
    Event,
    Instrument,
    ServerAdded,
    ServerChanged,
    ServerRemoved,
)
from dragoman.model import ServerStatus
from dragoman.telemetry import Tracing


class Recorded:
    """A provider of its own, with what it was given."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(self.provider)

    @property
    def span(self) -> ReadableSpan:
        """The one span that ended."""
        (span,) = self.exporter.get_finished_spans()
        return span


@pytest.fixture
def recorded() -> Recorded:
    """A fresh one."""
    return Recorded()


def started(method: str = "tools/call", name: str = "add", **fields: Any) -> CallStarted:
    """The beginning of call 1."""
    return CallStarted(at=1.0, call_id=1, server="math", method=method, name=name, **fields)


def finished(**fields: Any) -> CallFinished:
    """Its good end."""
    return CallFinished(at=2.0, call_id=1, server="math", method="tools/call", name="add", seconds=1.0, **fields)


def failed(code: str, reason: str, rpc_code: int | None = None) -> CallFailed:
    """Its bad end."""
    return CallFailed(
        at=2.0,
        call_id=1,
        server="math",
        method="tools/call",
        name="add",
        seconds=1.0,
        code=code,
        reason=reason,
        rpc_code=rpc_code,
    )


def changed(transport: str, version: str = "2025-11-25", server: str = "math") -> ServerChanged:
    """A server that was connected."""
    status = ServerStatus(name=server, state="ready", since=0.0, transport=transport, protocol_version=version)
    return ServerChanged(at=0.0, server=server, before="connecting", status=status)


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """Its attributes."""
    assert span.attributes is not None
    return span.attributes


def test_a_tool_call_is_a_client_span_of_the_conventions(recorded: Recorded) -> None:
    """Name, kind and attributes as OpenTelemetry writes them for MCP; names of arguments only."""
    recorded.tracing.note(changed("stdio"))
    recorded.tracing.begin(started(arguments=("a", "b")))
    recorded.tracing.end(finished(size=40))
    span = recorded.span
    assert span.name == "tools/call add"
    assert span.kind is trace.SpanKind.CLIENT
    assert attributes(span) == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2025-11-25",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add",
        "network.transport": "pipe",
        "dragoman.server": "math",
        "dragoman.call.id": 1,
        "dragoman.call.arguments": ("a", "b"),
        "dragoman.result.size": 40,
    }
    assert span.status.status_code is trace.StatusCode.UNSET
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "dragoman"


@pytest.mark.parametrize(
    ("method", "name", "span_name", "expected"),
    [
        ("prompts/get", "greet", "prompts/get greet", {"gen_ai.prompt.name": "greet"}),
        ("resources/read", "note:///a", "resources/read", {"mcp.resource.uri": "note:///a"}),
        (
            "resources/read",
            "https://me:secret@example.com/a?key=secret",
            "resources/read",
            {"mcp.resource.uri": "https://***@example.com/a?key=***"},
        ),
        ("completion/complete", "greet", "completion/complete", {"gen_ai.prompt.name": "greet"}),
        ("completion/complete", "note:///{id}", "completion/complete", {"mcp.resource.uri": "note:///{id}"}),
        ("resources/subscribe", "odd", "resources/subscribe", {}),
    ],
)
def test_other_requests_name_their_target(
    recorded: Recorded, method: str, name: str, span_name: str, expected: dict[str, str]
) -> None:
    """A URI is an attribute without secrets, and never in the span's name."""
    recorded.tracing.begin(started(method, name))
    recorded.tracing.end(finished())
    span = recorded.span
    assert span.name == span_name
    own = {key: value for key, value in attributes(span).items() if key.startswith(("gen_ai.", "mcp.resource"))}
    assert own == expected


def test_a_tools_failure_is_an_error_of_its_own_kind(recorded: Recorded) -> None:
    """`isError` in a result is `tool_error`."""
    recorded.tracing.begin(started())
    recorded.tracing.end(finished(is_error=True))
    assert attributes(recorded.span)["error.type"] == "tool_error"
    assert recorded.span.status.status_code is trace.StatusCode.ERROR


def test_a_json_rpc_error_is_told_by_its_number(recorded: Recorded) -> None:
    """As `error.type` and as the status code of the answer; the message is the span's description."""
    recorded.tracing.begin(started())
    recorded.tracing.end(failed("server.invalid_params", "no such tool", -32602))
    told = attributes(recorded.span)
    assert told["error.type"] == told["rpc.response.status_code"] == "-32602"
    assert recorded.span.status.status_code is trace.StatusCode.ERROR
    assert recorded.span.status.description == "no such tool"


def test_any_other_failure_is_told_by_our_code(recorded: Recorded) -> None:
    """A time-out, say."""
    recorded.tracing.begin(started())
    recorded.tracing.end(failed("call.timeout", "no answer within 5 s"))
    told = attributes(recorded.span)
    assert told["error.type"] == "call.timeout"
    assert "rpc.response.status_code" not in told


def test_the_span_is_a_child_of_what_is_current(recorded: Recorded) -> None:
    """And is itself not made current: the caller's code goes on in its own span."""
    tracer = recorded.provider.get_tracer("test")
    with tracer.start_as_current_span("outer") as outer:
        recorded.tracing.begin(started())
        assert trace.get_current_span() is outer
        recorded.tracing.end(finished())
    inner = recorded.exporter.get_finished_spans()[0]
    assert inner.parent is not None
    assert inner.parent.span_id == outer.get_span_context().span_id


def test_the_server_gets_the_trace_context(recorded: Recorded) -> None:
    """`traceparent`, `tracestate` and `baggage` as W3C writes them: the server's spans are children of this one."""
    state = trace.TraceState([("vendor", "1")])
    remote = trace.SpanContext(0xA, 0xB, is_remote=True, trace_flags=trace.TraceFlags(1), trace_state=state)
    within = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    token = context.attach(baggage.set_baggage("user", "alice", within))
    try:
        carrier = recorded.tracing.begin(started())
    finally:
        context.detach(token)
    recorded.tracing.end(finished())
    assert set(carrier) == {"traceparent", "tracestate", "baggage"}
    assert carrier["tracestate"] == "vendor=1"
    assert carrier["baggage"] == "user=alice"
    extracted = trace.get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    own = recorded.span.get_span_context()
    assert own is not None
    assert (extracted.trace_id, extracted.span_id) == (own.trace_id, own.span_id) == (0xA, own.span_id)


def test_without_a_tracer_the_callers_context_is_handed_on() -> None:
    """No provider is set up: there is no span of ours, and nothing to send."""
    tracing = Tracing(trace.NoOpTracerProvider())
    assert tracing.begin(started()) == {}
    tracing.end(finished())


def test_progress_and_retries_are_events_of_the_span(recorded: Recorded) -> None:
    """Of the call that they belong to; what is unknown is left out."""
    tracing = recorded.tracing
    tracing.begin(started())
    tracing.note(CallProgressed(at=1.1, call_id=1, server="math", name="add", progress=0.5, message="half"))
    tracing.note(CallProgressed(at=1.1, call_id=7, server="math", name="add", progress=0.9))
    tracing.note(
        CallRetried(
            at=1.2,
            call_id=1,
            server="spare",
            name="add",
            attempt=2,
            delay=0.5,
            code="connection.lost",
            reason="it broke",
            why="failover",
        )
    )
    tracing.end(finished())
    progressed, retried = recorded.span.events
    assert (progressed.name, dict(progressed.attributes or {})) == (
        "call.progressed",
        {"progress": 0.5, "message": "half"},
    )
    assert retried.name == "call.retried"
    assert dict(retried.attributes or {}) == {
        "attempt": 2,
        "delay": 0.5,
        "why": "failover",
        "server": "spare",
        "error.type": "connection.lost",
        "reason": "it broke",
    }


def test_a_call_is_told_where_it_ended(recorded: Recorded) -> None:
    """After a failover, the server and its transport are those that answered."""
    recorded.tracing.note(changed("stdio"))
    recorded.tracing.note(changed("websocket", "2026-07-28", server="spare"))
    recorded.tracing.begin(started())
    recorded.tracing.end(CallFinished(at=2.0, call_id=1, server="spare", method="tools/call", name="add", seconds=1.0))
    told = attributes(recorded.span)
    assert told["dragoman.server"] == "spare"
    assert (told["network.transport"], told["network.protocol.name"]) == ("tcp", "websocket")
    assert told["mcp.protocol.version"] == "2026-07-28"


@pytest.mark.parametrize(
    "event", [ServerAdded(at=1.0, server="math"), ServerRemoved(at=1.0, server="math"), changed("own", "")]
)
def test_what_is_unknown_of_a_transport_is_not_told(recorded: Recorded, event: Event) -> None:
    """Of a server that was removed, of a transport of one's own, of one that never was connected."""
    if isinstance(event, ServerRemoved):
        recorded.tracing.note(changed("stdio"))
    recorded.tracing.note(event)
    recorded.tracing.begin(started())
    recorded.tracing.end(finished())
    assert not [key for key in attributes(recorded.span) if key.startswith(("network.", "mcp.protocol"))]


def test_an_end_without_a_beginning_is_no_span(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """Tracing that was added while a call was under way; of a call that ended, nothing is kept."""
    recorded.tracing.end(finished())
    assert recorded.exporter.get_finished_spans() == ()
    recorded.tracing.begin(started())
    recorded.tracing.end(finished())
    recorded.tracing.end(finished())
    assert recorded.span.name == "tools/call add"
    assert caplog.records == []


def test_tracing_is_an_instrument(recorded: Recorded) -> None:
    """The hub takes it as it is."""
    instrument: Instrument = recorded.tracing
    assert instrument.begin(started()) is not None
    instrument.end(finished())


def test_without_the_library_the_words_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an import error from somewhere within."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r'opentelemetry-api.*pip install "dragoman\[telemetry\]"'):
        Tracing()
