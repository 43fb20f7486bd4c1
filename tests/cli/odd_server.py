"""A server whose answers are hard to show: escapes, files, strange schemas, questions of every kind.

It speaks the protocol by the samples' own means, and knows nothing of the client.
"""

from __future__ import annotations

import base64
import json

from dragoman.samples.launch import run
from dragoman.samples.offer import Call, JsonObject, Sample, Tool, text

ESCAPES = "red \x1b[31malert\x1b[0m \x9b2J bell\x07 back\x08 \u202etxet\u2066"

FORM: JsonObject = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "description": "As on the door", "minLength": 2},
        "age": {"type": "integer", "minimum": 18, "maximum": 120},
        "mail": {"type": "string", "format": "email"},
        "day": {"type": "string", "format": "date", "default": "2026-01-31"},
        "sure": {"type": "boolean", "default": False},
        "colour": {"type": "string", "enum": ["red", "green", "blue"]},
        "size": {"oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}], "default": "s"},
        "toppings": {
            "type": "array",
            "items": {"enum": ["olives", "capers", "anchovies"]},
            "minItems": 1,
            "maxItems": 2,
        },
    },
    "required": ["name", "colour", "toppings"],
}

TYPES: JsonObject = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "flag": {"type": "boolean"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "either": {"type": ["integer", "string"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "colour": {"enum": ["red", "green", "blue"]},
        "place": {"$ref": "#/$defs/Place"},
        "with.dot": {"type": "string"},
    },
    "$defs": {
        "Place": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "lat": {"type": "number"}},
            "required": ["city"],
        }
    },
}


class Odd(Sample):
    """The server."""

    name = "odd"
    title = f"Odd {ESCAPES}"
    version = "1\x1b]0;title\x07"
    instructions = f"First line {ESCAPES}\nsecond line"

    def __init__(self) -> None:
        super().__init__()
        plain: JsonObject = {"type": "object"}
        tools = {
            "escapes": self._escapes,
            "image": self._image,
            "sound": self._sound,
            "blob": self._blob,
            "link": self._link,
            "unknown": self._unknown,
            "empty": self._empty,
            "structured": self._structured,
            "repeated": self._repeated,
            "bad_base64": self._bad_base64,
            "fill": self._fill,
            "confirm": self._confirm,
            "visit": self._visit,
            "read_title": self._read_title,
        }
        for name, work in tools.items():
            described = {"name": name, "description": f"Gives {name} {ESCAPES}\n\nMore of it.", "inputSchema": plain}
            self.add(Tool(described, work))
        self.tools["nameless"] = Tool({"title": "An entry that lacks its name"}, self._empty)
        self.add(
            Tool({"name": "types", "description": "Says what it got.", "inputSchema": TYPES}, self._echo),
            Tool({"name": "strict", "inputSchema": STRICT}, self._echo),
        )

    def resources(self) -> list[JsonObject]:
        """Give two resources, one of them with a name that is none for a file."""
        return [
            {"uri": "odd:///../../etc/p\u0430sswd\x1b", "name": "climbing", "mimeType": "image/png"},
            {"uri": "odd:///text", "name": f"text {ESCAPES}", "mimeType": "text/plain"},
        ]

    def read(self, uri: str) -> list[JsonObject] | None:
        """Give bytes, text, or both."""
        blob = {"uri": uri, "mimeType": "image/png", "blob": base64.b64encode(b"\x89PNG..").decode()}
        words = {"uri": "odd:///text", "mimeType": "text/plain", "text": f"no newline at the end {ESCAPES}"}
        if uri.endswith("both"):
            return [words, blob]
        return [words] if uri.endswith("text") else [blob] if uri.startswith("odd:") else None

    def _echo(self, _: Call, arguments: JsonObject) -> JsonObject:
        return text(json.dumps(arguments, sort_keys=True))

    def _escapes(self, _: Call, arguments: JsonObject) -> JsonObject:
        return text(f"before {ESCAPES} after\n\ttabbed\r\nnext")

    def _image(self, _: Call, arguments: JsonObject) -> JsonObject:
        data = base64.b64encode(b"\x89PNG image").decode()
        return {"content": [{"type": "image", "mimeType": "image/png", "data": data}] * 2}

    def _sound(self, _: Call, arguments: JsonObject) -> JsonObject:
        data = base64.b64encode(b"RIFF").decode()
        return {"content": [{"type": "audio", "mimeType": "audio/x-strange\x1b[1m", "data": data}]}

    def _blob(self, _: Call, arguments: JsonObject) -> JsonObject:
        data = base64.b64encode(b"\x00\x01").decode()
        inner = {"uri": "file:///../.bashrc", "mimeType": "application/octet-stream", "blob": data}
        return {"content": [{"type": "resource", "resource": inner}]}

    def _link(self, _: Call, arguments: JsonObject) -> JsonObject:
        link = {"type": "resource_link", "uri": "odd:///text", "name": f"a link {ESCAPES}", "mimeType": "text/plain"}
        return {"content": [link]}

    def _unknown(self, _: Call, arguments: JsonObject) -> JsonObject:
        return {"content": [{"type": "hologram", "beams": [1, 2], "note": ESCAPES}]}

    def _empty(self, _: Call, arguments: JsonObject) -> JsonObject:
        return {"content": []}

    def _structured(self, _: Call, arguments: JsonObject) -> JsonObject:
        return {"content": [], "structuredContent": {"of": [1, 2.5, None, True, ESCAPES]}}

    def _repeated(self, _: Call, arguments: JsonObject) -> JsonObject:
        return text('{"a": 1}', structured={"a": 1})

    def _bad_base64(self, _: Call, arguments: JsonObject) -> JsonObject:
        return {"content": [{"type": "image", "mimeType": "image/png", "data": "%%%"}]}

    def _fill(self, call: Call, arguments: JsonObject) -> JsonObject:
        question = {"mode": "form", "message": f"Who are you? {ESCAPES}\nOnly for the door.", "requestedSchema": FORM}
        return text(json.dumps(call.ask("fill", question), sort_keys=True))

    def _confirm(self, call: Call, arguments: JsonObject) -> JsonObject:
        question: JsonObject = {"message": "Go on?", "requestedSchema": {"type": "object", "properties": {}}}
        return text(json.dumps(call.ask("confirm", question)))

    def _visit(self, call: Call, arguments: JsonObject) -> JsonObject:
        question = {"mode": "url", "message": "Log in there.", "url": arguments["url"], "elicitationId": "e1"}
        return text(json.dumps(call.ask("visit", question)))

    def _read_title(self, call: Call, arguments: JsonObject) -> JsonObject:
        schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
        first = call.ask("first", {"message": "First title?", "requestedSchema": schema})
        second = call.ask("second", {"message": "Second title?", "requestedSchema": schema})
        return text(json.dumps([first.get("content"), second.get("content")]))


STRICT: JsonObject = {
    "type": "object",
    "properties": {"message": {"type": "string"}, "level": {"enum": ["low", "high"]}},
    "required": ["message"],
    "additionalProperties": False,
}


if __name__ == "__main__":
    run(Odd())
