"""Values that keep their bytes: nothing that a server sends is lost, at any depth, and nothing broken passes."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, field

from dragoman.errors import InvalidResult
from dragoman.protocol import changes, content, input_required, interaction, lifecycle, results, tasks, types
from dragoman.protocol.kept import Kept, decode, decode_any, decode_list, decode_object, texts
from tests.protocol.json_values import objects, values, written


class Leg(Kept):
    """A part without parts."""

    side: str
    length: float | None = None


class Animal(Kept):
    """A value with parts in each of the ways in which parts can lie."""

    given_name: str
    first_leg: Leg | None = None
    all_legs: tuple[Leg, ...] | None = None
    more_legs: list[Leg] = field(default_factory=list[Leg])
    legs_by_name: dict[str, Leg] | None = None
    meta: dict[str, Any] | None = field(default=None, name="_meta")


class Stable(Kept):
    """A value whose parts have parts."""

    animals: tuple[Animal, ...]


KINDS = [
    kind
    for module in (changes, content, input_required, interaction, lifecycle, results, tasks, types)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Kept) and kind.__module__ == module.__name__
]
"""Every kind of value that the protocol has."""


def test_a_value_has_its_fields_its_bytes_and_the_rest() -> None:
    """Fields are read under their camel-case names; what has no field is in ``extra``."""
    data = b'{ "givenName": "Ox", "_meta": {"a": 1}, "horns": [1, null] }'
    ox = decode(Animal, data, "the animal")
    assert (ox.given_name, ox.meta, ox.extra) == ("Ox", {"a": 1}, {"horns": [1, None]})
    assert ox.raw == data
    assert decode(Animal, Raw(data), "the animal").raw == data


@given(objects)
def test_nothing_is_lost_of_any_object(extra: dict[str, Any]) -> None:
    """Whatever members a server adds, ``raw`` has their bytes and ``extra`` their values."""
    extra.pop("givenName", None)
    known = {"firstLeg", "allLegs", "moreLegs", "legsByName", "_meta"}
    extra = {name: value for name, value in extra.items() if name not in known}
    data = json.dumps({"givenName": "Ox", **extra}).encode()
    ox = decode(Animal, data, "the animal")
    assert (ox.raw, ox.extra) == (data, extra)


def test_the_parts_of_a_value_keep_their_bytes_too() -> None:
    """At every depth and in every way in which parts lie."""
    data = (
        b'{"animals": [{"givenName": "Ox", "firstLeg": {"side":"left", "z":1}, "allLegs": [{"side": "a"}, {"side":"b"}]'
        b', "moreLegs": [ {"side":"c","y":null} ], "legsByName": {"hind\\u0020": {"side":"d","x":[]}}}'
        b', {"givenName":""}]}'
    )
    ox, other = decode(Stable, data, "the stable").animals
    assert ox.first_leg is not None
    assert ox.all_legs is not None
    assert ox.legs_by_name is not None
    assert ox.raw == data[13:-20]
    assert ox.first_leg.raw == b'{"side":"left", "z":1}'
    assert [leg.raw for leg in ox.all_legs] == [b'{"side": "a"}', b'{"side":"b"}']
    assert [(leg.raw, leg.extra) for leg in ox.more_legs] == [(b'{"side":"c","y":null}', {"y": None})]
    assert ox.legs_by_name["hind "].extra == {"x": []}
    assert other.raw == b'{"givenName":""}'


@given(st.lists(objects, max_size=3), st.dictionaries(st.text(max_size=4), objects, max_size=3))
def test_nothing_is_lost_of_any_part(listed: list[dict[str, Any]], named: dict[str, dict[str, Any]]) -> None:
    """Parts are as whole as the value that holds them."""
    made = [{**leg, "side": "left", "length": 1.5} for leg in listed]
    mapped = {name: {**leg, "side": "right", "length": None} for name, leg in named.items()}
    data = json.dumps({"givenName": "Ox", "allLegs": made, "legsByName": mapped}).encode()
    ox = decode(Animal, data, "the animal")
    for leg, wanted in zip(ox.all_legs or (), made, strict=True):
        assert json.loads(leg.raw) == wanted
        assert leg.extra == {name: value for name, value in wanted.items() if name not in ("side", "length")}
    assert {name: json.loads(leg.raw) for name, leg in (ox.legs_by_name or {}).items()} == mapped


def test_the_last_of_two_members_of_one_name_counts_everywhere() -> None:
    """A field, its bytes and the rest never tell different things."""
    ox = decode(Animal, b'{"givenName":"a","firstLeg":{"side":"x"},"firstLeg":{"side":"y"},"givenName":"b"}', "it")
    assert ox.given_name == "b"
    assert ox.first_leg is not None
    assert (ox.first_leg.side, ox.first_leg.raw) == ("y", b'{"side":"y"}')


def test_a_member_named_like_our_own_is_kept_and_harmless() -> None:
    """What holds the bytes can't be set from outside."""
    data = b'{"givenName":"Ox","$raw":"forged","raw_json":"forged","rawJson":1}'
    ox = decode(Animal, data, "the animal")
    assert ox.raw == data
    assert ox.extra == {"$raw": "forged", "raw_json": "forged", "rawJson": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"givenName":5}',
        b'{"givenName":null}',
        b'{"givenName":"\xff"}',
        b'{"givenName":"Ox","firstLeg":{}}',
        b'{"givenName":"Ox","allLegs":[{"side":"a"},{}]}',
        b'{"givenName":"Ox","legsByName":{"a":5}}',
        b'{"givenName":"Ox","a":' + b"[" * 100_000,
    ],
    ids=lambda data: repr(data[:40]),
)
def test_what_does_not_fit_is_refused(data: bytes) -> None:
    """One kind of error, which names what was looked at."""
    with pytest.raises(InvalidResult, match=r"^the animal does not fit the specification"):
        decode(Animal, data, "the animal")


