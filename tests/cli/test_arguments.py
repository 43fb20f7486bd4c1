"""The words of a command line add up to the arguments of a tool or a prompt."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.cli.arguments import assemble, parse_words, prompt_arguments, read_base
from dragoman.errors import InvalidArguments, UsageError

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "with.dot": {"type": "number"},
        "place": {"$ref": "#/$defs/Place"},
        "open": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "required": ["text"],
    "$defs": {
        "Place": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "at": {"type": "object", "properties": {"lat": {"type": "number"}}},
            },
            "required": ["city"],
        }
    },
}

GOOD: list[tuple[list[str], dict[str, Any], dict[str, Any]]] = [
    (["text=hi"], {}, {"text": "hi"}),
    (["text=a=b"], {}, {"text": "a=b"}),
    (["text="], {}, {"text": ""}),
    (["text=@not-a-file"], {}, {"text": "@not-a-file"}),
    (["text=5", "count=5"], {}, {"text": "5", "count": 5}),
    (['text:="5"', "count:=5.5"], {}, {"text": "5", "count": 5.5}),
    (["text=x", "tags=a"], {}, {"text": "x", "tags": ["a"]}),
    (["text=x", "tags=a", "tags=b"], {}, {"text": "x", "tags": ["a", "b"]}),
    (["text=x", "tags=a", "tags:=1"], {}, {"text": "x", "tags": ["a", 1]}),
    (["text=x", "with.dot=1.5"], {}, {"text": "x", "with.dot": 1.5}),
    (
        ["text=x", "place.city=Rome", "place.at.lat=41.9"],
        {},
        {"text": "x", "place": {"city": "Rome", "at": {"lat": 41.9}}},
    ),
    (["text=x", 'place={"city": "Rome"}'], {}, {"text": "x", "place": {"city": "Rome"}}),
    (["text=x", "open.a=1", r"open.b\.c=2"], {}, {"text": "x", "open": {"a": 1, "b.c": 2}}),
    (["text=new"], {"text": "old", "count": 1}, {"text": "new", "count": 1}),
    (
        ["place.at.lat=1"],
        {"text": "x", "place": {"city": "Rome"}},
        {"text": "x", "place": {"city": "Rome", "at": {"lat": 1}}},
    ),
    (["tags=b"], {"text": "x", "tags": ["a"]}, {"text": "x", "tags": ["b"]}),
]

BAD: list[tuple[list[str], dict[str, Any], str]] = [
    ([], {}, "argument 'text' is missing. Add text=…; --no-check sends it all the same."),
    (["txt=x"], {}, "there is no argument 'txt'. Did you mean 'text'? It has text, count, tags"),
    (["text=x"], {"cuont": 1}, "there is no argument 'cuont'. Did you mean 'count'?"),
    (["text=x", "count=two"], {}, "argument 'count' must be an integer, not 'two'."),
    (["text=x", "text=y"], {}, "argument 'text' is given more than once, and it takes one value."),
    (["text=x", "place.at.lat=1"], {}, "argument 'place.city' is missing. Add place.city=…"),
    (["text=x", "place.town=Rome"], {}, "there is no argument 'place.town'. It has city, at"),
    (["text=x", "place.at.lat=north"], {}, "argument 'place.at.lat' must be a number, not 'north'."),
    (["text=x", "place.city=Rome", 'place={"city": "Pisa"}'], {}, "argument 'place' has a value of its own and a part"),
    (["place.city=Rome"], {"text": "x", "place": "Pisa"}, "argument 'place' has a value of its own and a part"),
    (["text=x", "open.a=x"], {}, "argument 'open.a' must be an integer, not 'x'."),
]


@pytest.mark.parametrize(("words", "base", "arguments"), GOOD)
def test_words_become_arguments(words: list[str], base: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Each way to write an argument, alone and over `--args`."""
    assert assemble(parse_words(words), base, SCHEMA) == arguments


@pytest.mark.parametrize(("words", "base", "told"), BAD)
def test_what_does_not_fit_is_told_with_the_way_out(words: list[str], base: dict[str, Any], told: str) -> None:
    """The error names the argument, what is wrong with it and what to write."""
    with pytest.raises(InvalidArguments) as caught:
        assemble(parse_words(words), base, SCHEMA)
    assert str(caught.value).startswith(told)


