"""An MCP server that misbehaves on request. Standard library only; run it with ``python -I -S`` for a quick start.

It speaks both eras over stdio: stateless for a request whose ``_meta`` names a protocol version, handshake otherwise.
It has a few honest tools, resources, prompts and completions, so that every method has an answer. What it does wrong
is told in two ways; `tests.servers.scripted` makes the command line.

Words of the command line, each ``NAME`` or ``NAME=VALUE``, hold from the start:

    era=E               both (default), handshake (server/discover is unknown) or stateless (initialize is)
    versions=V,V        the stateless versions it supports; any other is refused with -32022
    start_after=S       slow start: it reads nothing for S seconds
    stderr=TEXT         writes TEXT to stderr first
    exit=N              exits with status N before it reads anything
    die_on=METHOD       exits with status 7 when METHOD arrives (server/discover: exits on the probe)
    mute_on=METHOD      never answers METHOD (server/discover: silent on the probe)
    mute                answers nothing at all
    garble_on=METHOD    answers METHOD with an envelope that has neither result nor error
    deaf                never reads its stdin
    stubborn            ignores the end of its stdin and SIGTERM
    children=K,K        leaves a grandchild of each kind, all holding its stdout: plain, stubborn (ignores SIGTERM),
                        session (in a session of its own), both (stubborn, in a session of its own)
    flood_stderr=N      writes N bytes to stderr before it reads anything
    rubbish             writes 8 lines that are no messages to stdout before it reads anything
    tools=N, page=N     N more tools in the listing (tool_0 …); N of all tools on a page
    broken_tool         lists one tool whose inputSchema is null and one that is no object

Tools, for what goes wrong in a call, with their arguments:

    echo(message)       answers the message             add(a, b)       structured {"sum": a + b}, with an output schema
    fail(message)       isError                         refuse(code)    a JSON-RPC error with that code
    about()             structured: pid, cwd, argv, env, children, cancelled (ids told by notifications/cancelled)
    wait(seconds)       answers later; ten progress notifications on the way, if a token came with the call
    big(bytes)          a text of so many bytes, all in one line (200 MB line: bytes=200000000)
    die(status, signal) exits, or sends itself the signal, without an answer
    half()              writes half a line, then exits with status 5
    rubbish(lines)      so many lines that are no messages, then the answer
    invalid_utf8()      an answer that is no UTF-8      malformed(kind) no proper envelope: empty, error, id, batch
    duplicate()         two answers with the same id    stray()         answers to nobody, then its own
    result_type(name)   a result of that resultType     silent()        no answer, ever
    stop_reading()      answers, then reads no more     hang_up()       closes its stdout and lives on
    close_stdin()       answers, closes its stdin and lives on
    flood_stderr(bytes) writes to stderr, then answers   children(kinds) leaves grandchildren; structured: their pids
    ask(method, params) asks the client (a request, or input_required) and answers with what it said
    log(level, text)    a log message, then the answer   change(what)    announces: tools, prompts, resources, or a URI
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeAlias

Json: TypeAlias = dict[str, Any]
Answer: TypeAlias = Json | None  # None: it has answered in its own way, or not at all

META = "io.modelcontextprotocol/"
LATEST_HANDSHAKE = "2025-11-25"
RUBBISH = ["Server listening on port 3000", "{not json", "\x1b[32mready\x1b[0m", "[1,2", "null", "42", "{}", '"text"']
INFO = {"name": "scripted", "version": "1.0.0"}
CAPABILITIES: Json = {
    "tools": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "prompts": {"listChanged": True},
    "completions": {},
}
RESOURCES: list[Json] = [
    {"uri": "text://hello", "name": "hello", "mimeType": "text/plain", "text": "Hello, resource"},
    {"uri": "bytes://hello", "name": "bytes", "mimeType": "application/octet-stream", "blob": "AAEC/w=="},
]
PROMPT: Json = {"name": "greet", "description": "A greeting", "arguments": [{"name": "name", "required": True}]}


class Refused(Exception):
    """The request is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.error: Json = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Request(NamedTuple):
    """One request: its id, its parameters, and whether it came in the stateless way."""

    id: Any
    params: Json
    stateless: bool

    @property
    def arguments(self) -> Json:
        return self.params.get("arguments") or {}

    @property
    def meta(self) -> Json:
        return self.params.get("_meta") or {}


