"""The protocol's server side, in both eras: messages of one client in, answers and notifications out.

It knows no transport: `stdio.py` and `http.py` hand messages over and carry what `send` is given. A client that opens
with `initialize` is served the handshake era; a request with a protocol version in its `_meta` is served statelessly.
Source: 2025-11-25 and 2026-07-28.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Sequence

from .exchange import LEVELS, META, Exchange, InputNeeded, TaskCall
from .offer import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
    Cancelled,
    JsonObject,
    RpcError,
    Sample,
    Tool,
    ToolFailure,
    as_object,
    checked_arguments,
    text,
)
from .tasks import EXTENSION, Task

STATELESS = ("2026-07-28",)
HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")

LIST_TTL_MS = 60_000
MOST_COMPLETIONS = 100


class Conversation:
    """One client: on stdio the whole process, on HTTP one session or one request.

    `send(message, about)` carries a message to the client; `about` is the id of the request that it belongs to, or
    None. It may be called from any thread.
    """

    def __init__(self, sample: Sample, send: Callable[[JsonObject, int | str | None], None]) -> None:
        self.version: str | None = None
        self._sample = sample
        self._send = send
        self._capabilities: JsonObject = {}
        self._log_level = "info"
        self._running: dict[int | str, Exchange] = {}
        self._listening: dict[int | str, JsonObject] = {}
        self._subscribed: set[str] = set()
        self._questions: dict[str, queue.SimpleQueue[JsonObject | None]] = {}
        self._numbers = itertools.count(1)
        self._telling = threading.RLock()  # no change is told before the acknowledgement, and none after it is missed
        self._stops = [sample.watch(self._changed), sample.tasks.watch(self._task_changed)]
        self._methods = self._table()

    def _table(self) -> dict[tuple[str, bool], Callable[[Exchange], JsonObject | None]]:
        """What answers a method; the key's second part tells the stateless era from the handshake one."""
        both: dict[str, Callable[[Exchange], JsonObject | None]] = {
            "tools/list": self._list_tools,
            "tools/call": self._call_tool,
            "resources/list": self._list_resources,
            "resources/templates/list": self._list_templates,
            "resources/read": self._read,
            "prompts/list": self._list_prompts,
            "prompts/get": self._get_prompt,
            "completion/complete": self._complete,
        }
        handshake: dict[str, Callable[[Exchange], JsonObject | None]] = both | {
            "ping": self._ping,
            "logging/setLevel": self._set_level,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
        }
        stateless: dict[str, Callable[[Exchange], JsonObject | None]] = both | {
            "server/discover": self._discover,
            "subscriptions/listen": self._listen,
            "tasks/get": self._get_task,
            "tasks/update": self._update_task,
            "tasks/cancel": self._cancel_task,
        }
        table = {(name, False): answer for name, answer in handshake.items()}
        return table | {(name, True): answer for name, answer in stateless.items()}

    def receive(self, received: object) -> None:
        """Take one message, of whatever shape."""
        message = as_object(received)
        if message.get("jsonrpc") != "2.0":
            self._refuse(None, RpcError(INVALID_REQUEST, "this is no JSON-RPC 2.0 message"))
        elif not isinstance(message.get("method"), str):
            self._take_answer(message)
        elif "id" not in message:
            self._take_notification(message)
        elif isinstance(message["id"], bool) or not isinstance(message["id"], int | str):
            self._refuse(None, RpcError(INVALID_REQUEST, "a request's id is an integer or a string"))
        else:
            self._serve(message)

    def cancel(self, request_id: int | str) -> None:
        """Stop what is done for a request; it is not answered any more."""
        self._listening.pop(request_id, None)
        if (exchange := self._running.get(request_id)) is not None:
            exchange.cancelled.set()

    def close(self) -> None:
        """Forget the client: nothing more is sent."""
        for stop in self._stops:
            stop()
        for request_id in list(self._running):
            self.cancel(request_id)
        for waiting in list(self._questions.values()):
            waiting.put(None)

    # Messages that need no answer.

    def _take_answer(self, message: JsonObject) -> None:
        waiting = self._questions.pop(str(message.get("id")), None)
        if waiting is not None:
            waiting.put(message.get("result"))

    def _take_notification(self, message: JsonObject) -> None:
        if message["method"] == "notifications/cancelled":
            self.cancel(as_object(message.get("params")).get("requestId", ""))

    # Requests.

    def _serve(self, message: JsonObject) -> None:
        exchange = Exchange(message, lambda told: self._send(told, message["id"]), put=self._ask(message["id"]))
        try:
            if exchange.method == "initialize":
                self._answer(exchange, self._initialize(exchange))
                return
            self._admit(exchange)
            handler = self._methods.get((exchange.method, exchange.version is not None))
            if handler is None:
                raise RpcError(METHOD_NOT_FOUND, f"Method not found: {exchange.method}")
        except RpcError as error:
            self._refuse(exchange.id, error)
            return
        self._running[exchange.id] = exchange
        if exchange.method == "tools/call":
            name = f"call {exchange.id}"
            threading.Thread(target=self._work, args=(exchange, handler), name=name, daemon=True).start()
        else:
            self._work(exchange, handler)

    def _admit(self, exchange: Exchange) -> None:
        if exchange.version is None:
            if self.version is None and exchange.method != "ping":
                raise RpcError(INVALID_PARAMS, f"_meta lacks {META}protocolVersion, and nobody sent initialize")
            exchange.capabilities = self._capabilities
            exchange.log_level = self._log_level
        elif exchange.version not in STATELESS:
            told = {"supported": [*STATELESS, *HANDSHAKE], "requested": exchange.version}
            raise RpcError(UNSUPPORTED_VERSION, "Unsupported protocol version", told)
        elif META + "clientCapabilities" not in exchange.meta:
            raise RpcError(INVALID_PARAMS, f"_meta lacks {META}clientCapabilities")
        elif exchange.log_level is not None and exchange.log_level not in LEVELS:
            raise RpcError(INVALID_PARAMS, f"no such log level: {exchange.log_level}")

    def _work(self, exchange: Exchange, handler: Callable[[Exchange], JsonObject | None]) -> None:
        try:
            result = handler(exchange)
        except Cancelled:
            self._running.pop(exchange.id, None)
        except InputNeeded as needed:
            self._answer(exchange, needed.to_wire())
        except RpcError as error:
            self._running.pop(exchange.id, None)
            self._refuse(exchange.id, error)
        except Exception as error:  # noqa: BLE001 - one broken handler must not end the server
            self._running.pop(exchange.id, None)
            self._refuse(exchange.id, RpcError(INTERNAL_ERROR, f"{type(error).__name__}: {error}"))
        else:
            if result is not None:
                self._answer(exchange, result)

    def _answer(self, exchange: Exchange, result: JsonObject) -> None:
        self._running.pop(exchange.id, None)
        if exchange.cancelled.is_set():
            return
        if exchange.version is not None:
            result = {"resultType": "complete"} | result
            result["_meta"] = {META + "serverInfo": self._identity()} | result.get("_meta", {})
        self._send({"jsonrpc": "2.0", "id": exchange.id, "result": result}, exchange.id)

    def _refuse(self, request_id: int | str | None, error: RpcError) -> None:
        told: JsonObject = {"jsonrpc": "2.0", "error": error.to_wire()}
        if request_id is not None:
            told["id"] = request_id
        self._send(told, request_id)

    def _ask(self, about: int | str) -> Callable[[str, JsonObject], queue.SimpleQueue[JsonObject | None]]:
        def put(method: str, params: JsonObject) -> queue.SimpleQueue[JsonObject | None]:
            number = f"ask-{next(self._numbers)}"
            answers: queue.SimpleQueue[JsonObject | None] = queue.SimpleQueue()
            self._questions[number] = answers
            self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, about)
            return answers

        return put

    # Opening.

    def _identity(self) -> JsonObject:
        return {"name": self._sample.name, "title": self._sample.title, "version": self._sample.version}

    def _initialize(self, exchange: Exchange) -> JsonObject:
        wanted = exchange.params.get("protocolVersion")
        self.version = wanted if wanted in HANDSHAKE else HANDSHAKE[0]
        self._capabilities = as_object(exchange.params.get("capabilities"))
        opening: JsonObject = {"protocolVersion": self.version, "serverInfo": self._identity()}
        opening["capabilities"] = self._offers()
        return opening | ({"instructions": self._sample.instructions} if self._sample.instructions else {})

    def _discover(self, _: Exchange) -> JsonObject:
        offers = self._offers()
        if any(tool.lasting for tool in self._sample.tools.values()):
            offers["extensions"] = {EXTENSION: {}}
        told: JsonObject = {"supportedVersions": [*STATELESS, *HANDSHAKE], "capabilities": offers}
        return told | {"instructions": self._sample.instructions, "ttlMs": LIST_TTL_MS, "cacheScope": "public"}

    def _ping(self, _: Exchange) -> JsonObject:
        return {}

    def _offers(self) -> JsonObject:
        sample = self._sample
        offers: JsonObject = {"tools": {}, "logging": {}, "completions": {}}
        if sample.prompts:
            offers["prompts"] = {}
        if sample.resources() or sample.templates():
            offers["resources"] = {"subscribe": True, "listChanged": True}
        return offers

    # Listings.

    def _page(self, exchange: Exchange, member: str, entries: Sequence[JsonObject]) -> JsonObject:
        cursor = exchange.params.get("cursor", "0")
        if not isinstance(cursor, str) or not cursor.isdecimal() or int(cursor) > len(entries):
            raise RpcError(INVALID_PARAMS, f"no such cursor: {cursor}")
        start = int(cursor)
        end = start + self._sample.page_size
        page: JsonObject = {member: list(entries[start:end])}
        if end < len(entries):
            page["nextCursor"] = str(end)
        return page | ({"ttlMs": LIST_TTL_MS, "cacheScope": "public"} if exchange.version else {})

    def _list_tools(self, exchange: Exchange) -> JsonObject:
        return self._page(exchange, "tools", [tool.declaration for tool in self._sample.tools.values()])

    def _list_resources(self, exchange: Exchange) -> JsonObject:
        return self._page(exchange, "resources", self._sample.resources())

    def _list_templates(self, exchange: Exchange) -> JsonObject:
        return self._page(exchange, "resourceTemplates", self._sample.templates())

    def _list_prompts(self, exchange: Exchange) -> JsonObject:
        return self._page(exchange, "prompts", [prompt.declaration for prompt in self._sample.prompts.values()])

    # Use.

    def _call_tool(self, exchange: Exchange) -> JsonObject | None:
        tool = self._sample.tools.get(exchange.params.get("name", ""))
        if tool is None:
            raise RpcError(INVALID_PARAMS, f"Unknown tool: {exchange.params.get('name')}")
        try:
            arguments = checked_arguments(tool, exchange.params.get("arguments"))
            takes_tasks = EXTENSION in as_object(exchange.capabilities.get("extensions"))
            if tool.lasting and exchange.version is not None and takes_tasks:
                return self._start_task(tool, arguments)
            return tool.run(exchange, arguments)
        except ToolFailure as failure:
            return text(str(failure)) | {"isError": True}

    def _read(self, exchange: Exchange) -> JsonObject:
        uri = exchange.params.get("uri")
        contents = self._sample.read(uri) if isinstance(uri, str) else None
        if contents is None:
            code = INVALID_PARAMS if exchange.version is not None else -32002
            raise RpcError(code, "Resource not found", {"uri": uri})
        caching = {"ttlMs": 0, "cacheScope": "private"} if exchange.version is not None else {}
        return {"contents": list(contents)} | caching

    def _get_prompt(self, exchange: Exchange) -> JsonObject:
        prompt = self._sample.prompts.get(exchange.params.get("name", ""))
        if prompt is None:
            raise RpcError(INVALID_PARAMS, f"Unknown prompt: {exchange.params.get('name')}")
        given = as_object(exchange.params.get("arguments"))
        for entry in prompt.declaration.get("arguments", ()):
            if entry.get("required") and entry["name"] not in given:
                raise RpcError(INVALID_PARAMS, f"argument {entry['name']!r} is missing")
        return prompt.fill(given)

    def _complete(self, exchange: Exchange) -> JsonObject:
        reference, argument = as_object(exchange.params.get("ref")), as_object(exchange.params.get("argument"))
        known = as_object(as_object(exchange.params.get("context")).get("arguments"))
        values = self._sample.suggest(reference, argument.get("name", ""), known)
        if values is None:
            raise RpcError(INVALID_PARAMS, "there is no such argument")
        begun = str(argument.get("value", "")).lower()
        fitting = [value for value in values if value.lower().startswith(begun)]
        shown = fitting[:MOST_COMPLETIONS]
        return {"completion": {"values": shown, "total": len(fitting), "hasMore": len(shown) < len(fitting)}}

    def _set_level(self, exchange: Exchange) -> JsonObject:
        level = exchange.params.get("level")
        if level not in LEVELS:
            raise RpcError(INVALID_PARAMS, f"no such log level: {level}")
        self._log_level = level
        return {}

    # Changes.

    def _subscribe(self, exchange: Exchange) -> JsonObject:
        self._subscribed.add(str(exchange.params.get("uri")))
        return {}

    def _unsubscribe(self, exchange: Exchange) -> JsonObject:
        self._subscribed.discard(str(exchange.params.get("uri")))
        return {}

    def _listen(self, exchange: Exchange) -> None:
        asked = as_object(exchange.params.get("notifications"))
        honoured: JsonObject = {}
        if asked.get("resourcesListChanged") and "resources" in self._offers():
            honoured["resourcesListChanged"] = True
        if asked.get("resourceSubscriptions"):
            honoured["resourceSubscriptions"] = asked["resourceSubscriptions"]
        if asked.get("taskIds"):
            self._need_tasks(exchange)
            honoured["taskIds"] = [one for one in asked["taskIds"] if self._sample.tasks.get(one) is not None]
        with self._telling:
            self._tell(exchange.id, "notifications/subscriptions/acknowledged", {"notifications": honoured})
            self._listening[exchange.id] = honoured

    def _tell(self, subscription: int | str, method: str, params: JsonObject) -> None:
        marked = {"_meta": {META + "subscriptionId": subscription}} | params
        self._send({"jsonrpc": "2.0", "method": method, "params": marked}, subscription)

    def _changed(self, kind: str, uri: str) -> None:
        whole = kind == "resources"
        method = "notifications/resources/list_changed" if whole else "notifications/resources/updated"
        params: JsonObject = {} if whole else {"uri": uri}
        if self.version is not None and (whole or uri in self._subscribed):
            self._send({"jsonrpc": "2.0", "method": method, "params": params}, None)
        with self._telling:
            for number, honoured in list(self._listening.items()):
                if honoured.get("resourcesListChanged") if whole else uri in honoured.get("resourceSubscriptions", ()):
                    self._tell(number, method, params)

    # Tasks.

    def _need_tasks(self, exchange: Exchange) -> None:
        if EXTENSION not in as_object(exchange.capabilities.get("extensions")):
            wanted: JsonObject = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
            raise RpcError(MISSING_CAPABILITY, "Missing required client capability", wanted)

    def _start_task(self, tool: Tool, arguments: JsonObject) -> JsonObject:
        def work(task: Task) -> None:
            try:
                result = tool.run(TaskCall(task), arguments)
            except Cancelled:
                task.settle("cancelled", "stopped at the client's wish")
            except ToolFailure as failure:
                task.settle("completed", result=text(str(failure)) | {"isError": True})
            else:
                task.settle("completed", result=result)

        return {"resultType": "task"} | self._sample.tasks.start(work).to_wire()

    def _task(self, exchange: Exchange) -> Task:
        self._need_tasks(exchange)
        task = self._sample.tasks.get(exchange.params.get("taskId"))
        if task is None:
            raise RpcError(INVALID_PARAMS, f"no such task: {exchange.params.get('taskId')}")
        return task

    def _get_task(self, exchange: Exchange) -> JsonObject:
        return self._task(exchange).to_wire()

    def _update_task(self, exchange: Exchange) -> JsonObject:
        self._task(exchange)
        return {}

    def _cancel_task(self, exchange: Exchange) -> JsonObject:
        self._task(exchange).stop.set()
        return {}

    def _task_changed(self, task: Task) -> None:
        with self._telling:
            for number, honoured in list(self._listening.items()):
                if task.id in honoured.get("taskIds", ()):
                    self._tell(number, "notifications/tasks", task.to_wire())
