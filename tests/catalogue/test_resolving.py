"""A name finds what its caller means, or an error that tells what could have been meant."""

from __future__ import annotations

import pytest

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.entries import PromptEntry, ToolEntry
from dragoman.catalogue.names import model_name
from dragoman.errors import AmbiguousName, ToolDisabled, UnknownName
from tests.catalogue.listed import Clock, put


def meant(catalogue: Catalogue, name: str) -> str | tuple[str, str]:
    """Give the full name of the tool that a name stands for, or the pair if nobody has listed it."""
    found = catalogue.resolve_tool(name)
    return found.full_name if isinstance(found, ToolEntry) else found


# Names that stand for something.


def test_a_tool_is_found_by_each_of_its_names(catalogue: Catalogue) -> None:
    """Full, for models, and bare when one server alone has it."""
    put(catalogue, "files", "read", "größe/ändern")
    put(catalogue, "web", "fetch")
    for name in ("files.read", "files__read", "read"):
        assert meant(catalogue, name) == "files.read"
    for name in ("files.größe/ändern", model_name("files", "größe/ändern"), "größe/ändern"):
        assert meant(catalogue, name) == "files.größe/ändern"


@pytest.mark.parametrize("tool", ["", ".", "a.b", "a/b", "ünï", "x" * 300, " ", "read.", "{}", "\n"])
def test_odd_names_are_names(catalogue: Catalogue, tool: str) -> None:
    """Whatever a server calls its tool."""
    put(catalogue, "my.files", tool)
    for name in (f"my.files.{tool}", model_name("my.files", tool), tool):
        assert meant(catalogue, name) == f"my.files.{tool}"


def test_a_server_may_be_called_like_a_tool(catalogue: Catalogue) -> None:
    """A bare name is a tool's, whatever servers are called."""
    put(catalogue, "read", "all")
    put(catalogue, "files", "read", "read.all")
    assert meant(catalogue, "read") == "files.read"
    assert meant(catalogue, "read.all") == "read.all"
    assert meant(catalogue, "files.read.all") == "files.read.all"


def test_a_bare_name_with_dots_is_found(catalogue: Catalogue) -> None:
    """If what stands before a dot is no server."""
    put(catalogue, "github", "repos.list")
    assert meant(catalogue, "repos.list") == "github.repos.list"
    put(catalogue, "repos", "get")
    with pytest.raises(UnknownName, match=r"github\.repos\.list"):
        meant(catalogue, "repos.list")
    catalogue.mark("repos", stale=True)
    assert meant(catalogue, "repos.list") == ("repos", "list")


def test_a_bare_name_with_dots_is_found_on_the_server_that_it_begins_with(catalogue: Catalogue) -> None:
    """Servers that put their own name before each tool's."""
    put(catalogue, "repos", "repos.list")
    assert meant(catalogue, "repos.list") == "repos.repos.list"


def test_a_models_name_can_not_be_taken_by_anothers_tool(catalogue: Catalogue) -> None:
    """A tool that calls itself like the model's name of another does not get its calls."""
    put(catalogue, "evil", "files__read")
    put(catalogue, "files", "read")
    assert meant(catalogue, "files__read") == "files.read"
    catalogue.remove_server("files")
    catalogue.add_server("files")
    assert meant(catalogue, "files__read") == ("files", "read")


def test_longest_server_names_are_tried_first(catalogue: Catalogue) -> None:
    """And the next, if the longest is known to lack it."""
    put(catalogue, "a", "b.c")
    put(catalogue, "a.b", "d")
    assert catalogue.split("a.b.c") == ("a.b", "c")
    assert meant(catalogue, "a.b.c") == "a.b.c"
    assert catalogue.split("a.c.b") == ("a", "c.b")
    assert catalogue.split("a") is None
    assert catalogue.split("c.d") is None
    assert catalogue.split("a.") == ("a", "")


# What nobody has listed.


@pytest.mark.parametrize("name", ["files.write", "files__write"])
def test_an_unlisted_tool_may_be_there(catalogue: Catalogue, clock: Clock, name: str) -> None:
    """Unless the server's listing is whole and fresh, only the server knows."""
    catalogue.add_server("files")
    assert catalogue.resolve_tool(name) == ("files", "write")
    put(catalogue, "files", "read", left_out=1)
    assert catalogue.resolve_tool(name) == ("files", "write")
    put(catalogue, "files", "read", stale=True)
    assert catalogue.resolve_tool(name) == ("files", "write")
    put(catalogue, "files", "read", ttl_ms=1000)
    with pytest.raises(UnknownName):
        catalogue.resolve_tool(name)
    clock.now += 1
    assert catalogue.resolve_tool(name) == ("files", "write")


