"""One request of a client while it is being answered: the `Call` that a tool holds.

It knows how either era sends progress and log lines and puts questions; which methods there are is told in
`conversation.py`.
"""

from __future__ import annotations

import base64
import binascii
import json
import queue
import threading
from collections.abc import Callable

from .offer import INVALID_PARAMS, MISSING_CAPABILITY, Cancelled, JsonObject, RpcError, ToolFailure, as_object
from .tasks import Task

META = "io.modelcontextprotocol/"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class InputNeeded(Exception):
    """The stateless era's way to ask: the request ends, and comes again with the answers."""

    def __init__(self, key: str, question: JsonObject, answered: JsonObject) -> None:
        super().__init__(key)
        self.key = key
        self.question = question
        self.answered = answered

    def to_wire(self) -> JsonObject:
        """Give the `input_required` result. The state holds earlier answers, which the client could as well forge."""
        asked = {self.key: {"method": "elicitation/create", "params": self.question}}
        state = base64.b64encode(json.dumps(self.answered).encode()).decode()
        return {"resultType": "input_required", "inputRequests": asked, "requestState": state}


class Exchange:
    """One request, from its arrival to its answer.

    `send` takes a message that belongs to this request; `put` sends a question of the handshake era and gives the
    queue that its answer will come through.
    """

    def __init__(
        self,
        message: JsonObject,
        send: Callable[[JsonObject], None],
        *,
        put: Callable[[str, JsonObject], queue.SimpleQueue[JsonObject | None]],
    ) -> None:
        self.id: int | str = message["id"]
        self.method: str = message["method"]
        self.params = as_object(message.get("params"))
        self.meta = as_object(self.params.get("_meta"))
        self.version: str | None = self.meta.get(META + "protocolVersion")
        self.capabilities = as_object(self.meta.get(META + "clientCapabilities"))
        self.log_level: str | None = self.meta.get(META + "logLevel")
        self.cancelled = threading.Event()
        self._send = send
        self._put = put
        self._sofar = float("-inf")

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """See `Call`."""
        self._check()
        token = self.meta.get("progressToken")
        if token is None or done <= self._sofar:
            return
        self._sofar = done
        told: JsonObject = {"progressToken": token, "progress": done}
        if total is not None:
            told["total"] = total
        if message is not None:
            told["message"] = message
        self._send({"jsonrpc": "2.0", "method": "notifications/progress", "params": told})

    def log(self, level: str, data: object) -> None:
        """See `Call`."""
        self._check()
        if self.log_level in LEVELS and LEVELS.index(level) >= LEVELS.index(self.log_level):
            told = {"level": level, "logger": "sample", "data": data}
            self._send({"jsonrpc": "2.0", "method": "notifications/message", "params": told})

    def ask(self, key: str, question: JsonObject) -> JsonObject:
        """See `Call`."""
        self._check()
        mode = question.get("mode", "form")
        offered = self.capabilities.get("elicitation")
        if offered is None or mode not in (as_object(offered) or {"form": {}}):
            if self.version is None:
                raise ToolFailure("this needs an answer of a person, and the client offers no way to ask one")
            wanted: JsonObject = {"requiredCapabilities": {"elicitation": {mode: {}}}}
            raise RpcError(MISSING_CAPABILITY, "Missing required client capability", wanted)
        return self._ask_in_place(question) if self.version is None else self._ask_by_return(key, question)

    def sleep(self, seconds: float) -> None:
        """See `Call`."""
        if self.cancelled.wait(seconds):
            raise Cancelled

    def _ask_in_place(self, question: JsonObject) -> JsonObject:
        answer = self._put("elicitation/create", question).get()
        self._check()
        if answer is None or "action" not in answer:
            raise ToolFailure("the client could not ask")
        return answer

    def _ask_by_return(self, key: str, question: JsonObject) -> JsonObject:
        known = _earlier(self.params.get("requestState")) | as_object(self.params.get("inputResponses"))
        answer = as_object(known.get(key))
        if "action" not in answer:
            raise InputNeeded(key, question, known)
        return answer

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled


class TaskCall:
    """A `Call` whose request was already answered with a task: progress becomes the task's status message."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """See `Call`."""
        of = "" if total is None else f" of {total:g}"
        self._task.settle("working", message or f"{done:g}{of}")

    def log(self, level: str, data: object) -> None:
        """See `Call`; a task has no stream for log lines."""

    def ask(self, key: str, question: JsonObject) -> JsonObject:
        """See `Call`; the tools of the samples ask before they become tasks."""
        raise ToolFailure("a task of this server can't ask")

    def sleep(self, seconds: float) -> None:
        """See `Call`."""
        if self._task.stop.wait(seconds):
            raise Cancelled


def _earlier(state: str | None) -> JsonObject:
    if state is None:
        return {}
    try:
        return as_object(json.loads(base64.b64decode(state, validate=True)))
    except (TypeError, ValueError, binascii.Error):
        raise RpcError(INVALID_PARAMS, "requestState is not one of this server") from None
