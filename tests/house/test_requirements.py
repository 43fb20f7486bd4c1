"""The manifest `tests/requirements.toml` and the tests agree, in both directions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import Counter

import msgspec
import pytest

from tests.house.collection import DESTINATION
from tests.parts import ROOT


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the manifest."""

    id: str
    statement: str
    source: str
    tests: list[str]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole manifest."""

    requirement: list[Requirement] = []


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """The manifest as it lies in the tree."""
    return msgspec.convert(tomllib.loads((ROOT / "tests" / "requirements.toml").read_text()), Manifest)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every test of the tree with the requirements that it names."""
    destination = tmp_path_factory.mktemp("collection") / "collected.json"
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "tests.house.collection"]
    options = ["-p", "no:cacheprovider"]
    done = subprocess.run(
        [*collect, *options],
        cwd=ROOT,
        env={**os.environ, DESTINATION: str(destination)},
        capture_output=True,
        check=False,
    )
    assert destination.exists(), done.stdout.decode() + done.stderr.decode()
    found: dict[str, list[str]] = json.loads(destination.read_text())
    return {node: set(named) for node, named in found.items()}


def test_every_requirement_is_told_once_and_has_a_test(manifest: Manifest) -> None:
    """An id means one thing, a statement is a sentence, and a requirement without a test is a wish."""
    ids = Counter(requirement.id for requirement in manifest.requirement)
    assert [name for name, times in ids.items() if times > 1] == []
    incomplete = [each.id for each in manifest.requirement if not (each.statement and each.source and each.tests)]
    assert incomplete == []


def test_every_listed_test_exists(manifest: Manifest, collected: dict[str, set[str]]) -> None:
    """No requirement rests on a test that was renamed or removed."""
    listed = {(each.id, test) for each in manifest.requirement for test in each.tests}
    assert sorted((name, test) for name, test in listed if test not in collected) == []


def test_every_test_that_names_a_requirement_is_listed(manifest: Manifest, collected: dict[str, set[str]]) -> None:
    """A reader of the manifest finds every test that claims to show a requirement."""
    listed = {(each.id, test) for each in manifest.requirement for test in each.tests}
    named = {(name, test) for test, names in collected.items() for name in names}
    assert sorted(named - listed) == []
