"""Events as Prometheus metrics, with labels that can't grow without bound.

A plain handler: `Metrics` counts what it is called with. It knows no web server; the user exposes the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, get_args

from dragoman import events
from dragoman.errors import ConfigError
from dragoman.events import Event
from dragoman.model import ServerState
from dragoman.protocol.jsonrpc import printable
from dragoman.telemetry.extra import missing

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics import MetricWrapperBase

__all__ = ["Metrics"]

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the classes of durations, in seconds."""

NAMES: Final = 1000
"""Names of servers, and of tools, that are told apart; the rest is `OTHER`."""

OTHER: Final = "other"

LONGEST: Final = 128
"""Characters of a tool's name that a label has."""

METHODS: Final = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete"})


class Metrics:
    """Counts and measures what a hub does: ``hub.on(None, Metrics())``.

    Args:
        registry: Where the metrics are registered; None takes prometheus_client's own.
        tools: Whether calls are told apart by tool (label ``tool``), too: as many more series as there are tools.
        buckets: Upper bounds of the histogram of durations, in seconds.

    Series of a server that is removed are removed.

    Raises:
        ConfigError: prometheus-client is not installed, or the registry has these metrics already.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        tools: bool = False,
        buckets: Sequence[float] = BUCKETS,
    ) -> None:
        try:
            from prometheus_client import REGISTRY
        except ImportError:
            raise missing("prometheus-client", "Metrics") from None
        self._tools = tools
        self._servers: set[str] = set()
        self._tool_names: set[str] = set()
        self._running: dict[int, str] = {}
        try:
            self._register(REGISTRY if registry is None else registry, buckets)
        except ValueError as error:
            raise ConfigError(
                f"the metrics can't be registered ({error})", hint="Make one Metrics a registry."
            ) from None
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            events.CallStarted: self._started,
            events.CallFinished: self._finished,
            events.CallFailed: self._failed,
            events.CallRetried: self._retried,
            events.ServerChanged: self._changed,
            events.ServerLost: self._lost,
            events.ServerRecovered: self._recovered,
            events.ServerRemoved: self._removed,
            events.CatalogueChanged: self._listed,
            events.CacheHit: self._cached,
            events.PolicyDenied: self._denied,
            events.HandlerFailed: self._handler_failed,
            events.EventsDropped: self._dropped,
        }

    def __call__(self, event: Event) -> None:
        """Take one event into account. From one thread at a time; a registry may be read at any time."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _register(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        tool = ("tool",) if self._tools else ()
        server = ("server",)

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"dragoman_{name}", words, labels, registry=registry)

        def gauge(name: str, words: str, *labels: str) -> Gauge:
            return Gauge(f"dragoman_{name}", words, labels, registry=registry)

        self._calls = counter("calls_total", "Calls that ended, by how.", "server", "method", *tool, "outcome")
        self._seconds = Histogram(
            "dragoman_call_duration_seconds",
            "How long calls took, with their retries.",
            ("server", "method", *tool),
            registry=registry,
            buckets=buckets,
        )
        self._bytes = counter("result_bytes_total", "Bytes of results.", *server)
        self._in_flight = gauge("calls_in_flight", "Calls under way.", *server)
        self._state = gauge("server_state", "1 for the state that the server is in, else 0.", "server", "state")
        self._losses = counter("connections_lost_total", "Connections that broke.", *server)
        self._reconnects = counter("reconnects_total", "Lost servers that came back.", *server)
        self._retries = counter("retries_total", "Calls made again.", "server", "why")
        self._catalogue = gauge("catalogue_entries", "What a server lists.", "server", "what")
        self._hits = counter("cache_hits_total", "Listings from the kept catalogue.", "server", "stale")
        self._refusals = counter("policy_denied_total", "Calls refused before they were sent.", *server)
        self._failures = counter("handler_failures_total", "Reports of handlers of events that failed or were slow.")
        self._drops = counter("events_dropped_total", "Events that did not reach these metrics.")
        self._of_servers: tuple[MetricWrapperBase, ...] = (
            *(self._calls, self._seconds, self._bytes, self._in_flight, self._state, self._losses),
            *(self._reconnects, self._retries, self._catalogue, self._hits, self._refusals),
        )

    def _server(self, name: str) -> str:
        return _bounded(name, self._servers)

    def _labels(self, event: events.CallFinished | events.CallFailed) -> tuple[str, ...]:
        method = event.method if event.method in METHODS else OTHER
        if not self._tools:
            return (self._server(event.server), method)
        # URIs are too many to be told apart.
        # Half a surrogate pair in one label would keep all metrics from being written out.
        tool = _bounded(printable(event.name, LONGEST), self._tool_names) if method == "tools/call" else ""
        return (self._server(event.server), method, tool)

    def _started(self, event: events.CallStarted) -> None:
        server = self._server(event.server)
        self._running[event.call_id] = server
        self._in_flight.labels(server).inc()

    def _finished(self, event: events.CallFinished) -> None:
        self._ended(event, "tool_error" if event.is_error else "ok")
        self._bytes.labels(self._server(event.server)).inc(event.size)

    def _failed(self, event: events.CallFailed) -> None:
        self._ended(event, event.code)

    def _ended(self, event: events.CallFinished | events.CallFailed, outcome: str) -> None:
        labels = self._labels(event)
        self._calls.labels(*labels, outcome).inc()
        self._seconds.labels(*labels).observe(event.seconds)
        # It ends where it began: a call may have gone on to another server.
        server = self._running.pop(event.call_id, None)
        if server is not None:
            self._in_flight.labels(server).dec()

    def _retried(self, event: events.CallRetried) -> None:
        self._retries.labels(self._server(event.server), event.why).inc()

    def _changed(self, event: events.ServerChanged) -> None:
        server = self._server(event.server)
        for state in get_args(ServerState):
            self._state.labels(server, state).set(state == event.status.state)

    def _lost(self, event: events.ServerLost) -> None:
        self._losses.labels(self._server(event.server)).inc()

    def _recovered(self, event: events.ServerRecovered) -> None:
        self._reconnects.labels(self._server(event.server)).inc()

    def _removed(self, event: events.ServerRemoved) -> None:
        if event.server in self._servers:
            self._servers.discard(event.server)
            self._running = {call: server for call, server in self._running.items() if server != event.server}
            for metric in self._of_servers:
                metric.remove_by_labels({"server": event.server})

    def _listed(self, event: events.CatalogueChanged) -> None:
        self._catalogue.labels(self._server(event.server), event.what).set(event.total)

    def _cached(self, event: events.CacheHit) -> None:
        self._hits.labels(self._server(event.server), "yes" if event.stale else "no").inc()

    def _denied(self, event: events.PolicyDenied) -> None:
        self._refusals.labels(self._server(event.server)).inc()

    def _handler_failed(self, event: events.HandlerFailed) -> None:
        self._failures.inc()

    def _dropped(self, event: events.EventsDropped) -> None:
        """Count them. What was under way is unknown now: begin anew, or the gauge would be wrong for ever."""
        self._drops.inc(event.count)
        for server in set(self._running.values()):
            self._in_flight.labels(server).set(0)
        self._running.clear()


def _bounded(name: str, known: set[str]) -> str:
    if name not in known:
        if len(known) >= NAMES:
            return OTHER
        known.add(name)
    return name
