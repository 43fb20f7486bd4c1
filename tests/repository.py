"""The repository as files and as syntax: what the tests in `tests/house` look through.

Knows git's list of files and Python's grammar, nothing of Dragoman and nothing of what is right or wrong.
"""

from __future__ import annotations

import ast
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.parts import ROOT

UNCOMMITTED = {".git", ".venv", ".tools", ".hypothesis", ".pytest_cache", ".ruff_cache", "__pycache__", "node_modules"}
"""Directories that are never committed, for a tree that is no clone."""

SOURCE = ROOT / "src"


@functools.cache
def committed() -> tuple[Path, ...]:
    """Every committed file that exists; in a tree without git, every file that could be."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
        return tuple(path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file())
    return tuple(sorted(_walk()))


def _walk() -> Iterator[Path]:
    for directory, names, files in os.walk(ROOT):
        names[:] = [name for name in names if name not in UNCOMMITTED]
        yield from (Path(directory) / name for name in files)


def modules(*directories: str, suffixes: tuple[str, ...] = (".py",)) -> list[Path]:
    """The committed modules below the top-level `directories`, by suffix."""
    return [path for path in committed() if path.suffix in suffixes and path.relative_to(ROOT).parts[0] in directories]


def relative(path: Path) -> str:
    """The name of `path` within the repository."""
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    """The import name of a module below `src`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """The top-level names that the module at `path` imports absolutely, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
