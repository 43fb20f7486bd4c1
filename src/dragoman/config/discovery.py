"""Finds the configuration files of other hosts on this machine: where each keeps them, per system.

It looks whether they are there; `loading` reads them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from dragoman.config.hub import HubConfig
from dragoman.config.loading import Ask, home_folder, load, read_bytes
from dragoman.errors import ConfigError

__all__ = ["Found", "discover"]

_CODE_STORAGE: Final = ("globalStorage", "kilocode.kilo-code", "settings", "mcp_settings.json")


class Found(Struct, frozen=True, kw_only=True):
    """A place where a host keeps its servers.

    ``host`` is its name as people know it, ``scope`` whether the file counts for one project or for all of the user's.
    ``exists``: whether the file is there, and has a part for this project where one file serves several; ``section``
    leads to that part. ``workspace`` is what ``${workspaceFolder}`` stands for in it.
    """

    host: str
    path: Path
    scope: Literal["user", "project"]
    exists: bool
    section: tuple[str, ...] = ()
    workspace: Path | None = None

    def load(
        self,
        *,
        environment: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
        ask: Ask | None = None,
    ) -> HubConfig:
        """Read the file, as `load` does.

        Raises:
            ConfigError: it is not there, or anything in it is wrong.
        """
        return load(
            self.path,
            environment=environment,
            inputs=inputs,
            workspace=self.workspace,
            ask=ask,
            section=self.section,
        )


def discover(
    home: Path | None = None,
    project: Path | None = None,
    environment: Mapping[str, str] | None = None,
    platform: str | None = None,
) -> list[Found]:
    """Give all places where Claude Desktop, Claude Code, VS Code, Cursor, Kiro, Kilo and Windsurf keep their servers.

    Those that hold nothing are in the list as well, with ``exists`` False. What is for the project comes first.

    Args:
        home: the user's home; None: this user's.
        project: the project's folder; None: the current directory.
        environment: the variables that move files (``XDG_CONFIG_HOME``, ``APPDATA``, ``CLAUDE_CONFIG_DIR``); None: this
            process's.
        platform: ``linux``, ``darwin`` or ``win32``; None: this system.
    """
    variables = os.environ if environment is None else environment
    home = home_folder(variables) if home is None else home
    project = (Path.cwd() if project is None else project).absolute()
    applications = _applications(home, variables, platform or sys.platform)
    found = [*_of_project(project, home, variables), *_of_user(home, applications, project, variables)]
    return sorted(found, key=lambda each: each.scope)


def _applications(home: Path, variables: Mapping[str, str], platform: str) -> Path:
    """Give the folder below which applications keep what they remember."""
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        roaming = variables.get("APPDATA")
        return Path(roaming) if roaming else home / "AppData" / "Roaming"
    return _config_home(home, variables)


def _config_home(home: Path, variables: Mapping[str, str]) -> Path:
    named = variables.get("XDG_CONFIG_HOME", "")
    return Path(named) if named.startswith("/") else home / ".config"


def _claude_code(home: Path, variables: Mapping[str, str]) -> Path:
    moved = variables.get("CLAUDE_CONFIG_DIR")
    return (Path(moved) if moved else home) / ".claude.json"


def _of_project(project: Path, home: Path, variables: Mapping[str, str]) -> Iterator[Found]:
    yield _place("Claude Code", project / ".mcp.json", "project", project)
    shared = _claude_code(home, variables)
    section = ("projects", str(project))
    exists = _has(shared, section)
    yield Found(host="Claude Code", path=shared, scope="project", exists=exists, section=section, workspace=project)
    yield _place("VS Code", project / ".vscode" / "mcp.json", "project", project)
    yield _place("Cursor", project / ".cursor" / "mcp.json", "project", project)
    yield _place("Kiro", project / ".kiro" / "settings" / "mcp.json", "project", project)
    yield _place("Kilo", project / ".kilocode" / "mcp.json", "project", project)
    for name in ("kilo.jsonc", "kilo.json", ".kilo/kilo.jsonc", ".kilo/kilo.json"):
        yield _place("Kilo", project / name, "project", project)


def _of_user(home: Path, applications: Path, project: Path, variables: Mapping[str, str]) -> Iterator[Found]:
    code = applications / "Code" / "User"
    yield _place("Claude Desktop", applications / "Claude" / "claude_desktop_config.json", "user", project)
    yield _place("Claude Code", _claude_code(home, variables), "user", project)
    yield _place("VS Code", code / "mcp.json", "user", project)
    yield _place("Cursor", home / ".cursor" / "mcp.json", "user", project)
    yield _place("Kiro", home / ".kiro" / "settings" / "mcp.json", "user", project)
    yield _place("Kilo", code.joinpath(*_CODE_STORAGE), "user", project)
    yield _place("Kilo", home / ".kilocode" / "cli" / "global" / "settings" / "mcp_settings.json", "user", project)
    for name in ("kilo.jsonc", "kilo.json"):
        yield _place("Kilo", _config_home(home, variables) / "kilo" / name, "user", project)
    yield _place("Windsurf", home / ".codeium" / "windsurf" / "mcp_config.json", "user", project)


def _place(host: str, path: Path, scope: Literal["user", "project"], workspace: Path) -> Found:
    return Found(host=host, path=path, scope=scope, exists=_is_file(path), workspace=workspace)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _has(path: Path, section: tuple[str, ...]) -> bool:
    """Whether a file has servers in one of its parts; what can't be read has none, and reading it tells why."""
    try:
        held: Any = msgspec.json.decode(read_bytes(path))
    except (ConfigError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    for key in (*section, "mcpServers"):
        if not isinstance(held, dict) or key not in held:
            return False
        held = held[key]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return bool(held)  # pyright: ignore[reportUnknownArgumentType]