def test_an_unknown_tool_tells_the_nearest_of_its_server(catalogue: Catalogue) -> None:
    """The server was named, so its tools come first."""
    put(catalogue, "files", "read_file", "stat")
    put(catalogue, "disk", "read_fil")
    with pytest.raises(UnknownName) as caught:
        catalogue.resolve_tool("files.read_fil")
    assert caught.value.nearest == ("files.read_file",)
    assert caught.value.name == "files.read_fil"
    assert str(caught.value) == "files: it has no tool called 'read_fil'. Did you mean files.read_file?"


def test_an_unknown_name_tells_the_nearest_of_all(catalogue: Catalogue) -> None:
    """Full names, so that they can be used as they stand."""
    put(catalogue, "files", "read_file", "read_files", "stat")
    put(catalogue, "disk", "read_fil")
    with pytest.raises(UnknownName) as caught:
        catalogue.resolve_tool("reed_file")
    assert set(caught.value.nearest) == {"files.read_file", "files.read_files", "disk.read_fil"}
    assert str(caught.value).startswith("no server has a tool called 'reed_file'. Did you mean files.read_file, ")


def test_an_unknown_name_tells_of_servers_that_nobody_has_listed(catalogue: Catalogue) -> None:
    """One of them may have it: it is away, switched off, or was never asked."""
    put(catalogue, "files", "stat")
    for number in range(7):
        catalogue.add_server(f"away{number}")
    with pytest.raises(UnknownName) as caught:
        catalogue.resolve_tool("fetch")
    assert caught.value.hint == (
        "hub.tools() lists all that are known. Not listed so far: away0, away1, away2, away3, away4 and 2 more."
    )
    for number in range(7):
        put(catalogue, f"away{number}")
    with pytest.raises(UnknownName) as caught:
        catalogue.resolve_tool("fetch")
    assert caught.value.hint == "hub.tools() lists all that are known."


def test_a_mistyped_server_is_found_before_it_has_listed(catalogue: Catalogue) -> None:
    """Most servers start on their first use."""
    catalogue.add_server("github")
    with pytest.raises(UnknownName) as caught:
        catalogue.resolve_tool("gihub.create_issue")
    assert caught.value.nearest == ("github.create_issue",)


