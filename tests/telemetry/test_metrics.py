"""Events as Prometheus metrics, in real registries: what is counted, and that labels stay few."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from dragoman.errors import ConfigError
from dragoman.events import (
    CacheHit,
    CallFailed,
    CallFinished,
    CallProgressed,
    CallRetried,
    CallStarted,
    CatalogueChanged,
    EventsDropped,
    HandlerFailed,
    PolicyDenied,
    ServerChanged,
    ServerLost,
    ServerRecovered,
    ServerRemoved,
)
from dragoman.hub.bus import Bus
from dragoman.model import ServerState, ServerStatus
from dragoman.telemetry import Metrics, metrics


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of its own."""
    return CollectorRegistry()


def started(call: int = 1, server: str = "math", name: str = "add", method: str = "tools/call") -> CallStarted:
    """The beginning of a call."""
    return CallStarted(at=1.0, call_id=call, server=server, method=method, name=name)


def finished(
    call: int = 1, server: str = "math", name: str = "add", method: str = "tools/call", **fields: Any
) -> CallFinished:
    """Its good end."""
    return CallFinished(at=2.0, call_id=call, server=server, method=method, name=name, seconds=0.2, **fields)


def failed(call: int = 1, server: str = "math", code: str = "call.timeout") -> CallFailed:
    """Its bad end."""
    return CallFailed(
        at=2.0, call_id=call, server=server, method="tools/call", name="add", seconds=3.0, code=code, reason="late"
    )


def changed(state: ServerState, server: str = "math") -> ServerChanged:
    """A server in a state."""
    return ServerChanged(
        at=1.0, server=server, before="configured", status=ServerStatus(name=server, state=state, since=1.0)
    )


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """The value of one series."""
    return registry.get_sample_value(f"dragoman_{name}", labels)


def test_calls_are_counted_by_how_they_ended(registry: CollectorRegistry) -> None:
    """Good ones, those whose tool failed, and those that failed by their code; each with its duration."""
    count = Metrics(registry)
    for event in (
        started(1),
        finished(1, size=40),
        started(2),
        finished(2, size=2, is_error=True),
        started(3),
        failed(3),
    ):
        count(event)
    calls = {"server": "math", "method": "tools/call"}
    assert value(registry, "calls_total", **calls, outcome="ok") == 1
    assert value(registry, "calls_total", **calls, outcome="tool_error") == 1
    assert value(registry, "calls_total", **calls, outcome="call.timeout") == 1
    assert value(registry, "call_duration_seconds_count", **calls) == 3
    assert value(registry, "call_duration_seconds_sum", **calls) == pytest.approx(3.4)
    assert value(registry, "call_duration_seconds_bucket", **calls, le="0.25") == 2
    assert value(registry, "result_bytes_total", server="math") == 42
    assert value(registry, "calls_in_flight", server="math") == 0


def test_calls_under_way_are_a_gauge(registry: CollectorRegistry) -> None:
    """A call that ends on another server has been under way on the first."""
    count = Metrics(registry)
    count(started(1))
    count(started(2))
    assert value(registry, "calls_in_flight", server="math") == 2
    count(finished(2, server="spare"))
    assert value(registry, "calls_in_flight", server="math") == 1
    assert value(registry, "calls_in_flight", server="spare") is None


def test_a_gap_in_the_events_does_not_spoil_the_gauge(registry: CollectorRegistry) -> None:
    """Whose end was dropped is not under way for ever, and whose beginning was dropped makes nothing negative."""
    count = Metrics(registry)
    count(started(1))
    count(EventsDropped(at=1.0, count=5))
    assert value(registry, "events_dropped_total") == 5
    assert value(registry, "calls_in_flight", server="math") == 0
    count(started(2))
    count(finished(1))
    count(finished(3))
    assert value(registry, "calls_in_flight", server="math") == 1


