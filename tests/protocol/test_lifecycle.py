"""The negotiation: which step follows which outcome, and that every opening comes to an end."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dragoman.errors import (
    HTTP_ERRORS,
    CannotConnect,
    ConnectionLost,
    DragomanError,
    HandshakeFailed,
    HttpError,
    InvalidResult,
    OutcomeUnknown,
    RequestTimeout,
    ServerError,
    ServerExited,
    VersionMismatch,
)
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
from dragoman.protocol.versions import HANDSHAKE_VERSIONS, STATELESS_VERSIONS, choose, revision

STATELESS = "2026-07-28"
HANDSHAKE = "2025-11-25"
OLD = "2024-11-05"
UNKNOWN = "2099-01-01"
UNSUPPORTED = -32022


# Outcomes.


def discovered(*versions: str, meta: dict[str, Any] | None = None) -> Discovered:
    """The probe is answered with that offer."""
    wire: dict[str, Any] = {
        "supportedVersions": versions,
        "capabilities": {"tools": {}},
        "instructions": "look",
        "_meta": meta,
    }
    return Discovered(decode(DiscoverResult, json.dumps(wire).encode(), "it"))


def initialized(version: str) -> Initialized:
    """The handshake is answered at that version."""
    wire: dict[str, Any] = {
        "protocolVersion": version,
        "capabilities": {"logging": {}},
        "serverInfo": {"name": "s", "version": "1"},
    }
    return Initialized(decode(InitializeResult, json.dumps(wire).encode(), "it"))


def refused(code: int = -32601, *supported: str) -> Refused:
    """A JSON-RPC error comes."""
    return Refused(ServerError("refused", rpc_code=code), code, supported)


def http(status: int) -> HttpRefused:
    """An HTTP status comes."""
    return HttpRefused(HTTP_ERRORS.get(status, HttpError)("refused", status=status), status)


def silent() -> Silent:
    """Nothing comes."""
    return Silent(RequestTimeout("nothing came"))


def died(error: DragomanError | None = None) -> Died:
    """The transport is lost."""
    return Died(error or ConnectionLost("it broke"))


UNREADABLE = Refused(InvalidResult("no DiscoverResult"))
OTHER_REFUSALS: list[Outcome] = [
    *(refused(code) for code in (-32601, -32602, -32600, 0)),
    *(http(status) for status in (400, 404, 405, 418, 500)),
    UNREADABLE,
    silent(),
]


def taken(machine: Negotiation, *outcomes: Outcome) -> list[Step]:
    """The steps that a machine takes, told these outcomes one after the other."""
    return [machine.first(), *map(machine.after, outcomes)]


def last(machine: Negotiation, *outcomes: Outcome) -> Step:
    """The step that follows the last of these outcomes."""
    return taken(machine, *outcomes)[-1]


def failure(machine: Negotiation, *outcomes: Outcome) -> DragomanError:
    """The error with which an opening ends."""
    step = last(machine, *outcomes)
    assert isinstance(step, Fail)
    return step.error


# The ways to a conversation.


def test_a_stateless_server_is_ready_after_one_question() -> None:
    """What it said of itself comes with the agreement."""
    step = last(Negotiation("s"), discovered(HANDSHAKE, STATELESS, UNKNOWN))
    assert isinstance(step, Ready)
    agreement = step.agreement
    assert (agreement.version, agreement.era, agreement.instructions) == (STATELESS, "stateless", "look")
    assert (agreement.capabilities.tools, agreement.info.name) == ({}, "")


def test_who_a_stateless_server_is_stands_in_its_metadata() -> None:
    """With all its bytes; a broken one costs nothing."""
    name = "io.modelcontextprotocol/serverInfo"
    step = last(Negotiation("s"), discovered(STATELESS, meta={name: {"name": "n", "version": "1", "novel": 2}}))
    assert isinstance(step, Ready)
    assert (step.agreement.info.name, step.agreement.info.extra) == ("n", {"novel": 2})
    broken = last(Negotiation("s"), discovered(STATELESS, meta={name: {"name": 5}}))
    assert isinstance(broken, Ready)
    assert broken.agreement.info.name == ""


@pytest.mark.parametrize("outcome", OTHER_REFUSALS, ids=repr)
def test_whatever_else_the_probe_meets_leads_to_the_handshake(outcome: Outcome) -> None:
    """The fallback is keyed to no code, status or silence in particular."""
    steps = taken(Negotiation("s"), outcome, initialized(HANDSHAKE))
    assert steps[:2] == [Probe(STATELESS), Initialize(HANDSHAKE)]
    assert isinstance(steps[2], Ready)
    assert (steps[2].agreement.version, steps[2].agreement.era) == (HANDSHAKE, "handshake")


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
def test_an_older_version_in_the_handshake_is_agreed_to(version: str) -> None:
    """The server chooses."""
    step = last(Negotiation("s"), silent(), initialized(version))
    assert isinstance(step, Ready)
    assert step.agreement.version == version
    assert step.agreement.capabilities.logging == {}


@pytest.mark.parametrize("offer", [discovered(OLD, HANDSHAKE), refused(UNSUPPORTED, UNKNOWN, OLD, HANDSHAKE)])
def test_a_server_that_offers_only_handshakes_gets_the_newest(offer: Outcome) -> None:
    """It said itself that it speaks them."""
    assert last(Negotiation("s"), offer) == Initialize(HANDSHAKE)


def test_a_modern_error_is_followed_by_a_probe_at_an_offered_version() -> None:
    """Even at the version just refused, once: one half of a fleet may be newer than the other."""
    machine = Negotiation("s")
    again = refused(UNSUPPORTED, HANDSHAKE, STATELESS)
    assert [type(step) for step in taken(machine, again, discovered(STATELESS))] == [Probe, Probe, Ready]


@pytest.mark.parametrize("outcome", [refused(code, HANDSHAKE) for code in (-32020, -32021)], ids=repr)
def test_other_modern_errors_fail_at_once(outcome: Refused) -> None:
    """Only a refused version has another to be tried instead."""
    assert failure(Negotiation("s"), outcome).__cause__ is outcome.error


@pytest.mark.parametrize("supported", [(), (UNKNOWN,), (STATELESS,), (UNKNOWN, STATELESS)])
def test_a_modern_error_that_offers_no_handshake_never_leads_to_one(supported: tuple[str, ...]) -> None:
    """A server that knows such errors is modern; guessing that it also speaks an older era is not for us."""
    machine = Negotiation("s", can_respawn=True, can_switch=True)
    steps = [machine.first()]
    while not isinstance(steps[-1], Fail):
        assert isinstance(steps[-1], Probe)
        steps.append(machine.after(refused(UNSUPPORTED, *supported)))
    assert isinstance(steps[-1].error, VersionMismatch)
    assert len(steps) <= 3


def test_a_stateless_version_is_tried_before_a_handshake_that_is_offered_beside_it() -> None:
    """Twice, and then the server's own other offer is taken."""
    machine = Negotiation("s")
    offer = refused(UNSUPPORTED, STATELESS, HANDSHAKE)
    steps = taken(machine, offer, offer)
    assert [type(step) for step in steps] == [Probe, Probe, Initialize]


