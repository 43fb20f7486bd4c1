"""Every fragment of the changelog is of a known kind and can be gathered."""

from __future__ import annotations

import subprocess
import sys
import tomllib

from tests.parts import ROOT
from tests.repository import committed


def test_every_fragment_has_a_known_kind() -> None:
    """`+subject.kind.md`, with a kind that `pyproject.toml` lists, so that none is left out of a release."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    kinds = {kind["directory"] for kind in settings["type"]}
    fragments = [path.name for path in committed() if path.parent == ROOT / "changelog.d"]
    named = [name.split(".") for name in fragments]
    assert [name for name in named if name[0][0] != "+" or name[-2] not in kinds or name[-1] != "md"] == []


def test_the_fragments_can_be_gathered() -> None:
    """`make changelog` would work now."""
    draft = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0.0.0"]
    done = subprocess.run(draft, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
