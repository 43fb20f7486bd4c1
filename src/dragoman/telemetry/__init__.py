"""What observes a hub from outside: its events as OpenTelemetry spans, Prometheus metrics and structured logs.

Needs ``dragoman[telemetry]``; each class loads its library when it is made. Knows events and settings, never the hub:
``hub.instrument(Tracing())``, ``hub.on(None, Metrics())``, ``hub.on(None, StructuredLogs())``.
"""

from __future__ import annotations

from dragoman.telemetry.logs import StructuredLogs
from dragoman.telemetry.metrics import Metrics
from dragoman.telemetry.redaction import redact
from dragoman.telemetry.spans import Tracing

__all__ = ["Metrics", "StructuredLogs", "Tracing", "redact"]