class Server:
    """The conversation: what was told so far, what is to be done later, and the two pipes."""

    def __init__(self, words: Json) -> None:
        self.words = words
        self.versions = words.get("versions", "2026-07-28").split(",")
        self.children: list[int] = []
        self.cancelled: list[Any] = []
        self.listening: dict[Any, Json] = {}
        self.subscribed: set[str] = set()
        self.asked: dict[Any, Request] = {}
        self.reading = "deaf" not in words
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]

    def write_rubbish(self, count: int) -> None:
        self.write("".join(f"{RUBBISH[number % len(RUBBISH)]}\n" for number in range(count)).encode())

    def send(self, message: Json) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def notify(self, method: str, params: Json) -> None:
        self.send({"method": method, "params": params})

    def answer(self, request: Request, result: Json) -> None:
        if request.stateless:
            result = {"resultType": "complete", **result, "_meta": {META + "serverInfo": INFO}}
        self.send({"id": request.id, "result": result})

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        self.timers.append((time.monotonic() + seconds, action))

    def run(self) -> None:
        """Serve until stdin ends (a stubborn server: for ever)."""
        held = b""
        while True:
            data = os.read(0, 65536) if self.wait_for_input() else None
            self.ring()
            if data is None:
                continue
            if not data:
                if "stubborn" not in self.words:
                    return
                self.reading = False
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                self.receive(json.loads(line))

    def wait_for_input(self) -> bool:
        soonest = min((when for when, _ in self.timers), default=None)
        patience = None if soonest is None else max(0.0, soonest - time.monotonic())
        return bool(select.select([0] if self.reading else [], [], [], patience)[0])

    def ring(self) -> None:
        for timer in [timer for timer in self.timers if timer[0] <= time.monotonic()]:
            self.timers.remove(timer)
            timer[1]()

    def receive(self, message: Json) -> None:
        method = message.get("method")
        if method is None:
            self.receive_answer(message)
            return
        if self.words.get("die_on") == method:
            sys.exit(7)
        if "mute" in self.words or self.words.get("mute_on") == method:
            return
        params: Json = message.get("params") or {}
        if "id" not in message:
            self.receive_notification(method, params)
            return
        if self.words.get("garble_on") == method:
            self.send({"id": message["id"]})
            return
        request = Request(message["id"], params, META + "protocolVersion" in (params.get("_meta") or {}))
        try:
            result = self.respond(method, request)
        except Refused as refused:
            self.send({"id": request.id, "error": refused.error})
        else:
            if result is not None:
                self.answer(request, result)

    def receive_notification(self, method: str, params: Json) -> None:
        if method == "notifications/cancelled":
            number = params.get("requestId")
            self.cancelled.append(number)
            self.listening.pop(number, None)

    def receive_answer(self, message: Json) -> None:
        request = self.asked.pop(message.get("id"), None)
        if request is not None:
            self.answer(request, text(json.dumps(message.get("result", message.get("error")))))

    def respond(self, method: str, request: Request) -> Answer:
        era = self.words.get("era", "both")
        unknown = {"handshake": "server/discover", "stateless": "initialize"}.get(era)
        if method not in METHODS or method == unknown:
            raise Refused(-32601, f"Method not found: {method}")
        wanted = request.meta.get(META + "protocolVersion")
        if request.stateless and era != "handshake" and wanted not in self.versions:
            told = {"supported": self.versions, "requested": wanted}
            raise Refused(-32022, "Unsupported protocol version", told)
        return METHODS[method](self, request)

    def initialize(self, request: Request) -> Json:
        return {
            "protocolVersion": request.params.get("protocolVersion", LATEST_HANDSHAKE),
            "capabilities": {**CAPABILITIES, "logging": {}},
            "serverInfo": INFO,
            "instructions": "Misbehaves on request.",
        }

    def discover(self, request: Request) -> Json:
        told: Json = {
            "supportedVersions": self.versions,
            "capabilities": CAPABILITIES,
            "ttlMs": 0,
            "cacheScope": "private",
        }
        return {**told, "instructions": "Misbehaves on request."}

    def listing(self, request: Request, key: str, entries: list[Json]) -> Json:
        size = int(self.words.get("page", len(entries) or 1))
        start = int(request.params.get("cursor") or 0)
        page: Json = {key: entries[start : start + size]}
        if start + size < len(entries):
            page["nextCursor"] = str(start + size)
        return {**page, "ttlMs": 0, "cacheScope": "private"} if request.stateless else page

    def list_tools(self, request: Request) -> Json:
        entries = [described(tool) for tool in TOOLS.values()]
        more = range(int(self.words.get("tools", 0)))
        entries += [{"name": f"tool_{number}", "inputSchema": {"type": "object"}} for number in more]
        if "broken_tool" in self.words:
            entries += [{"name": "broken", "inputSchema": None}, {"name": "odd", "inputSchema": "object"}]
        return self.listing(request, "tools", entries)

    def call_tool(self, request: Request) -> Answer:
        name = request.params.get("name")
        if name not in TOOLS:
            raise Refused(-32602, f"Unknown tool: {name}")
        return TOOLS[name].action(self, request)

    def list_resources(self, request: Request) -> Json:
        entries = [{k: v for k, v in entry.items() if k not in ("text", "blob")} for entry in RESOURCES]
        return self.listing(request, "resources", entries)

    def list_templates(self, request: Request) -> Json:
        template = {"uriTemplate": "text://{name}", "name": "greeting", "mimeType": "text/plain"}
        return self.listing(request, "resourceTemplates", [template])

    def read_resource(self, request: Request) -> Json:
        uri = str(request.params.get("uri"))
        found = [{k: v for k, v in entry.items() if k != "name"} for entry in RESOURCES if entry["uri"] == uri]
        if not found and uri.startswith("text://"):
            found = [{"uri": uri, "mimeType": "text/plain", "text": f"Hello, {uri[7:]}"}]
        if not found:
            raise Refused(-32602 if request.stateless else -32002, "Resource not found", {"uri": uri})
        return {"contents": found} | ({"ttlMs": 0, "cacheScope": "private"} if request.stateless else {})

    def subscribe(self, request: Request) -> Json:
        self.subscribed.add(request.params["uri"])
        return {}

    def list_prompts(self, request: Request) -> Json:
        return self.listing(request, "prompts", [PROMPT])

    def get_prompt(self, request: Request) -> Json:
        if request.params.get("name") != PROMPT["name"]:
            raise Refused(-32602, "Unknown prompt")
        content = {"type": "text", "text": f"Say hello to {request.arguments.get('name')}"}
        return {"messages": [{"role": "user", "content": content}]}

    def complete(self, request: Request) -> Json:
        start = request.params["argument"]["value"]
        values = [name for name in ("Ada", "Alan", "Barbara", "Grace") if name.startswith(start)]
        return {"completion": {"values": values, "total": len(values), "hasMore": False}}

    def listen(self, request: Request) -> None:
        wanted: Json = request.params.get("notifications") or {}
        self.listening[request.id] = wanted
        meta = {META + "subscriptionId": request.id}
        self.notify("notifications/subscriptions/acknowledged", {"_meta": meta, "notifications": wanted})


