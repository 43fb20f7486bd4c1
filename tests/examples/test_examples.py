"""Each example does what its first line promises: it is run, and what it prints is looked at."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path
from typing import Any

from tests.examples.running import EXAMPLES, line_with, run, started


def example(home: Path, name: str) -> list[str]:
    """Run an example and give the lines that it prints."""
    printed, _ = run(home, f"examples/{name}.py")
    return printed.splitlines()


def test_the_basic_client_uses_everything_that_a_server_offers(tmp_path: Path) -> None:
    """Tools, calls, resources, a prompt, a failure of a tool and an error."""
    lines = example(tmp_path, "basic_client")
    assert lines[0].startswith("Notes 1.0.0: Keeps short notes")
    assert [line.partition(":")[0] for line in lines[1:4]] == ["- add_note", "- find_notes", "- delete_note"]
    assert "note:///tea: Darjeeling is out." in lines
    assert "a prompt of 2 messages: A rhyming summary" in lines
    assert "failed: True, there is no note 'coffee'" in lines
    assert lines[-1].startswith("server.invalid_params: notes: ")


def test_a_broadcast_reaches_every_server_of_the_pool_that_can_answer(tmp_path: Path) -> None:
    """And calls that fail leave the others alone, in their order."""
    lines = example(tmp_path, "pool_broadcast")
    assert lines == [
        "kept 20 of 20 notes",
        "north.find_notes: order 7: 7 lemons for north",
        "south.find_notes: order 7: 7 lemons for south",
        "clock.now: answered",
        "north.find_notes: usage.arguments",
        "broken.anything: connect.not_ready",
        "south.find_notes: answered",
        "north is ready",
        "south is ready",
        "clock is ready",
        "broken is failed (config.command_not_found)",
    ]


def test_the_event_driven_client_hears_of_servers_calls_progress_logs_and_resources(tmp_path: Path) -> None:
    """Whatever order the handlers come in."""
    lines = example(tmp_path, "event_driven")
    for server in ("clock", "notes"):
        assert f"[server] {server}: connecting -> ready" in lines
        assert f"[server] {server}: ready -> stopped" in lines
    assert "[progress] countdown: 1 of 2, 1 to go" in lines
    assert "[log] clock info: counting down from 2" in lines
    assert any(re.fullmatch(r"\[call\] tools/call countdown took 0\.\d\d s, \d+ bytes", line) for line in lines)
    assert [line for line in lines if line.startswith("[resource]")][-1] == "[resource] note:///welcome: Over."


def test_the_resilient_client_notices_what_hangs_and_what_dies_and_goes_on(tmp_path: Path) -> None:
    """Calls to the server that is away fail at once, calls to its group are answered by the stand-in."""
    assert example(tmp_path, "resilient_client") == [
        "remote.now: It is …",
        "remote is degraded",
        "clock.now: It is …",
        "remote is ready",
        "remote is waiting",
        "remote.now: connect.not_ready",
        "clock.now: It is …",
        "remote is ready",
        "remote.now: It is …",
    ]


def test_the_config_driven_client_does_what_its_file_says(tmp_path: Path) -> None:
    """Servers that start on use, disabled tools, a reload, and a mistake in the file."""
    assert example(tmp_path, "config_driven") == [
        "tools: clock.now, clock.countdown, clock.timer",
        "usage.tool_disabled: the tool 'ring' is switched off",
        "notes before a call: configured",
        "shopping: Bread, olives, two lemons.",
        "notes after it: ready",
        "reloaded, changed: clock",
        "tools: clock.now, clock.countdown, clock.face, clock.ring",
        "line 13, servers.notes.idle_timout: is no setting of a server. Did you mean 'idle_timeout'?",
        "still there: clock (ready), notes (ready), elsewhere (disabled)",
    ]


def test_tools_are_found_by_questions_and_offered_to_a_model(tmp_path: Path) -> None:
    """The best one is called; a question that nobody can answer finds none."""
    lines = example(tmp_path, "find_tools")
    assert len([line for line in lines if line.startswith("- ")]) == 8
    assert lines[8:] == [
        "Keep a note. [notes.add_note] Kept the note 'idea'.",
        "Which notes contain a text? [notes.find_notes] idea: Learn the oud.",
        "Count down to zero! [clock.countdown] Lift-off.",
        "Order a pizza. Nobody can do that.",
        "offered to a model: notes__find_notes, notes__add_note, notes__delete_note",
        "shopping: Bread, olives, two lemons.",
    ]


def test_the_web_application_connects_a_server_when_a_request_needs_it(tmp_path: Path) -> None:
    """Over real HTTP: first nothing runs, then what was asked, and errors become fitting statuses."""
    words = ("-m", "uvicorn", "--app-dir", "examples", "lazy_fastapi:app", "--port", "0")
    with started(tmp_path, *words) as process:
        line = line_with(process, "Uvicorn running on http://127.0.0.1:")
        port = int(re.findall(r":(\d+) ", line)[0])
        assert asked(port, "GET", "/servers") == (200, {"clock": "configured", "notes": "configured"})
        status, answer = asked(port, "POST", "/tools/clock.now", {"offset_hours": 2})
        assert (status, answer["is_error"]) == (200, False)
        assert answer["structured"]["time"].endswith("+02:00")
        assert asked(port, "GET", "/servers") == (200, {"clock": "ready", "notes": "configured"})
        status, answer = asked(port, "POST", "/tools/clock.nov", {})
        assert (status, answer["detail"]["code"]) == (404, "usage.unknown_name")
        assert asked(port, "POST", "/tools/clock.now", {"offset_hours": "two"})[0] == 422


def asked(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Make a request to this machine; give the status and the JSON of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_every_example_is_listed() -> None:
    """`examples/README.md` leads to each, and to nothing else."""
    listed = set(re.findall(r"^\| \[([\w./]+)\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    packages = {f"{path.parent.name}/" for path in EXAMPLES.glob("*/__main__.py")}
    assert listed == packages | {path.name for path in EXAMPLES.glob("*.py")}
