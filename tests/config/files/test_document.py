"""Texts as trees: what is read, where it stands, what bounds hold, and that only a `ConfigError` ever comes out."""

from __future__ import annotations

import json
import string
from typing import Any, cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dragoman.config import parse
from dragoman.config.files.document import MAX_FILE_BYTES, decoded, parse_document
from dragoman.config.files.node import Node, tree
from dragoman.errors import ConfigError
from tests.parts import ROOT

NAMES = st.text(st.sampled_from(string.ascii_letters + string.digits + "_- .é"), min_size=1, max_size=12)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
PLAIN = st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
SYNTAXES = ("a.json", "a.yaml", "a.toml", "a")


def lines(node: Node) -> dict[str, int | None]:
    """The line of every key of a tree."""
    found = {node.key: node.line} if node.key else {}
    for child in (*node.members.values(), *node.items):
        found |= lines(child)
    return found


def refusal(text: str | bytes, name: str) -> str | None:
    """What is said of a text that is no configuration; None of one that is."""
    try:
        parse(text, name, workspace=ROOT)
    except ConfigError as error:
        return str(error)
    return None


class Quoting(yaml.SafeDumper):
    """Writes every text in quotes: what YAML 1.1 takes for text without them may be a number in 1.2."""


def quoted(dumper: Any, text: str) -> Any:
    """A text in double quotes."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


Quoting.add_representer(str, quoted)


def as_yaml(mapping: dict[str, Any]) -> str:
    """Write plain data as YAML, in blocks."""
    return str(yaml.dump(mapping, Dumper=Quoting, allow_unicode=True, sort_keys=False))


def as_toml(value: Any) -> str:
    """Write plain data as TOML, tables inline."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(held)}" for key, held in members.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, cast("list[Any]", value))) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def as_toml_file(mapping: dict[str, Any]) -> str:
    """Write plain data as a file of TOML, with a line for each key at the top."""
    return "".join(f"{as_toml(key)} = {as_toml(value)}\n" for key, value in mapping.items())


@given(st.dictionaries(NAMES, PLAIN, min_size=1, max_size=4))
def test_json_yaml_and_toml_give_what_was_written(mapping: dict[str, Any]) -> None:
    """Three syntaxes, one tree, and the same as plain data gives."""
    expected = tree(mapping).plain()
    assert parse_document(json.dumps(mapping), "a.json").plain() == expected
    assert parse_document(json.dumps(mapping, indent=1, ensure_ascii=False), "a.jsonc").plain() == expected
    assert parse_document(as_yaml(mapping), "a.yaml").plain() == expected
    assert parse_document(as_toml_file(mapping), "a.toml").plain() == expected


COMMAND: dict[str, st.SearchStrategy[Any]] = {"command": st.text(string.ascii_lowercase, min_size=1, max_size=8)}
UNREFERRED = TEXTS.filter(lambda text: "${" not in text)
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "args": st.lists(UNREFERRED, max_size=3),
    "env": st.dictionaries(st.text(string.ascii_uppercase, min_size=1), UNREFERRED),
    "timeout": st.floats(0.5, 3600) | st.integers(1, 3600),
    "disabled": st.booleans(),
    "concurrency": st.integers(1, 99),
    "start": st.sampled_from(["eager", "on_use"]),
    "autoApprove": st.lists(st.text(string.ascii_lowercase, min_size=1), max_size=3, unique=True),
    "restart": st.dictionaries(st.just("breaker"), st.integers(1, 9)),
    "x-note": PLAIN,
}
SERVERS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.text(string.ascii_lowercase, min_size=1, max_size=8),
    st.fixed_dictionaries(COMMAND, optional=OPTIONS),
    min_size=1,
    max_size=4,
)


@given(SERVERS, st.sampled_from(["mcpServers", "servers"]))
def test_servers_are_the_same_in_every_syntax(servers: dict[str, Any], root: str) -> None:
    """Whatever servers there are, JSON, YAML and TOML give one configuration."""
    mapping = {root: servers}
    texts = {
        "a.json": json.dumps(mapping),
        "a.yaml": as_yaml(mapping),
        "a.toml": as_toml_file(mapping),
    }
    first, *others = (structs.replace(parse(text, name), sources=()) for name, text in texts.items())
    assert all(other == first for other in others)
    assert [config.name for config in first.servers] == list(servers)


@pytest.mark.parametrize("name", SYNTAXES)
@given(data=st.binary(max_size=200))
def test_random_bytes_are_a_configuration_or_a_config_error(name: str, data: bytes) -> None:
    """Whatever a file holds, reading it can't break its reader."""
    assert refusal(data, name) != ""