def test_a_process_that_dies_of_the_probe_is_started_anew_once() -> None:
    """Some servers exit when they are asked what they don't know."""
    machine = Negotiation("s", can_respawn=True)
    exited = ServerExited("it ended", returncode=1)
    assert taken(machine, died()) == [Probe(STATELESS), Respawn(Initialize(HANDSHAKE))]
    step = machine.after(died(exited))
    assert isinstance(step, Fail)
    assert step.error is exited


@pytest.mark.parametrize("error", [ConnectionLost("it broke"), OutcomeUnknown("the answer was lost")])
def test_what_can_not_be_started_anew_fails_as_an_opening(error: DragomanError) -> None:
    """Nobody has to guess whether the opening took effect."""
    told = failure(Negotiation("s"), died(error))
    assert isinstance(told, HandshakeFailed)
    assert told.__cause__ is error


@pytest.mark.parametrize("status", [400, 404, 405])
def test_an_address_that_knows_no_post_is_tried_as_the_old_transport(status: int) -> None:
    """Once, after the handshake was refused there."""
    machine = Negotiation("s", can_switch=True)
    steps = taken(machine, http(status), http(status))
    assert steps[:2] == [Probe(STATELESS), Initialize(HANDSHAKE)]
    assert isinstance(steps[2], SwitchToSse)
    assert steps[2].then == Initialize(HANDSHAKE)
    assert isinstance(machine.after(http(status)), Fail)


@pytest.mark.parametrize("status", [500, 418, 301])
def test_other_statuses_do_not_mean_the_old_transport(status: int) -> None:
    """A server that is broken is not taken for an old one."""
    assert isinstance(last(Negotiation("s", can_switch=True), http(500), http(status)), Fail)


