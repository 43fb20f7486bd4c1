"""Which era a server speaks, decided step by step: a pure machine that is told outcomes and says what to try next.

It sends nothing and waits for nothing; ``server/negotiation.py`` carries its steps out. The law:

    pinned version          only that version is tried
    remembered handshake    initialize → (refused) probe
    otherwise               probe → discovered: stateless, or initialize if only handshake versions are offered
                                  → modern error: probe again at an offered version; initialize only at a version
                                    that the error itself offers, when no stateless one is left to try
                                  → any other refusal, or silence: initialize (a late discovery still counts)
                                  → died on the probe: respawn, then initialize
                            initialize → refused over HTTP with 400, 404 or 405: the old HTTP+SSE transport
                                       → modern error: probe at an offered version

Every step makes progress: no version is probed more than twice (the second time only if the server lists the very
version that it refused, as one half of a fleet under update does), and initialize, respawn and switch happen once at
most.
Source: 2026-07-28 basic/versioning, basic/transports; 2025-11-25 basic/lifecycle.
"""

from __future__ import annotations

import contextlib
from typing import Final, TypeAlias, cast

import msgspec
from msgspec import Struct

from dragoman.errors import DragomanError, HandshakeFailed, InvalidResult, VersionMismatch
from dragoman.protocol.kept import Kept, decode, texts
from dragoman.protocol.types import ServerCapabilities, ServerInfo
from dragoman.protocol.versions import (
    HANDSHAKE_VERSIONS,
    LATEST_HANDSHAKE,
    LATEST_STATELESS,
    STATELESS_VERSIONS,
    Era,
    choose,
    revision,
)

__all__ = [
    "Agreement",
    "Died",
    "DiscoverResult",
    "Discovered",
    "Fail",
    "HttpRefused",
    "Initialize",
    "InitializeResult",
    "Initialized",
    "Negotiation",
    "Outcome",
    "Probe",
    "Ready",
    "Refused",
    "Respawn",
    "Silent",
    "Step",
    "SwitchToSse",
    "Verdict",
    "supported_versions",
]

HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022
_MODERN_ERRORS: Final = frozenset({HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION})
_MOST_PROBES: Final = 2
_NO_SUCH_ENDPOINT: Final = frozenset({400, 404, 405})
_ABOUT_THE_CALLER: Final = frozenset({401, 403, 407, 429, 502, 503, 504})


class DiscoverResult(Kept):
    """The answer to ``server/discover``."""

    supported_versions: tuple[str, ...]
    capabilities: ServerCapabilities
    instructions: str | None = None
    meta: dict[str, msgspec.Raw] | None = msgspec.field(default=None, name="_meta")


class InitializeResult(Kept):
    """The answer to ``initialize``."""

    protocol_version: str
    capabilities: ServerCapabilities
    server_info: ServerInfo
    instructions: str | None = None


class Verdict(Struct, frozen=True):
    """What was agreed last time with a server: reason to try the same first. ``transport`` is the one that worked."""

    version: str
    transport: str


class Agreement(Struct, frozen=True):
    """What both sides agreed on."""

    version: str
    era: Era
    info: ServerInfo
    capabilities: ServerCapabilities
    instructions: str | None


# Steps: what to do next.


class Probe(Struct, frozen=True):
    """Send ``server/discover`` at that version. ``patient``: wait for the answer, since nothing else is left to try."""

    version: str
    patient: bool = False


class Initialize(Struct, frozen=True):
    """Send ``initialize`` proposing that version."""

    version: str


class Respawn(Struct, frozen=True):
    """Open a fresh transport (the process died), then do ``then``."""

    then: Initialize | Probe


class SwitchToSse(Struct, frozen=True):
    """Open the old HTTP+SSE transport at the same address, then do ``then``.

    If it can't be opened, the attempt fails with ``because``: the answer to the newer transport tells more.
    """

    then: Initialize
    because: DragomanError


class Ready(Struct, frozen=True):
    """Done."""

    agreement: Agreement


class Fail(Struct, frozen=True):
    """Give up with that error."""

    error: DragomanError


