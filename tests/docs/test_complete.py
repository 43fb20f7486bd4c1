"""The reference leaves nothing out, of settings, errors, methods and values, and no link is dead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import NODEFAULT, Struct, structs
from prometheus_client import CollectorRegistry

from dragoman import DragomanError, Hub, Outcome, Server, ServerConfig, Tls, ToolCall, connect, errors
from dragoman.catalogue.entries import PromptEntry, ResourceEntry, TemplateEntry, ToolEntry
from dragoman.cli.exit_codes import exit_status
from dragoman.config import Group, HubConfig, Restart, Retry
from dragoman.events import event_names, wire_name
from dragoman.hub.bus import Subscription
from dragoman.hub.finding import Found
from dragoman.hub.fleet import Turnover
from dragoman.hub.household import Household
from dragoman.hub.server_face import HubServer
from dragoman.hub.watching import Watch
from dragoman.model import ServerState, ServerStatus
from dragoman.protocol.results import ToolResult
from dragoman.server.tasks import TaskHandle
from dragoman.telemetry import Metrics
from dragoman.transports.memory import MemoryPeer, MemoryTransport
from tests.parts import ROOT
from tests.repository import modules, relative
from tools import docs

REFERENCE = ROOT / "docs" / "reference"
VALUES = ("changes", "content", "interaction", "results", "tasks", "types")
ENGINE = {
    "cache",
    "catalogue",
    "config",
    "handle",
    "hub",
    "protocol",
    "schema",
    "server",
    "store",
    "sync",
    "telemetry",
    "transports",
}
"""The parts of the package whose modules the architecture tells one by one."""

SETTINGS = (ServerConfig, Tls, Restart, Retry, HubConfig, Group)
"""The blocks of settings that the page of the configuration tells."""

INTERNAL = {"CreatedTask", "Page"}
"""Values of the protocol that no public method gives."""

RAW = {"content_raw", "contents_raw", "messages_raw", "raw_json", "resource_raw", "completion"}
"""Fields that are looked at through a property."""

DASH = "\N{EN DASH}"
"""One for each step below the root, in the table of errors."""

CONVERSIONS = {"to_wire", "from_wire", "wants"}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)


def rows(page: str) -> dict[str, list[str]]:
    """Give the rows of all tables of a page by the name in their first cell."""
    found: dict[str, list[str]] = {}
    for line in ROW.findall((REFERENCE / f"{page}.md").read_text()):
        cells = [cell.strip() for cell in line.split(" | ")]
        if (name := re.search(r"`([^`]+)`", cells[0])) is not None:
            found[name[1]] = cells
    return found


def error_classes(kind: type[DragomanError] = DragomanError) -> Iterator[type[DragomanError]]:
    """Give the error and all below it that are the library's own."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from error_classes(below)


def called(function: Callable[..., Any]) -> str:
    """Give the parameters of a function as a page writes them."""
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values() if each.name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def public(kind: type) -> dict[str, Any]:
    """Give the public members that a class itself has."""
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


def parts(kind: Any) -> set[str]:
    """Give what a user may look at in a value, by its class."""
    fields = {field.name for field in structs.fields(kind)} if issubclass(kind, Struct) else set[str]()
    return (fields | set(public(kind))) - RAW - CONVERSIONS - {"type"}


def default_text(field: structs.FieldInfo) -> str:
    """Give a setting's default as the page writes it."""
    default = field.default
    if default is NODEFAULT and callable(field.default_factory):
        default = field.default_factory()
    if isinstance(default, Struct):
        return f"`{type(default).__name__}()`"
    return "required" if field.required else f"`{default!r}`"


def settings(kind: type[Struct]) -> dict[str, structs.FieldInfo]:
    """Give a struct's settings by the names that the page has: those of a server and its TLS stand alone."""
    prefix = "" if kind in (ServerConfig, Tls) else f"{kind.__name__}."
    return {f"{prefix}{field.name}": field for field in structs.fields(kind)}


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_setting_is_told_with_its_default(kind: type[Struct]) -> None:
    """The key, the default as the code has it, and a meaning."""
    told = rows("configuration")
    for name, field in settings(kind).items():
        assert name in told, name
        cells = told[name]
        assert cells[2] == default_text(field), name
        assert cells[3], name


def test_no_setting_is_told_that_there_is_not() -> None:
    """What was renamed or removed is gone from the page."""
    known = {name for kind in SETTINGS for name in settings(kind)}
    assert set(rows("configuration")) - known == set()


def test_every_error_is_told_with_its_code_and_exit_status() -> None:
    """The class, its code, its exit status, its depth in the tree, and what it means."""
    told = rows("errors")
    kinds = {kind.__name__: kind for kind in error_classes()}
    assert set(told) == set(kinds)
    for name, kind in kinds.items():
        cells = told[name]
        depth = len([each for each in kind.__mro__ if issubclass(each, DragomanError)]) - 2
        assert cells[0] == f"{DASH * depth} `{name}`".strip(), name
        assert cells[1] == f"`{kind.code}`", name
        assert cells[2] == str(exit_status(kind.__new__(kind))), name
        assert cells[3], name


def test_every_field_of_an_error_is_told() -> None:
    """What an error carries beyond the fields that all have."""
    told = rows("errors")
    for kind in error_classes():
        own = set(inspect.signature(kind).parameters) - {"what", "server", "hint", "stderr"}
        above = {name for each in kind.__mro__[1:-3] for name in inspect.signature(each).parameters}
        missing = {name for name in own - above if f"`{name}`" not in " ".join(told[kind.__name__])}
        assert missing == set(), kind