@pytest.mark.parametrize("status", [401, 403, 407, 429, 502, 503, 504])
@pytest.mark.parametrize("before", [[], [silent()]])
def test_a_status_about_the_caller_fails_at_once(status: int, before: list[Outcome]) -> None:
    """Asking otherwise would not help; the error says what would."""
    outcome = http(status)
    assert failure(Negotiation("s", can_switch=True, can_respawn=True), *before, outcome) is outcome.error


# Late discoveries.


@pytest.mark.parametrize("outcome", [refused(), silent(), http(404), http(500), died(), initialized(UNKNOWN)], ids=repr)
def test_a_late_discovery_rescues_a_failed_handshake(outcome: Outcome) -> None:
    """The server was only slow."""
    machine = Negotiation("s", can_switch=True)
    taken(machine, silent())
    machine.discovered_late(discovered(STATELESS).result)
    step = machine.after(outcome)
    assert isinstance(step, Ready)
    assert step.agreement.era == "stateless"


def test_a_handshake_that_came_about_stays_despite_a_late_discovery() -> None:
    """The conversation stands already."""
    machine = Negotiation("s")
    taken(machine, silent())
    machine.discovered_late(discovered(STATELESS).result)
    step = machine.after(initialized(HANDSHAKE))
    assert isinstance(step, Ready)
    assert step.agreement.era == "handshake"


def test_a_late_discovery_without_a_common_version_ends_it() -> None:
    """The handshake was tried already."""
    machine = Negotiation("s")
    taken(machine, silent())
    machine.discovered_late(discovered(UNKNOWN, HANDSHAKE).result)
    step = machine.after(refused())
    assert isinstance(step, Fail)
    assert isinstance(step.error, VersionMismatch)


def test_a_slow_modern_server_that_refuses_the_handshake_is_asked_again() -> None:
    """Its refusal names the version, as modern servers should."""
    machine = Negotiation("s")
    steps = taken(machine, silent(), refused(UNSUPPORTED, STATELESS), discovered(STATELESS))
    assert [type(step) for step in steps] == [Probe, Initialize, Probe, Ready]
    assert isinstance(steps[2], Probe)
    assert steps[2].patient


# What is remembered, and what is pinned.


def test_a_remembered_handshake_is_begun_with() -> None:
    """No probe is spent on a server that is known."""
    machine = Negotiation("s", remembered=Verdict(OLD, "stdio"))
    steps = taken(machine, initialized(OLD))
    assert steps[0] == Initialize(HANDSHAKE)
    assert isinstance(steps[1], Ready)


@pytest.mark.parametrize("outcome", [refused(), refused(-32020), silent(), http(500), http(404)], ids=repr)
def test_a_remembered_handshake_that_does_not_hold_is_asked_about(outcome: Outcome) -> None:
    """The server may have been updated."""
    machine = Negotiation("s", remembered=Verdict(HANDSHAKE, "streamable_http"))
    steps = taken(machine, outcome, discovered(STATELESS))
    assert [type(step) for step in steps] == [Initialize, Probe, Ready]


def test_a_remembered_handshake_refused_with_a_modern_error_is_followed_at_its_version() -> None:
    """The refusal says what to ask for."""
    machine = Negotiation("s", remembered=Verdict(HANDSHAKE, "stdio"))
    steps = taken(machine, refused(UNSUPPORTED, STATELESS), discovered(STATELESS))
    assert [type(step) for step in steps] == [Initialize, Probe, Ready]


def test_the_old_transport_is_not_probed() -> None:
    """It never spoke the stateless era, so waiting for an answer would be in vain."""
    machine = Negotiation("s", remembered=Verdict(HANDSHAKE, "streamable_http"), can_switch=True)
    assert [type(step) for step in taken(machine, http(404), silent())] == [Initialize, SwitchToSse, Fail]


@pytest.mark.parametrize("remembered", [Verdict(STATELESS, "stdio"), Verdict(UNKNOWN, "stdio"), None])
def test_anything_else_remembered_begins_with_the_probe(remembered: Verdict | None) -> None:
    """A verdict of another program's version of this table is no obstacle."""
    assert Negotiation("s", remembered=remembered).first() == Probe(STATELESS)


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
def test_a_pinned_handshake_is_proposed_and_insisted_on(version: str) -> None:
    """Another version is no agreement."""
    assert Negotiation("s", pin=version).first() == Initialize(version)
    assert isinstance(last(Negotiation("s", pin=version), initialized(version)), Ready)
    other = next(each for each in HANDSHAKE_VERSIONS if each != version)
    error = failure(Negotiation("s", pin=version), initialized(other))
    assert isinstance(error, VersionMismatch)
    assert error.supported == (other,)
    assert version in str(error)


