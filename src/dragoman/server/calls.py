"""Requests that may take several rounds: questions answered in between, lost HTTP sessions begun anew.

It stands between `server.Server` and `connection.Connection`. It knows result types, not results.
Source: 2026-07-28 basic/patterns/mrtr; 2025-11-25 basic/transports#session-management.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from msgspec import Raw

from dragoman.errors import (
    ConnectionLost,
    DragomanError,
    InvalidResult,
    OutcomeUnknown,
    ServerError,
    SessionExpired,
    TooManyRounds,
    UnknownResultType,
)
from dragoman.protocol.input_required import MAX_ROUNDS, InputRequest, InputRequired, next_round, read_input_required
from dragoman.protocol.kept import Kept, decode
from dragoman.protocol.lifecycle import HEADER_MISMATCH
from dragoman.protocol.results import result_type
from dragoman.server.callbacks import QuestionContext, Refusal
from dragoman.server.connection import Connection, ProgressHandler
from dragoman.server.negotiation import reinitialize

__all__ = ["Calls"]

log: Final = logging.getLogger("dragoman")

K = TypeVar("K", bound=Kept)

#: Only these may be answered with questions.
_MAY_ASK: Final = frozenset({"tools/call", "prompts/get", "resources/read"})

#: Questions of one round, which are all open at once.
_MOST_QUESTIONS: Final = 64


class Calls:
    """Makes requests on one connection. ``version`` is the agreed revision, needed to begin a session anew.

    ``standing`` are requests (method, members) whose effect lasts as long as a session, by a name of their owner's: a
    new session is asked for them again. ``on_renewed`` is called after that.
    """

    def __init__(self, connection: Connection, version: str) -> None:
        self.connection = connection
        self.standing: dict[str, tuple[str, bytes]] = {}
        self.on_renewed: Callable[[], None] | None = None
        self._version = version
        self._renewing = asyncio.Lock()
        self._sessions: int = 0
        self._lost = False
        self._refused: int = 0
        self._refusal: DragomanError | None = None

    def read(self, kind: type[K], raw: Raw, what: str) -> K:
        """Give the value of a result; ``what`` names it in the error.

        Raises:
            InvalidResult: it does not have the shape that the specification tells.
        """
        try:
            return decode(kind, raw, what)
        except InvalidResult as error:
            raise self.connection.named(error) from None

    async def simple(
        self,
        method: str,
        members: bytes = b"",
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Raw:
        """Make a request of one round, whatever its result type.

        An HTTP session that the server has dropped is begun anew, once, and the request sent again: the server said
        that it did not process it.
        """
        if self._lost:
            await self._renew(self._sessions)
        session = self._sessions
        request = self.connection.request
        try:
            return await request(
                method, members, name=name, headers=headers, timeout=timeout, on_progress=on_progress, meta=meta
            )
        except SessionExpired:
            await self._renew(session)
        return await request(
            method, members, name=name, headers=headers, timeout=timeout, on_progress=on_progress, meta=meta
        )

    async def whole(
        self,
        method: str,
        members: bytes = b"",
        *,
        name: str | None = None,
        timeout: float | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Raw:
        """Make a request of one round whose result has to be complete.

        Raises:
            UnknownResultType: it is something else.
        """
        raw = await self.simple(method, members, name=name, timeout=timeout, meta=meta)
        try:
            kind = result_type(raw)
        except InvalidResult as error:
            raise self.connection.named(error) from None
        if kind != "complete":
            raise self._unknown(method, kind)
        return raw

    async def call(
        self,
        method: str,
        members: bytes,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        relist: Callable[[], Awaitable[Mapping[str, str] | None]] | None = None,
        on_task: Callable[[Raw], Awaitable[Raw]] | None = None,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Raw:
        """Make a request and answer the server's questions until it gives a complete result.

        ``relist`` gives fresh headers after the server found them wrong; ``on_task`` follows a task to its result.

        Raises:
            TooManyRounds: the server asked more than `MAX_ROUNDS` times.
            UnknownResultType: the result is of a type that this client does not know.
        """
        round_members = members
        for _ in range(MAX_ROUNDS + 1):
            try:
                raw = await self.simple(
                    method,
                    round_members,
                    name=name,
                    headers=headers,
                    timeout=timeout,
                    on_progress=on_progress,
                    meta=meta,
                )
            except ServerError as error:
                if relist is None or error.rpc_code != HEADER_MISMATCH:
                    raise
                headers, relist = await relist(), None
                continue
            try:
                kind = result_type(raw)
                asked = read_input_required(raw) if kind == "input_required" and method in _MAY_ASK else None
            except InvalidResult as error:
                raise self.connection.named(error) from None
            if kind == "complete":
                return raw
            if kind == "task" and on_task is not None:
                return await on_task(raw)
            if asked is None:
                raise self._unknown(method, kind)
            answers = await self.answer(asked.input_requests or {}, during=method)
            round_members = members + next_round(asked, answers)
            await self._breathe(asked)
        raise TooManyRounds(
            f"{method} asked for input {MAX_ROUNDS} times without coming to an end",
            rounds=MAX_ROUNDS,
            server=self.connection.config.name,
        )

    async def answer(self, questions: Mapping[str, InputRequest], *, during: str) -> dict[str, Raw]:
        """Answer all questions of one round side by side, through the same handlers as a server's own requests.

        Raises:
            InvalidResult: a question is none that a client answers, nobody is there to answer it, or they are over 64.
        """
        if len(questions) > _MOST_QUESTIONS:
            what = f"{during} asks {len(questions):,} questions at once; more than {_MOST_QUESTIONS} are not answered"
            raise InvalidResult(what, server=self.connection.config.name)

        async def one(key: str, question: InputRequest) -> tuple[str, Raw]:
            context = QuestionContext(self.connection.config.name, question.method, during)
            try:
                return key, Raw(await self.connection.callbacks.answer(question.params, context))
            except Refusal as refusal:
                raise InvalidResult(
                    f"{during} asks for {question.method}, which can't be answered: {refusal.message}",
                    server=self.connection.config.name,
                    hint="Give connect() a handler for it.",
                ) from refusal

        tasks = [asyncio.create_task(one(key, question)) for key, question in questions.items()]
        try:
            return dict(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    @staticmethod
    async def _breathe(asked: InputRequired) -> None:
        """Yield between rounds without questions, so that a server that loops does not hold the event loop."""
        if not asked.input_requests:
            await asyncio.sleep(0)

    def _unknown(self, method: str, kind: str) -> UnknownResultType:
        return UnknownResultType(
            f"{method} was answered with a result of type {kind!r}, which can't be taken here",
            result_type=kind,
            server=self.connection.config.name,
        )

    async def _renew(self, session: int) -> None:
        """Begin a new HTTP session, unless another caller has done so since ``session`` was current.

        Until that is done, no other request is sent. Whoever waited while it failed gets the same error: a server that
        is down is not asked once for each of them.
        """
        if session != self._sessions:
            return
        self._lost = True
        refused = self._refused
        async with self._renewing:
            if session != self._sessions:
                return
            if self._refusal is not None and refused != self._refused:
                raise self._refusal
            try:
                await reinitialize(self.connection, self._version)
            except DragomanError as error:
                self._refused += 1
                self._refusal = self._without_session(error)
                if self._refusal is error:
                    raise
                raise self._refusal from error
            self._refusal = None
            self._lost = False
            self._sessions += 1
            for method, members in list(self.standing.values()):
                try:
                    await self.connection.request(method, members)
                except DragomanError as error:
                    log.warning("%s: a new session does not take %s (%s)", self._name, method, error.what)
            if self.on_renewed is not None:
                self.on_renewed()

    def _without_session(self, error: DragomanError) -> DragomanError:
        """Give the error for the caller's own request, which was not sent, whatever became of the handshake."""
        if isinstance(error, OutcomeUnknown):
            error = ConnectionLost(f"the session is lost, and a new one did not come about ({error.what})")
        return self.connection.named(error)

    @property
    def _name(self) -> str:
        return self.connection.config.name
