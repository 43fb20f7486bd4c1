"""Tools are found by what they say of themselves, whatever is asked and whatever is listed."""

from __future__ import annotations

import gc
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.catalogue import search
from dragoman.catalogue.search import Document, ToolIndex, document_of
from dragoman.errors import NotSupported


def tool(name: str, description: str = "", server: str = "s", **schema: object) -> Document:
    """One tool, as its server lists it."""
    listed = {"name": name, "description": description, "inputSchema": {"type": "object", **schema}}
    return document_of(server, json.dumps(listed).encode(), f"{server}.{name}")


def index_of(*documents: Document) -> ToolIndex:
    """An index of these, each under its server."""
    index = ToolIndex()
    for server in dict.fromkeys(each.server for each in documents):
        index.replace(server, [each for each in documents if each.server == server])
    return index


def keys(index: ToolIndex, query: str, limit: int = 10, server: str | None = None) -> list[str]:
    """The full names that a question finds."""
    return [hit.key for hit in index.find(query, limit, server=server)]


OFFICE = (
    tool("createIssue", "Open a new issue in a repository.", "tracker"),
    tool("list_repositories", "List the repositories of an account.", "tracker"),
    tool("get_forecast", "Weather for a place, up to ten days ahead.", "weather"),
    tool("send-email", "Send an email.", "mail", properties={"attachments": {"description": "Documents to enclose"}}),
    tool("files/delete", "Remove a file for good.", "disk", properties={"mode": {"enum": ["trash", "shred"]}}),
)


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("create an issue", "tracker.createIssue"),
        ("creating issues", "tracker.createIssue"),
        ("What's the weather like?", "weather.get_forecast"),
        ("email", "mail.send-email"),
        ("enclose", "mail.send-email"),
        ("shred", "disk.files/delete"),
        ("delete a file", "disk.files/delete"),
        ("TRACKER repositories", "tracker.list_repositories"),
    ],
)
def test_a_tool_is_found_by_any_of_its_words(query: str, key: str) -> None:
    """Of its name, however that is written, its server, its description, its parameters and their choices."""
    assert keys(index_of(*OFFICE), query)[0] == key


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("wether", "weather.get_forecast"),
        ("repositroy", "tracker.list_repositories"),
        ("emial", "mail.send-email"),
        ("sendemail", "mail.send-email"),
        ("createissue", "tracker.createIssue"),
        ("repo", "tracker.list_repositories"),
        ("forec", "weather.get_forecast"),
        ("erase", "disk.files/delete"),
        ("createAnIssue", "tracker.createIssue"),
        ("weeather", "weather.get_forecast"),
        ("forecst", "weather.get_forecast"),
        ("forecost", "weather.get_forecast"),
    ],
)
def test_a_word_that_no_tool_has_is_taken_for_one_that_is_near(query: str, key: str) -> None:
    """Misspelt, run together, only begun, or another word for the same."""
    assert keys(index_of(*OFFICE), query)[0] == key


@pytest.mark.parametrize("query", ["databse", "datab", "bigdatabase"])
def test_what_is_near_is_found_whatever_its_ending(query: str) -> None:
    """Stems that would lose more of themselves when they are stemmed again, too."""
    assert keys(index_of(tool("one", "A big database."), tool("two", "Weather.")), query) == ["s.one"]


def test_the_last_word_may_go_on() -> None:
    """Even where it is one already; what it is comes before what it begins. Two letters begin nothing."""
    index = index_of(tool("git_log"), tool("github_search"), tool("gitlab_search"))
    assert keys(index, "git") == ["s.git_log", "s.github_search", "s.gitlab_search"]
    assert keys(index, "git ") == ["s.git_log"]
    assert keys(index, "gi") == []


def test_what_is_added_is_known_to_the_next_question() -> None:
    """Whatever was asked before."""
    index = index_of(tool("one", "weather"))
    assert keys(index, "traffic") == []
    index.replace("s", [tool("one", "weather and traffic")])
    assert keys(index, "traffic") == ["s.one"]


@pytest.mark.parametrize("query", ["b.read", "b.READ", "B READ", "please call b.read for me"])
def test_a_name_that_is_said_comes_first(query: str) -> None:
    """However often other tools say its words."""
    chatty = tool("read_all", "Read b, read b, and read b again.", "a")
    assert keys(index_of(chatty, tool("read", "", "a"), tool("read", "Nothing.", "b")), query)[0] == "b.read"