def test_a_pinned_stateless_version_is_insisted_on() -> None:
    """A server that does not list it is no match."""
    assert isinstance(last(Negotiation("s", pin=STATELESS), discovered(STATELESS)), Ready)
    assert isinstance(failure(Negotiation("s", pin=STATELESS), discovered(UNKNOWN, HANDSHAKE)), VersionMismatch)


@pytest.mark.parametrize(
    ("machine", "wanted", "unwanted"),
    [
        (Negotiation("s", era="stateless"), STATELESS_VERSIONS, HANDSHAKE_VERSIONS),
        (Negotiation("s"), STATELESS_VERSIONS + HANDSHAKE_VERSIONS, ()),
        (Negotiation("s", pin=STATELESS), STATELESS_VERSIONS, HANDSHAKE_VERSIONS),
    ],
)
def test_a_mismatch_tells_both_sides_versions(
    machine: Negotiation, wanted: tuple[str, ...], unwanted: tuple[str, ...]
) -> None:
    """Whoever reads it knows which side to change."""
    error = failure(machine, discovered(UNKNOWN))
    assert isinstance(error, VersionMismatch)
    assert (error.server, error.supported) == ("s", (UNKNOWN,))
    assert all(version in error.what for version in (*wanted, UNKNOWN))
    assert not any(version in error.what for version in unwanted)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (refused(-32603), HandshakeFailed),
        (UNREADABLE, HandshakeFailed),
        (silent(), RequestTimeout),
        (http(500), HttpError),
        (died(), HandshakeFailed),
        (died(ServerExited("it ended")), ServerExited),
        (died(CannotConnect("nobody there")), CannotConnect),
    ],
)
def test_a_failed_opening_says_that_it_was_one(outcome: Outcome, kind: type[DragomanError]) -> None:
    """What already says so passes; the rest is wrapped, with its cause."""
    error = failure(Negotiation("s", era="handshake"), outcome)
    assert type(error) is kind
    assert error.__cause__ in (None, getattr(outcome, "error", None))


@pytest.mark.parametrize(
    ("data", "versions"),
    [
        ({"supported": ["a", 5, None, "b"]}, ("a", "b")),
        ({"supported": "a"}, ()),
        ({"supported": None}, ()),
        ({}, ()),
        (["a"], ()),
        ("a", ()),
        (None, ()),
    ],
)
def test_the_versions_of_a_refusal_are_read_from_whatever_it_carries(data: object, versions: tuple[str, ...]) -> None:
    """The data of an error is the server's own."""
    assert supported_versions(data) == versions


# Any outcomes in any order.

offers = st.lists(st.sampled_from([STATELESS, *HANDSHAKE_VERSIONS, UNKNOWN, ""]), max_size=4)
codes = st.sampled_from([-32020, -32021, UNSUPPORTED, -32601, 0])
outcomes = st.one_of(
    offers.map(lambda offer: discovered(*offer)),
    st.sampled_from([STATELESS, *HANDSHAKE_VERSIONS, UNKNOWN]).map(initialized),
    st.builds(lambda code, offer: refused(code, *offer), codes, offers),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    st.sampled_from([400, 401, 403, 404, 405, 407, 418, 429, 500, 502, 503, 504]).map(http),
    st.builds(silent),
    st.sampled_from([ConnectionLost("it broke"), ServerExited("it ended"), OutcomeUnknown("lost")]).map(died),
)
machines = st.fixed_dictionaries(
    {
        "pin": st.sampled_from([None, STATELESS, *HANDSHAKE_VERSIONS]),
        "remembered": st.none() | st.sampled_from([STATELESS, HANDSHAKE, OLD, UNKNOWN]).map(lambda v: Verdict(v, "t")),
        "can_respawn": st.booleans(),
        "can_switch": st.booleans(),
    }
).flatmap(
    lambda told: st.sampled_from([None, "handshake", "stateless"] if told["pin"] is None else [None]).map(
        lambda era: {**told, "era": era}
    )
)
LONGEST = 6
"""Steps that are sent to a server in one opening, at most."""


def asked(step: Step) -> Probe | Initialize | None:
    """What a step sends to the server."""
    if isinstance(step, Respawn | SwitchToSse):
        return step.then
    return step if isinstance(step, Probe | Initialize) else None


