"""Real web servers: gunicorn with workers and threads, a Flask and a Django application, requests over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts import ROOT
from tests.sync.hubs import alive, until

KINDS = {"sync": ("-k", "sync", "-w", "2"), "gthread": ("-k", "gthread", "-w", "2", "--threads", "4")}


class Site:
    """A gunicorn that serves over a socket in a folder."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def get(self, path: str) -> tuple[int, Any]:
        """Give status and JSON of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def many(self, paths: list[str]) -> list[Any]:
        """Give the JSON of many pages, eight at a time; all are found."""
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(self.get, paths, timeout=40))
        assert {status for status, _ in answers} == {200}
        return [page for _, page in answers]


@contextmanager
def served(folder: Path, application: str, *words: str) -> Generator[Site]:
    """Serve an application, loaded before the workers are forked; end it as an operator would."""
    log = folder / "log"
    command = [sys.executable, "-m", "gunicorn", "--preload", "-b", "127.0.0.1:0", "--no-control-socket", *words]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder),
    }
    with log.open("wb") as told:
        process = subprocess.Popen([*command, application], cwd=ROOT, env=environment, stderr=told)
        try:
            until(lambda: "Listening at" in log.read_text() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            line = next(line for line in log.read_text().splitlines() if "Listening at" in line)
            yield Site(process, int(line.partition("127.0.0.1:")[2].split()[0]))
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, log.read_text()
            assert "Traceback" not in log.read_text()
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_django_application_whose_hub_is_used_before_workers_are_forked(tmp_path: Path, kind: str) -> None:
    """Each worker has a server of its own, the master keeps its own, answers are right, nothing is left."""
    with served(tmp_path, "tests.sync.django_app:application", *KINDS[kind]) as site:
        pages = site.many(["/about"] * 40)
        while len({page["worker"] for page in pages}) < 2:  # pytest-timeout bounds it
            pages += site.many(["/about"] * 8)
        servers = {page["worker"]: page["server"] for page in pages}
        master = pages[0]["master"]
        assert len(set(servers.values())) == 2
        assert master not in servers.values()
        assert [page["text"] for page in site.many([f"/echo/{n}" for n in range(60)])] == [str(n) for n in range(60)]
        assert alive(master)
        first = next(iter(servers))
        os.kill(first, signal.SIGTERM)
        until(lambda: not alive(first) and not alive(servers[first]))
        assert alive(master)
        assert site.get("/echo/again") == (200, {"text": "again"})
    until(lambda: not any(map(alive, (master, *servers.values()))))


@pytest.mark.parametrize("kind", KINDS)
def test_the_flask_example_serves_under_gunicorn(tmp_path: Path, kind: str) -> None:
    """Times and tools come, also to many at once; a wrong question is told as one."""
    with served(tmp_path, "examples.blocking_flask:app", *KINDS[kind]) as site:
        times = site.many([f"/time?hours={n % 12}" for n in range(30)])
        assert all(page["time"].endswith(f"UTC+{n % 12}.") for n, page in enumerate(times))
        status, tools = site.get("/tools")
        assert status == 200
        assert {"clock.now", "notes.add_note"} <= set(tools)
        until(lambda: site.get("/health") == (200, {"clock": "ready", "notes": "ready"}))
        status, told = site.get("/time?hours=99")
        assert (status, told["code"]) == (400, "usage.arguments")


def test_the_flask_example_answers_in_its_own_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With Flask's own test client, as its users test."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    from examples import blocking_flask

    client = blocking_flask.app.test_client()
    page = client.get("/time?hours=2")
    assert page.status_code == 200
    assert page.json is not None
    assert page.json["worker"] == os.getpid()
    blocking_flask.hub.close()
    page = client.get("/time")
    assert (page.status_code, page.json) == (502, {"code": "usage", "error": "the hub is closed. Make a new one."})
