"""The benchmark runs from its one command and gives a table. Nothing here is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import echo_servers
from tests.parts import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells what a process costs")

CONVERSATION: list[dict[str, Any]] = [
    {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}}},
    {"method": "notifications/initialized"},
    {"id": "two", "method": "server/discover", "params": {"_meta": {"nested": [{"}": "{"}]}}},
    {"id": 3, "method": "tools/list"},
    {"id": 4, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": 'ä "quoted" \\'}}},
    {"id": 5, "method": "tools/call", "params": {"arguments": {"size": 70_000}, "name": "blob"}},
    {"id": 6, "method": "ping"},
]


def bench(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command, with its results in `place`."""
    command = [sys.executable, "-m", "bench", "--out", str(place), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def test_a_quick_run_gives_a_table_and_every_reading(tmp_path: Path) -> None:
    """Over pipes and over HTTP, in both kinds of answer."""
    done = bench(tmp_path, "--quick", "--only", "stdio-1,http-json-32,http-sse-1", "--clients", "blocking,bare")
    assert done.returncode == 0, done.stderr
    assert "| Calls over stdio, one at a time: calls per second |" in done.stdout
    assert "Failed:" not in done.stdout
    readings = json.loads((tmp_path / "results.json").read_text())
    assert readings.keys() == {"stdio-1", "http-json-32", "http-sse-1"}
    assert all(one["figures"][client][0]["cpu_us"] > 0 for one in readings.values() for client in ("blocking", "bare"))


def test_dragoman_is_measured_in_both_eras(tmp_path: Path) -> None:
    """The one client that the rest is about."""
    clients = "dragoman,dragoman-handshake"
    done = bench(tmp_path, "--quick", "--only", "stdio-256,http-json-1,http-sse-32", "--clients", clients)
    assert done.returncode == 0, done.stderr
    assert "Failed:" not in done.stdout


def test_missed_goals_are_named_and_fail_only_a_check(tmp_path: Path) -> None:
    """A goal whose other side was not measured is not met."""
    arguments = ("--quick", "--only", "import", "--clients", "blocking")
    done = bench(tmp_path, *arguments)
    assert done.returncode == 0
    assert "missed: import" in done.stderr
    assert bench(tmp_path, *arguments, "--check").returncode == 1


def test_an_unknown_case_is_refused(tmp_path: Path) -> None:
    """Rather than measured as nothing at all."""
    done = bench(tmp_path, "--only", "nonsense")
    assert done.returncode == 2
    assert "--list" in done.stderr


def answers(command: tuple[str, ...]) -> list[dict[str, object]]:
    """What a server answers to the conversation; the results alone, without what only one era knows."""
    lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in CONVERSATION)
    done = subprocess.run([*command, "--tools", "12"], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_servers_in_c_and_in_python_answer_alike() -> None:
    """So that a machine without a compiler measures the same conversation."""
    with echo_servers.running() as servers:
        if servers.stdio == servers.slow_stdio:
            pytest.skip("there is no C compiler")
        fast, slow = answers(servers.stdio), answers(servers.slow_stdio)
    assert [answer["id"] for answer in fast] == [1, "two", 3, 4, 5, 6]
    assert fast == slow