def test_all_tools_of_one_bare_name_come_first() -> None:
    """Each server's."""
    index = index_of(tool("search", "", "a"), tool("search_more", "Search, search.", "a"), tool("search", "", "b"))
    assert set(keys(index, "search", 2)) == {"a.search", "b.search"}


def test_scores_fall_from_the_first_to_the_last() -> None:
    """And tools that fit alike stand in the order in which they were told."""
    index = index_of(*(tool(f"t{at}", "weather " * (1 + at % 3)) for at in range(30)))
    hits = index.find("weather", 20)
    assert len(hits) == 20
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.score > 0 for hit in hits)
    assert hits == index.find("weather", 20)


@pytest.mark.parametrize("limit", [0, -1])
def test_nothing_is_found_when_nothing_is_wanted(limit: int) -> None:
    """A limit below one gives an empty list."""
    assert index_of(*OFFICE).find("issue repositories weather", limit) == []


def test_more_can_be_wanted_than_there_is() -> None:
    """Any limit will do."""
    assert len(keys(index_of(*OFFICE), "issue repositories weather email file", 2**70)) == len(OFFICE)


def test_one_server_can_be_asked_alone() -> None:
    """Its tools come, and no other's; a server that is not known has none."""
    index = index_of(tool("get", "Get it.", "a"), tool("get", "Get it.", "b"))
    assert keys(index, "get it", server="b") == ["b.get"]
    assert keys(index, "a.get", server="b") == ["b.get"]
    assert keys(index, "get", server="c") == []


def test_replacing_forgets_what_was_there() -> None:
    """Of that server only."""
    index = index_of(tool("old", "weather", "a"), tool("kept", "weather", "b"))
    index.replace("a", [tool("new", "weather", "a")])
    assert sorted(keys(index, "weather")) == ["a.new", "b.kept"]
    assert keys(index, "old") == []
    assert len(index) == 2
    index.replace("a", [])
    assert keys(index, "weather") == ["b.kept"]
    assert keys(index, "a.new") == []


def test_removing_forgets_a_server() -> None:
    """A second time changes nothing."""
    index = index_of(tool("one", "weather", "a"), tool("two", "weather", "b"))
    for _ in range(2):
        index.remove("a")
        assert keys(index, "weather") == ["b.two"]
    index.remove("b")
    assert keys(index, "weather") == []
    assert len(index) == 0


def test_two_tools_of_one_name_are_one() -> None:
    """The later counts, as a client would take it."""
    index = index_of(tool("one", "weather"), tool("one", "traffic"))
    assert keys(index, "weather") == []
    assert keys(index, "traffic") == ["s.one"]


def test_a_listing_that_fails_halfway_leaves_a_sound_index() -> None:
    """The error comes through, and the rest works on."""
    index = index_of(tool("one", "weather", "a"))

    def broken() -> Any:
        yield tool("two", "weather", "b")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        index.replace("b", broken())
    assert keys(index, "weather") == ["a.one"]
    index.replace("b", [tool("three", "weather", "b")])
    assert sorted(keys(index, "weather")) == ["a.one", "b.three"]


def test_a_closed_index_finds_nothing() -> None:
    """And takes nothing more; closing twice is fine."""
    index = index_of(*OFFICE)
    index.close()
    index.close()
    index.replace("a", [tool("one", "weather", "a")])
    index.remove("mail")
    assert index.find("weather") == []


def test_an_sqlite_without_full_text_search_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setattr(search, "_SCHEMA", "CREATE VIRTUAL TABLE tools USING fts0(name)")
    with pytest.raises(NotSupported, match=r"fts0.*Use a Python whose SQLite is built with FTS5"):
        ToolIndex()


def test_a_dropped_index_frees_its_memory() -> None:
    """Without a warning."""
    index = ToolIndex()
    database = index._database  # pyright: ignore[reportPrivateUsage]
    del index
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        database.execute("SELECT 1")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "?!",
        '"',
        '""',
        "'",
        "*",
        "^",
        "(",
        ":",
        "-",
        "\0",
        "🌦️",
        "\ud800",
        "²",
        "\u0301",
        "nowhere",
        "name:nowhere",
        "x" * 1_000_000,
        "🌦️" * 250_000,
        "_" * 1_000_000,
        "'" * 1_000_000,
    ],
)
def test_a_question_that_says_nothing_finds_nothing(query: str) -> None:
    """No text is an error."""
    assert index_of(*OFFICE).find(query) == []