Action: TypeAlias = Callable[[Server, Request], Answer]

METHODS: dict[str, Action] = {
    "initialize": Server.initialize,
    "server/discover": Server.discover,
    "ping": lambda _, __: {},
    "logging/setLevel": lambda _, __: {},
    "tools/list": Server.list_tools,
    "tools/call": Server.call_tool,
    "resources/list": Server.list_resources,
    "resources/templates/list": Server.list_templates,
    "resources/read": Server.read_resource,
    "resources/subscribe": Server.subscribe,
    "resources/unsubscribe": lambda server, request: server.subscribed.discard(request.params["uri"]) or {},
    "prompts/list": Server.list_prompts,
    "prompts/get": Server.get_prompt,
    "completion/complete": Server.complete,
    "subscriptions/listen": Server.listen,
}


class Tool(NamedTuple):
    """One tool: its name, the types of its arguments, what it does, the schema of its structured result."""

    name: str
    arguments: dict[str, str]
    action: Action
    output: Json | None


TOOLS: dict[str, Tool] = {}


def tool(output: Json | None = None, **arguments: str) -> Callable[[Action], Action]:
    """Enter a function in the table of tools, under its own name."""

    def enter(action: Action) -> Action:
        TOOLS[action.__name__] = Tool(action.__name__, arguments, action, output)
        return action

    return enter


def described(entry: Tool) -> Json:
    """Give a tool as the listing shows it."""
    properties = {name: {"type": kind} for name, kind in entry.arguments.items()}
    shown: Json = {"name": entry.name, "inputSchema": {"type": "object", "properties": properties}}
    shown["description"] = (entry.action.__doc__ or "").strip()
    return shown | ({"outputSchema": entry.output} if entry.output else {})