def test_servers_are_told_by_state(registry: CollectorRegistry) -> None:
    """One of all states is 1."""
    count = Metrics(registry)
    count(changed("connecting"))
    count(changed("ready"))
    states = {
        sample.labels["state"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "dragoman_server_state"
    }
    assert len(states) == 9
    assert [state for state, held in states.items() if held] == ["ready"]


def test_what_else_happens_is_counted(registry: CollectorRegistry) -> None:
    """Losses, returns, retries, listings, hits, refusals, failing handlers."""
    count = Metrics(registry)
    count(ServerLost(at=1.0, server="math", code="connection.lost", reason="gone"))
    count(ServerRecovered(at=1.0, server="math", away=2.0))
    count(
        CallRetried(
            at=1.0, call_id=1, server="math", name="add", attempt=2, delay=0.1, code="c", reason="r", why="hedge"
        )
    )
    count(CatalogueChanged(at=1.0, server="math", what="tools", total=12))
    count(CacheHit(at=1.0, server="math", age=3.0, stale=True))
    count(PolicyDenied(at=1.0, server="math", name="rm", rule="deny"))
    count(HandlerFailed(at=1.0, handler="h", reason="r"))
    count(CallProgressed(at=1.0, call_id=1, server="math", name="add", progress=1.0))
    assert value(registry, "connections_lost_total", server="math") == 1
    assert value(registry, "reconnects_total", server="math") == 1
    assert value(registry, "retries_total", server="math", why="hedge") == 1
    assert value(registry, "catalogue_entries", server="math", what="tools") == 12
    assert value(registry, "cache_hits_total", server="math", stale="yes") == 1
    assert value(registry, "policy_denied_total", server="math") == 1
    assert value(registry, "handler_failures_total") == 1


def test_a_removed_server_leaves_no_series(registry: CollectorRegistry) -> None:
    """Nothing that is exposed names it any more; others stay."""
    count = Metrics(registry)
    for call, server in enumerate(("math", "spare")):
        count(changed("ready", server))
        count(started(10 + call, server))
        count(finished(10 + call, server))
        count(started(20 + call, server))
    count(ServerRemoved(at=3.0, server="math"))
    text = generate_latest(registry).decode()
    assert "math" not in text
    assert "spare" in text
    count(finished(20, "math"))
    assert value(registry, "calls_in_flight", server="math") is None
    assert value(registry, "calls_in_flight", server="spare") == 1


def test_tools_are_told_apart_only_on_request(registry: CollectorRegistry) -> None:
    """There may be thousands; a resource's URI never becomes a label."""
    plain = CollectorRegistry()
    Metrics(plain)(finished())
    assert "add" not in generate_latest(plain).decode()
    count = Metrics(registry, tools=True)
    count(finished())
    count(finished(name="note:///secret", method="resources/read"))
    labels = {"server": "math", "outcome": "ok"}
    assert value(registry, "calls_total", **labels, method="tools/call", tool="add") == 1
    assert value(registry, "calls_total", **labels, method="resources/read", tool="") == 1
    assert "secret" not in generate_latest(registry).decode()


def test_names_beyond_the_bound_share_a_label(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers, tools and methods: the series of a program that invents names can't grow for ever."""
    monkeypatch.setattr(metrics, "NAMES", 3)
    count = Metrics(registry, tools=True)
    for number in range(10):
        count(finished(server=f"s{number}", name=f"t{number}", method="tools/call"))
    count(finished(server="s0", method="odd/method"))
    assert value(registry, "calls_total", server="other", method="tools/call", tool="other", outcome="ok") == 7
    assert value(registry, "calls_total", server="s0", method="other", tool="", outcome="ok") == 1
    count(ServerRemoved(at=1.0, server="s0"))
    count(finished(server="s9", name="t0"))
    assert value(registry, "calls_total", server="s9", method="tools/call", tool="t0", outcome="ok") == 1


def test_buckets_can_be_chosen(registry: CollectorRegistry) -> None:
    """In seconds."""
    Metrics(registry, buckets=(0.1, 1.0))(finished())
    bounds = [
        sample.labels["le"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "dragoman_call_duration_seconds_bucket"
    ]
    assert bounds == ["0.1", "1.0", "+Inf"]


def test_the_usual_registry_is_the_default() -> None:
    """What a program exposes without further words; a second one there is told plainly."""
    before = set(REGISTRY._names_to_collectors.values())  # pyright: ignore[reportPrivateUsage]
    try:
        Metrics()(finished())
        assert value(REGISTRY, "calls_total", server="math", method="tools/call", outcome="ok") == 1
        with pytest.raises(ConfigError, match="Make one Metrics"):
            Metrics()
    finally:
        for collector in set(REGISTRY._names_to_collectors.values()) - before:  # pyright: ignore[reportPrivateUsage]
            REGISTRY.unregister(collector)


async def test_metrics_work_as_a_handler_of_the_bus(registry: CollectorRegistry) -> None:
    """In a thread of their own, with the gaps counted."""
    bus = Bus()
    bus.on(None, Metrics(registry), limit=4)
    for call in range(10):
        bus.publish(finished(call))
    await bus.aclose(5)
    counted = value(registry, "calls_total", server="math", method="tools/call", outcome="ok")
    assert counted is not None
    assert counted + (value(registry, "events_dropped_total") or 0) == 10


def test_without_the_library_the_words_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an import error from somewhere within."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match=r'prometheus-client.*pip install "dragoman\[telemetry\]"'):
        Metrics()