def test_every_event_is_told_with_its_wire_name_and_fields() -> None:
    """The class, its name on the wire, when it comes, and each field beyond the time that all have."""
    told = rows("events")
    kinds = {kind.__name__: kind for kind in event_names().values()}
    assert set(told) == set(kinds)
    for name, kind in kinds.items():
        _, wire, when, fields = told[name]
        assert wire == f"`{wire_name(kind)}`", name
        assert when, name
        named = set(re.findall(r"`([^`]+)`", fields))
        missing = {field.name for field in structs.fields(kind)} - {"at"} - named
        assert missing == set(), name


def test_every_metric_is_told() -> None:
    """By the name that it has in Prometheus."""
    registry = CollectorRegistry()
    Metrics(registry)
    page = (ROOT / "docs" / "how-to" / "observe.md").read_text()
    told = set(re.findall(r"`(dragoman_\w+)`", page))
    names = {family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()}
    assert told == names


@pytest.mark.parametrize(
    ("kind", "where", "prefix", "hidden"),
    [
        (Server, "library", "server", set[str]()),
        (TaskHandle, "library", "handle", {"start", "created", "resume"}),
        (MemoryPeer, "library", "peer", {"wake"}),
        (Household, "hub", "hub", {"open", "from_dict"}),
        (Hub, "hub", "hub", set[str]()),
        (HubServer, "hub", "server", set[str]()),
        (Watch, "hub", "watch", set[str]()),
        (Subscription, "hub", "subscription", set[str]()),
    ],
)
def test_every_method_is_told_as_it_is_called(kind: type, where: str, prefix: str, hidden: set[str]) -> None:
    """Each property by name, each method with its parameters and defaults."""
    page = (REFERENCE / f"{where}.md").read_text()
    for name, member in public(kind).items():
        if name in hidden:
            continue
        told = f"{prefix}.{name}" if isinstance(member, property) else f"{prefix}.{name}{called(member)}"
        awaited = "await " if inspect.iscoroutinefunction(member) else ""
        assert f"`{awaited}{told}`" in page, told


def test_connecting_is_told_as_it_is_called() -> None:
    """All parameters of `connect` and of `MemoryTransport`; those of `connect` one by one, too."""
    page = (REFERENCE / "library.md").read_text()
    assert f"`connect{called(connect)}`" in page
    assert f"`MemoryTransport{called(MemoryTransport)}`" in page
    assert set(inspect.signature(connect).parameters) - set(rows("library")) == set()


def test_the_making_of_a_hub_is_told_as_it_is_called() -> None:
    """All three ways, with all parameters; line ends of the page do not count."""
    page = " ".join((REFERENCE / "hub.md").read_text().split())
    assert f"`Hub{called(Hub)}`" in page
    assert f"`Hub.open{called(Hub.open)}`" in page
    assert f"`Hub.from_dict{called(Hub.from_dict)}`" in page


@pytest.mark.parametrize(
    "kind",
    [ToolCall, Outcome, Turnover, Found, ServerStatus, ToolEntry, ResourceEntry, TemplateEntry, PromptEntry],
)
def test_every_value_of_a_hub_is_told_with_its_fields(kind: type[Struct]) -> None:
    """Each field and property, those of its base too."""
    cells = " ".join(rows("hub")[kind.__name__][1:])
    named = set(kind.__struct_fields__) | {name for each in kind.__mro__ if each is not Struct for name in public(each)}
    own = {name for name in named if name[0] != "_" and name not in vars(object)}
    assert {name for name in own if f"`{name}`" not in cells and f"`{name}()`" not in cells} == set()


def test_every_state_of_a_server_is_told() -> None:
    """And no other."""
    told = rows("hub")
    assert set(get_args(ServerState)) <= set(told)
    assert all(told[state][1] for state in get_args(ServerState))


@pytest.mark.parametrize("module", VALUES)
def test_every_value_is_told_with_its_fields(module: str) -> None:
    """Each public value of the protocol, each field and property of it."""
    told = rows("values")
    protocol = import_module(f"dragoman.protocol.{module}")
    for name in protocol.__all__:
        kind: Any = getattr(protocol, name)
        if not isinstance(kind, type) or name in INTERNAL:
            continue
        assert name in told, name
        cells = " ".join(told[name][1:])
        missing = {part for part in parts(kind) if f"`{part}`" not in cells and f"`{part}()`" not in cells}
        assert missing == set(), name


def test_tool_results_have_no_hidden_parts() -> None:
    """The result of a call is what most readers look up."""
    assert {"text", "content", "structured", "is_error", "raw"} <= set(public(ToolResult))


def test_the_architecture_names_every_module() -> None:
    """A stranger finds each module of the engine in the picture."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    named = set(re.findall(r"[\w/]*?(\w+\.py)\b", page))
    floors = [path for path in modules("src") if ENGINE & set(path.parts) and not path.name.startswith("__")]
    assert sorted({path.name for path in floors} - named) == []


@pytest.mark.parametrize("page", docs.pages(), ids=relative)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Each relative link to a file that is there, and to a heading that it has."""
    dead: list[str] = []
    for target in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            dead.append(target)
    assert dead == []


def test_every_page_is_on_the_map() -> None:
    """`docs/index.md` leads to each page."""
    index = docs.ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text())}
    pages = {page for page in docs.pages() if page.is_relative_to(index.parent) and page != index}
    assert sorted(map(relative, pages - linked)) == []


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as hosts of Markdown make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