@pytest.mark.parametrize(
    "query",
    [
        'weather"',
        '"weather',
        "weather*",
        "-weather",
        "NOT weather",
        "weather AND",
        "weather NEAR(",
        "description:weather",
        "name : weather",
        "{name title}: weather",
        "^weather",
        "weather\0forecast",
        "weather'); SELECT 1; --",
        "weather " * 100_000,
        "weather 🌦️",
        "WEATHER",
        "wéather",
        "weather's",
    ],
)
def test_a_question_has_no_syntax(query: str) -> None:
    """What FTS5 would read as an operator is text here."""
    assert keys(index_of(*OFFICE), query)[0] == "weather.get_forecast"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(max_size=30), max_size=4),
    st.text(st.characters(codec=None) | st.sampled_from("\"'*^():-+{}\0 _./"), max_size=80),
)
def test_any_question_can_be_asked_of_any_tools(texts: list[str], query: str) -> None:
    """And finds only tools that are there."""
    listed = [Document(key=f"s.{at}", server="s", name=text, description=text) for at, text in enumerate(texts)]
    index = index_of(*listed)
    assert {hit.key for hit in index.find(query)} <= {each.key for each in listed}
    index.close()


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("天气", "s.tianqi"),
        ("明天的天气怎么样", "s.tianqi"),
        ("ファイル削除", "s.sakujo"),
        ("ลบไฟล์", "s.lop"),
        ("погоды", "s.pogoda"),
        ("Übersetzung", "s.worte"),
        ("ubersetzung", "s.worte"),
    ],
)
def test_other_scripts_are_searched_too(query: str, key: str) -> None:
    """Those without spaces by pairs of letters; accents make no difference."""
    index = index_of(
        tool("tianqi", "查询城市的天气预报"),
        tool("sakujo", "指定したファイルを削除します"),
        tool("lop", "ใช้ลบไฟล์ออกจากดิสก์"),
        tool("pogoda", "Прогноз погоды"),
        tool("worte", "Übersetzung von Texten"),
    )
    assert keys(index, query)[0] == key


def test_common_words_do_not_make_a_question_slow() -> None:
    """Only so many tools are ranked; the rarest words of a question say which."""
    index = index_of(*(tool(f"t{at}", f"common usual frequent word{at}") for at in range(4000)))
    assert keys(index, "common usual frequent word3141")[0] == "s.t3141"
    assert len(keys(index, "common")) == 10
    assert keys(index, "common word3141") == ["s.t3141"]  # of all that is common, none was ranked


def test_what_is_remembered_of_questions_is_bounded() -> None:
    """However many were asked."""
    index = index_of(*OFFICE)
    vocabulary = index._vocabulary  # pyright: ignore[reportPrivateUsage]
    for at in range(500):
        index.find(" ".join(f"x{at}y{each}" for each in range(64)))
    assert len(vocabulary._stems) < 25_000  # pyright: ignore[reportPrivateUsage]
    assert keys(index, "weather")[0] == "weather.get_forecast"


@pytest.mark.parametrize(("unknown", "found"), [(5, ["weather.get_forecast"]), (50, [])])
def test_only_so_many_unknown_words_are_guessed(unknown: int, found: list[str]) -> None:
    """A long text in words that no tool has stays cheap."""
    nonsense = " ".join(f"nonsense{at:03}" for at in range(unknown))
    assert keys(index_of(*OFFICE), f"{nonsense} wether nonsense") == found


def test_halves_of_letters_do_no_harm() -> None:
    """JSON can hold one surrogate without the other; the rest of the text is searched."""
    listed = Document(key="s.\ud800", server="\ud800", name="\ud800", title="\udfff", description="weather \ud800")
    index = index_of(listed)
    assert keys(index, "weather \ud800") == ["s.\ud800"]
    assert keys(index, "s.\ud800", server="\ud800") == ["s.\ud800"]


def test_threads_may_share_an_index() -> None:
    """Some replace while others ask."""
    index = ToolIndex()

    def work(at: int) -> None:
        server = f"s{at % 5}"
        index.replace(server, [tool(f"t{each}", "weather", server) for each in range(20)])
        assert len(index.find("weather", 10)) == 10
        if at % 7 == 0:
            index.remove(server)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(50)))
    for at in range(5):
        index.remove(f"s{at}")
    assert index.find("weather") == []
