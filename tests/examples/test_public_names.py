"""The examples use what the documentation promises to its readers, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import dragoman
from tests.examples.running import EXAMPLES
from tests.parts import ROOT
from tests.repository import relative

DOORS = {"config", "errors", "events", "sync", "telemetry"}
"""The modules beside the root that are whole faces of the library."""

NAMED = re.compile(r"\bdragoman(?:\.[a-z_0-9]+)+")
PROGRAMS = sorted(EXAMPLES.rglob("*.py"))


def public_modules() -> set[str]:
    """Give the root, the doors, and the modules that the reference names, but for the samples: they are programs."""
    told = {name for page in (ROOT / "docs" / "reference").glob("*.md") for name in NAMED.findall(page.read_text())}
    modules = {name for name in told if ".samples." not in name and _is_module(name)}
    return {"dragoman"} | {f"dragoman.{door}" for door in DOORS} | modules


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def strays(source: str) -> Iterator[str]:
    """Give what a program takes from Dragoman that is not public."""
    public = public_modules()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if _is_ours(each.name) and each.name not in public)
        elif isinstance(node, ast.ImportFrom) and not node.level and _is_ours(node.module or ""):
            module = node.module or ""
            offered: set[str] = set(import_module(module).__all__) if module in public else set()
            if module == "dragoman":
                offered |= DOORS
            yield from (f"{module}.{each.name}" for each in node.names if each.name not in offered)
        elif isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr) and not _is_own(node.value):
            yield node.attr


def _is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == dragoman.__name__


@pytest.mark.parametrize("program", PROGRAMS, ids=relative)
def test_an_example_uses_public_names_only(program: Path) -> None:
    """Only what the root, the doors and the modules of the reference offer, and no private attribute."""
    assert list(strays(program.read_text())) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from dragoman.hub.hub import Hub", ["dragoman.hub.hub.Hub"]),
        ("from dragoman import Bus", ["dragoman.Bus"]),
        ("from dragoman.events import Any", ["dragoman.events.Any"]),
        ("import dragoman.handle.gate", ["dragoman.handle.gate"]),
        ("from dragoman.samples.clock import Clock", ["dragoman.samples.clock.Clock"]),
        ("hub._fleet.handles", ["_fleet"]),
        ("from dragoman import Hub, events\nfrom dragoman.protocol.types import Progress\nself._hub", []),
    ],
)
def test_a_private_name_would_be_seen(source: str, found: list[str]) -> None:
    """The check above sees what it should, and lets pass what is public."""
    assert list(strays(source)) == found
