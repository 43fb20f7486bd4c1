"""Where other people's programs lie: what `make setup` puts into `.venv` and `make tools` into `.tools`.

A test that runs one from `.tools` carries `@pytest.mark.external("npm")` or `("old-sdk")`; `tests/conftest.py` then
skips it, or fails it in CI, when the part is absent. Knows nothing of Dragoman itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

TOOLS = ROOT / ".tools"
"""What `make tools` fills."""

PARTS = {"npm": TOOLS / "npm" / ".installed", "old-sdk": TOOLS / "old-sdk" / ".installed"}
"""Each part's mark of a finished installation, by the part's name."""

ENTRIES = {
    "conformance": "dist/index.js",
    "server-everything": "dist/index.js",
    "server-filesystem": "dist/index.js",
    "server-memory": "dist/index.js",
    "server-sequential-thinking": "dist/index.js",
}
"""The program file of each npm package, by its name within `@modelcontextprotocol`."""


def absence(part: str) -> str | None:
    """Why `part` (a key of `PARTS`) can't be used, or None when it can.

    Raises:
        KeyError: no such part.
    """
    return None if PARTS[part].exists() else f"{part} is not installed in .tools; run `make tools`"


def in_ci() -> bool:
    """Whether an absent part is a failure rather than a reason to skip."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def node() -> str:
    """The path of Node 22 or newer."""
    return str(TOOLS / "bin" / "node")


def npm_program(name: str) -> list[str]:
    """The argument list that starts the npm program `name` (a key of `ENTRIES`); append its own arguments.

    Raises:
        KeyError: no such program.
    """
    return [node(), str(TOOLS / "npm" / "node_modules" / "@modelcontextprotocol" / name / ENTRIES[name])]


def python_program(name: str) -> str:
    """The path of a console script of this environment, for example `mcp-server-time`."""
    return str(Path(sys.executable).parent / name)


def old_sdk_program(name: str) -> str:
    """The path of a console script, or `python`, of the environment that has the official SDK before version 2."""
    return str(TOOLS / "old-sdk" / "bin" / name)
