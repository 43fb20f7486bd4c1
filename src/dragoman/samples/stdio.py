"""A sample over stdin and stdout: one message a line, until stdin ends."""

from __future__ import annotations

import contextlib
import json
import sys
import threading

from .conversation import Conversation
from .offer import JsonObject, Sample


def serve(sample: Sample) -> None:
    """Serve one client until it closes stdin."""
    lock = threading.Lock()
    output = sys.stdout.buffer

    def send(message: JsonObject, _: int | str | None) -> None:
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with lock, contextlib.suppress(BrokenPipeError):
            output.write(line)
            output.flush()

    conversation = Conversation(sample, send)
    for line in sys.stdin.buffer:
        if line.strip():
            conversation.receive(_decoded(line))
    conversation.close()


def _decoded(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