@pytest.mark.parametrize("name", ["", ".", "x" * 5000, "no\nsuch\x1btool", "zzz"])
def test_an_error_about_any_name_can_be_printed(catalogue: Catalogue, name: str) -> None:
    """On one line, and not longer than one can read."""
    put(catalogue, "files", "read")
    with pytest.raises(UnknownName) as caught:
        catalogue.resolve_tool(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    assert "hub.tools()" in str(caught.value)


# Several of one name.


def test_an_ambiguous_name_tells_the_candidates(catalogue: Catalogue) -> None:
    """All of them as a value; five in the text."""
    for number in range(7):
        put(catalogue, f"s{number}", "read")
    with pytest.raises(AmbiguousName) as caught:
        catalogue.resolve_tool("read")
    assert caught.value.candidates == tuple(f"s{number}.read" for number in range(7))
    assert str(caught.value) == (
        "7 servers have 'read': s0.read, s1.read, s2.read, s3.read, s4.read and 2 more. Call it by its full name."
    )


def test_a_group_settles_what_is_ambiguous_within_it(catalogue: Catalogue) -> None:
    """By its own order, not that of the servers; not if a stranger has the name too."""
    for server in ("a", "b", "c"):
        put(catalogue, server, "read")
    catalogue.set_groups({"g": ("c", "b", "a", "gone")})
    assert meant(catalogue, "read") == "c.read"
    put(catalogue, "c")
    assert meant(catalogue, "read") == "b.read"
    put(catalogue, "stranger", "read")
    with pytest.raises(AmbiguousName):
        catalogue.resolve_tool("read")


def test_a_group_is_asked_like_a_server(catalogue: Catalogue) -> None:
    """The first member that lists the tool; else the first that may have it."""
    catalogue.add_server("a")
    put(catalogue, "b", "read")
    catalogue.set_groups({"g": ("gone", "a", "b")})
    assert catalogue.split("g.read") == ("g", "read")
    assert meant(catalogue, "g.read") == "b.read"
    assert meant(catalogue, "g.write") == ("a", "write")
    put(catalogue, "a")
    with pytest.raises(UnknownName) as caught:
        catalogue.resolve_tool("g.reed")
    assert caught.value.nearest == ("g.read",)


# What is switched off.


def test_a_hidden_tool_of_an_odd_name_says_so(catalogue: Catalogue) -> None:
    """Its name for models does not tell its parts, and is known all the same."""
    catalogue.add_server("files", hidden=("lösche *",))
    put(catalogue, "files", "lösche alles")
    with pytest.raises(ToolDisabled):
        catalogue.resolve_tool(model_name("files", "lösche alles"))


@pytest.mark.parametrize("name", ["files.delete_all", "files__delete_all", "delete_all"])
def test_a_hidden_tool_says_so(catalogue: Catalogue, name: str) -> None:
    """By each of its names."""
    catalogue.add_server("files", hidden=("delete_*",))
    put(catalogue, "files", "delete_all", "read")
    with pytest.raises(ToolDisabled) as caught:
        catalogue.resolve_tool(name)
    assert (caught.value.server, caught.value.tool) == ("files", "delete_all")


@pytest.mark.parametrize("name", ["files.delete_all", "files__delete_all", "g.delete_all"])
def test_a_hidden_tool_says_so_before_anything_was_listed(catalogue: Catalogue, name: str) -> None:
    """No way around it through a server that has not started."""
    catalogue.add_server("files", hidden=("delete_*",))
    catalogue.set_groups({"g": ("files",)})
    with pytest.raises(ToolDisabled):
        catalogue.resolve_tool(name)


def test_a_tool_is_found_by_server_and_name(catalogue: Catalogue) -> None:
    """Exactly: also when its full name reads as another server's tool."""
    put(catalogue, "a", "b.c")
    put(catalogue, "a.b", "c")
    assert [(found := catalogue.entry(*pair)) and found.server for pair in (("a", "b.c"), ("a.b", "c"))] == ["a", "a.b"]
    assert catalogue.entry("a", "x") is catalogue.entry("nobody", "x") is None
    catalogue.add_server("a", hidden=("*",))
    assert not catalogue.hides("a.b", "c")
    assert not catalogue.hides("nobody", "c")
    for tool in ("b.c", "unlisted"):
        assert catalogue.hides("a", tool)
        with pytest.raises(ToolDisabled):
            catalogue.entry("a", tool)


def test_a_tool_that_one_server_hides_is_anothers(catalogue: Catalogue) -> None:
    """A bare name, and that of a group, mean what may be called."""
    catalogue.add_server("a", hidden=("*",))
    put(catalogue, "a", "read")
    put(catalogue, "b", "read")
    catalogue.set_groups({"g": ("a", "b")})
    assert meant(catalogue, "read") == meant(catalogue, "g.read") == "b.read"


# Prompts and resources.


def test_prompts_are_found_like_tools(catalogue: Catalogue) -> None:
    """By full or bare name; what hides tools hides no prompts."""
    catalogue.add_server("a", hidden=("*",))
    put(catalogue, "a", "greet", what="prompts")
    put(catalogue, "b", "part", what="prompts")
    catalogue.add_server("c")
    for name in ("a.greet", "greet"):
        found = catalogue.resolve_prompt(name)
        assert isinstance(found, PromptEntry)
        assert found.full_name == "a.greet"
    assert catalogue.resolve_prompt("c.greet") == ("c", "greet")
    with pytest.raises(UnknownName, match=r"a: it has no prompt called 'gret'. Did you mean a.greet\?"):
        catalogue.resolve_prompt("a.gret")
    with pytest.raises(UnknownName, match=r"hub.prompts\(\) lists"):
        catalogue.resolve_prompt("zzz")
    put(catalogue, "b", "greet", what="prompts")
    with pytest.raises(AmbiguousName):
        catalogue.resolve_prompt("greet")


def test_a_resource_is_read_from_those_who_list_it(catalogue: Catalogue) -> None:
    """Else from those with a template for it; else it may be anyone's that offers resources."""
    put(catalogue, "tools-only", "read")
    put(catalogue, "a", "notes://1", "notes://2", what="resources")
    put(catalogue, "b", "notes://1", what="resources")
    put(catalogue, "c", "notes://{id}", "not a {template", what="templates")
    put(catalogue, "d", what="resources")
    assert catalogue.resource_servers("notes://1") == ["a", "b"]
    assert catalogue.resource_servers("notes://2") == ["a"]
    assert catalogue.resource_servers("notes://3") == ["c"]
    assert catalogue.resource_servers("file:///x") == ["a", "b", "c", "d"]
    assert Catalogue().resource_servers("file:///x") == []
