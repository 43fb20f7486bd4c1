"""The blocking face is the asynchronous one: each method, each parameter, each default."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from dragoman import sync
from dragoman.hub.bus import Subscription
from dragoman.hub.hub import Hub
from dragoman.hub.server_face import HubServer

PAIRS = [(Hub, sync.Hub), (HubServer, sync.HubServer), (Subscription, sync.Subscription)]
RENAMED = {"aclose": "close"}
#: What is awaited or iterated over there, and what is given here.
COUNTERPARTS = {
    "Stream[Any]": "Reader[Any]",
    "Watch": "Reader[Change]",
    "Server": "Connection",
    "Subscription | Callable[[H], H]": "Subscription | Callable[[F], F]",
}


def public(kind: type) -> dict[str, Any]:
    """Give the public methods and properties of a class, those that it inherits included."""
    return {name: inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")}


MEMBERS = [(theirs, ours, name) for theirs, ours in PAIRS for name in public(theirs)]


@pytest.mark.parametrize(("theirs", "ours", "name"), MEMBERS, ids=lambda each: getattr(each, "__name__", each))
def test_every_method_has_a_blocking_one_with_the_same_parameters(theirs: type, ours: type, name: str) -> None:
    """Names, kinds, order and defaults of the parameters; a property is a property."""
    there, here = public(theirs)[name], public(ours)[RENAMED.get(name, name)]
    assert type(here) is type(there)
    if isinstance(there, property):
        return
    assert shape(here) == shape(there)
    function = getattr(here, "__func__", here)
    assert not inspect.iscoroutinefunction(function)


@pytest.mark.parametrize(("theirs", "ours", "name"), MEMBERS, ids=lambda each: getattr(each, "__name__", each))
def test_every_method_takes_and_gives_the_same_types(theirs: type, ours: type, name: str) -> None:
    """Annotations are the same, but for what is awaited or iterated over."""
    there, here = public(theirs)[name], public(ours)[RENAMED.get(name, name)]
    if isinstance(there, property):
        there, here = there.fget, here.fget
    wanted, given = (dict(getattr(each, "__func__", each).__annotations__) for each in (there, here))
    answer = wanted.pop("return")
    assert given.pop("return") == COUNTERPARTS.get(answer, answer)
    assert given == wanted


def test_a_hub_is_made_as_the_asynchronous_one() -> None:
    """The constructor takes the same."""
    assert shape(sync.Hub.__init__) == shape(Hub.__init__)


def test_nothing_is_there_that_the_asynchronous_face_has_not() -> None:
    """Who learns one face knows the other."""
    for theirs, ours in PAIRS:
        assert {RENAMED.get(name, name) for name in public(theirs)} == set(public(ours)) - {"attach"}


def shape(member: Any) -> list[tuple[str, Any, Any]]:
    """Give name, kind and default of each parameter."""
    function = getattr(member, "__func__", member)
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]
