"""A catalogue merges what servers list, says what changed, and lists in stable order."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.catalogue.catalogue import Catalogue, Delta
from dragoman.catalogue.listings import Listed, Listing
from tests.catalogue.listed import Clock, entry, listing, put

WHAT: tuple[Listing, ...] = ("tools", "resources", "templates", "prompts")


def full_names(catalogue: Catalogue) -> list[str]:
    """Give the full names of all listed tools, in order."""
    return [each.full_name for each in catalogue.all_tools()]


# What servers list.


def test_tools_of_all_servers_are_listed_in_the_order_of_the_servers(catalogue: Catalogue) -> None:
    """Not in the order in which their listings arrive."""
    catalogue.add_server("b")
    catalogue.add_server("a")
    put(catalogue, "a", "z", "y")
    put(catalogue, "b", "x")
    assert full_names(catalogue) == ["b.x", "a.z", "a.y"]
    assert [each.name for each in catalogue.all_tools("a")] == ["z", "y"]
    assert list(catalogue.all_tools("nobody")) == []
    assert set(catalogue.tools) == {"b.x", "a.z", "a.y"}


@pytest.mark.parametrize("what", WHAT)
def test_an_update_tells_what_changed(catalogue: Catalogue, what: Listing) -> None:
    """By the names on the server, or URIs, with the total; entries that tell something else are told apart."""
    assert put(catalogue, "a", "x:1", "x:2", what=what) == Delta(("x:1", "x:2"), (), 2)
    assert put(catalogue, "a", "x:2", "x:3", what=what) == Delta(("x:3",), ("x:1",), 2)
    other = Listed((entry("x:2", what, description="new"), entry("x:3", what)))
    assert catalogue.update("a", what, other) == Delta((), (), 2, ("x:2",))
    assert not catalogue.update("a", what, other)


@pytest.mark.parametrize("what", WHAT)
def test_the_version_grows_with_each_change_only(catalogue: Catalogue, what: Listing) -> None:
    """So that whoever made something of a listing knows when to do so again, and for which server."""
    put(catalogue, "a", "x:1", what=what)
    put(catalogue, "b", "x:1", what=what)
    before, changed = catalogue.version, catalogue.changed_at(what)
    put(catalogue, "b", "x:1", what=what)
    catalogue.mark("b", stale=True)
    assert (catalogue.version, catalogue.changed_at(what)) == (before, changed)
    put(catalogue, "b", "x:2", what=what)
    assert catalogue.version > before
    assert catalogue.changed_at(what) == {"a": changed["a"], "b": catalogue.version}
    catalogue.remove_server("a")
    assert catalogue.changed_at(what) == {"b": catalogue.version - 1}


def test_an_entry_that_tells_the_same_stays_the_same_object(catalogue: Catalogue) -> None:
    """What was decoded and compiled for it is not done again at each listing."""
    put(catalogue, "a", "x", "y")
    x, y = catalogue.tools["a.x"], catalogue.tools["a.y"]
    catalogue.update("a", "tools", Listed((entry("x"), entry("y", description="new"))))
    assert catalogue.tools["a.x"] is x
    assert catalogue.tools["a.y"] is not y


def test_a_listing_that_was_empty_is_known(catalogue: Catalogue) -> None:
    """To offer nothing is something else than not to have been asked."""
    catalogue.add_server("a")
    assert not catalogue.known("a")
    assert catalogue.listing("a") is None
    assert catalogue.changed_at() == {}
    put(catalogue, "a")
    assert catalogue.known("a")
    assert catalogue.changed_at() == {"a": catalogue.version}
    assert not catalogue.known("a", "prompts")
    assert not catalogue.known("b")
    assert (catalogue.listed("a"), catalogue.listed("b")) == (0, 0)
    assert catalogue.listing("a") == listing()


def test_a_server_that_is_removed_takes_all_along(catalogue: Catalogue) -> None:
    """Nothing of it is found any more; removing it twice does no harm."""
    for what in WHAT:
        put(catalogue, "a", "x:1", what=what)
        put(catalogue, "b", "x:1", what=what)
    catalogue.remove_server("a")
    catalogue.remove_server("a")
    everything = [
        *catalogue.all_tools(),
        *catalogue.all_resources(),
        *catalogue.all_templates(),
        *catalogue.all_prompts(),
    ]
    assert [each.server for each in everything] == ["b"] * 4
    assert set(catalogue.tools) == {"b.x:1"}
    assert catalogue.servers() == ("b",)
    assert catalogue.by_model_name("a__x") is None


def test_an_update_of_an_unknown_server_is_refused(catalogue: Catalogue) -> None:
    """A listing that arrives after its server was removed must not bring it back."""
    with pytest.raises(KeyError):
        catalogue.update("a", "tools", listing("x"))
    catalogue.mark("a", stale=True)
    assert catalogue.servers() == ()


def test_an_entry_without_a_name_costs_only_itself(catalogue: Catalogue) -> None:
    """What was kept on disk may be anything."""
    catalogue.add_server("a")
    items = (b'{"name":5}', b"", b"[]", b'{"title":"x"}', b'{"name":"\xff"}', rb'{"name":"\ud83d"}', entry("ok"))
    delta = catalogue.update("a", "tools", Listed(items))
    assert delta.added[-1] == "ok"
    assert len(delta.added) == 2  # half an emoji is mended, as everywhere


def test_of_two_tools_of_one_name_the_last_counts(catalogue: Catalogue) -> None:
    """As for whoever calls it: a server knows one of each name."""
    catalogue.add_server("a")
    delta = catalogue.update(
        "a", "tools", Listed((entry("x", description="1"), entry("y"), entry("x", description="2")))
    )
    assert delta == Delta(("x", "y"), (), 2)
    assert catalogue.tools["a.x"].description == "2"
    again = Listed((entry("x", description="3"), entry("y"), entry("x", description="4")))
    assert catalogue.update("a", "tools", again) == Delta((), (), 2, ("x",))


# What is hidden.


def test_hidden_tools_are_not_listed(catalogue: Catalogue) -> None:
    """By name or pattern; what is hidden counts neither as added nor in the total."""
    catalogue.add_server("a", hidden=("delete_*", "odd[name]"))
    delta = put(catalogue, "a", "delete_all", "read", "odd[name]", "oddn", "Delete_all")
    assert delta == Delta(("read", "Delete_all"), (), 2)
    assert full_names(catalogue) == ["a.read", "a.Delete_all"]
    assert catalogue.by_model_name("a__delete_all") is None


def test_what_is_hidden_can_change(catalogue: Catalogue) -> None:
    """The configuration is read again while the hub runs; the listing need not be."""
    put(catalogue, "a", "x", "y")
    version = catalogue.version
    catalogue.add_server("a", hidden=("x",))
    assert set(catalogue.tools) == {"a.y"}
    assert catalogue.version > version
    catalogue.add_server("a", hidden=("*",))
    assert set(catalogue.tools) == set()
    catalogue.add_server("a")
    assert full_names(catalogue) == ["a.x", "a.y"]
    assert set(catalogue.tools) == {"a.x", "a.y"}


# What is stale.


def test_entries_are_stale_while_their_server_is_away(catalogue: Catalogue) -> None:
    """They stay listed, and say so; a listing that is put for an absent server is stale at once."""
    put(catalogue, "a", "x")
    put(catalogue, "b", "x", stale=True)
    assert [each.stale for each in catalogue.all_tools()] == [False, True]
    catalogue.mark("a", stale=True)
    catalogue.mark("b", stale=False)
    assert [each.stale for each in catalogue.all_tools()] == [True, False]
    assert (catalogue.stale("a"), catalogue.stale("b"), catalogue.stale("b", "prompts")) == (True, False, True)


def test_entries_are_stale_past_their_lifetime(catalogue: Catalogue, clock: Clock) -> None:
    """A new listing makes them fresh again, even those that tell the same."""
    put(catalogue, "a", "x", ttl_ms=5000)
    held = catalogue.tools["a.x"]
    assert not held.stale
    clock.now = 1005.0
    assert held.stale
    catalogue.update("a", "tools", Listed((entry("x"),), ttl_ms=5000, fetched_at=1005.0))
    assert catalogue.tools["a.x"] is held
    assert not held.stale
    clock.now = 900.0
    assert held.stale


# Names that are like others.


def test_a_full_name_is_the_longest_servers(catalogue: Catalogue) -> None:
    """Listed or not, so that a name does not change its meaning when a listing arrives."""
    put(catalogue, "a", "b.c", "c")
    assert set(catalogue.tools) == {"a.b.c", "a.c"}
    catalogue.add_server("a.b")
    assert set(catalogue.tools) == {"a.c"}
    assert catalogue.resolve_tool("a.b.c") == ("a.b", "c")
    put(catalogue, "a.b", "c")
    assert catalogue.tools["a.b.c"].server == "a.b"
    put(catalogue, "a", "b.c", "c")
    assert catalogue.tools["a.b.c"].server == "a.b"
    assert len(list(catalogue.all_tools())) == 3
    assert {each.model_name for each in catalogue.all_tools()} >= {"a__c"}
    catalogue.remove_server("a.b")
    assert catalogue.tools["a.b.c"].server == "a"


def test_a_groups_name_is_a_longer_one_too(catalogue: Catalogue) -> None:
    """And ceases to be one with the group."""
    put(catalogue, "a", "b.c")
    put(catalogue, "z", "c")
    catalogue.set_groups({"a.b": ("z",)})
    assert catalogue.tools.keys() == {"z.c"}
    found = catalogue.resolve_tool("a.b.c")
    assert not isinstance(found, tuple)
    assert found.server == "z"
    catalogue.set_groups({})
    assert catalogue.tools.keys() == {"z.c", "a.b.c"}


ODD = ["", ".", "..", "a", "a.b", "a.", ".a", "a/b", "ünï", "x" * 300, "\n", "*", "files", "read"]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("update"), st.sampled_from(ODD), st.sets(st.sampled_from(ODD))),
        st.tuples(st.just("remove"), st.sampled_from(ODD), st.none()),
        st.tuples(st.just("add"), st.sampled_from(ODD), st.sets(st.sampled_from(ODD), max_size=2)),
    ),
    max_size=12,
)


@given(steps)
def test_whatever_happens_the_catalogue_is_what_the_last_listings_say(
    steps: list[tuple[str, str, set[str] | None]],
) -> None:
    """Servers and tools of odd names come, change and go; nothing is lost, left, or under two names."""
    catalogue = Catalogue()
    listings: dict[str, set[str]] = {}
    hidden: dict[str, set[str]] = {}
    for step, server, names in steps:
        if step == "remove":
            catalogue.remove_server(server)
            listings.pop(server, None)
            hidden.pop(server, None)
        elif step == "add":
            hidden[server] = names or set()
            catalogue.add_server(server, hidden=sorted(hidden[server]))
        else:
            catalogue.add_server(server, hidden=sorted(hidden.setdefault(server, set())))
            put(catalogue, server, *sorted(names or ()))
            listings[server] = names or set()
    expected = {
        (server, tool)
        for server, tools in listings.items()
        for tool in tools
        if tool not in hidden[server] and "*" not in hidden[server]
    }
    listed = list(catalogue.all_tools())
    assert {(each.server, each.name) for each in listed} == expected
    assert len(listed) == len(expected)
    assert all(catalogue.by_model_name(each.model_name) is each for each in listed)
    for name, held in catalogue.tools.items():
        assert held in listed
        assert catalogue.split(name) == (held.server, held.name)
    assert set(catalogue.tools) <= {each.full_name for each in listed}
    for each in listed:
        if catalogue.split(each.full_name) == (each.server, each.name):
            assert catalogue.tools[each.full_name] is each


def test_a_catalogue_that_is_dropped_is_gone() -> None:
    """Entries, their listings and the clock's owner hold each other, and must not hold each other for good."""

    class Owner:
        def __init__(self) -> None:
            self.catalogue = Catalogue(clock=self.time)

        def time(self) -> float:
            return 0.0

    owner = Owner()
    put(owner.catalogue, "a", "x")
    assert not owner.catalogue.tools["a.x"].stale
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