@settings(max_examples=1000)
@given(machines, st.lists(st.tuples(outcomes, st.none() | offers), min_size=LONGEST, max_size=LONGEST))
@example({"can_respawn": True}, [(died(), None)] * LONGEST)
@example({"can_switch": True}, [(http(404), None)] * LONGEST)
@example({}, [(refused(UNSUPPORTED, STATELESS), None)] * LONGEST)
@example({"era": "stateless"}, [(initialized(HANDSHAKE), None)] * LONGEST)
@example({"era": "handshake"}, [(discovered(STATELESS), None)] * LONGEST)
@example({"remembered": Verdict(OLD, "t"), "can_switch": True}, [(http(400), [])] * LONGEST)
def test_every_opening_ends_and_keeps_the_law(
    told: dict[str, Any], events: list[tuple[Outcome, list[str] | None]]
) -> None:
    """Whatever the server does, in whatever order, and whenever a late discovery comes in."""
    machine = Negotiation("s", **told)
    steps: list[Step] = [machine.first()]
    met: list[Outcome] = []
    for outcome, late in events:
        if isinstance(steps[-1], Ready | Fail):
            break
        if late is not None:
            machine.discovered_late(discovered(*late).result)
        met.append(outcome)
        steps.append(machine.after(outcome))
    assert isinstance(steps[-1], Ready | Fail)
    assert_lawful(steps, met, told)
    assert_end(steps[-1], met[-1], told)


def assert_lawful(steps: list[Step], met: list[Outcome], told: dict[str, Any]) -> None:
    """Check what was sent, and what followed on what."""
    pinned = revision(told["pin"]) if told.get("pin") else None
    era = pinned.era if pinned else told.get("era")
    sent = [each for step in steps if (each := asked(step)) is not None]
    kinds = Counter(type(step) for step in steps)
    assert kinds[Respawn] <= told.get("can_respawn", False)
    assert kinds[SwitchToSse] <= told.get("can_switch", False)
    assert kinds[Initialize] + kinds[Respawn] <= 1
    assert era != "stateless" or all(isinstance(step, Probe) for step in sent)
    assert era != "handshake" or all(isinstance(step, Initialize) for step in sent)
    assert told.get("pin") is None or {step.version for step in sent} == {told["pin"]}
    probed: Counter[str] = Counter()
    for step, outcome, following in zip(steps, met, steps[1:], strict=False):
        if isinstance(step, Probe):
            probed[step.version] += 1
        assert_follows(asked(step), outcome, following, probed)
    assert all(version in STATELESS_VERSIONS and count <= 2 for version, count in probed.items())


def assert_follows(step: Probe | Initialize | None, outcome: Outcome, then: Step, probed: Counter[str]) -> None:
    """Check one step by what came before; `probed` counts the probes at each version so far."""
    if isinstance(outcome, HttpRefused) and outcome.status in (401, 403, 407, 429, 502, 503, 504):
        assert isinstance(then, Fail)
        assert then.error is outcome.error
    if isinstance(then, Probe) and probed[then.version]:
        assert isinstance(outcome, Refused)
        assert then.version in outcome.supported
    if isinstance(then, Respawn):
        assert isinstance(outcome, Died)
    if isinstance(then, SwitchToSse):
        assert isinstance(outcome, HttpRefused)
        assert outcome.status in (400, 404, 405)
    if isinstance(step, Probe) and isinstance(outcome, Refused) and outcome.code in (-32020, -32021, UNSUPPORTED):
        assert isinstance(then, Probe | Initialize | Fail)
        if isinstance(then, Initialize):
            assert outcome.code == UNSUPPORTED
            assert then.version == choose(outcome.supported, "handshake")
            assert all(probed[version] == 2 for version in STATELESS_VERSIONS if version in outcome.supported)


def assert_end(step: Step, outcome: Outcome, told: dict[str, Any]) -> None:
    """Check what was agreed, or why not."""
    if isinstance(step, Ready):
        agreed = revision(step.agreement.version)
        assert agreed is not None
        assert step.agreement.era == agreed.era
        assert told.get("pin") in (None, agreed.version)
        assert told.get("era") in (None, agreed.era)
    else:
        assert isinstance(step, Fail)
        assert step.error.code.startswith(("connect.", "auth.", "http.", "call.timeout"))
        assert not isinstance(outcome, Silent) or isinstance(step.error, RequestTimeout | VersionMismatch)