def text(words: str, *, error: bool = False) -> Json:
    """Give a tool's result that is one text."""
    return {"content": [{"type": "text", "text": words}], "isError": error}


def structured(value: Json) -> Json:
    """Give a tool's structured result."""
    return {**text(json.dumps(value)), "structuredContent": value}


SUM_SCHEMA: Json = {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]}


@tool(message="string")
def echo(server: Server, call: Request) -> Json:
    """Give the message back."""
    return text(str(call.arguments.get("message", "")))


@tool(SUM_SCHEMA, a="number", b="number")
def add(server: Server, call: Request) -> Json:
    """Add two numbers."""
    return structured({"sum": call.arguments["a"] + call.arguments["b"]})


@tool(message="string")
def fail(server: Server, call: Request) -> Json:
    """Report an error."""
    return text(str(call.arguments.get("message", "it went wrong")), error=True)


@tool(code="integer")
def refuse(server: Server, call: Request) -> NoReturn:
    """Answer with a JSON-RPC error."""
    raise Refused(call.arguments.get("code", -32000), "refused as asked", {"asked": True})


@tool()
def about(server: Server, call: Request) -> Json:
    """Tell of the process and of what it was told."""
    told = {"pid": os.getpid(), "cwd": os.path.realpath("."), "argv": sys.argv, "env": dict(os.environ)}
    return structured({**told, "children": server.children, "cancelled": server.cancelled})


@tool(seconds="number")
def wait(server: Server, call: Request) -> None:
    """Answer later, with progress on the way."""
    seconds = float(call.arguments.get("seconds", 1))
    token = call.meta.get("progressToken")
    for step in range(1, 11) if token is not None else ():
        params = {"progressToken": token, "progress": step, "total": 10, "message": f"step {step}"}
        server.later(seconds * step / 11, lambda params=params: server.notify("notifications/progress", params))
    server.later(seconds, lambda: call.id in server.cancelled or server.answer(call, text("done")))


@tool(bytes="integer")
def big(server: Server, call: Request) -> None:
    """Answer with a very long line, written bit by bit so that it is never held as a whole."""
    left = int(call.arguments.get("bytes", 10_000_000))
    kind = '"resultType":"complete",' if call.stateless else ""
    head = f'{{"jsonrpc":"2.0","id":{json.dumps(call.id)},"result":{{{kind}"content":[{{"type":"text","text":"'
    server.write(head.encode())
    block = b"x" * 1_000_000
    while left > 0:
        server.write(block[:left])
        left -= len(block)
    server.write(b'"}],"isError":false}}\n')


@tool(status="integer", signal="integer")
def die(server: Server, call: Request) -> NoReturn:
    """End without an answer."""
    if "signal" in call.arguments:
        os.kill(os.getpid(), int(call.arguments["signal"]))
    sys.stderr.write("dying as asked\n")
    sys.exit(int(call.arguments.get("status", 7)))


@tool()
def half(server: Server, call: Request) -> NoReturn:
    """Write half a line, then end."""
    server.write(f'{{"jsonrpc":"2.0","id":{json.dumps(call.id)},"result":{{"cont'.encode())
    sys.exit(5)


@tool(lines="integer")
def rubbish(server: Server, call: Request) -> Json:
    """Write rubbish, then answer."""
    server.write_rubbish(int(call.arguments.get("lines", 8)))
    return text("after the rubbish")


@tool()
def invalid_utf8(server: Server, call: Request) -> None:
    """Answer in no known encoding."""
    answer = json.dumps({"jsonrpc": "2.0", "id": call.id, "result": text("@")}).encode()
    server.write(answer.replace(b"@", b"caf\xe9 \xff") + b"\n")


@tool(kind="string")
def malformed(server: Server, call: Request) -> None:
    """Answer with something that is no JSON-RPC answer."""
    kinds: dict[str, Any] = {
        "empty": {"jsonrpc": "2.0", "id": call.id},
        "error": {"jsonrpc": "2.0", "id": call.id, "error": "it went wrong"},
        "id": {"jsonrpc": "2.0", "id": {"number": call.id}, "result": text("whose?")},
        "batch": [{"jsonrpc": "2.0", "id": call.id, "result": text("in a batch")}],
    }
    server.write(json.dumps(kinds[call.arguments.get("kind", "empty")]).encode() + b"\n")


@tool()
def duplicate(server: Server, call: Request) -> Json:
    """Answer twice."""
    server.answer(call, text("first"))
    return text("second")