def test_an_error_points_at_its_place() -> None:
    """`path` is a JSON pointer, so that a program can find the place too."""
    with pytest.raises(InvalidArguments) as caught:
        assemble(parse_words(["text=x", "place.at.lat=north"]), {}, SCHEMA)
    assert caught.value.path == "/place/at/lat"


def test_the_base_is_left_as_it_was() -> None:
    """Merging copies what it changes."""
    base = {"text": "x", "place": {"city": "Rome"}}
    assemble(parse_words(["place.city=Pisa"]), base, SCHEMA)
    assert base == {"text": "x", "place": {"city": "Rome"}}


def test_without_a_schema_nothing_is_checked() -> None:
    """Text stays text, repeats make an array, dots make objects."""
    words = parse_words(["a=1", "b:=2", "c=x", "c=y", "d.e=1"])
    assert assemble(words, {}, None) == {"a": "1", "b": 2, "c": ["x", "y"], "d": {"e": "1"}}


def test_a_file_gives_the_text(tmp_path: Path) -> None:
    """`name@=file` reads a file, typed as the text itself would be."""
    (tmp_path / "note").write_text("42", encoding="utf-8")
    words = parse_words([f"text@={tmp_path / 'note'}", f"count@={tmp_path / 'note'}"])
    assert assemble(words, {}, SCHEMA) == {"text": "42", "count": 42}


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("message", "'message' is no argument. Give it a value: message=VALUE, or message:=JSON."),
        ("=x", "'=x' is no argument."),
        (":=1", "':=1' is no argument."),
        ('{"a": 1}', "'{\"a\": 1}' is no argument. Pass JSON with --args."),
        ("a:={", "argument 'a' is no JSON"),
        ("a:=NaN", "argument 'a' is no JSON (NaN is no JSON)"),
        ("a@=/nowhere/at/all", "'/nowhere/at/all' can't be read (No such file or directory)."),
    ],
)
def test_a_word_that_is_no_argument_is_refused(word: str, told: str) -> None:
    """Before anything is started."""
    with pytest.raises(UsageError) as caught:
        parse_words([word])
    assert str(caught.value).startswith(told)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """JSON holds text only."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not text in UTF-8"):
        parse_words([f"a@={tmp_path / 'bytes'}"])


def test_the_base_comes_from_json_a_file_or_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three ways of `--args`."""
    (tmp_path / "args.json").write_text('{"a": 2}', encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 3}'))
    sources = ['{"a": 1}', f"@{tmp_path / 'args.json'}", "-", None]
    assert [read_base(source) for source in sources] == [{"a": 1}, {"a": 2}, {"a": 3}, {}]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("[1]", "--args holds an array, not an object"),
        ("null", "--args holds null, not an object"),
        ("text", "--args is no JSON"),
        ("@/nowhere", "'/nowhere' can't be read"),
    ],
)
def test_a_base_that_is_no_object_is_refused(source: str, told: str) -> None:
    """With what it holds instead."""
    with pytest.raises(UsageError) as caught:
        read_base(source)
    assert str(caught.value).startswith(told)


def test_a_prompt_takes_text_only() -> None:
    """The protocol has no other arguments for prompts."""
    assert prompt_arguments(parse_words(["a=1"]), {"b": "x"}) == {"a": "1", "b": "x"}
    with pytest.raises(InvalidArguments, match="argument 'a' is a number"):
        prompt_arguments(parse_words(["a:=1"]), {})


names = st.text(st.characters(blacklist_characters="=:@.\\", blacklist_categories=["Cs"]), min_size=1)


@given(st.dictionaries(names, st.text(st.characters(blacklist_categories=["Cs"])), max_size=5))
def test_any_names_and_texts_come_through(arguments: dict[str, str]) -> None:
    """Whatever the names and the texts are, they arrive as they were typed."""
    words = parse_words([f"{name}={value}" for name, value in arguments.items()])
    assert assemble(words, {}, None) == arguments


@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_words_are_taken_or_refused(words: list[str]) -> None:
    """Never anything but arguments or a `UsageError`."""
    with contextlib.suppress(UsageError):
        assemble(parse_words([word for word in words if "@=" not in word]), {}, SCHEMA)
