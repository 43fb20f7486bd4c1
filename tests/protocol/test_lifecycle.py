"""The negotiation's law: for every server, however it answers, few steps, the right era, and never a step twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConnectionLost, DragomanError, HttpError, InvalidResult, RequestTimeout, VersionMismatch
from dragoman.protocol.kept import decode
from dragoman.protocol.lifecycle import (
    Died,
    Discovered,
    DiscoverResult,
    Fail,
    HttpRefused,
    Initialize,
    Initialized,
    InitializeResult,
    Negotiation,
    Outcome,
    Probe,
    Ready,
    Refused,
    Respawn,
    Silent,
    Step,
    SwitchToSse,
    Verdict,
    supported_versions,
)
from dragoman.protocol.versions import HANDSHAKE_VERSIONS, STATELESS_VERSIONS, Era, revision
from tests.protocol.json_values import values

STATELESS = STATELESS_VERSIONS[0]
HANDSHAKE = HANDSHAKE_VERSIONS[0]
MOST_STEPS = 8
"""No opening takes more; each step is one message or one new transport."""


def discovered(*versions: str) -> Discovered:
    """Give the answer of a server that offers `versions`."""
    listed = ",".join(f'"{version}"' for version in versions)
    raw = f'{{"supportedVersions":[{listed}],"capabilities":{{"tools":{{}}}}}}'.encode()
    return Discovered(decode(DiscoverResult, raw, "it"))


def offering(offers: list[str]) -> Discovered:
    """Do as `discovered`, for drawing."""
    return discovered(*offers)


def refusing(code: int, offers: list[str]) -> Refused:
    """Do as `refused`, for drawing."""
    return refused(code, *offers)


def initialized(version: str) -> Initialized:
    """Give the answer of a server that settles on `version`."""
    raw = f'{{"protocolVersion":"{version}","capabilities":{{}},"serverInfo":{{"name":"x","version":"1"}}}}'.encode()
    return Initialized(decode(InitializeResult, raw, "it"))


def refused(code: int, *supported: str) -> Refused:
    """Give a JSON-RPC error."""
    return Refused(DragomanError(f"error {code}"), code, supported)


def status(code: int) -> HttpRefused:
    """Give an HTTP status without an answer."""
    return HttpRefused(HttpError(f"HTTP {code}", status=code), code)


SILENT = Silent(RequestTimeout("nothing"))
DIED = Died(ConnectionLost("gone"))
OFFERS = st.lists(st.sampled_from([*STATELESS_VERSIONS, *HANDSHAKE_VERSIONS, "1900-01-01", ""]), max_size=4)
REFUSALS = st.one_of(
    st.builds(
        refusing,
        st.sampled_from([-32601, -32602, -32600, -32020, -32021, -32022, 0]),
        OFFERS,
    ),
    st.sampled_from([status(code) for code in (400, 401, 403, 404, 405, 406, 429, 500, 503)]),
    st.sampled_from([SILENT, DIED, Refused(InvalidResult("rubbish"))]),
    st.just(refused(-32022, STATELESS)),
)
TO_PROBE = st.one_of(REFUSALS, st.builds(offering, OFFERS))
TO_INITIALIZE = st.one_of(
    REFUSALS, st.builds(initialized, st.sampled_from([*HANDSHAKE_VERSIONS, STATELESS, "1900-01-01"]))
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a negotiation begins with."""

    pin: str | None = None
    era: Era | None = None
    remembered: Verdict | None = None
    can_respawn: bool = False
    can_switch: bool = False

    def begin(self) -> Negotiation:
        """Give a fresh negotiation."""
        return Negotiation(
            "x",
            pin=self.pin,
            era=self.era,
            remembered=self.remembered,
            can_respawn=self.can_respawn,
            can_switch=self.can_switch,
        )


VERDICTS = st.sampled_from([None, Verdict(STATELESS, "stdio"), Verdict(HANDSHAKE, "stdio"), Verdict("1900", "stdio")])
SETTINGS = st.builds(
    Setting,
    pin=st.sampled_from([None, None, STATELESS, *HANDSHAKE_VERSIONS]),
    remembered=VERDICTS,
    can_respawn=st.booleans(),
    can_switch=st.booleans(),
) | st.builds(
    Setting,
    era=st.sampled_from(["handshake", "stateless"]),
    remembered=VERDICTS,
    can_respawn=st.booleans(),
    can_switch=st.booleans(),
)


def walk(setting: Setting, data: st.DataObject) -> list[Step]:
    """Follow a negotiation to its end, answering each step with whatever is drawn."""
    machine = setting.begin()
    steps: list[Step] = [machine.first()]
    while not isinstance(steps[-1], Ready | Fail):
        assert len(steps) <= MOST_STEPS, steps
        step = steps[-1]
        if isinstance(step, Respawn | SwitchToSse):
            steps.append(step.then)
            continue
        if isinstance(step, Initialize) and data.draw(st.booleans()):
            machine.discovered_late(data.draw(st.builds(offering, OFFERS)).result)
        outcome: Outcome = data.draw(TO_PROBE if isinstance(step, Probe) else TO_INITIALIZE)
        steps.append(machine.after(outcome))
    return steps


