"""The values that the whole house shares: what a hub says of a server.

Pure and frozen; they know neither the protocol nor the configuration. Times named ``…_at`` and ``since`` are seconds
since the epoch, durations are seconds.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["ServerState", "ServerStatus"]

#: - ``configured``: known, not started: it starts on use, waits for its turn, or was idle.
#: - ``connecting``: an attempt is under way.
#: - ``ready``: connected.
#: - ``degraded``: connected, but its last health check, listing or calls failed.
#: - ``waiting``: lost or not reached; the next attempt is at ``retry_at``.
#: - ``needs_login``: it wants to know who asks.
#: - ``failed``: it can't work as it is configured; only a change or a restart helps.
#: - ``stopped``: stopped by whoever holds the hub, or with the hub.
#: - ``disabled``: switched off in the configuration.
ServerState: TypeAlias = Literal[
    "configured", "connecting", "ready", "degraded", "waiting", "needs_login", "failed", "stopped", "disabled"
]


class ServerStatus(Struct, frozen=True, kw_only=True):
    """How one server of a hub is.

    ``reason`` says in a sentence why it is in this ``state``, ``code`` is the error's code if an error is the reason.
    ``since`` is when it came into this state, ``connected_at`` when the standing connection came about (None: there is
    none), ``retry_at`` when the next attempt is due (None: none is). ``failures`` counts failed attempts in a row,
    ``connections`` how often a connection came about, ``in_flight`` the calls under way now. ``transport``,
    ``protocol_version`` and ``era`` are what was agreed; empty while nothing is. ``tools`` counts its listed tools.
    As text (`str`), it is one line for people.
    """

    name: str
    state: ServerState
    reason: str = ""
    code: str = ""
    since: float
    connected_at: float | None = None
    retry_at: float | None = None
    failures: int = 0
    connections: int = 0
    in_flight: int = 0
    tools: int = 0
    transport: str = ""
    protocol_version: str = ""
    era: str = ""

    def __str__(self) -> str:
        told = f"{self.name}: {self.state.replace('_', ' ')}"
        if self.reason:
            told += f" ({self.reason})"
        if self.transport:
            told += f", {self.tools} tools, {self.transport}, {self.protocol_version}"
        return told
