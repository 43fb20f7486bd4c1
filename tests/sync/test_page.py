"""The how-to of blocking code is true: its program prints what the page says, and the example is run elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dragoman import sync
from tests.parts import ROOT
from tests.sync.test_parity import public
from tools import docs

PAGE = ROOT / "docs" / "how-to" / "use-from-blocking-code.md"
REFERENCE = ROOT / "docs" / "reference" / "sync.md"


def test_the_program_prints_what_the_page_says(tmp_path: Path) -> None:
    """It is run as a reader would."""
    (shown,) = (block.text for block in docs.blocks(PAGE.read_text()) if block.prints)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(tmp_path)}
    command = ["python", "-W", "error", "docs_src/blocking_code.py"]
    done = subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (shown, "")


@pytest.mark.parametrize("kind", [sync.Reader, sync.Connection])
def test_the_reference_tells_every_member(kind: type) -> None:
    """Of the classes that only the blocking face has."""
    page = REFERENCE.read_text()
    assert [name for name in public(kind) if f"{kind.__name__.lower()}.{name}" not in page] == []
