"""Calls as OpenTelemetry spans of kind client, and their trace context for the server.

Follows the OpenTelemetry semantic conventions for MCP (status: development). The context travels in ``_meta`` of the
request under ``traceparent``, ``tracestate`` and ``baggage``, the names that the protocol sets aside for it (SEP-414).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from dragoman.events import (
    CallFailed,
    CallFinished,
    CallProgressed,
    CallRetried,
    CallStarted,
    Event,
    ServerChanged,
    ServerRemoved,
    wire_name,
)
from dragoman.telemetry.extra import missing
from dragoman.telemetry.redaction import redacted_uri
from dragoman.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.util.types import AttributeValue

__all__ = ["Tracing"]

_NETWORK: Final[Mapping[str, Mapping[str, str]]] = {
    "stdio": {"network.transport": "pipe"},
    "http": {"network.transport": "tcp", "network.protocol.name": "http"},
    "sse": {"network.transport": "tcp", "network.protocol.name": "http"},
    "websocket": {"network.transport": "tcp", "network.protocol.name": "websocket"},
}
"""What the conventions say of each of our transports; of others, nothing."""


class Tracing:
    """Makes one client span per call: ``hub.instrument(Tracing())``.

    The span's parent is what is current where the call is made. It covers the call with all its retries; these and
    the progress that the server tells are events of the span. It holds names of arguments, never values or results, and
    URIs without what may be secret.

    Args:
        tracer_provider: Where spans go; None takes the global one of OpenTelemetry.

    Use one for each hub: calls are told apart by their numbers.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """

    __slots__ = ("_agreed", "_api", "_baggage", "_spans", "_trace_context", "_tracer")

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.baggage.propagation import W3CBaggagePropagator
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError:
            raise missing("opentelemetry-api", "Tracing") from None
        self._api = trace
        self._tracer = trace.get_tracer("dragoman", VERSION, tracer_provider)
        self._trace_context = TraceContextTextMapPropagator()
        self._baggage = W3CBaggagePropagator()
        self._spans: dict[int, Span] = {}
        self._agreed: dict[str, dict[str, AttributeValue]] = {}

    def begin(self, event: CallStarted) -> Mapping[str, str]:
        """Start a span, and give the members of ``_meta`` that make the server's spans its children."""
        span = self._tracer.start_span(_span_name(event), kind=self._api.SpanKind.CLIENT, attributes=_attributes(event))
        self._spans[event.call_id] = span
        carrier: dict[str, str] = {}
        self._trace_context.inject(carrier, self._api.set_span_in_context(span))
        self._baggage.inject(carrier)
        return carrier

    def end(self, event: CallFinished | CallFailed) -> None:
        """End the span, with an error if the call failed or the tool says that it did."""
        span = self._spans.pop(event.call_id, None)
        if span is None:
            return
        # A call may have ended on another server than it began on.
        span.set_attribute("dragoman.server", event.server)
        span.set_attributes(self._agreed.get(event.server, {}))
        if isinstance(event, CallFinished):
            span.set_attribute("dragoman.result.size", event.size)
            if event.is_error:
                self._fail(span, "tool_error", None)
        else:
            if event.rpc_code is not None:
                span.set_attribute("rpc.response.status_code", str(event.rpc_code))
            self._fail(span, event.code if event.rpc_code is None else str(event.rpc_code), event.reason)
        span.end()

    def note(self, event: Event) -> None:
        """Add progress and retries to the call's span; remember how each server is connected."""
        match event:
            case CallProgressed():
                told = {"progress": event.progress, "total": event.total, "message": event.message}
                self._add(event.call_id, event, told)
            case CallRetried():
                told = {
                    "attempt": event.attempt,
                    "delay": event.delay,
                    "why": event.why,
                    "server": event.server,
                    "error.type": event.code,
                    "reason": event.reason,
                }
                self._add(event.call_id, event, told)
            case ServerChanged() if event.status.transport:
                agreed: dict[str, AttributeValue] = {**_NETWORK.get(event.status.transport, {})}
                if event.status.protocol_version:
                    agreed["mcp.protocol.version"] = event.status.protocol_version
                self._agreed[event.server] = agreed
            case ServerRemoved():
                self._agreed.pop(event.server, None)
            case _:
                pass

    def _add(self, call_id: int, event: Event, told: Mapping[str, AttributeValue | None]) -> None:
        span = self._spans.get(call_id)
        if span is not None:
            known = {name: value for name, value in told.items() if value is not None}
            span.add_event(wire_name(event), known)

    def _fail(self, span: Span, kind: str, words: str | None) -> None:
        span.set_attribute("error.type", kind)
        span.set_status(self._api.StatusCode.ERROR, words)


def _span_name(event: CallStarted) -> str:
    """Give the method, and the target where there are few: a tool or a prompt, no URI."""
    named = event.method in ("tools/call", "prompts/get")
    return f"{event.method} {event.name}" if named else event.method


def _attributes(event: CallStarted) -> dict[str, AttributeValue]:
    told: dict[str, AttributeValue] = {
        "mcp.method.name": event.method,
        "dragoman.server": event.server,
        "dragoman.call.id": event.call_id,
    }
    match event.method:
        case "tools/call":
            told["gen_ai.operation.name"] = "execute_tool"
            told["gen_ai.tool.name"] = event.name
        case _ if ":" in event.name:
            told["mcp.resource.uri"] = redacted_uri(event.name)
        case "prompts/get" | "completion/complete":
            told["gen_ai.prompt.name"] = event.name
        case _:
            pass
    if event.arguments:
        told["dragoman.call.arguments"] = event.arguments
    return told
