"""URI templates find the URIs that can be made of them, and no template keeps anybody busy."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dragoman.catalogue.templates import Template

VALUES: dict[str, str | list[str] | dict[str, str]] = {
    "count": ["one", "two", "three"],
    "dom": ["example", "com"],
    "dub": "me/too",
    "hello": "Hello World!",
    "half": "50%",
    "var": "value",
    "who": "fred",
    "base": "http://example.com/home/",
    "path": "/foo/bar",
    "list": ["red", "green", "blue"],
    "keys": {"semi": ";", "dot": ".", "comma": ","},
    "v": "6",
    "x": "1024",
    "y": "768",
    "empty": "",
    "cut": "ünïcödé",
}
"""The variables of RFC 6570, section 3.2, and one with letters that take several bytes."""

OPERATORS = {
    "": ("", ",", False, ""),
    "+": ("", ",", False, ""),
    "#": ("#", ",", False, ""),
    ".": (".", ".", False, ""),
    "/": ("/", "/", False, ""),
    ";": (";", ";", True, ""),
    "?": ("?", "&", True, "="),
    "&": ("&", "&", True, "="),
}
"""Appendix A of RFC 6570: first, separator, named, and what follows the name of an empty value."""


def expanded(operator: str, variables: list[tuple[str, str]]) -> str:
    """Give what an expression becomes with the values above, by the algorithm of RFC 6570, section 3.2.1."""
    first, separator, named, if_empty = OPERATORS[operator]
    safe = ":/?#[]@!$&'()*+,;=" if operator in ("+", "#") else ""
    parts: list[str] = []
    for name, modifier in variables:
        value = VALUES.get(name)
        if value is None:
            continue
        if isinstance(value, str):
            text = quote(value[: int(modifier[1:])] if modifier.startswith(":") else value, safe=safe + "~")
            told = f"{name}={text}" if text else name + if_empty
            parts.append(told if named else text)
            continue
        pairs = list(value.items()) if isinstance(value, dict) else [("", each) for each in value]
        flat = [(key, quote(each, safe=safe)) for key, each in pairs]
        if modifier == "*":
            parts.extend(f"{key}={each}" if key else (f"{name}={each}" if named else each) for key, each in flat)
        else:
            joined = ",".join(each if not key else f"{key},{each}" for key, each in flat)
            parts.append(f"{name}={joined}" if named else joined)
    return first + separator.join(parts) if parts else ""


simple = st.sampled_from(sorted(name for name, value in VALUES.items() if isinstance(value, str)))
variable = st.one_of(
    st.tuples(st.sampled_from([*VALUES, "undef"]), st.sampled_from(["", "*"])),
    st.tuples(simple, st.integers(1, 9).map(":{}".format)),
)
expression = st.tuples(st.sampled_from(sorted(OPERATORS)), st.lists(variable, min_size=1, max_size=4))
literal = st.text("abc/:.-20%é", max_size=4).map(lambda text: text.replace("%", "%20"))


@given(st.lists(st.tuples(literal, expression), max_size=3), literal)
@example([("", ("", [("cut", ":3")]))], "")
@example([("", ("+", [("half", "")]))], "")
@example([("", (";", [("empty", ":1")]))], "")
def test_what_is_made_from_a_template_matches_it(
    parts: list[tuple[str, tuple[str, list[tuple[str, str]]]]], end: str
) -> None:
    """Each operator and modifier, with texts, lists, mappings and undefined values."""
    template = uri = ""
    for text, (operator, variables) in parts:
        template += f"{text}{{{operator}{','.join(name + modifier for name, modifier in variables)}}}"
        uri += quote(text, safe="%:/") + expanded(operator, variables)
    assert Template(template + end).matches(uri + quote(end, safe="%:/"))


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("file:///{path}", "file:///a/b"),
        ("file:///{path}", "file://"),
        ("db://{table}/{id}", "db://users"),
        ("db://{table}/{id}", "db://users/1/2"),
        ("db://{table}/rows", "db://users/row"),
        ("/x{?a,b}", "/x?c=1"),
        ("/x{?a,b}", "/x&a=1"),
        ("/x{?a,b}", "/x?b=2&a=1"),
        ("/x{?a,b}", "/x?a=1?b=2"),
        ("/x?f=1{&a}", "/x?a=1"),
        ("{var:3}", "valu"),
        ("{var:3}", "%C3%BC%C3%BC%C3%BC%C3%BC"),
        ("{;a}", ";b"),
        ("{;a}", ";ab"),
        ("{/a}", "a"),
        ("{#a}", "a"),
        ("{a}", "a b"),
        ("{a}", "100%"),
        ("{a}20", "x%20"),
        ("{.a}", ".a/b"),
        ("same", "same "),
        ("", "x"),
    ],
)
def test_what_can_not_be_made_from_a_template_does_not_match(template: str, uri: str) -> None:
    """A read goes to the server whose template fits, so it must not fit everything."""
    assert not Template(template).matches(uri)


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("/x{?a,b}", "/x"),
        ("/x{?a,b}", "/x?a=1"),
        ("/x{?a,b}", "/x?b="),
        ("/x{?a,b}", "/x?a=1&b=2"),
        ("/x{;a,b}", "/x;b"),
        ("{path*}", "a/b/c"),
        ("notes://{title}", "notes://Köln"),
        ("café/{x}", "café/1"),
        ("café/{x}", "caf%C3%A9/1"),
        ("a b/{x}", "a%20b/1"),
        ("a b/{x}", "a b/1"),
    ],
)
def test_what_people_write_matches(template: str, uri: str) -> None:
    """URIs as they are typed, and the wildcard of a widespread library for servers."""
    assert Template(template).matches(uri)


@pytest.mark.parametrize(
    "template",
    ["{", "}", "a}", "{a", "{}", "{a b}", "{=a}", "{|a}", "{a:0}", "{a:10000}", "{a**}", "{{a}}", "{a,}", "{é}"],
)
def test_what_is_no_template_matches_nothing(template: str) -> None:
    """Not even itself: nobody can tell what its maker meant."""
    assert not Template(template).usable
    assert not Template(template).matches(template)
    assert not Template(template).matches("")


@given(st.text("{}+#./;?&,:*%a1é=", max_size=20), st.text("+#./;?&,:%a1é=20", max_size=20))
def test_any_texts_can_be_held_against_each_other(template: str, uri: str) -> None:
    """Whatever a server calls a template."""
    assert Template(template).matches(uri) in (True, False)


@given(st.text("ab/:?%20é", max_size=12))
def test_a_template_without_variables_matches_itself(uri: str) -> None:
    """It is a plain URI."""
    assert Template(uri).matches(uri)


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("{a}" * 600 + "!", "a" * 4096),
        ("{a}a" * 500 + "!", "a" * 4096),
        ("{a:9999}" * 250 + "!", "a" * 4096),
        ("{+a:9999}" * 200, "%C3%A9" * 682),
        ("{?" + ",".join(["aaa"] * 500) + "}", "?" + "aaa=&" * 800),
        ("{a*,b*,c*,d*}" * 150 + "!", "a,=/" * 1000),
        ("a" * 1_000_000, "a" * 1_000_000),
        ("{a}", "a" * 1_000_000),
        ("{" * 2048, "{" * 4096),
    ],
    ids=lambda text: f"{len(text)} {text[:12]}",
)
def test_no_template_takes_long(template: str, uri: str) -> None:
    """A pattern that backtracks would take years for some of these."""
    begun = time.perf_counter()
    Template(template).matches(uri)
    assert time.perf_counter() - begun < 0.5
