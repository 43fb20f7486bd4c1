"""Entries tell what their servers told, decoded when somebody looks, and hold arguments against schemas."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from typing import Any

import pytest

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.entries import ToolEntry
from dragoman.catalogue.listings import Listed
from dragoman.errors import InvalidResult

SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}},
    "required": ["path"],
}


def tool(schema: object = SCHEMA, **members: Any) -> ToolEntry:
    """Give the entry of a tool with that schema."""
    catalogue = Catalogue()
    catalogue.add_server("files")
    told = json.dumps({"name": "read", "inputSchema": schema, **members}).encode()
    catalogue.update("files", "tools", Listed((told,)))
    return catalogue.tools["files.read"]


# What an entry tells.


def test_a_tool_tells_what_its_server_told() -> None:
    """Names at once; the rest from its JSON, decoded once; the JSON itself stays as it came."""
    entry = tool(description="Reads.", own=1)
    assert (entry.server, entry.name, entry.full_name, entry.model_name) == (
        "files",
        "read",
        "files.read",
        "files__read",
    )
    assert (entry.description, entry.input_schema) == ("Reads.", SCHEMA)
    assert entry.tool is entry.tool
    assert entry.tool.extra == {"own": 1}
    assert json.loads(entry.raw)["own"] == 1
    assert repr(entry) == "ToolEntry('files', 'read')"


def test_a_tool_need_tell_nothing_but_its_name() -> None:
    """No description and no schema."""
    catalogue = Catalogue()
    catalogue.add_server("files")
    catalogue.update("files", "tools", Listed((b'{"name":"read"}',)))
    entry = catalogue.tools["files.read"]
    assert (entry.description, entry.input_schema, entry.arguments_problem({"a": 1})) == ("", {}, None)


def test_other_entries_tell_what_their_servers_told() -> None:
    """Resources by URI, templates by their template, prompts by name."""
    catalogue = Catalogue()
    catalogue.add_server("notes")
    catalogue.update("notes", "resources", Listed((b'{"uri":"notes://1","name":"One","size":5}',)))
    catalogue.update("notes", "templates", Listed((b'{"uriTemplate":"notes://{id}","name":"Any"}',)))
    catalogue.update("notes", "prompts", Listed((b'{"name":"sum","arguments":[{"name":"id","required":true}]}',)))
    (resource,), (template,) = catalogue.all_resources(), catalogue.all_templates()
    (prompt,) = catalogue.all_prompts("notes")
    assert (resource.uri, resource.resource.name, resource.resource.size) == ("notes://1", "One", 5)
    assert (template.uri_template, template.template.name) == ("notes://{id}", "Any")
    assert template.pattern.matches("notes://7")
    assert (prompt.name, prompt.full_name, prompt.prompt.arguments[0].required) == ("sum", "notes.sum", True)
    assert resource.resource is resource.resource
    assert template.template is template.template
    assert prompt.prompt is prompt.prompt


def test_what_does_not_fit_is_told_when_somebody_looks() -> None:
    """A kept listing may hold anything; its name alone is read before."""
    entry = tool(description=5)
    with pytest.raises(InvalidResult, match=r"the tool files\.read does not fit"):
        _ = entry.tool
    assert entry.arguments_problem({}) is None


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "text", "path"),
    [
        ({"path": 5}, '5 is not of type "string"', "/path"),
        ({}, '"path" is a required property', ""),
        (None, '"path" is a required property', ""),
        ({"path": "x", "lines": "many"}, '"many" is not of type "integer"', "/lines"),
    ],
)
def test_arguments_that_do_not_fit_are_told(arguments: dict[str, Any] | None, text: str, path: str) -> None:
    """What is wrong, and where."""
    problem = tool().arguments_problem(arguments)
    assert problem is not None
    assert (problem.text, problem.path) == (text, path)


@pytest.mark.parametrize("arguments", [{"path": "x"}, {"path": "x", "lines": 3}, {"path": "x", "more": [1]}])
def test_arguments_that_fit_pass(arguments: dict[str, Any]) -> None:
    """Members that the schema does not know are its own affair."""
    assert tool().arguments_problem(arguments) is None


def test_arguments_are_checked_as_they_are_sent() -> None:
    """A date becomes a text, a tuple a list."""
    schema = {"properties": {"day": {"type": "string"}, "ids": {"type": "array"}}}
    assert tool(schema).arguments_problem({"day": dt.date(2026, 1, 1), "ids": (1, 2)}) is None


def test_arguments_that_can_not_be_sent_are_left_to_the_call() -> None:
    """It tells what is wrong with them when it writes them."""
    assert tool().arguments_problem({"path": object()}) is None
    assert tool().arguments_problem({"path": "\ud800"}) is None
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert tool().arguments_problem({"path": deep}) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strnig"},
        {"$ref": "https://a.example/schema"},
        {"properties": {"path": {"pattern": "(("}}},
        "nonsense",
        [],
        5,
    ],
)
def test_a_schema_that_can_not_be_used_is_not_held_against_the_call(
    schema: object, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, not at each call."""
    entry = tool(schema)
    with caplog.at_level(logging.WARNING, "dragoman"):
        assert entry.arguments_problem({"path": 5}) is None
        assert entry.arguments_problem({"path": 5}) is None
    assert len(caplog.records) == 1
    assert "files.read: its arguments are not checked" in caplog.text


def test_a_check_costs_next_to_nothing() -> None:
    """Three microseconds is what a call may spend on it; this bound leaves room for a busy machine."""
    entry, arguments = tool(), {"path": "/tmp/notes.txt", "lines": 20}
    entry.arguments_problem(arguments)
    best = 1.0
    for _ in range(20):
        begun = time.perf_counter()
        for _ in range(500):
            entry.arguments_problem(arguments)
        best = min(best, (time.perf_counter() - begun) / 500)
    assert best < 6e-6