def test_what_is_slightly_wrong_is_taken() -> None:
    """Null for what is left out, half an emoji; the bytes stay as they came."""
    data = rb'{"givenName":"Ox\ud83d","moreLegs":null,"firstLeg":{"side":"\udc00"},"a":"\ud83d"}'
    ox = decode(Animal, data, "the animal")
    assert (ox.given_name, ox.more_legs, ox.extra) == ("Ox\ufffd", [], {"a": "\ufffd"})
    assert ox.first_leg is not None
    assert ox.first_leg.side == "\ufffd"
    assert ox.raw == data


def test_extra_members_that_are_no_text_are_told_when_touched() -> None:
    """What nobody looked at may be broken; looking then raises the one expected error."""
    ox = decode(Animal, b'{"givenName":"Ox","a":"\xff"}', "the animal")
    with pytest.raises(InvalidResult, match="the extra members of a Animal"):
        _ = ox.extra


def test_a_value_made_by_hand_is_an_empty_object() -> None:
    """Handles make such values before the server has told anything."""
    ox = Animal(given_name="Ox")
    assert (ox.raw, ox.extra) == (b"{}", {})


def test_the_text_of_a_value_shows_what_is_there() -> None:
    """A debugger's reader sees fields with values, and no bytes."""
    ox = decode(Animal, b'{"givenName":"Ox","firstLeg":{"side":"left"},"_meta":null}', "the animal")
    assert repr(ox) == "Animal(given_name='Ox', first_leg=Leg(side='left'), more_legs=[])"
    assert "raw" not in repr(decode(types.Tool, b'{"name":"t","inputSchema":{}}', "a tool"))


# Every kind of the protocol.


def test_there_are_kinds_to_test() -> None:
    """The list is gathered, so it could be empty."""
    assert {types.Tool, tasks.Task, lifecycle.DiscoverResult, content.TextContent} <= set(KINDS)
    assert len(KINDS) > 30


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[type[Kept], bytes]:
    """A kind of value, and an object that has some of its members with values of any type."""
    kind = draw(st.sampled_from(KINDS))
    members = st.sampled_from([spec.encode_name for spec in msgspec.structs.fields(kind)]) | st.text(max_size=4)
    return kind, draw(st.dictionaries(members, values, max_size=5).flatmap(written))


@settings(max_examples=400)
@given(mixtures())
def test_any_object_is_a_value_or_an_invalid_result(mixture: tuple[type[Kept], bytes]) -> None:
    """No kind of value raises anything else, and each that is made is whole."""
    kind, data = mixture
    try:
        value = decode(kind, data, "it")
    except InvalidResult:
        return
    assert value.raw == data
    assert value.extra.items() <= json.loads(data).items()


@settings(max_examples=200)
@given(st.sampled_from(KINDS), st.binary() | values.flatmap(written))
def test_anything_is_a_value_or_an_invalid_result(kind: type[Kept], data: bytes) -> None:
    """Rubbish too."""
    try:
        assert decode(kind, data, "it").raw == data
    except InvalidResult:
        return


# Plain values.


@given(values)
def test_any_value_is_given_as_plain_python(value: Any) -> None:
    """Objects, arrays and scalars of any size."""
    data = json.dumps(value).encode()
    assert decode_any(data, "it") == value
    assert decode_object(data, "it") == (value if isinstance(value, dict) else None)


@given(st.lists(values.flatmap(written)))
def test_an_array_gives_the_bytes_of_each_entry(entries: list[bytes]) -> None:
    """One broken entry can then be left out alone."""
    assert [bytes(raw) for raw in decode_list(b"[%b]" % b" ,".join(entries), "it")] == entries


@pytest.mark.parametrize("data", [b"", b"{", b'"\xff"', b"nonsense", b"[" * 100_000, b"1e999"])
def test_what_is_no_json_is_refused_wherever_it_is_looked_at(data: bytes) -> None:
    """One kind of error for each way of looking."""
    for look in (decode_any, decode_object, decode_list):
        with pytest.raises(InvalidResult, match=r"^the listing is no"):
            look(data, "the listing")


@pytest.mark.parametrize("data", [b"null", Raw(b"null"), b"[]"])
def test_null_is_an_array_without_entries(data: bytes | Raw) -> None:
    """A nil slice in Go, which servers forget to make an empty one."""
    assert decode_list(data, "the listing") == []


@pytest.mark.parametrize("data", [b"{}", b"nullx", b'"a"', b"5"])
def test_what_is_no_array_is_refused_as_one(data: bytes) -> None:
    """A listing is an array or an error."""
    with pytest.raises(InvalidResult, match="is no JSON array"):
        decode_list(data, "the listing")


@given(values)
def test_the_texts_of_any_value_are_texts(value: Any) -> None:
    """What is no list has none, and what is no text is left out."""
    told = texts(value)
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    assert told == tuple(entry for entry in listed if isinstance(entry, str))
