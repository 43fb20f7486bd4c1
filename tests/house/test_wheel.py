"""The wheel that users get: complete, typed, and nothing but the package."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.parts import ROOT
from tests.repository import SOURCE, modules


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, freshly built from this tree with what is installed."""
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = directory.glob("*.whl")
    return built


def test_it_holds_every_module_and_the_mark_of_types(wheel: Path) -> None:
    """All of `src/dragoman` is in it, `py.typed` too."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {path.relative_to(SOURCE).as_posix() for path in modules("src")} | {"dragoman/py.typed"} <= names


def test_it_holds_nothing_else(wheel: Path) -> None:
    """No test, tool or setting of this repository reaches a user's environment."""
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"dragoman", wheel.name.split("-py3")[0] + ".dist-info"}


def test_it_brings_the_command_and_the_licence(wheel: Path) -> None:
    """`dragoman` is on the path of whoever installs it, and the licence comes along."""
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        assert "dragoman = dragoman.cli.main:main" in archive.read(entry_points).decode().splitlines()
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
