"""A blocking service for a Flask view: every view uses one hub, and no code here awaits anything.

`flask --app examples.blocking_flask run`, or `gunicorn --preload -w 2 examples.blocking_flask:app`; then
`curl 'localhost:8000/time?hours=2'` and `curl localhost:8000/tools`.
"""

from __future__ import annotations

import os

from flask import Flask, request
from flask.typing import ResponseReturnValue

from dragoman import DragomanError
from dragoman.errors import InvalidArguments
from dragoman.sync import Hub

app = Flask(__name__)
# Made once, used by all threads. It starts with its first call, in each worker that is forked off anew.
hub = Hub({"clock": "python -m dragoman.samples.clock", "notes": "python -m dragoman.samples.notes"})


@app.get("/time")
def time() -> ResponseReturnValue:
    """Give the time so many hours from UTC: ``/time?hours=2``."""
    result = hub.call_tool("clock.now", {"offset_hours": request.args.get("hours", 0, int)}, timeout=10)
    return ({"error": result.text}, 400) if result.is_error else {"time": result.text, "worker": os.getpid()}


@app.get("/tools")
def tools() -> ResponseReturnValue:
    """Give what all servers can do."""
    return {tool.full_name: tool.tool.description for tool in hub.tools()}


@app.get("/health")
def health() -> ResponseReturnValue:
    """Give how each server is; 503 if one is away."""
    states = {name: status.state for name, status in hub.status().items()}
    return states, 200 if {*states.values()} <= {"ready", "connecting"} else 503


@app.errorhandler(DragomanError)
def failed(error: DragomanError) -> ResponseReturnValue:
    """Turn what can go wrong with a server into an answer: its stable code, and words for people."""
    return {"code": error.code, "error": str(error)}, 400 if isinstance(error, InvalidArguments) else 502