@tool()
def stray(server: Server, call: Request) -> Json:
    """Answer somebody who did not ask, then the one who did."""
    for number in (987654321, "nobody", None):
        server.send({"id": number, "result": text("not yours")})
    return text("yours")


@tool(name="string")
def result_type(server: Server, call: Request) -> Json:
    """Answer with a result of an unknown type."""
    return {"resultType": call.arguments.get("name", "riddle"), "riddle": "What has an eye, but cannot see?"}


@tool()
def silent(server: Server, call: Request) -> None:
    """Never answer."""


@tool()
def stop_reading(server: Server, call: Request) -> Json:
    """Answer, then read nothing any more."""
    server.reading = False
    return text("I will not listen")


@tool()
def hang_up(server: Server, call: Request) -> None:
    """Close stdout and live on."""
    os.close(1)
    server.reading = False


@tool()
def close_stdin(server: Server, call: Request) -> Json:
    """Answer, then close stdin and live on."""
    os.close(0)
    server.reading = False
    return text("closed")


@tool(bytes="integer")
def flood_stderr(server: Server, call: Request) -> Json:
    """Write a lot to stderr, then answer."""
    flood(int(call.arguments.get("bytes", 10_000_000)))
    return text("flooded")


@tool(kinds="string")
def children(server: Server, call: Request) -> Json:
    """Leave grandchildren."""
    leave_children(server, call.arguments.get("kinds", "plain"))
    return structured({"pids": server.children})


@tool(method="string", params="object")
def ask(server: Server, call: Request) -> Answer:
    """Ask the client something, and answer with its answer."""
    question: Json = {"method": call.arguments["method"], "params": call.arguments.get("params") or {}}
    if not call.stateless:
        number = f"question-{call.id}"
        server.asked[number] = call
        server.send({"id": number, **question})
        return None
    replies = call.params.get("inputResponses")
    if replies is None:
        return {"resultType": "input_required", "inputRequests": {"question": question}, "requestState": f"#{call.id}"}
    return text(json.dumps(replies["question"]))


@tool(level="string", text="string")
def log(server: Server, call: Request) -> Json:
    """Send a log message, then answer."""
    level = call.arguments.get("level", "info")
    server.notify("notifications/message", {"level": level, "logger": "scripted", "data": call.arguments.get("text")})
    return text("logged")


@tool(what="string")
def change(server: Server, call: Request) -> Json:
    """Announce a change to those who listen for it."""
    what = str(call.arguments.get("what", "tools"))
    is_list = what in ("tools", "prompts", "resources")
    method = f"notifications/{what}/list_changed" if is_list else "notifications/resources/updated"
    params: Json = {} if is_list else {"uri": what}
    for number, wanted in server.listening.items():
        if wanted.get(f"{what}ListChanged") if is_list else what in (wanted.get("resourceSubscriptions") or ()):
            server.notify(method, {**params, "_meta": {META + "subscriptionId": number}})
    if not call.stateless and (is_list or what in server.subscribed):
        server.notify(method, params)
    return text("changed")


def flood(count: int) -> None:
    """Write so many bytes to stderr; the pipe blocks this program unless somebody reads it."""
    line = b"stderr " * 141 + b"\n"
    while count > 0:
        count -= os.write(2, line[: max(count, 1)])


def leave_children(server: Server, kinds: str) -> None:
    """Fork processes that do nothing but live, and hold this server's pipes."""
    for kind in kinds.split(","):
        ready, say_ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            stubborn = kind in ("stubborn", "both")
            signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else signal.SIG_DFL)
            if kind in ("session", "both"):
                os.setsid()
            os.write(say_ready, b".")
            while True:
                time.sleep(3600)
        os.read(ready, 1)
        os.close(ready)
        os.close(say_ready)
        server.children.append(pid)


def main(words: Json) -> None:
    """Do what the words ask for at the start, then serve."""
    if "stubborn" in words:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = Server(words)
    if "children" in words:
        leave_children(server, words["children"])
    os.write(2, words.get("stderr", "").encode())
    flood(int(words.get("flood_stderr", 0)))
    if "exit" in words:
        sys.exit(int(words["exit"]))
    server.write_rubbish(len(RUBBISH) if "rubbish" in words else 0)
    time.sleep(float(words.get("start_after", 0)))
    server.run()


if __name__ == "__main__":
    main({name: value for name, _, value in (word.partition("=") for word in sys.argv[1:])})
