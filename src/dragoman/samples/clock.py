"""A sample server that knows the time: structured results, progress, log lines, a picture, a sound and a task."""

from __future__ import annotations

import base64
import datetime as dt
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from .launch import run
from .offer import Call, JsonObject, Prompt, Sample, Tool, ToolFailure, text

FACE_PIXELS = 96
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MANUAL = "clock://manual"


class Clock(Sample):
    """The server."""

    name = "clock"
    title = "Clock"
    instructions = "Tells the time, counts down, draws a clock face and rings."

    def __init__(self) -> None:
        super().__init__()
        self.add(
            Tool(NOW, self._now),
            Tool(COUNTDOWN, self._countdown),
            Tool(FACE, self._face),
            Tool(RING, self._ring),
            Tool(TIMER, self._timer, lasting=True),
        )
        self.prompts["plan_day"] = Prompt(PLAN_DAY, self._plan_day)

    def resources(self) -> Sequence[JsonObject]:
        """Give the manual."""
        return [{"uri": MANUAL, "name": "manual", "description": "How to read a clock", "mimeType": "text/markdown"}]

    def read(self, uri: str) -> Sequence[JsonObject] | None:
        """Give the manual's text."""
        words = "# Reading a clock\n\nThe *short* hand tells the hour, the *long* one the minute.\n"
        return [{"uri": uri, "mimeType": "text/markdown", "text": words}] if uri == MANUAL else None

    def suggest(self, reference: Mapping[str, Any], argument: str, known: Mapping[str, str]) -> Sequence[str] | None:
        """Complete weekdays for the prompt."""
        return WEEKDAYS if (reference.get("name"), argument) == ("plan_day", "weekday") else None

    def _now(self, _: Call, arguments: JsonObject) -> JsonObject:
        offset = arguments["offset_hours"]
        moment = dt.datetime.now(dt.timezone(dt.timedelta(hours=offset)))
        told = {"time": moment.isoformat(timespec="seconds"), "unix": int(moment.timestamp())}
        told["weekday"] = WEEKDAYS[moment.weekday()]
        return text(f"It is {moment:%H:%M:%S} on {told['weekday']}, UTC{offset:+g}.", structured=told)

    def _countdown(self, call: Call, arguments: JsonObject) -> JsonObject:
        steps, pause = arguments["steps"], arguments["pause"]
        call.log("info", f"counting down from {steps}")
        for done in range(steps):
            call.progress(done, steps, f"{steps - done} to go")
            call.sleep(pause)
        call.progress(steps, steps, "done")
        call.log("notice", {"counted": steps})
        return text("Lift-off.", structured={"counted": steps})

    def _timer(self, call: Call, arguments: JsonObject) -> JsonObject:
        seconds = arguments["seconds"]
        if seconds <= 0:
            raise ToolFailure("a timer needs a time ahead")
        for done in range(10):
            call.progress(done, 10, f"{done * 10} % of {seconds:g} s")
            call.sleep(seconds / 10)
        return text(f"{seconds:g} s are over.")

    def _face(self, _: Call, arguments: JsonObject) -> JsonObject:
        hour, minute = arguments["hour"], arguments["minute"]
        picture = {"type": "image", "mimeType": "image/png", "data": _encoded(_clock_face(hour, minute))}
        return {"content": [{"type": "text", "text": f"{hour:02d}:{minute:02d}"}, picture]}

    def _ring(self, _: Call, arguments: JsonObject) -> JsonObject:
        sound = {"type": "audio", "mimeType": "audio/wav", "data": _encoded(_bell(arguments["times"]))}
        return {"content": [sound]}

    def _plan_day(self, arguments: Mapping[str, str]) -> JsonObject:
        wish = f"Plan my {arguments['weekday']}: three things, each with an hour."
        message = {"role": "user", "content": {"type": "text", "text": wish}}
        return {"description": "A plan for a day", "messages": [message]}


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _clock_face(hour: int, minute: int) -> bytes:
    """Give a PNG: a round face with two hands."""
    centre = (FACE_PIXELS - 1) / 2
    hands = [((hour % 12 + minute / 60) / 12, 0.5, 3.0), (minute / 60, 0.8, 2.0)]
    rows = bytearray()
    for y in range(FACE_PIXELS):
        rows.append(0)
        rows += bytes(_shade(x - centre, y - centre, centre, hands) for x in range(FACE_PIXELS))
    header = struct.pack(">IIBBBBB", FACE_PIXELS, FACE_PIXELS, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _shade(x: float, y: float, radius: float, hands: Sequence[tuple[float, float, float]]) -> int:
    distance = math.hypot(x, y)
    if distance > radius:
        return 255
    if distance > radius - 3:
        return 0
    for turn, length, width in hands:
        angle = 2 * math.pi * turn
        along = x * math.sin(angle) - y * math.cos(angle)
        across = abs(x * math.cos(angle) + y * math.sin(angle))
        if 0 <= along <= radius * length and across <= width / 2 + 0.5:
            return 0
    return 240


def _bell(times: int) -> bytes:
    """Give a WAV: a fading tone, so many times."""
    rate, each = 8000, 2000
    stroke = bytes(
        int(128 + 100 * math.exp(-4 * index / each) * math.sin(2 * math.pi * 880 * index / rate))
        for index in range(each)
    )
    data = stroke * times
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


READS = {"readOnlyHint": True, "openWorldHint": False}

NOW: JsonObject = {
    "name": "now",
    "title": "What time is it?",
    "description": "Tell the time at an offset from UTC.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "offset_hours": {
                "type": "number",
                "minimum": -14,
                "maximum": 14,
                "default": 0,
                "description": "Hours ahead of UTC",
            }
        },
    },
    "outputSchema": {
        "type": "object",
        "properties": {
            "time": {"type": "string", "format": "date-time"},
            "unix": {"type": "integer"},
            "weekday": {"enum": list(WEEKDAYS)},
        },
        "required": ["time", "unix", "weekday"],
    },
    "annotations": READS,
}

