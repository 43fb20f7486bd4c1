"""Where other hosts keep their servers, on each system."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dragoman.config import Found, discover
from dragoman.errors import ConfigError

ROAMING = {"APPDATA": "/home/ada/AppData/Roaming"}


def places(platform: str, environment: dict[str, str]) -> set[tuple[str, str]]:
    """Hosts and paths of the user's files, from the home on."""
    found = discover(Path("/home/ada"), Path("/home/ada/shop"), environment, platform)
    return {(each.host, str(each.path.relative_to("/home/ada"))) for each in found if each.scope == "user"}


EVERYWHERE = {
    ("Claude Code", ".claude.json"),
    ("Cursor", ".cursor/mcp.json"),
    ("Kiro", ".kiro/settings/mcp.json"),
    ("Kilo", ".kilocode/cli/global/settings/mcp_settings.json"),
    ("Kilo", ".config/kilo/kilo.jsonc"),
    ("Kilo", ".config/kilo/kilo.json"),
    ("Windsurf", ".codeium/windsurf/mcp_config.json"),
}
STORAGE = "Code/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json"


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, ".config"),
        ("darwin", {}, "Library/Application Support"),
        ("win32", ROAMING, "AppData/Roaming"),
        ("win32", {}, "AppData/Roaming"),
    ],
)
def test_every_host_is_looked_for_where_its_system_puts_it(
    platform: str, environment: dict[str, str], folder: str
) -> None:
    """Applications keep their files in a place of each system, programs of the terminal in the home."""
    assert places(platform, environment) == EVERYWHERE | {
        ("Claude Desktop", f"{folder}/Claude/claude_desktop_config.json"),
        ("VS Code", f"{folder}/Code/User/mcp.json"),
        ("Kilo", f"{folder}/{STORAGE}"),
    }


def test_variables_move_files() -> None:
    """As they do for the hosts themselves."""
    moved = places("linux", {"XDG_CONFIG_HOME": "/home/ada/x", "CLAUDE_CONFIG_DIR": "/home/ada/c"})
    assert {
        ("Claude Code", "c/.claude.json"),
        ("VS Code", "x/Code/User/mcp.json"),
        ("Kilo", "x/kilo/kilo.jsonc"),
    } <= moved


def test_the_files_of_a_project_come_first() -> None:
    """Each host's folder in it, and Claude Code's part for it in the user's file."""
    found = discover(Path("/home/ada"), Path("/home/ada/shop"), {}, "linux")
    scopes = [each.scope for each in found]
    assert scopes == sorted(scopes)
    of_project = {(each.host, str(each.path), each.section) for each in found if each.scope == "project"}
    shop = "/home/ada/shop"
    assert of_project == {
        ("Claude Code", f"{shop}/.mcp.json", ()),
        ("Claude Code", "/home/ada/.claude.json", ("projects", shop)),
        ("VS Code", f"{shop}/.vscode/mcp.json", ()),
        ("Cursor", f"{shop}/.cursor/mcp.json", ()),
        ("Kiro", f"{shop}/.kiro/settings/mcp.json", ()),
        ("Kilo", f"{shop}/.kilocode/mcp.json", ()),
        *(
            ("Kilo", f"{shop}/{name}", ())
            for name in ("kilo.jsonc", "kilo.json", ".kilo/kilo.jsonc", ".kilo/kilo.json")
        ),
    }


def test_what_is_there_is_found_and_read(tmp_path: Path) -> None:
    """Its workspace is the project, wherever the file lies."""
    project = tmp_path / "shop"
    server = {"command": "s", "cwd": "${workspaceFolder}"}
    files = {
        tmp_path / ".cursor" / "mcp.json": {"mcpServers": {"cursor": server}},
        project / ".vscode" / "mcp.json": {"servers": {"code": server}},
        tmp_path / ".claude.json": {
            "mcpServers": {"claude": server},
            "projects": {
                str(project): {"mcpServers": {"claude-shop": server}},
                "/other": {"mcpServers": {"no": server}},
            },
        },
    }
    for path, held in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(held))
    found = [each for each in discover(tmp_path, project, {}, "linux") if each.exists]
    read = {server.name: server.cwd for each in found for server in each.load(environment={}).servers}
    assert read == dict.fromkeys(("claude-shop", "code", "claude", "cursor"), str(project))
    assert list(read) == ["claude-shop", "code", "claude", "cursor"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"projects": []}', '{"projects": {}}', "\0"])
def test_a_file_without_a_part_for_the_project_has_none(tmp_path: Path, text: str) -> None:
    """Whatever else it holds."""
    (tmp_path / ".claude.json").write_text(text)
    found = discover(tmp_path, tmp_path / "shop", {}, "linux")
    assert [each.exists for each in found if each.section] == [False]


def test_what_is_not_there_can_not_be_read(tmp_path: Path) -> None:
    """The error names the path."""
    missing = Found(host="Cursor", path=tmp_path / "mcp.json", scope="user", exists=False)
    with pytest.raises(ConfigError, match=r"mcp\.json: there is no such file"):
        missing.load()


def test_this_machine_is_looked_at_without_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This user, this folder, this system."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".mcp.json").write_text("{}")
    assert [(each.host, each.scope) for each in discover() if each.exists] == [("Claude Code", "project")]
