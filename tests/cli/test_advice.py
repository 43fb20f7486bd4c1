"""Slips at the command line are answered with what was most likely meant, and errors with what this server needs."""

from __future__ import annotations

import asyncio

import pytest

from tests.cli.program import CLOCK, NOTES, run
from tests.servers.http_faults import Visit, serving

SLIPS: dict[str, tuple[list[str], str]] = {
    "no quotes": (["tools", "-s", "python", "-m", "x"], "-s 'python -m x'"),
    "no quotes, no option": (["info", "-s", "python", "server.py"], "-s 'python server.py'"),
    "before the command": (["-s", "X", "tools"], "Put -s after the command: dragoman tools -s X"),
    "url without -s": (["tools", "http://localhost:1/mcp"], "Did you mean -s http://localhost:1/mcp?"),
    "url where nothing belongs": (["info", "http://localhost:1/mcp"], "Did you mean -s http://localhost:1/mcp?"),
    "command without -s": (["tools", "python -m x"], "Did you mean -s 'python -m x'?"),
    "argument as an option": (["call", "countdown", "--steps", "3", "-s", CLOCK], "Arguments are written steps=3."),
    "argument as an option with =": (["call", "countdown", "--steps=3", "-s", CLOCK], "are written steps=3."),
    "text without quotes": (["call", "now", "text=hello", "world", "-s", CLOCK], "quote it: text='hello world'"),
    "no value": (["call", "countdown", "steps", "-s", CLOCK], "Give it a value: steps=VALUE"),
    "colon": (["call", "countdown", "steps:3", "-s", CLOCK], "Did you mean steps=3?"),
    "tool": (["call", "noww", "-s", CLOCK], "Did you mean 'now'?"),
    "missing arguments": (["call", "add_note", "-s", NOTES], "arguments 'title', 'text' are missing."),
    "port": (["info", "-s", "http://127.0.0.1:99999/mcp"], "ports go from 1 to 65535"),
    "variable": (["info", "-s", "FOO=1 python x"], "no shell is started. Write --env FOO=…"),
    "shell": (["info", "-s", "cd x && ls"], "no shell is started. Use --cwd DIR"),
    "setting's type": (["info", "-s", CLOCK, "--set", "timeout=abc"], "A number is needed."),
    "setting's name": (["info", "-s", CLOCK, "--set", "tls.verfy=1"], "Did you mean tls.verify?"),
}


@pytest.mark.parametrize(("words", "told"), SLIPS.values(), ids=SLIPS.keys())
def test_a_slip_is_answered_with_what_was_meant(words: list[str], told: str) -> None:
    """Nothing was asked of any server's tools then."""
    done = run(*words)
    assert done.status == 2
    assert told in done.err
    assert "configuration" not in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["call", "noww", "a:=1", "-s", CLOCK], "Did you mean 'now'?"),
        (["prompt", "sumarize", "-s", NOTES], "Did you mean 'summarize'?"),
        (["complete", "title=x", "--prompt", "sumarize", "-s", NOTES], "Did you mean 'summarize'?"),
        (["read", "note:///welcom", "-s", NOTES], "Did you mean 'note:///welcome'?"),
    ],
)
def test_a_name_that_the_server_refuses_is_compared_with_its_list(words: list[str], told: str) -> None:
    """The server's own words come first."""
    done = run(*words)
    assert done.status == 1
    assert "-32602" in done.err
    assert told in done.err


def test_a_missing_program_shows_no_search_path() -> None:
    """It is long, and everyone can look at their own."""
    done = run("info", "-s", "no-such-program-anywhere", env={"PATH": "/somewhere/special:/usr/bin"})
    assert "is nowhere on PATH." in done.err
    assert "/somewhere/special" not in done.err


@pytest.mark.parametrize(
    ("http", "words", "told"),
    [
        ("404 Not Found", [], "Endpoints often end in /mcp."),
        ("405 Method Not Allowed", ["--transport", "sse"], "try without --transport"),
        ("401 Unauthorized", [], "no token was sent. Give one with --header 'Authorization=Bearer ${TOKEN}'."),
        (
            "401 Unauthorized",
            ["--header", "Authorization=Bearer x"],
            "The Authorization header that was sent was refused",
        ),
    ],
)
async def test_a_status_is_answered_with_what_to_try(http: str, words: list[str], told: str) -> None:
    """By what was asked and sent; what the server said is shown once."""

    async def script(visit: Visit) -> None:
        await visit.answer(b"go far away", status=http, kind="text/plain")

    async with serving(script) as server:
        done = await asyncio.to_thread(run, "info", "-s", server.url.removesuffix("/mcp") + "/api?key=s3cret", *words)
    assert told in done.err
    assert done.err.count("go far away") == 1
    assert "s3cret" not in done.err


async def test_plain_http_behind_https_is_told() -> None:
    """In place of what OpenSSL calls it."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        done = await asyncio.to_thread(run, "info", "-s", f"https://127.0.0.1:{port}/mcp")
    assert done.status == 3
    assert f"speaks no TLS. Try http://127.0.0.1:{port}" in done.err
