"""Names for models are safe, stay the same and never collide; a wrong name finds those that were meant."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dragoman.catalogue.names import LONGEST_MODEL_NAME, full_name, model_name, nearest, plain_parts

SAFE = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*")

awkward = st.text("ab_-.9é/", max_size=8)
names = (
    st.text(max_size=80) | awkward | st.text("ab_", max_size=70) | st.sampled_from(["", "a", "a__b", "_", "__", "--"])
)


@given(names, names)
def test_every_provider_takes_every_name(server: str, tool: str) -> None:
    """64 characters at most, of letters, digits, underscores and dashes, and a letter first."""
    name = model_name(server, tool)
    assert SAFE.fullmatch(name)
    assert len(name) <= LONGEST_MODEL_NAME


@given(names, names, names, names)
@example("a__b", "c", "a", "b__c")
@example("a_", "b", "a", "_b")
@example("a", "_b", "a_", "b")
@example("", "", "server", "tool")
@example("a" * 300, "b", "a" * 300, "c")
@example("1a", "b", "s1a", "b")
@example("a", "\ud800", "a", "\ud801")
@example("é", "b", "e", "b")
def test_no_two_tools_share_a_name(server: str, tool: str, other_server: str, other_tool: str) -> None:
    """Whatever servers and tools are called."""
    same = (server, tool) == (other_server, other_tool)
    assert (model_name(server, tool) == model_name(other_server, other_tool)) is same


@given(names, names)
def test_a_name_that_somebody_made_up_to_look_like_anothers_is_another(server: str, tool: str) -> None:
    """A server can't call itself and its tool so that they read as an other tool's name with its hash."""
    name = model_name(server, tool)
    for at in range(1, len(name)):
        if name[at : at + 2] == "__":
            pair = (name[:at], name[at + 2 :])
            assert (model_name(*pair) == name) is (pair == (server, tool))


@given(names, names)
def test_a_plain_name_tells_its_parts(server: str, tool: str) -> None:
    """One with a hash tells none: only a listing knows whose it is."""
    name = model_name(server, tool)
    assert plain_parts(name) == ((server, tool) if name == f"{server}__{tool}" else None)


@pytest.mark.parametrize(
    ("server", "tool", "shape"),
    [
        ("files", "read", "files__read"),
        ("my-files", "read_all", "my-files__read_all"),
        ("files", "_read", "files___read"),
        ("grüße", "lesen", "gru_?e__lesen--#"),
        ("files", "read/all now", "files__read_all_now--#"),
        ("1password", "get", "s1password__get--#"),
        ("io.github.files", "read", "io_github_files__read--#"),
        ("", "", "server__tool--#"),
        ("日本", "読む", "server__tool--#"),
        ("a" * 300, "b" * 300, "a{16}__b{32}--#"),
        ("files", "b" * 300, "files__b{43}--#"),
        ("files", "read--abcdefgh2345", "files__read--abcdefgh2345--#"),
    ],
)
def test_a_name_stays_readable(server: str, tool: str, shape: str) -> None:
    """As much of both names as there is room for; a hash only where something was changed or could be mistaken."""
    assert re.fullmatch(shape.replace("#", "[a-z2-7]{12}"), model_name(server, tool))


def test_names_stay_the_same_for_good() -> None:
    """Conversations are kept, and hold names that models used."""
    assert model_name("io.github.files", "read") == "io_github_files__read--2exa34fer6jp"


def test_a_full_name_is_server_and_tool() -> None:
    """Nothing is changed in it."""
    assert full_name("my.files", "read all") == "my.files.read all"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("github.creat_issue", "github.create_issue"),
        ("create_isue", "github.create_issue"),
        ("GitHub.Create_Issue", "github.create_issue"),
        ("issue", "github.create_issue"),
        ("read-file", "files.read_file"),
    ],
)
def test_the_nearest_name_comes_first(name: str, found: str) -> None:
    """Full or bare, with letters missing or changed."""
    assert nearest(name, ["files.read_file", "clock.now", "github.create_issue", "github.close_pull"])[0] == found


@pytest.mark.parametrize("name", ["", "zzzz", "x", "\ud800", "." * 400])
def test_what_is_like_nothing_finds_nothing(name: str) -> None:
    """A wrong suggestion is worse than none."""
    assert nearest(name, ["files.read_file", "github.create_issue"]) == ()


@given(names, st.lists(names))
def test_any_names_can_be_compared(name: str, candidates: list[str]) -> None:
    """Three at most, each one once, each a candidate."""
    found = nearest(name, candidates)
    assert len(found) == len(set(found)) <= 3
    assert set(found) <= set(candidates)


def test_the_nearest_of_ten_thousand_is_found_at_once() -> None:
    """A caller waits for the error that tells it."""
    verbs, nouns = ("create", "delete", "list", "get"), ("issue", "branch", "file", "user")
    many = [f"server{i % 50}.{verbs[i % 4]}_{nouns[i // 4 % 4]}_{i}" for i in range(10_000)]
    begun = time.perf_counter()
    assert nearest("server7.list_isue_4402x" * 10, many) is not None
    assert nearest("server2.list_isue_4402", many)[0] == "server2.list_issue_4402"
    assert time.perf_counter() - begun < 0.5
