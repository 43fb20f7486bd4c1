"""What a server is called when nobody named it: the program that people know, rather than what launches it.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["program_name"]

_LAUNCHERS: Final = re.compile(r"(npx|npm|pnpm|bunx|bun|yarn|uvx|uv|pipx|node|deno|tsx|env|python[0-9.]*)")
_LAUNCHER_VERBS: Final = frozenset({"run", "exec", "dlx", "tool", "x"})
_CODE_OPTIONS: Final = frozenset({"-c", "-e", "--eval"})
_VERSION_TAIL: Final = re.compile(r"(?<=.)@[^@/]+$")
_TELLS_NOTHING: Final = frozenset(
    {
        "",
        ".",
        "..",
        "build",
        "cli.js",
        "dist",
        "index.js",
        "index.mjs",
        "index.ts",
        "lib",
        "main.py",
        "server.py",
        "src",
    }
)


def program_name(command: str, args: Sequence[str]) -> str:
    """Give a name for a command line: ``server-git`` for ``npx -y @scope/server-git@1.2 stdio``."""
    program = command.rstrip("/").rpartition("/")[2] or command
    if not _LAUNCHERS.fullmatch(program):
        return program
    for word in args:
        if word in _CODE_OPTIONS:
            break
        if word.startswith("-") or word in _LAUNCHER_VERBS or ("=" in word and program == "env"):
            continue
        steps = _VERSION_TAIL.sub("", word).rstrip("/").split("/")
        telling = [step for step in steps if step not in _TELLS_NOTHING]
        return (telling or steps)[-1] or program
    return program
