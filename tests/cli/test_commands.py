"""Each command on the sample servers: lines for programs, and the protocol's own object with `--json`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragoman import connect
from tests.cli.program import CLOCK, NOTES, ODD, misbehaving, run


async def the_bytes(target: str, method: str, params: dict[str, object] | None = None) -> bytes:
    """A result as the library hands it on."""
    async with connect(target) as server:
        return await server.request(method, params)


def test_info_tells_what_a_server_is() -> None:
    """One name and value a line, with a tab between."""
    facts = dict(line.split("\t") for line in run("info", "-s", NOTES).out.splitlines())
    assert facts["name"] == "notes"
    assert facts["protocol"] == "2026-07-28 (stateless era)"
    assert facts["transport"] == "stdio"
    assert facts["offers"] == "tools, logging, completions, prompts, resources (subscribe, listChanged)"
    assert facts["instructions"].startswith("Keeps short notes")


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25", "2024-11-05"])
def test_info_as_json_has_the_shape_of_an_opening(version: str) -> None:
    """In both eras."""
    told = json.loads(run("info", "--json", "--protocol-version", version, "-s", NOTES).out)
    assert set(told) == {"protocolVersion", "capabilities", "serverInfo", "instructions"}
    assert told["protocolVersion"] == version
    assert told["serverInfo"]["name"] == "notes"


def test_tools_are_listed_one_a_line() -> None:
    """Name, arguments and description between tabs."""
    rows = [line.split("\t") for line in run("tools", "-s", CLOCK).out.splitlines()]
    assert rows[1] == ["countdown", "[steps] [pause]", "Count down to zero, telling the progress."]
    assert rows[2][:2] == ["face", "hour [minute]"]


def test_one_tool_is_told_in_full() -> None:
    """Its arguments with types and defaults, its hints, its result."""
    lines = run("tools", "add_note", "-s", NOTES).out.splitlines()
    assert "argument\ttitle\tstring\trequired\tWhat the note is called" in lines
    assert "argument\ttags\tstring[]\t= []\tWords to find it by" in lines
    assert "result\ttitle: string, text: string, tags: string[]" in lines
    assert "hints\tchanges things, destroys nothing, can be repeated, stays inside" in lines


def test_a_tool_that_is_not_there_is_a_slip() -> None:
    """The nearest one is told."""
    done = run("tools", "ad_note", "-s", NOTES)
    assert done.status == 2
    assert "there is no tool 'ad_note'. Did you mean 'add_note'?" in done.err


def test_listings_as_json_are_whole_and_merged() -> None:
    """All pages in one object, each entry as the server wrote it."""
    told = json.loads(run("tools", "--json", "-s", misbehaving("tools=25", "page=10")).out)
    assert set(told) == {"tools"}
    assert [tool["name"] for tool in told["tools"]][-1] == "tool_24"
    assert json.loads(run("tools", "face", "--json", "-s", CLOCK).out)["tools"][0]["name"] == "face"
    assert set(json.loads(run("resources", "--json", "-s", NOTES).out)) == {"resources"}
    assert set(json.loads(run("resources", "--templates", "--json", "-s", NOTES).out)) == {"resourceTemplates"}
    assert set(json.loads(run("prompts", "--json", "-s", NOTES).out)) == {"prompts"}


def test_a_broken_entry_is_left_out_and_told() -> None:
    """The others are listed; --json stays clean."""
    done = run("tools", "--json", "-s", ODD)
    assert done.status == 0
    assert "strict" in [tool["name"] for tool in json.loads(done.out)["tools"]]
    assert done.err.startswith("odd_server.py: ")
    assert len(done.err.splitlines()) == 1


def test_a_tool_with_an_unreadable_schema_can_be_called() -> None:
    """Nothing is checked where nothing is known."""
    words = ("broken", "anything=1", "-s", misbehaving("broken_tool"))
    assert run("tools", *words[:1], *words[2:]).out.startswith("name\tbroken\n")
    assert "Unknown tool" in run("call", *words).err


def test_resources_and_templates_are_listed_together() -> None:
    """A template is known by its braces."""
    rows = [line.split("\t") for line in run("resources", "-s", NOTES).out.splitlines()]
    assert rows[0] == ["note:///shopping", "shopping", "text/plain", "Tags: home, food"]
    assert rows[-1][0] == "note:///{title}"
    assert run("resources", "--templates", "-s", NOTES).out.startswith("note:///{title}\t")


def test_a_resource_is_read_exactly() -> None:
    """The text, and not a newline more."""
    assert run("read", "note:///shopping", "-s", NOTES).out == "Bread, olives, two lemons."


def test_prompts_are_listed_told_and_filled_in() -> None:
    """Messages under their roles."""
    assert run("prompts", "-s", NOTES).out == "summarize\ttitle [style]\tAsk a model for a summary of one note.\n"
    assert "argument\ttitle (required): Which note" in run("prompts", "summarize", "-s", NOTES).out
    filled = run("prompt", "summarize", "title=shopping", "-s", NOTES).out
    assert filled == "user:\nBread, olives, two lemons.\nuser:\nWrite a brief summary of the note 'shopping'.\n"


def test_completion_gives_one_value_a_line() -> None:
    """For prompts and for templates; what is settled may be told."""
    assert run("complete", "style=", "--prompt", "summarize", "-s", NOTES).out == "brief\ndetailed\nrhyming\n"
    assert run("complete", "title=s", "--resource", "note:///{title}", "-s", NOTES).out == "shopping\n"
    assert run("complete", "style=r", "title=welcome", "--prompt", "summarize", "-s", NOTES).out == "rhyming\n"
    assert "No suggestions." in run("complete", "style=x", "--prompt", "summarize", "-s", NOTES).err
    assert run("complete", "style=r", "-s", NOTES).status == 2


def test_ping_tells_how_long_it_took() -> None:
    """In milliseconds; as JSON, the protocol's empty result."""
    assert "answered in" in run("ping", "-s", NOTES).out
    assert run("ping", "--json", "-s", NOTES).out == "{}\n"


