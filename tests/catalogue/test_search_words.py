"""What a tool is found by is read from any JSON, and is bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.catalogue.search import document_of
from dragoman.catalogue.words import named_in, parts_of, segmented, squashed, words_of

LARGEST = 2500
"""Characters that any field of a document stays below."""


def parameters(schema: object) -> str:
    """The words of a schema."""
    return document_of("s", json.dumps({"name": "t", "inputSchema": schema}).encode(), "s.t").parameters


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("create_issue", "create issue"),
        ("createIssue", "createIssue create Issue"),
        ("HTTPServer", "HTTPServer HTTP Server"),
        ("files/delete-all.v2", "files delete all v2"),
        ("getS3Object", "getS3Object get S3 Object"),
        ("__", ""),
        ("", ""),
    ],
)
def test_a_name_comes_apart_where_its_words_meet(name: str, parts: str) -> None:
    """At humps, underscores, dashes, dots and slashes; the whole of a humped one stays findable."""
    assert parts_of(name) == parts


def test_a_tool_is_known_by_all_that_it_says() -> None:
    """Its name at the server, a title of either kind, its description, and its parameters' names and choices."""
    listed = {
        "name": "send",
        "annotations": {"title": "Send it"},
        "description": "Sends.",
        "inputSchema": {
            "properties": {
                "howFast": {"title": "How Fast", "description": "The pace", "enum": ["slow", 1, None, "quick"]},
                "to": {"anyOf": [{"enum": ["all"]}, {"type": "null"}]},
                "lines": {"type": "array", "items": {"properties": {"text": {"title": "Words to send"}}}},
                "kind": {"$ref": "#/$defs/Kind"},
            },
            "$defs": {"Kind": {"title": "Kind", "enum": ["letter"]}},
        },
    }
    told = document_of("mail", json.dumps(listed).encode(), "mail.send")
    assert (told.key, told.server, told.name, told.title, told.description) == (
        "mail.send",
        "mail",
        "send",
        "Send it",
        "Sends.",
    )
    assert told.parameters == ("howFast how Fast The pace slow quick to lines kind Kind letter all text Words to send")


@pytest.mark.parametrize(
    "listed",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'"text"',
        b"\xff",
        b'{"name": "\\ud800"}',
        b'{"name": 1, "title": [], "description": {}, "annotations": 5, "inputSchema": "none"}',
        b'{"inputSchema": {"properties": [1], "enum": 5, "anyOf": {"a": 1}, "$defs": null, "items": [1]}}',
        b'{"inputSchema":' + b'{"items":' * 100_000 + b"1" + b"}" * 100_001,
        b'{"description": "' + b"x" * 5_000_000 + b'"}',
    ],
    ids=lambda listed: str(listed[:20]),
)
def test_a_tool_that_is_no_tool_is_known_by_its_name(listed: bytes) -> None:
    """Whatever came in its place."""
    told = document_of("s", listed, "s.full")
    assert (told.key, told.name, told.title, told.description) == ("s.full", "s.full", "", "")
    assert told.parameters == ""


WIDE: list[dict[str, Any]] = [
    {"properties": {f"p{at}": {"description": "word " * 100} for at in range(5000)}},
    {"properties": {"p": {"enum": ["choice " * 50] * 10_000}}},
    {"anyOf": [{"properties": {"p" * 100_000: {}}}] * 20},
    {"properties": {"p": {"description": "x" * 1_000_000}}},
]


@pytest.mark.parametrize("schema", WIDE)
def test_what_is_kept_of_a_schema_is_bounded(schema: object) -> None:
    """The first of it."""
    assert 0 < len(parameters(schema)) < LARGEST


def test_what_is_kept_of_names_and_descriptions_is_bounded() -> None:
    """The beginnings."""
    told = document_of("s", json.dumps(dict.fromkeys(("name", "title", "description"), "x" * 100_000)).encode(), "s.t")
    assert max(map(len, (told.name, told.title, told.description))) < LARGEST


def test_a_schema_is_not_walked_through_without_end() -> None:
    """What lies deep is left out."""
    schema: dict[str, object] = {"properties": {"deep": {}}}
    for _ in range(400):
        schema = {"items": schema}
    assert parameters(schema) == ""


def test_the_outermost_parameters_come_first() -> None:
    """Before those within them, so that these fall away first."""
    nested = {"properties": {"a": {"properties": {"inner": {"description": "x" * 3000}}}, "b": {}}}
    assert parameters(nested).startswith("a b inner x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "title", "description", "inputSchema", "properties", "enum", "anyOf", "items"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_can_be_listed(listed: Any) -> None:
    """And gives texts."""
    told = document_of("s", json.dumps(listed).encode(), "s.t")
    assert all(isinstance(each, str) for each in (told.name, told.title, told.description, told.parameters))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Can you send an email to Anna, please?", ["send", "email", "Anna"]),
        ("what is it", ["what", "is", "it"]),
        ("don't delete O\u2019Reilly's files", ["delete", "Reilly", "files"]),
        ("send send SEND", ["send"]),
        ("createIssue or create_issue", ["createIssue", "create", "issue"]),
        ("今天天气", ["今天", "天天", "天气"]),
        ("雨?", ["雨"]),
        ("x" * 65, []),
        ("? " * 2000 + "beyond", []),
        (" ".join(f"w{at}" for at in range(100)), [f"w{at}" for at in range(64)]),
        ("", []),
    ],
)
def test_a_question_is_its_telling_words(question: str, words: list[str]) -> None:
    """Filling words count only where there are no others."""
    assert words_of(question) == words


@given(st.text())
def test_any_text_can_be_a_question(question: str) -> None:
    """Its words hold nothing that has a meaning to SQLite."""
    assert all(word.isalnum() for word in words_of(question))
    assert all(isinstance(word, str) for word in (*named_in(question), squashed(question)))
    segmented(question).encode()


def test_names_are_seen_within_a_question() -> None:
    """As names are written."""
    assert named_in("call git.commit, then createIssue; e.g. files/delete-all now") == [
        "git.commit",
        "createIssue",
        "e.g",
        "files/delete-all",
    ]
