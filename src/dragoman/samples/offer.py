"""What a sample server offers: tools, resources, prompts, and what a tool may do while it runs.

Neighbours: `conversation.py` speaks the protocol, `tasks.py` runs what takes longer; `notes.py` and `clock.py` are
samples.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from .tasks import Tasks

JsonObject: TypeAlias = dict[str, Any]

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022


def as_object(value: object) -> JsonObject:
    """Give a JSON value if it is an object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


class RpcError(Exception):
    """A request that is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_wire(self) -> JsonObject:
        """Give the error object."""
        told: JsonObject = {"code": self.code, "message": self.message}
        if self.data is not None:
            told["data"] = self.data
        return told


class ToolFailure(Exception):
    """What a tool can't do, told to its caller as a result with `isError`."""


class Cancelled(Exception):
    """The client no longer wants the answer."""


class Call(Protocol):
    """A tool's way to its client while it runs. Each method raises `Cancelled` once the client gave up."""

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far the work is, if the client wants to know."""
        ...

    def log(self, level: str, data: object) -> None:
        """Send a log line, if the client wants lines of that level."""
        ...

    def ask(self, key: str, question: JsonObject) -> JsonObject:
        """Put a question to the person at the client and give the answer: `action`, and `content` if it is `accept`.

        `question` has the parameters of `elicitation/create`; `key` names it within the call.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, and stop waiting when the client gives up."""
        ...


class Tool(NamedTuple):
    """A tool: what `tools/list` tells of it, and what it does.

    If `lasting`, it becomes a task where the client takes tasks.
    """

    declaration: JsonObject
    run: Callable[[Call, JsonObject], JsonObject]
    lasting: bool = False


class Prompt(NamedTuple):
    """A prompt: what `prompts/list` tells of it, and its messages for given arguments."""

    declaration: JsonObject
    fill: Callable[[Mapping[str, str]], JsonObject]


class Sample:
    """A sample server. Subclasses set the attributes and override what they offer."""

    name = "sample"
    version = "1.0.0"
    title = "Sample"
    instructions = ""
    page_size = 50

    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}
        self.prompts: dict[str, Prompt] = {}
        self.tasks = Tasks()
        self._watchers: list[Callable[[str, str], None]] = []
        self._lock = threading.Lock()

    def add(self, *tools: Tool) -> None:
        """Offer tools."""
        self.tools.update((tool.declaration["name"], tool) for tool in tools)

    def resources(self) -> Sequence[JsonObject]:
        """Give what `resources/list` tells."""
        return ()

    def templates(self) -> Sequence[JsonObject]:
        """Give what `resources/templates/list` tells."""
        return ()

    def read(self, uri: str) -> Sequence[JsonObject] | None:
        """Give the contents of a resource; None if there is no such thing."""
        return None

    def suggest(self, reference: Mapping[str, Any], argument: str, known: Mapping[str, str]) -> Sequence[str] | None:
        """Give all values that an argument may have; None if there is no such argument."""
        return None

    def watch(self, watcher: Callable[[str, str], None]) -> Callable[[], None]:
        """Call `watcher(kind, uri)` on each change, until the function that this gives is called.

        `kind` is `resources` (the list changed) or `resource` (the one at `uri` did).
        """
        with self._lock:
            self._watchers.append(watcher)

        def stop() -> None:
            with self._lock:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)

        return stop

    def changed(self, kind: str, uri: str = "") -> None:
        """Tell all watchers of a change."""
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(kind, uri)


def text(*parts: str, structured: object = None) -> JsonObject:
    """Give a tool's result of text blocks, with `structuredContent` if given."""
    result: JsonObject = {"content": [{"type": "text", "text": part} for part in parts]}
    if structured is not None:
        result["structuredContent"] = structured
    return result


def checked_arguments(tool: Tool, arguments: object) -> JsonObject:
    """Give the arguments with the schema's defaults filled in.

    Raises:
        ToolFailure: one is missing, unknown or of a wrong type.
    """
    schema = tool.declaration["inputSchema"]
    properties: dict[str, JsonObject] = schema.get("properties", {})
    given = as_object(arguments)
    for name in schema.get("required", ()):
        if name not in given:
            raise ToolFailure(f"argument {name!r} is missing")
    for name, value in given.items():
        if "properties" not in schema:
            break
        if name not in properties:
            raise ToolFailure(f"there is no argument {name!r}")
        problem = _misfit(value, properties[name])
        if problem:
            raise ToolFailure(f"argument {name!r} must be {problem}")
    defaults = {name: entry["default"] for name, entry in properties.items() if "default" in entry}
    return defaults | given


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def _misfit(value: object, schema: JsonObject) -> str:
    wanted = str(schema.get("type", ""))
    kinds = _TYPES.get(wanted, (object,))
    if not isinstance(value, kinds) or (isinstance(value, bool) and wanted in ("integer", "number")):
        return f"a value of type {wanted}"
    if "enum" in schema and value not in schema["enum"]:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if isinstance(value, int | float):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high:
            return f"between {low} and {high}"
    items = cast("list[object]", value) if isinstance(value, list) else []
    if "items" in schema and any(_misfit(item, schema["items"]) for item in items):
        return f"a list of {schema['items'].get('type', 'value')}s"
    return ""
