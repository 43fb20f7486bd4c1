"""Servers as released on PyPI, in both eras: time, git and fetch."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import dragoman
from dragoman import ServerConfig
from dragoman.errors import ServerError
from dragoman.protocol.content import TextContent
from tests import parts

PINS = [None, "2026-07-28", "2025-11-25"]
"""No pin, and one for each era."""

in_both_eras = pytest.mark.parametrize("pin", PINS)


def config(name: str, *args: str, pin: str | None) -> ServerConfig:
    """How one of the servers is started."""
    return ServerConfig(name=name, command=parts.python_program(f"mcp-server-{name}"), args=args, protocol_version=pin)


@in_both_eras
async def test_the_time_server_tells_the_time(pin: str | None) -> None:
    """It is met in the era asked for, or in the stateless one, and knows its arguments."""
    async with dragoman.connect(config("time", "--local-timezone", "UTC", pin=pin)) as server:
        assert server.era == ("handshake" if pin == "2025-11-25" else "stateless")
        assert {tool.name for tool in await server.list_tools()} == {"get_current_time", "convert_time"}
        converted = await server.call_tool(
            "convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        )
        assert "+9.0h" in converted.text
        try:
            wrong = await server.call_tool("get_current_time", {"timezone": "Nowhere/Land"})
        except ServerError:
            return
        assert wrong.is_error


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and one change."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    subprocess.run([*git, "init", "--quiet", "-b", "main"], check=True)
    (tmp_path / "a.txt").write_text("one\n")
    subprocess.run([*git, "add", "a.txt"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Begin with wörds"], check=True)
    (tmp_path / "a.txt").write_text("two\n")
    return tmp_path


@in_both_eras
async def test_the_git_server_reads_a_repository(pin: str | None, repository: Path) -> None:
    """Status, difference and history of a real repository."""
    where = {"repo_path": str(repository)}
    async with dragoman.connect(config("git", "-r", str(repository), pin=pin)) as server:
        assert {"git_status", "git_diff_unstaged", "git_log"} <= {tool.name for tool in await server.list_tools()}
        assert "a.txt" in (await server.call_tool("git_status", where)).text
        difference = (await server.call_tool("git_diff_unstaged", where)).text
        assert "-one" in difference
        assert "+two" in difference
        assert "Begin with wörds" in (await server.call_tool("git_log", {**where, "max_count": 1})).text


class Page(BaseHTTPRequestHandler):
    """Serves one page, whatever is asked for."""

    def do_GET(self) -> None:
        """Answer."""
        body = "<html><body><h1>Wörds</h1><p>to be read</p></body></html>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The address of a page on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/page"
        http.shutdown()
        thread.join()


@in_both_eras
async def test_the_fetch_server_reads_a_page(pin: str | None, page: str) -> None:
    """A tool and a prompt that do the same, and a page that isn't there."""
    options = ("--ignore-robots-txt", "--allow-private-ips")
    async with dragoman.connect(config("fetch", *options, pin=pin)) as server:
        assert [tool.name for tool in await server.list_tools()] == ["fetch"]
        assert "to be read" in (await server.call_tool("fetch", {"url": page})).text
        [prompt] = await server.list_prompts()
        [message] = (await server.get_prompt(prompt.name, {"url": page})).messages
        assert isinstance(message.content, TextContent)
        assert "to be read" in message.content.text
        try:
            missing = await server.call_tool("fetch", {"url": "http://127.0.0.1:1/"})
        except ServerError:
            return
        assert missing.is_error