@given(SETTINGS, st.data())
def test_every_negotiation_ends_after_few_steps_and_repeats_none(setting: Setting, data: st.DataObject) -> None:
    """Whatever comes, in whatever order, it ends; and each step is taken once, a refused version's probe twice."""
    steps = walk(setting, data)
    probes = [step.version for step in steps if isinstance(step, Probe)]
    assert all(probes.count(version) <= 2 for version in probes)
    for kind in (Respawn, SwitchToSse):
        assert sum(isinstance(step, kind) for step in steps) <= 1
    new_transports = sum(isinstance(step, Respawn | SwitchToSse) for step in steps)
    assert sum(isinstance(step, Initialize) for step in steps) <= 1 + new_transports


@given(SETTINGS, st.data())
def test_only_what_was_asked_for_is_agreed_on(setting: Setting, data: st.DataObject) -> None:
    """A pin holds, an era holds, and what is agreed on is a revision that this client speaks."""
    steps = walk(setting, data)
    pinned = revision(setting.pin) if setting.pin else None
    era = pinned.era if pinned else setting.era
    for step in steps:
        if isinstance(step, Probe):
            assert era != "handshake"
            assert step.version in STATELESS_VERSIONS
        elif isinstance(step, Initialize):
            assert era != "stateless"
            assert step.version in HANDSHAKE_VERSIONS
    end = steps[-1]
    if isinstance(end, Ready):
        known = revision(end.agreement.version)
        assert known is not None
        assert known.era == end.agreement.era
        assert era in (None, known.era)
        assert setting.pin in (None, known.version)


@given(st.data())
def test_a_modern_error_never_leads_to_the_handshake_unless_only_that_is_offered(data: st.DataObject) -> None:
    """Whoever answers with -32020, -32021, or -32022 and a stateless version, is never sent `initialize`."""
    machine = Setting(can_respawn=True, can_switch=True).begin()
    step = machine.first()
    while isinstance(step, Probe):
        modern = st.sampled_from([refused(-32020), refused(-32021), refused(-32022, STATELESS)])
        step = machine.after(data.draw(modern))
    assert isinstance(step, Fail)


def test_a_version_that_is_refused_and_listed_all_the_same_is_tried_twice() -> None:
    """One half of a fleet may be updated already; a server that never means it is given up."""
    machine = Setting().begin()
    assert machine.first() == Probe(STATELESS)
    assert machine.after(refused(-32022, STATELESS)) == Probe(STATELESS, patient=True)
    assert isinstance(machine.after(refused(-32022, STATELESS)), Fail)


@pytest.mark.parametrize(
    "outcome", [refused(-32601), refused(-32602), refused(0), SILENT, status(400), status(405), status(500)]
)
def test_any_other_refusal_of_the_probe_leads_to_the_handshake(outcome: Outcome) -> None:
    """The fall-back hangs on no single code."""
    machine = Setting().begin()
    assert isinstance(machine.first(), Probe)
    assert machine.after(outcome) == Initialize(HANDSHAKE)
    assert isinstance(machine.after(initialized("2025-03-26")), Ready)


def test_a_server_that_dies_on_the_probe_is_started_anew_once() -> None:
    """The fresh process is spoken to in the handshake era at once."""
    machine = Setting(can_respawn=True).begin()
    machine.first()
    assert machine.after(DIED) == Respawn(Initialize(HANDSHAKE))
    assert isinstance(machine.after(DIED), Fail)


def test_a_late_discovery_saves_a_handshake_that_fails() -> None:
    """A slow modern server is taken for what it is, though the handshake had been begun."""
    machine = Setting().begin()
    machine.first()
    assert isinstance(machine.after(SILENT), Initialize)
    machine.discovered_late(discovered(STATELESS).result)
    end = machine.after(refused(-32601))
    assert isinstance(end, Ready)
    assert end.agreement.version == STATELESS


@pytest.mark.parametrize("code", [401, 403, 429, 503])
def test_what_is_about_the_caller_or_the_moment_ends_at_once(code: int) -> None:
    """A missing login is no reason to try another era."""
    machine = Setting(can_switch=True).begin()
    machine.first()
    refusal = status(code)
    end = machine.after(refusal)
    assert isinstance(end, Fail)
    assert end.error is refusal.error


def test_a_remembered_handshake_that_fails_is_followed_by_a_probe() -> None:
    """A server that was updated meanwhile is asked anew."""
    machine = Setting(remembered=Verdict(HANDSHAKE, "stdio")).begin()
    assert machine.first() == Initialize(HANDSHAKE)
    assert isinstance(machine.after(refused(-32601)), Probe)
    assert isinstance(machine.after(discovered(STATELESS)), Ready)


def test_the_old_transport_is_tried_where_the_new_one_has_no_endpoint() -> None:
    """HTTP 404 to both eras leads to HTTP+SSE, and its failure would be told as the first refusal."""
    machine = Setting(can_switch=True).begin()
    machine.first()
    machine.after(status(404))
    last = status(404)
    assert machine.after(last) == SwitchToSse(Initialize(HANDSHAKE), last.error)
    assert isinstance(machine.after(initialized("2024-11-05")), Ready)


def test_a_server_without_a_common_version_is_told_what_both_speak() -> None:
    """The error lists the server's versions as values, too."""
    machine = Setting().begin()
    machine.first()
    end = machine.after(refused(-32022, "2099-01-01"))
    assert isinstance(end, Fail)
    assert isinstance(end.error, VersionMismatch)
    assert end.error.supported == ("2099-01-01",)
    assert "2099-01-01" in str(end.error)
    assert STATELESS in str(end.error)


@given(values | st.fixed_dictionaries({"supported": values}))
def test_versions_are_read_from_any_error_data(data: object) -> None:
    """What a server puts there is never trusted to have a shape."""
    assert all(isinstance(version, str) for version in supported_versions(data))