COUNTDOWN: JsonObject = {
    "name": "countdown",
    "title": "Count down",
    "description": "Count down to zero, telling the progress.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "steps": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5, "description": "From where"},
            "pause": {"type": "number", "minimum": 0, "maximum": 60, "default": 0.1, "description": "Seconds each"},
        },
    },
    "outputSchema": {"type": "object", "properties": {"counted": {"type": "integer"}}, "required": ["counted"]},
    "annotations": READS,
}

FACE: JsonObject = {
    "name": "face",
    "title": "Draw the face",
    "description": "Draw a clock that shows a time, as a PNG.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "hour": {"type": "integer", "minimum": 0, "maximum": 23},
            "minute": {"type": "integer", "minimum": 0, "maximum": 59, "default": 0},
        },
        "required": ["hour"],
    },
    "annotations": READS,
}

RING: JsonObject = {
    "name": "ring",
    "title": "Ring",
    "description": "Ring a bell, as a WAV.",
    "inputSchema": {
        "type": "object",
        "properties": {"times": {"type": "integer", "minimum": 1, "maximum": 12, "default": 1}},
    },
    "annotations": READS,
}

TIMER: JsonObject = {
    "name": "timer",
    "title": "Set a timer",
    "description": "Answer when the time is over; becomes a task where the client takes tasks.",
    "inputSchema": {
        "type": "object",
        "properties": {"seconds": {"type": "number", "maximum": 3600, "description": "How long"}},
        "required": ["seconds"],
    },
    "annotations": READS,
}

PLAN_DAY: JsonObject = {
    "name": "plan_day",
    "title": "Plan a day",
    "description": "Ask a model for a plan of one day.",
    "arguments": [{"name": "weekday", "description": "Which day", "required": True}],
}


if __name__ == "__main__":
    run(Clock())
