"""The client program `client.py` passes the conformance suite, at every revision that the suite can speak.

The suite is other people's program and comes with `make tools`. What it asks of authorization is left out here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance import suite

pytestmark = pytest.mark.external("npm")

CLIENT = [sys.executable, str(Path(__file__).with_name("client.py"))]

REQUIRED = {
    "2025-11-25": ("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"),
    "2026-07-28": (
        "tools_call",
        "request-metadata",
        "sep-2322-client-request-state",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
    ),
}
"""What the suite requires of a client of each revision."""

FURTHER = {
    "2025-06-18": ("initialize", "tools_call"),
    "2025-11-25": ("json-schema-2020-12-preservation",),
    "2026-07-28": ("json-schema-2020-12-preservation",),
}
"""What it offers beyond: an earlier revision, and scenarios that came after a revision was frozen."""

EARLIER = ("2025-03-26", "2024-11-05")
"""Revisions without scenarios of their own: the client speaks them with the suite's server of a later one."""

CASES = [
    (revision, scenario)
    for table in (REQUIRED, FURTHER)
    for revision, scenarios in table.items()
    for scenario in scenarios
]


@pytest.mark.requirement(
    "BASE-1",
    "RESULT-1",
    "META-1",
    "VERSION-1",
    "LIFE-1",
    "HTTP-3",
    "HTTP-4",
    "HTTP-5",
    "HTTP-7",
    "HEADER-1",
    "HEADER-2",
    "HEADER-3",
    "MRTR-1",
    "MRTR-2",
    "MRTR-3",
    "MRTR-4",
    "SCHEMA-1",
    "SCHEMA-2",
)
@pytest.mark.parametrize(("revision", "scenario"), CASES)
def test_scenario_passes(
    revision: str, scenario: str, tmp_path: Path, record: Callable[[str, str, dict[str, int]], None]
) -> None:
    """No check fails, at least one succeeds, and the client program ends well."""
    verdict = suite.run(scenario, revision, CLIENT, tmp_path)
    record(revision, scenario, verdict.counts)
    assert not verdict.complaints, "\n".join(verdict.complaints)


@pytest.mark.parametrize(("revision", "scenario"), CASES)
def test_scenario_passes_without_being_told_the_revision(revision: str, scenario: str, tmp_path: Path) -> None:
    """A client that has to find out which revision the server speaks finds out."""
    untold = ["env", "-u", "MCP_CONFORMANCE_PROTOCOL_VERSION", *CLIENT]
    verdict = suite.run(scenario, revision, untold, tmp_path)
    assert not verdict.complaints, "\n".join(verdict.complaints)


@pytest.mark.requirement("LIFE-4")
@pytest.mark.parametrize("revision", EARLIER)
def test_an_earlier_handshake_passes(
    revision: str, tmp_path: Path, record: Callable[[str, str, dict[str, int]], None]
) -> None:
    """A client pinned to a revision older than the scenarios still calls the tool."""
    pinned = ["env", f"MCP_CONFORMANCE_PROTOCOL_VERSION={revision}", *CLIENT]
    verdict = suite.run("tools_call", "2025-06-18", pinned, tmp_path)
    record(revision, "tools_call", verdict.counts)
    assert not verdict.complaints, "\n".join(verdict.complaints)


@pytest.mark.parametrize("revision", REQUIRED)
def test_no_required_scenario_is_left_out(revision: str) -> None:
    """The table above names what the suite itself lists as required."""
    assert suite.scenarios("--requirements", revision) == set(REQUIRED[revision])


@pytest.mark.parametrize("revision", ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
def test_no_scenario_is_left_out(revision: str) -> None:
    """Whatever the suite has for a revision runs here."""
    listed = suite.scenarios("--client", "--spec-version", revision)
    assert listed == {*REQUIRED.get(revision, ()), *FURTHER.get(revision, ())}


def test_the_client_program_uses_public_names_only() -> None:
    """It imports the front door, errors and the protocol's values, and touches nothing that is private."""
    tree = ast.parse(Path(CLIENT[1]).read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {module for module in imported if module.startswith("dragoman")}
    assert ours <= {"dragoman", "dragoman.errors", "dragoman.protocol.interaction", "dragoman.protocol.types"}
    assert {module for module in imported if module.startswith("tests")} == set()
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in attributes if name.startswith("_")} == set()


def test_a_client_that_does_nothing_does_not_pass(tmp_path: Path) -> None:
    """The harness can tell a failure: neither a missing call nor skipped checks pass for success."""
    verdict = suite.run("tools_call", "2026-07-28", ["true"], tmp_path / "call")
    assert any("FAILURE tool-add-numbers" in complaint for complaint in verdict.complaints)
    verdict = suite.run("http-standard-headers", "2026-07-28", ["true"], tmp_path / "headers")
    assert any("no check succeeded" in complaint for complaint in verdict.complaints)


def test_a_client_that_crashes_does_not_pass(tmp_path: Path) -> None:
    """The exit status of the client program counts."""
    verdict = suite.run("initialize", "2025-11-25", [sys.executable, "-c", "'raise SystemExit(3)'"], tmp_path)
    assert any("ended badly" in complaint for complaint in verdict.complaints)