@pytest.mark.parametrize("name", SYNTAXES)
@given(text=st.text(st.sampled_from("{}[]\"':,=#&*!|>-<\\/ \n\tab01.${}")))
def test_random_signs_are_a_configuration_or_a_config_error(name: str, text: str) -> None:
    """Texts of nothing but the signs that have a meaning."""
    assert refusal(text, name) != ""


@given(st.data(), st.sampled_from(["dragoman.json", "dragoman.yaml", "dragoman.toml"]))
def test_a_broken_sample_never_tells_a_secret(data: st.DataObject, name: str) -> None:
    """Whatever is cut out of a file, what its variables and headers hold is not in the error."""
    text = (ROOT / "tests" / "data" / "configs" / "hosts" / name).read_text()
    text = text.replace("${TOKEN:-none}", "SESAME").replace("1.10", '"SESAME"').replace("yes", "SESAME")
    begin = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(begin, min(len(text), begin + 40)))
    assert "SESAME" not in (refusal(text[:begin] + text[end:], name) or "")


def test_a_value_whose_name_is_missing_is_not_taken_for_a_name() -> None:
    """It may be a secret."""
    told = refusal('{"servers": {"a": {"command": "s", "env": {"SESAME", "B": "c"}}}}', "a.json")
    assert told == 'a.json:1: servers.a.env: a name in it has no colon and no value. Write "NAME": "value".'


@pytest.mark.parametrize(
    "written", ["{SESAME}", '{"SESAME"', "{B:SESAME}", '{B r SESAME"}', '{"B: c}\n    cwd: SESAME "\n  b: c']
)
def test_what_a_lost_sign_makes_a_name_of_is_not_told(written: str) -> None:
    """In YAML, a colon or quote less makes a name of a value; the line says enough."""
    told = refusal(f"servers:\n  a:\n    command: s\n    env: {written}\n", "a.yaml")
    assert told is not None
    assert "SESAME" not in told
    assert "servers.a.env: " in told


def test_every_key_knows_its_line_in_json() -> None:
    """Comments and blank lines count; an item of a list stands where it is written."""
    text = '// one\n{\n  "a": {\n\n    "b": [1,\n  2], /* two\n */ "c":\n 3},\n}\n'
    assert lines(parse_document(text, "a.json")) == {"a": 3, "a.b": 5, "a.b[0]": 5, "a.b[1]": 6, "a.c": 7}


def test_every_key_knows_its_line_in_yaml() -> None:
    """Of blocks, of flows, and below an alias where they are written."""
    text = "# one\na:\n  b: [1,\n    2]\n  c: &c\n    d: 1\ne: *c\nf:\n  <<: *c\n  g: >\n    text\n"
    expected = {"a": 2, "a.b": 3, "a.b[0]": 3, "a.b[1]": 4, "a.c": 5, "a.c.d": 6, "e": 7, "e.d": 6}
    assert lines(parse_document(text, "a.yaml")) == expected | {"f": 8, "f.g": 10, "f.d": 6}


def test_every_key_knows_its_line_in_toml() -> None:
    """Of tables, dotted keys, inline tables, lists of tables, and after texts of several lines."""
    text = (
        'x = """\n[no]\n"""\na.b = 1\n[t]\nc = { d = 1, e = [1,\n 2] }\n\n'
        "[[l]]\nf = '''\n=\n'''\n[[l]]\nf = \"]\"\n"
        '[l.g]\n"h.i" = 2026-01-01 10:00:00\n'
    )
    expected = {"x": 1, "a": 4, "a.b": 4, "t": 5, "t.c": 6, "t.c.d": 6, "t.c.e": 6, "t.c.e[0]": 6, "t.c.e[1]": 7}
    expected |= {"l": 9, "l[0]": 9, "l[0].f": 10, "l[1]": 13, "l[1].f": 14, "l[1].g": 15, 'l[1].g."h.i"': 16}
    root = parse_document(text, "a.toml")
    assert lines(root) == expected
    assert root.members["l"].items[1].members["g"].members["h.i"].value == "2026-01-01 10:00:00"


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks_change_nothing(name: str, end: str, mark: bytes) -> None:
    """Files of Windows have the same lines."""
    data = mark + f'{{"a": 1,{end}"b": 2}}'.encode()
    root = parse_document(decoded(data), name)
    assert (root.plain(), lines(root)) == ({"a": 1, "b": 2}, {"a": 1, "b": 2})


