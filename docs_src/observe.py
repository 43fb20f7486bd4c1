"""Makes spans, metrics and log lines of what a hub does."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress

import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from prometheus_client import CollectorRegistry, generate_latest
from structlog.typing import EventDict

from dragoman import Hub, ServerConfig
from dragoman.errors import RequestTimeout
from dragoman.telemetry import Metrics, StructuredLogs, Tracing, redact

CLOCK = ServerConfig(name="clock", command="python", args=("-m", "dragoman.samples.clock"))


def trace_calls(hub: Hub) -> TracerProvider:
    """Print each call as a span when the provider is shut down; a program would send them somewhere instead."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=sys.stdout, formatter=in_short)))
    hub.instrument(Tracing(provider))
    return provider


def in_short(span: ReadableSpan) -> str:
    """Tell a span in one line."""
    told = dict(span.attributes or {})
    return f"span: {span.name} on {told['dragoman.server']}, {told.get('error.type', 'no error')}\n"


def count_calls(hub: Hub) -> CollectorRegistry:
    """Count and measure in a registry; without one it is that of prometheus_client."""
    registry = CollectorRegistry()
    hub.on(None, Metrics(registry))
    return registry


def without_times(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Leave out of a line what is another one each time."""
    return {name: value for name, value in line.items() if name not in ("at", "seconds")}


def write_lines(hub: Hub) -> None:
    """Write what needs a look as JSON. Without a logger, it is the one that the program configured."""
    logger = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[without_times, redact, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    hub.on(None, StructuredLogs(logger))


async def main() -> None:
    """Make a call that is answered and one that takes too long."""
    hub = Hub([CLOCK])
    provider = trace_calls(hub)
    registry = count_calls(hub)
    write_lines(hub)
    async with hub:
        await hub.call_tool("clock.now", {"offset_hours": 2})
        with suppress(RequestTimeout):
            await hub.call_tool("clock.countdown", {"pause": 60}, timeout=0.2)
    provider.shutdown()
    for line in generate_latest(registry).decode().splitlines():
        if line.startswith(("dragoman_calls_total", "dragoman_call_duration_seconds_count")):
            print(line)


if __name__ == "__main__":
    asyncio.run(main())
