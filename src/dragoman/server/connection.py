"""Joins the pure session to a transport: futures, the one alarm clock, incoming messages, cancellation.

It knows no method of the protocol beyond cancellation, progress and ping; it neither negotiates nor reconnects.
Everything here runs in the event loop's thread, and nothing here belongs to the task that made it: any task may
call, cancel and close.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import CancelledError, Future, Task
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    RPC_ERRORS,
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    MalformedMessage,
    OutcomeUnknown,
    RequestTimeout,
    ServerError,
    UsageError,
)
from dragoman.protocol.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    Envelope,
    ErrorObject,
    RequestId,
    decode,
    decode_batch,
    encode,
    encode_error,
    encode_notification,
    encode_request,
    encode_result,
    excerpt,
    guess_id,
    printable,
)
from dragoman.protocol.kept import decode as decode_kept
from dragoman.protocol.metadata import ClientInfo, RequestMetadata
from dragoman.protocol.session import NEVER, Exchange, Session
from dragoman.protocol.types import LogMessage, Progress
from dragoman.server.callbacks import Callbacks, QuestionContext, Refusal, settle
from dragoman.server.waiter import Waiter, own_task
from dragoman.transports.base import Outgoing, Transport

__all__ = ["Connection", "ProgressHandler"]

log: Final = logging.getLogger("dragoman")

ProgressHandler: TypeAlias = Callable[[Progress], Any]

#: A server may have this many questions open at once; more are refused.
_MAX_QUESTIONS: Final = 64
#: So many messages of ours that nobody waits for may wait for room; more are dropped.
_MOST_POSTINGS: Final = 64
#: So many calls of asynchronous handlers may be under way; what comes meanwhile is not told to them.
_MOST_HANDLERS: Final = 1024
#: After so many unreadable parts, the rest of a batch is dropped.
_MOST_UNREADABLE: Final = 10
_EXCERPT_ENDS: Final = 512
#: How long handlers that were cancelled because the connection closes may take to end (seconds).
_HANDLERS_GRACE: Final = 1.0


class _Cancelled(Struct, rename="camel"):
    request_id: RequestId | None = None


class _Token(Struct, rename="camel"):
    progress_token: RequestId | None = None


class Connection:
    """One conversation over one transport; the transport's inbox.

    ``on_change`` hears notifications that tell of changes; ``on_lost`` is called once when the transport is gone.
    """

    def __init__(self, config: ServerConfig, transport: Transport, callbacks: Callbacks, client: ClientInfo) -> None:
        self.config = config
        self.transport = transport
        self.callbacks = callbacks
        self.client = client
        self.metadata = RequestMetadata(None, client, callbacks.offers())
        self.tells_cancellation = True
        self.answers_questions = True
        self.opening = True
        self.on_change: Callable[[str, Raw], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._session: Session[Waiter] = Session()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = NEVER
        self._ended: DragomanError | None = None
        self._end_seen = asyncio.Event()
        self._tasks: set[Future[Any]] = set()
        self._postings: set[Future[Any]] = set()
        self._handling = 0
        self._questions: dict[RequestId, Task[Any]] = {}
        self._rubbish = 0
        self._watched = callbacks.on_message is not None

    @property
    def ended(self) -> DragomanError | None:
        """Why the connection is over; None while it lives."""
        return self._ended

    async def wait_ended(self) -> DragomanError | None:
        """Wait until the connection is over and give why; None if it was closed on this side."""
        await self._end_seen.wait()
        return None if self._ended is None or isinstance(self._ended, ConnectionClosed) else self._refusal(self._ended)

    async def request(
        self,
        method: str,
        members: bytes = b"",
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        meta: Mapping[str, Any] | None = None,
        metadata: RequestMetadata | None = None,
        lasting: bool = False,
        on_sent: Callable[[int], None] | None = None,
    ) -> Raw:
        """Send a request and give its result.

        ``members`` are the parameters as JSON without braces. ``timeout`` is in seconds (None: the configuration's);
        a ``lasting`` request has none. ``on_sent`` learns the request's id before it is sent.

        Raises:
            ServerError: the server answered with an error.
            RequestTimeout, ConnectionLost, OutcomeUnknown, HttpError, ProtocolError: see `dragoman.errors`.
        """
        if self._ended is not None:
            raise self._refusal(self._ended)
        patience = NEVER if lasting else self.config.timeout if timeout is None else _checked(timeout)
        waiter = Waiter(self._loop.create_future())
        exchange = self._session.begin(method, waiter, self._loop.time(), patience, self.config.max_timeout)
        number = exchange.id
        token = None
        if on_progress is not None:
            exchange.on_progress = on_progress
            token = number
        if on_sent is not None:
            on_sent(number)
        if exchange.deadline < self._alarm_at:
            self._set_alarm(exchange.deadline)
        try:
            data = encode_request(number, method, (metadata or self.metadata).params(members, token, meta))
            if self._watched:
                self._show("out", data)
            proposed = "" if metadata is None else metadata.version or ""
            sending = self.transport.send(Outgoing(data, method, number, name, headers, lasting, proposed))
            if sending is not None:
                await self._send(sending, exchange)
            outcome = waiter.future.result() if waiter.future.done() else await waiter.future
        except CancelledError:
            outcome = self._cancelled(exchange)
        except Exception as error:  # noqa: BLE001 - a plug-in's transport may raise anything; it is converted here
            outcome = waiter.future.result() if waiter.future.done() else self._converted(error, method)
        finally:
            self._session.pending.pop(number, None)
        if type(outcome) is Raw:
            return outcome
        try:
            raise self.named(outcome)
        finally:
            # The error leads to this frame, and these back to the error: a circle that would hold large messages.
            del exchange, outcome, waiter

    async def _send(self, sending: Awaitable[None], exchange: Exchange[Waiter]) -> None:
        """Let the transport carry the caller's own task; time-outs and closing reach it there."""
        waiter = exchange.waiter
        task = own_task()
        waiter.task = task
        waiter.cancelling = task.cancelling()
        if isinstance(sending, Future):
            waiter.room = sending
        try:
            await sending
        finally:
            waiter.task = None
            if waiter.interrupted:
                task.uncancel()
        if self.transport.exchanges and not waiter.future.done():
            what = f"the stream of {exchange.method} ended without an answer"
            waiter.settle(OutcomeUnknown(what, method=exchange.method))

    def _cancelled(self, exchange: Exchange[Waiter]) -> Raw | DragomanError:
        """Tell our own interruption (time-out, closing) from the caller's cancellation, which goes on."""
        waiter = exchange.waiter
        cancelling = own_task().cancelling()
        if not cancelling or (waiter.interrupted and cancelling <= waiter.cancelling):
            waiter.settle(OutcomeUnknown(f"the transport gave {exchange.method} up", method=exchange.method))
            return waiter.future.result()
        if exchange.id in self._session.pending:
            self._tell_cancelled(exchange, "the caller gave up")
        raise CancelledError

    def _tell_cancelled(self, exchange: Exchange[Waiter], reason: str) -> None:
        if exchange.method == "initialize" or exchange.waiter.unsent or not self.tells_cancellation:
            return
        self.notify("notifications/cancelled", encode({"requestId": exchange.id, "reason": reason})[1:-1])

    def notify(self, method: str, members: bytes = b"") -> None:
        """Send a notification without waiting; if it can't be sent, that is logged."""
        if self._ended is None:
            data = encode_notification(method, self.metadata.params(members, None, None))
            self._post(Outgoing(data, method))

    async def notify_and_wait(self, method: str, members: bytes = b"") -> None:
        """Send a notification and wait until the transport has taken it.

        Raises:
            ConnectionLost, HttpError: it was not taken.
        """
        if self._ended is not None:
            raise self._refusal(self._ended)
        data = encode_notification(method, self.metadata.params(members, None, None))
        if self._watched:
            self._show("out", data)
        sending = self.transport.send(Outgoing(data, method))
        if sending is not None:
            await sending

    def _post(self, message: Outgoing) -> None:
        if self._watched:
            self._show("out", message.data)
        if len(self._postings) >= _MOST_POSTINGS:
            # A server that asks and does not read must not fill our memory with what it will never take.
            self._count_rubbish(MalformedMessage(f"it does not read; {message.method or 'an answer'} was not sent"))
            return
        try:
            sending = self.transport.send(message)
        except Exception as error:  # noqa: BLE001 - a plug-in's transport may raise anything, here for nobody to catch
            log.debug("%s: could not send %s (%s)", self.config.name, message.method or "an answer", error)
            return
        if sending is not None:
            posting = asyncio.ensure_future(sending)
            self._postings.add(posting)
            self._tasks.add(posting)
            posting.add_done_callback(partial(self._posted, message))

    def _posted(self, message: Outgoing, posting: Future[None]) -> None:
        self._tasks.discard(posting)
        self._postings.discard(posting)
        error = None if posting.cancelled() else posting.exception()
        if error is not None:
            log.debug("%s: could not send %s (%s)", self.config.name, message.method or "an answer", error)

    # The inbox: what the transport tells.

    def message_received(self, data: bytes, request_id: RequestId | None = None) -> bool:
        """See `Inbox`."""
        if self._watched:
            self._show("in", data)
        try:
            envelope = decode(data)
        except MalformedMessage as error:
            self._unreadable(data, error, request_id)
        else:
            self._received(envelope, request_id)
        return request_id not in self._session.pending

    def _received(self, envelope: Envelope, request_id: RequestId | None) -> None:
        if envelope.method is not UNSET:
            if self._ended is not None:
                return
            if envelope.id is UNSET or envelope.id is None:
                self._notified(envelope.method, Raw(b"{}") if envelope.params is UNSET else envelope.params)
            else:
                self._asked(envelope.id, envelope.method, envelope.params, request_id)
            return
        answered = request_id if envelope.id is UNSET or envelope.id is None else envelope.id
        if answered is None and envelope.error is UNSET:
            self._count_rubbish(MalformedMessage("a result without an id"))
            return
        about_any = answered is None and (self.opening or _is_unreadable(envelope))
        exchange = self._session.only() if about_any else self._session.match(answered)
        if exchange is None:
            log.debug("%s: an answer to nobody (id %s)", self.config.name, printable(str(answered)))
        elif envelope.result is not UNSET:
            exchange.waiter.wake(envelope.result)
        elif envelope.error is not UNSET:
            exchange.waiter.wake(self.server_error(envelope.error, exchange.method))

    def request_failed(self, request_id: RequestId, error: DragomanError) -> None:
        """See `Inbox`."""
        exchange = self._session.match(request_id)
        if exchange is not None:
            exchange.waiter.wake(error)

    def request_held(self, request_id: RequestId, *, held: bool) -> None:
        """See `Inbox`."""
        exchange = self._session.find(request_id)
        if exchange is not None:
            exchange.waiter.held = held

    def message_rejected(self, error: DragomanError, request_id: RequestId | None = None) -> None:
        """See `Inbox`."""
        self._count_rubbish(error)
        if request_id is not None:
            self.request_failed(request_id, error)

    def connection_lost(self, error: DragomanError) -> None:
        """See `Inbox`."""
        self._end(error, told=error.what)

    def _unreadable(self, data: bytes, error: MalformedMessage, request_id: RequestId | None) -> None:
        if data.lstrip()[:1] == b"[":
            try:
                batch = decode_batch(data)
            except MalformedMessage as no_batch:
                error = no_batch
            else:
                self._take_batch(batch, request_id)
                if batch:
                    return
        self._count_rubbish(error)
        answered = guess_id(data[:_EXCERPT_ENDS], data[-_EXCERPT_ENDS:])
        if answered is not None:
            self.request_failed(answered, error)

    def _take_batch(self, batch: list[Raw], request_id: RequestId | None) -> None:
        """Take the messages of a batch one by one, up to the first that are too many to be anything but rubbish."""
        unreadable = 0
        for part in batch:
            try:
                self._received(decode(part), request_id)
            except MalformedMessage as bad:
                self._count_rubbish(bad)
                unreadable += 1
                if unreadable == _MOST_UNREADABLE:
                    return

    def _count_rubbish(self, error: DragomanError) -> None:
        """Log what was dropped, ever more rarely: a flood of rubbish must not become a flood of log lines."""
        self._rubbish += 1
        if self._rubbish & (self._rubbish - 1) == 0:
            what, shown = printable(error.what), getattr(error, "excerpt", "")
            log.warning("%s: dropped a message, %d so far: %s %s", self.config.name, self._rubbish, what, shown)

    # Notifications and questions.

    def _notified(self, method: str, params: Raw) -> None:
        try:
            if method == "notifications/progress":
                self._progressed(params)
            elif method == "notifications/message":
                if self.callbacks.on_log is not None:
                    self._call(self.callbacks.on_log, decode_kept(LogMessage, params, "a log message"))
            elif method == "notifications/cancelled":
                self._cancelled_by_server(params)
            else:
                if self.on_change is not None:
                    self.on_change(method, params)
                if self.callbacks.on_notification is not None:
                    self._call(self.callbacks.on_notification, method, msgspec.json.decode(params, type=dict[str, Any]))
        except (DragomanError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._count_rubbish(MalformedMessage(f"{method}: {error}", excerpt=excerpt(bytes(params))))

    def _progressed(self, params: Raw) -> None:
        exchange = self._session.find(msgspec.json.decode(params, type=_Token).progress_token)
        if exchange is None:
            return
        self._session.touch(exchange, self._loop.time())
        if exchange.on_progress is not None:
            self._call(exchange.on_progress, decode_kept(Progress, params, "a progress notification"))

    def _cancelled_by_server(self, params: Raw) -> None:
        cancelled = msgspec.json.decode(params, type=_Cancelled).request_id
        question = self._questions.get(cancelled) if cancelled is not None else None
        if question is not None:
            question.cancel()
            return
        # A server may end a listen stream this way, and nothing else: what it says of another request is not heeded.
        exchange = self._session.find(cancelled)
        if exchange is not None and exchange.method == "subscriptions/listen":
            self._session.pending.pop(exchange.id, None)
            exchange.waiter.wake(ConnectionLost("the server ended the subscription"))

    def _call(self, handler: Callable[..., Any], *arguments: object) -> None:
        """Call a user's handler; what it raises is logged and hurts nobody."""
        if self._handling >= _MOST_HANDLERS:
            self._count_rubbish(MalformedMessage("handlers are slower than what the server tells"))
            return
        try:
            value = handler(*arguments)
        except Exception:
            log.exception("%s: a handler failed", self.config.name)
            return
        if value is not None:
            self._start(self._settle(value))

    async def _settle(self, value: object) -> None:
        self._handling += 1
        try:
            await settle(value)
        except Exception:
            log.exception("%s: a handler failed", self.config.name)
        finally:
            self._handling -= 1

    def _show(self, direction: str, data: bytes) -> None:
        if self.callbacks.on_message is not None:
            self._call(self.callbacks.on_message, direction, data)

    def _asked(self, number: RequestId, method: str, params: Raw | UnsetType, during: RequestId | None) -> None:
        if not self.answers_questions:
            # There, a client must not write responses: what a server asks comes within results.
            self._count_rubbish(MalformedMessage(f"a request of the server's own ({method})"))
            return
        if method == "ping":
            self._post(Outgoing(encode_result(number, b"{}")))
            return
        if number in self._questions:
            # An answer to this one would be taken for the answer to the first.
            self._count_rubbish(MalformedMessage(f"a request of the server's own ({method}) with an id that is in use"))
            return
        if len(self._questions) >= _MAX_QUESTIONS:
            self._post(Outgoing(encode_error(number, INTERNAL_ERROR, "too many questions at once")))
            return
        exchange = self._session.find(during)
        context = QuestionContext(self.config.name, method, exchange.method if exchange else None)
        asked = Raw(b"{}") if params is UNSET else params
        task = self._start(self._answer(number, asked, context, exchange.id if exchange else None))
        self._questions[number] = task
        task.add_done_callback(lambda _: self._questions.pop(number, None))

    async def _answer(self, number: RequestId, params: Raw, context: QuestionContext, during: int | None) -> None:
        """Answer a question; the clock of those on whose behalf a person may be asked stands still meanwhile."""
        asking = self._session.find(during)
        paused = list(self._session.pending.values()) if asking is None else [asking]
        self._session.pause(paused, self._loop.time())
        try:
            data = encode_result(number, await self.callbacks.answer(params, context))
        except Refusal as refusal:
            data = encode_error(number, refusal.code, refusal.message)
        finally:
            self._session.resume(paused, self._loop.time())
            self._set_alarm(self._session.next_deadline())
        # Sent from here, so that the question counts as open until the answer is on its way.
        if self._watched:
            self._show("out", data)
        try:
            sending = self.transport.send(Outgoing(data))
            if sending is not None:
                await sending
        except DragomanError as error:
            log.debug("%s: could not answer %s (%s)", self.config.name, printable(context.method), error.what)

    # Time, and the end.

    def _set_alarm(self, when: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_at = when
        if when != NEVER:
            self._alarm = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        late = self._session.expired(self._loop.time())
        self._set_alarm(self._session.next_deadline())
        for exchange in late:
            told = f"no answer to {exchange.method} within {exchange.timeout:g} s"
            unsent = exchange.waiter.unsent
            exchange.waiter.wake(
                RequestTimeout(told, timeout=exchange.timeout, method=exchange.method, server=self.config.name)
            )
            if not unsent:
                self._tell_cancelled(exchange, "time-out")

    def _end(self, error: DragomanError, *, told: str) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self._end_seen.set()
        self._set_alarm(NEVER)
        for exchange in self._session.drain():
            exchange.waiter.wake(error if self.opening else self._fate(exchange, error, told))
        for task in self._others():
            task.cancel()
        if self.on_lost is not None:
            self.on_lost()

    def _fate(self, exchange: Exchange[Waiter], error: DragomanError, told: str) -> DragomanError:
        if exchange.waiter.unsent:
            return self._refusal(error)
        what = f"the answer to {exchange.method} was lost: {told}"
        return OutcomeUnknown(what, method=exchange.method, stderr=error.stderr, server=self.config.name)

    async def aclose(self) -> None:
        """End the conversation and close the transport; calls under way raise `OutcomeUnknown`. Safe to repeat."""
        self._end(ConnectionClosed("the connection was closed", server=self.config.name), told="closed on this side")
        await self.transport.aclose()
        others = self._others()
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_HANDLERS_GRACE)

    def background(self, work: Coroutine[Any, Any, None]) -> Task[None]:
        """Do something beside all callers; the connection's end cancels it."""
        task = self._start(work)
        if self._ended is not None:
            task.cancel()
        return task

    def let_go(self, task: Task[Any] | None) -> None:
        """Leave a task alone that would end with the connection: it is a handler which closes it."""
        if task is not None:
            self._tasks.discard(task)

    def _others(self) -> list[Future[Any]]:
        """Give the tasks at work here, without the one that asks: a handler may close its own connection."""
        own = asyncio.current_task() if self._tasks else None
        return [task for task in self._tasks if task is not own]

    def _start(self, work: Coroutine[Any, Any, None]) -> Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Errors.

    def server_error(self, told: ErrorObject, method: str) -> ServerError:
        """Give the exception for an error object that the server answered ``method`` with."""
        data: object = None
        if told.data is not UNSET:
            try:
                data = msgspec.json.decode(told.data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                data = bytes(told.data)
        kind = RPC_ERRORS.get(told.code, ServerError)
        what = f"{method} was answered with error {told.code}: {told.message or 'no message'}"
        return kind(
            what, rpc_code=told.code, rpc_message=told.message, data=data, method=method, server=self.config.name
        )

    def _converted(self, error: Exception, method: str) -> DragomanError:
        if isinstance(error, DragomanError):
            return error
        what = f"the transport failed while it sent {method} ({type(error).__name__}: {error})"
        unknown = OutcomeUnknown(what, method=method)
        unknown.__cause__ = error
        return unknown

    def named(self, error: DragomanError) -> DragomanError:
        """Give the error with this server's name in it."""
        if error.server is None:
            error.server = self.config.name
        return error

    def _refusal(self, ended: DragomanError) -> DragomanError:
        """Give a new error for each caller that comes after the end."""
        if isinstance(ended, ConnectionClosed):
            return ConnectionClosed(ended.what, server=self.config.name)
        if self.opening:
            return ended
        return ConnectionLost(ended.what, stderr=ended.stderr, server=self.config.name)


def _checked(timeout: float) -> float:
    if isinstance(timeout, int | float) and timeout > 0:  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        return timeout
    raise UsageError(f"timeout={timeout!r} is no number of seconds above 0")


def _is_unreadable(envelope: Envelope) -> bool:
    """Whether the server says that it could not read something; other errors without an id may be about anything."""
    return envelope.error is not UNSET and envelope.error.code in (PARSE_ERROR, INVALID_REQUEST)
