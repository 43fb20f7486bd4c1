"""Opens a conversation: carries out the steps that `protocol.lifecycle` decides, over real transports.

It owns the transport until the conversation stands; whatever fails on the way is closed before the error is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from asyncio import Task
from collections.abc import Callable
from typing import Final

from msgspec import Raw, structs

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    ConnectionLost,
    DragomanError,
    HandshakeFailed,
    HttpError,
    OutcomeUnknown,
    ProtocolError,
    RequestTimeout,
    ServerError,
    ServerExited,
)
from dragoman.protocol.jsonrpc import encode
from dragoman.protocol.kept import decode
from dragoman.protocol.lifecycle import (
    Agreement,
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
from dragoman.protocol.metadata import ClientInfo, RequestMetadata
from dragoman.protocol.versions import choose
from dragoman.server.callbacks import Callbacks
from dragoman.server.connection import Connection
from dragoman.transports.base import Transport

__all__ = ["Opening", "reinitialize"]

log: Final = logging.getLogger("dragoman")

#: How long (seconds) the reason of a failed write is waited for.
_REASON_GRACE: Final = 0.5

OpenTransport = Callable[[ServerConfig], Transport]


class Opening:
    """One attempt to open a conversation with one server.

    ``open_transport`` makes a fresh transport for a configuration; it is called again to respawn or to switch.
    ``last_words`` is what a failed attempt's process last wrote to stderr.
    """

    def __init__(
        self, config: ServerConfig, callbacks: Callbacks, client: ClientInfo, open_transport: OpenTransport
    ) -> None:
        self._config = config
        self._callbacks = callbacks
        self._client = client
        self._open_transport = open_transport
        self._connection: Connection | None = None
        self._probe: Task[Raw] | None = None
        self.last_words = ""

    async def run(self, remembered: Verdict | None) -> tuple[Connection, Agreement]:
        """Open, negotiate, and give the standing connection with what was agreed.

        Raises:
            DragomanError: no conversation came about; nothing is left running.
        """
        config = self._config
        if remembered is not None and remembered.transport == "sse" and config.transport == "streamable_http":
            config = structs.replace(config, transport="sse")
        machine = Negotiation(
            config.name,
            pin=config.protocol_version,
            era=config.era,
            remembered=remembered,
            can_respawn=config.transport in ("stdio", "websocket"),
            can_switch=config.transport == "streamable_http" and config.era != "stateless",
        )
        if config.transport == "sse" and config.era is None and config.protocol_version is None:
            # The old transport never speaks the stateless era, so asking would only cost time.
            machine = Negotiation(config.name, era="handshake")
        try:
            connection = await self._fresh(config)
            agreement = await self._follow(machine, machine.first())
        except BaseException:
            await self._drop()
            raise
        finally:
            self._end_probe()
        connection = self._connection or connection
        connection.opening = False
        return connection, agreement

    async def _follow(self, machine: Negotiation, step: Step) -> Agreement:
        while True:
            match step:
                case Ready():
                    await self._settle(step.agreement)
                    return step.agreement
                case Fail():
                    raise step.error
                case Respawn():
                    log.debug("%s: ended when asked for the stateless era; starting it anew", self._config.name)
                    await self._drop()
                    await self._fresh(self._config)
                    step = step.then
                case SwitchToSse():
                    await self._switch(step)
                    step = step.then
                case Probe():
                    step = machine.after(await self._try_probe(step))
                case Initialize():
                    step = machine.after(await self._try_initialize(step, machine))

    async def _switch(self, step: SwitchToSse) -> None:
        await self._drop()
        try:
            await self._fresh(structs.replace(self._config, transport="sse"))
        except DragomanError as error:
            raise step.because from error

    async def _fresh(self, config: ServerConfig) -> Connection:
        connection = Connection(config, self._open_transport(config), self._callbacks, self._client)
        self._connection = connection
        await connection.transport.open(connection)
        return connection

    async def _drop(self) -> None:
        self._end_probe()
        connection, self._connection = self._connection, None
        if connection is not None:
            self.last_words = connection.transport.last_words()
            await connection.aclose()

    def _end_probe(self) -> None:
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.cancel()

    async def _try_probe(self, step: Probe) -> Outcome:
        """Ask for the stateless era, mostly for a short while only; a slow answer is still heard later."""
        connection = self._standing()
        metadata = RequestMetadata(step.version, self._client, self._callbacks.offers())
        patience = self._config.connect_timeout
        probe = asyncio.create_task(
            connection.request("server/discover", timeout=patience, metadata=metadata), name="dragoman probe"
        )
        self._probe = probe
        wait = patience if step.patient else min(self._config.probe_timeout, patience)
        await asyncio.wait({probe}, timeout=wait)
        if not probe.done():
            return Silent(RequestTimeout(f"no answer to server/discover within {wait:g} s", timeout=wait))
        self._probe = None
        return await self._explained(_outcome(probe, DiscoverResult, Discovered))

    async def _try_initialize(self, step: Initialize, machine: Negotiation) -> Outcome:
        connection = self._standing()
        attempt = asyncio.create_task(
            _initialize(connection, step.version),
            name="dragoman handshake",
        )
        try:
            await self._wait_for_handshake(attempt)
        except BaseException:
            attempt.cancel()
            raise
        if self._probe is not None and self._probe.done():
            late, self._probe = _outcome(self._probe, DiscoverResult, Discovered), None
            if isinstance(late, Discovered):
                machine.discovered_late(late.result)
        return await self._explained(_outcome(attempt, InitializeResult, Initialized))

    async def _explained(self, outcome: Outcome) -> Outcome:
        """Give a death with its reason: a write may fail a moment before the transport knows why it did."""
        connection = self._standing()
        if not isinstance(outcome, Died) or connection.transport.exchanges:
            return outcome
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REASON_GRACE):
                await connection.wait_ended()
        return Died(connection.ended or outcome.error)

    async def _wait_for_handshake(self, attempt: Task[Raw]) -> None:
        """Wait for the handshake's answer; once the probe has been answered after all, only a short while longer."""
        probe = self._probe
        if probe is not None:
            await asyncio.wait({attempt, probe}, return_when=asyncio.FIRST_COMPLETED)
            if probe.done() and _offers_stateless(probe):
                await asyncio.wait({attempt}, timeout=self._config.probe_timeout)
                attempt.cancel()
        await asyncio.wait({attempt})

    def _standing(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("a step was taken without a connection")
        return self._connection

    async def _settle(self, agreement: Agreement) -> None:
        connection = self._standing()
        self._end_probe()
        connection.transport.negotiated(agreement.version)
        if agreement.era == "stateless":
            connection.metadata = RequestMetadata(agreement.version, self._client, self._callbacks.offers())
            connection.tells_cancellation = not connection.transport.exchanges
            connection.answers_questions = False
            return
        try:
            await connection.notify_and_wait("notifications/initialized")
        except (OutcomeUnknown, ConnectionLost, ProtocolError) as error:
            what = f"the handshake broke off at its last message: {error.what}"
            raise HandshakeFailed(what, server=self._config.name) from error


async def reinitialize(connection: Connection, version: str) -> None:
    """Begin a new HTTP session on a connection whose session the server has dropped.

    Raises:
        DragomanError: the handshake failed, or the server now wants another version.
    """
    raw = await _initialize(connection, version)
    result = decode(InitializeResult, raw, "the answer to initialize")
    if result.protocol_version != version:
        raise ConnectionLost(f"the server came back with protocol version {result.protocol_version}, not {version}")
    connection.transport.negotiated(version)
    await connection.notify_and_wait("notifications/initialized")


async def _initialize(connection: Connection, version: str) -> Raw:
    members = {
        "protocolVersion": version,
        "capabilities": connection.callbacks.offers().capabilities(stateless=False),
        "clientInfo": connection.client,
    }
    return await connection.request("initialize", encode(members)[1:-1], timeout=connection.config.connect_timeout)


def _outcome(
    task: Task[Raw],
    kind: type[DiscoverResult | InitializeResult],
    success: type[Discovered | Initialized],
) -> Outcome:
    """Sort what became of a probe or a handshake."""
    if task.cancelled():
        return Silent(RequestTimeout("no answer to initialize"))
    try:
        return success(decode(kind, task.result(), "the answer"))  # pyright: ignore[reportArgumentType]
    except ServerError as error:
        return Refused(error, error.rpc_code, supported_versions(error.data))
    except HttpError as error:
        return HttpRefused(error, error.status)
    except RequestTimeout as error:
        return Silent(error)
    except (ServerExited, ConnectionLost, OutcomeUnknown) as error:
        return Died(error)
    except DragomanError as error:
        return Refused(error)


def _offers_stateless(probe: Task[Raw]) -> bool:
    outcome = _outcome(probe, DiscoverResult, Discovered)
    return isinstance(outcome, Discovered) and choose(outcome.result.supported_versions, "stateless") is not None