@pytest.mark.parametrize(
    ("words", "method", "params"),
    [
        (["call", "find_notes", "text=bread"], "tools/call", {"name": "find_notes", "arguments": {"text": "bread"}}),
        (["read", "note:///welcome"], "resources/read", {"uri": "note:///welcome"}),
        (
            ["prompt", "summarize", "title=welcome"],
            "prompts/get",
            {"name": "summarize", "arguments": {"title": "welcome"}},
        ),
        (
            ["complete", "style=b", "--prompt", "summarize"],
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "summarize"}, "argument": {"name": "style", "value": "b"}},
        ),
    ],
)
def test_json_is_the_protocols_own_object(words: list[str], method: str, params: dict[str, object]) -> None:
    """Byte for byte what the server wrote, on one line, and nothing else."""
    done = run(*words, "--json", "-s", NOTES)
    assert done.out.encode() == asyncio.run(the_bytes(NOTES, method, params)) + b"\n"
    assert done.err == ""


@pytest.fixture
def notes_url() -> Iterator[str]:
    """The notes behind an address."""
    import subprocess
    import sys

    process = subprocess.Popen(
        [sys.executable, "-m", "dragoman.samples.notes", "--http", "0"], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


def test_a_url_is_reached_as_a_command_is(notes_url: str) -> None:
    """And what one run writes, the next one reads."""
    assert (
        run("call", "add_note", "title=kept", "text=over HTTP", "tags=x", "-s", notes_url).out
        == "Kept the note 'kept'.\n"
    )
    assert run("read", "note:///kept", "-s", notes_url).out == "over HTTP"
    told = dict(line.split("\t") for line in run("info", "-s", notes_url).out.splitlines())
    assert told["transport"] == "streamable_http"
    pinned = run("info", "-s", notes_url, "--protocol-version", "2025-06-18").out
    assert "2025-06-18 (handshake era)" in pinned


def test_roots_are_offered(tmp_path: Path) -> None:
    """A directory given with --root is what the server gets when it asks."""
    asked = '{"method": "roots/list", "params": {}}'
    told = run("call", "ask", "--args", asked, "--root", str(tmp_path), "-s", misbehaving()).out
    assert tmp_path.as_uri() in told
    assert tmp_path.as_uri() not in run("call", "ask", "--args", asked, "-s", misbehaving()).out


def test_sampling_is_not_offered() -> None:
    """There is no model here."""
    asked = '{"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}'
    done = run("call", "ask", "--args", asked, "-s", misbehaving("era=handshake"))
    assert "-32601" in done.out + done.err


def test_log_lines_come_on_stderr_when_asked_for() -> None:
    """One line each, with level and logger; --quiet drops them."""
    words = ("call", "countdown", "steps=1", "pause=0", "--log-level", "notice", "-s", CLOCK)
    assert run(*words).err == '[notice] sample: {"counted": 1}\n'
    assert run(*words, "--quiet").err == ""
    assert run(*words, "--json").out.startswith("{")