Step: TypeAlias = Probe | Initialize | Respawn | SwitchToSse | Ready | Fail


# Outcomes: what came of the last step.


class Discovered(Struct, frozen=True):
    """The probe was answered."""

    result: DiscoverResult


class Initialized(Struct, frozen=True):
    """The handshake was answered. ``notifications/initialized`` is the driver's to send."""

    result: InitializeResult


class Refused(Struct, frozen=True):
    """A JSON-RPC error (or an unreadable answer) came. ``supported`` is from the error's data, if it tells."""

    error: DragomanError
    code: int = 0
    supported: tuple[str, ...] = ()


class HttpRefused(Struct, frozen=True):
    """An HTTP status came instead of an answer."""

    error: DragomanError
    status: int


class Silent(Struct, frozen=True):
    """Nothing came in time."""

    error: DragomanError


class Died(Struct, frozen=True):
    """The transport was lost."""

    error: DragomanError


Outcome: TypeAlias = Discovered | Initialized | Refused | HttpRefused | Silent | Died


def supported_versions(data: object) -> tuple[str, ...]:
    """Give the versions that a refusal's ``data`` lists; empty if it lists none."""
    return texts(cast("dict[str, object]", data).get("supported")) if isinstance(data, dict) else ()


class Negotiation:
    """One opening of one conversation. Call `first`, then `after` with each outcome until `Ready` or `Fail`.

    ``can_respawn``: the transport is a process that can be started anew. ``can_switch``: the old HTTP+SSE transport
    may be tried at the same address.
    """

    def __init__(
        self,
        server: str,
        *,
        pin: str | None = None,
        era: Era | None = None,
        remembered: Verdict | None = None,
        can_respawn: bool = False,
        can_switch: bool = False,
    ) -> None:
        self._server = server
        self._pin = pin
        pinned = revision(pin) if pin else None
        self._era = pinned.era if pinned else era
        self._remembered = revision(remembered.version) if remembered else None
        self._can_respawn = can_respawn
        self._can_switch = can_switch
        self._probed: list[str] = []
        self._initialized = False
        self._switched = False
        self._late: DiscoverResult | None = None
        self._last: Probe | Initialize | None = None

    def first(self) -> Step:
        """Give the opening step."""
        remembers_handshake = self._remembered is not None and self._remembered.era == "handshake"
        if self._era == "handshake" or (self._era is None and remembers_handshake):
            return self._initialize()
        return self._probe(self._pin or LATEST_STATELESS)

    def after(self, outcome: Outcome) -> Step:
        """Give the step that follows an outcome of the last `Probe` or `Initialize`."""
        match outcome:
            case Discovered():
                return self._discovered(outcome.result)
            case Initialized():
                return self._agreed(outcome.result)
            case HttpRefused() if outcome.status in _ABOUT_THE_CALLER:
                return Fail(outcome.error)
            case _ if isinstance(self._last, Initialize):
                return self._initialize_failed(outcome)
            case _:
                return self._probe_failed(outcome)

    def discovered_late(self, result: DiscoverResult) -> None:
        """Take note that the probe was answered after the handshake had been begun."""
        self._late = result

    def _discovered(self, result: DiscoverResult) -> Step:
        version = self._choose_stateless(result.supported_versions)
        if version is not None:
            return Ready(_stateless_agreement(version, result))
        return self._without_stateless(result.supported_versions)

    def _choose_stateless(self, offered: tuple[str, ...]) -> str | None:
        if self._pin is not None:
            return self._pin if self._pin in offered and self._pin in STATELESS_VERSIONS else None
        return None if self._era == "handshake" else choose(offered, "stateless")

    def _without_stateless(self, offered: tuple[str, ...]) -> Step:
        if self._era != "stateless" and not self._initialized and choose(offered, "handshake") is not None:
            return self._initialize(choose(offered, "handshake"))
        return Fail(self._mismatch(offered))

    def _agreed(self, result: InitializeResult) -> Step:
        version = result.protocol_version
        wanted = HANDSHAKE_VERSIONS if self._pin is None else (self._pin,)
        if version not in wanted or self._era == "stateless":
            return self._discovered(self._late) if self._late else Fail(self._mismatch((version,)))
        return Ready(Agreement(version, "handshake", result.server_info, result.capabilities, result.instructions))

    def _probe_failed(self, outcome: Refused | HttpRefused | Silent | Died) -> Step:
        if isinstance(outcome, Refused) and outcome.code in _MODERN_ERRORS:
            return self._modern_refusal(outcome)
        if self._era == "stateless" or self._initialized:
            return Fail(self._failure(outcome.error))
        if isinstance(outcome, Died):
            return self._respawn(outcome)
        return self._initialize()

    def _modern_refusal(self, refusal: Refused) -> Step:
        if refusal.code != UNSUPPORTED_VERSION:
            return Fail(self._failure(refusal.error))
        wanted = STATELESS_VERSIONS if self._pin is None else (self._pin,)
        listed = [version for version in wanted if version in refusal.supported]
        for version in sorted(listed, key=self._probed.count):
            if self._probed.count(version) < _MOST_PROBES:
                return self._probe(version)
        return self._without_stateless(refusal.supported)

    def _initialize_failed(self, outcome: Refused | HttpRefused | Silent | Died) -> Step:
        if self._late is not None:
            return self._discovered(self._late)
        if isinstance(outcome, HttpRefused) and outcome.status in _NO_SUCH_ENDPOINT and self._can_switch:
            self._can_switch = False
            self._switched = True
            return SwitchToSse(self._again(Initialize(self._pin or LATEST_HANDSHAKE)), outcome.error)
        if self._era is not None or isinstance(outcome, Died):
            return Fail(self._failure(outcome.error))
        if isinstance(outcome, Refused) and outcome.code == UNSUPPORTED_VERSION:
            return self._modern_refusal(outcome)
        if self._probed or self._switched:
            return Fail(self._failure(outcome.error))
        return self._probe(LATEST_STATELESS)

    def _respawn(self, outcome: Died) -> Step:
        if not self._can_respawn:
            return Fail(self._failure(outcome.error))
        self._can_respawn = False
        self._initialized = True
        return Respawn(self._again(Initialize(self._pin or LATEST_HANDSHAKE)))

    def _probe(self, version: str) -> Probe:
        patient = self._era == "stateless" or self._initialized or bool(self._probed)
        self._probed.append(version)
        self._last = Probe(version, patient)
        return self._last

    def _initialize(self, version: str | None = None) -> Initialize:
        self._initialized = True
        return self._again(Initialize(self._pin or version or LATEST_HANDSHAKE))

    def _again(self, step: Initialize) -> Initialize:
        self._last = step
        return step

    def _mismatch(self, offered: tuple[str, ...]) -> VersionMismatch:
        eras = {"stateless": STATELESS_VERSIONS, "handshake": HANDSHAKE_VERSIONS}
        wanted = self._pin or ", ".join(eras[self._era] if self._era else STATELESS_VERSIONS + HANDSHAKE_VERSIONS)
        told = ", ".join(offered) or "none"
        return VersionMismatch(
            f"no common protocol version: it offers {told}, wanted is {wanted}", supported=offered, server=self._server
        )

    def _failure(self, error: DragomanError) -> DragomanError:
        """Give an error that says that no conversation came about; kinds that already say so pass as they are."""
        if error.code.startswith(("connect.", "config.", "auth.", "http.", "call.timeout")):
            return error
        failure = HandshakeFailed(f"the handshake failed: {error.what}", server=self._server)
        failure.__cause__ = error
        return failure


def _stateless_agreement(version: str, result: DiscoverResult) -> Agreement:
    raw = (result.meta or {}).get("io.modelcontextprotocol/serverInfo")
    info = ServerInfo()
    if raw is not None:
        # What a server says of itself is for show: nothing depends on it.
        with contextlib.suppress(InvalidResult):
            info = decode(ServerInfo, raw, "the server's identity")
    return Agreement(version, "stateless", info, result.capabilities, result.instructions)
