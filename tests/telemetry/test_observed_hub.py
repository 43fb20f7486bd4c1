"""A whole hub under observation: the context that reaches its servers, and spans, metrics and lines that agree."""

from __future__ import annotations

import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from structlog.testing import LogCapture

from dragoman.telemetry import Metrics, StructuredLogs, Tracing
from tests.hub.serving import a_peer, hub_of, peers
from tests.server.peer import Json, Peer, Request, text

__all__ = ["peers"]


async def test_a_call_is_seen_alike_by_all_who_observe(peers: dict[str, Peer]) -> None:
    """One call, one refused by its tool: two spans below the caller's, on the wire their context, two counted."""
    metas: list[Json] = []

    async def add(request: Request) -> Json:
        metas.append(request.meta)
        return text("no" if request.arguments else "yes", isError=bool(request.arguments))

    exporter, registry, capture = InMemorySpanExporter(), CollectorRegistry(), LogCapture()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    hub = hub_of(a_peer("math", {"add": add}))
    hub.instrument(Tracing(provider))
    hub.on(None, Metrics(registry))
    hub.on(None, StructuredLogs(structlog.wrap_logger(None, processors=[capture])))
    async with hub:
        with provider.get_tracer("test").start_as_current_span("caller") as caller:
            await hub.call_tool("math.add")
            await hub.call_tool("math.add", {"token": "s3cr3t"})

    first, second, _ = exporter.get_finished_spans()
    above = caller.get_span_context().span_id
    assert [span.name for span in (first, second)] == ["tools/call add"] * 2
    assert [span.parent.span_id if span.parent else 0 for span in (first, second)] == [above, above]
    assert second.status.status_code is trace.StatusCode.ERROR
    for span, meta in zip((first, second), metas, strict=True):
        own = span.get_span_context()
        assert own is not None
        assert meta["traceparent"].startswith(f"00-{own.trace_id:032x}-{own.span_id:016x}-")
    labels = {"server": "math", "method": "tools/call"}
    for outcome in ("ok", "tool_error"):
        assert registry.get_sample_value("dragoman_calls_total", {**labels, "outcome": outcome}) == 1
    ends = [line["is_error"] for line in capture.entries if line["event"] == "call.finished"]
    assert ends == [False, True]
    assert "server.changed" in {line["event"] for line in capture.entries}
    assert "s3cr3t" not in f"{capture.entries} {[span.attributes for span in (first, second)]}"