def test_windows_line_ends_in_toml() -> None:
    """As above, for the third syntax."""
    root = parse_document(decoded(b"\xef\xbb\xbfa = 1\r\n\r\nb = 2\r\n"), "a.toml")
    assert lines(root) == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("012", 12),
        ("0o14", 12),
        ("0xC", 12),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1.10", 1.1),
        ("-.inf", float("-inf")),
        ("1e3", 1000.0),
        ("2026-01-01", "2026-01-01"),
        ("'12'", "12"),
        ('"yes"', "yes"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("=", "="),
    ],
)
def test_words_of_yaml_are_what_they_look_like(written: str, value: object) -> None:
    """As YAML 1.2 reads them: no Norway, no minutes, no dates."""
    node = parse_document(f"a: {written}\n", "a.yaml").members["a"]
    assert (node.value, type(node.value)) == (value, type(value))


def test_a_text_is_kept_as_it_is_written() -> None:
    """What becomes text later is neither shortened nor converted."""
    for name, text in (("a.json", '{"a": 1.10}'), ("a.yaml", "a: 1.10"), ("a.toml", "a = 1.10")):
        assert parse_document(text, name).members["a"].text == "1.10"
    assert parse_document("a = 1_000", "a.toml").members["a"].text == "1_000"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "x"}', "x"),
        ('// c\n{"a": "x"}', "x"),
        ("a: x", "x"),
        ("# c\na: x", "x"),
        ('a = "x"', "x"),
        ('# c\na = "x"', "x"),
        ('{"a": "\\u00e9\\n\\"\\\\"}', 'é\n"\\'),
    ],
)
def test_a_text_without_a_name_tells_its_syntax(text: str, value: str) -> None:
    """What people paste has no file."""
    assert parse_document(text).plain() == {"a": value}


def test_a_table_begins_a_file_of_toml() -> None:
    """A bracket in the first line is no list."""
    assert parse_document("[servers.a]\ncommand = 'x'").plain() == {"servers": {"a": {"command": "x"}}}


def test_merge_keys_are_merged_and_own_ones_win() -> None:
    """`<<` with one mapping or several, the first of which wins."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\nd:\n  '<<': 4\n"
    root = parse_document(text, "a.yaml").plain()
    assert (root["c"], root["d"]) == ({"x": 3, "y": 1, "z": 2}, {"<<": 4})


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.toml"])
def test_a_file_of_too_many_values_is_refused(name: str) -> None:
    """The number of values bounds the time of reading."""
    numbers = "1," * 200_001
    with pytest.raises(ConfigError, match="holds more than 200,000 values"):
        parse(f"a = [{numbers}]" if name.endswith("toml") else f'{{"a": [{numbers}]}}', name)


def test_a_file_that_is_too_large_is_refused() -> None:
    """A log that was named by mistake is not read into a tree."""
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        decoded(b" " * (MAX_FILE_BYTES + 1))


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.toml"])
def test_a_file_of_the_largest_size_is_read_in_bounded_time(name: str) -> None:
    """A few million characters of servers take seconds, not minutes."""
    server = {"command": "server", "args": ["x" * 4000]}
    mapping = {"servers": {f"s{number}": server for number in range(900)}}
    text = as_toml_file(mapping) if name.endswith("toml") else json.dumps(mapping)
    assert len(parse(text, name).servers) == 900


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "a = " + "[" * 100_000, "- " * 50_000])
@pytest.mark.parametrize("name", SYNTAXES)
def test_deep_nesting_is_refused_in_every_syntax(name: str, text: str) -> None:
    """No stack is used up."""
    with pytest.raises(ConfigError):
        parse(text, name)


def test_a_mapping_that_contains_itself_is_refused() -> None:
    """An alias of what is not finished, and plain data that goes in circles."""
    with pytest.raises(ConfigError, match="alias"):
        parse("a: &a {b: *a}", "a.yaml")
    circle: dict[str, object] = {}
    circle["a"] = circle
    with pytest.raises(ConfigError, match="64 deep"):
        tree(circle)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": {1: 2}}, "a: has a name of type int"),
        ({"a": [object()]}, "a[0]: must be text"),
        ({"a": {"b": b"x"}}, "a.b: must be text"),
    ],
)
def test_plain_data_that_no_file_can_hold_is_refused(data: dict[str, object], words: str) -> None:
    """With the path of what is wrong."""
    with pytest.raises(ConfigError) as caught:
        tree(data)
    assert str(caught.value).startswith(words)
