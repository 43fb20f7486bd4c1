"""Sample files of each host, in the shape that the hosts' own documents show, mean what they mean there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from dragoman.config import Group, HubConfig, Restart, ServerConfig, load
from dragoman.errors import ConfigError
from tests.parts import ROOT

HOSTS = ROOT / "tests" / "data" / "configs" / "hosts"
HOME = {"HOME": "/home/ada"}


def servers(path: Path, **options: Any) -> dict[str, ServerConfig]:
    """The servers of a file by name, read with these variables beside the home."""
    environment = HOME | options.pop("environment", {})
    return {config.name: config for config in load(path, environment=environment, **options).servers}


def test_claude_desktop() -> None:
    """Programs with arguments and variables; what else stands in the file is kept."""
    config = load(HOSTS / "claude_desktop_config.json", environment=HOME)
    files, github = config.servers
    assert (files.name, files.transport, files.command) == ("filesystem", "stdio", "npx")
    assert files.args[-1] == "/Users/ada/Downloads"
    assert github.env == {"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_example"}
    assert config.extra == {"globalShortcut": "Ctrl+Space"}
    assert config.sources == (str(HOSTS / "claude_desktop_config.json"),)


def test_claude_code() -> None:
    """Its types, its variables with defaults, its OAuth block, its milliseconds."""
    found = servers(HOSTS / "claude_code" / ".mcp.json", environment={"API_KEY": "key"})
    assert found["api"].url == "https://api.example.com/mcp"
    assert found["api"].headers == {"Authorization": "Bearer key"}
    assert found["api"].timeout == 90
    assert found["design"].transport == "streamable_http"
    assert found["design"].extra["oauth"] == {
        "clientId": "dragoman-test",
        "callbackPort": 8080,
        "scopes": "files:read",
    }
    assert found["events"].transport == "sse"
    assert found["database"].args == ("--config", "/home/ada/db.json")


def test_claude_code_keeps_servers_of_projects_in_the_users_file() -> None:
    """What else stands there is no mistake, even where it looks like one."""
    path = HOSTS / "claude_code" / ".claude.json"
    assert list(servers(path)) == ["notes"]
    assert list(servers(path, section=("projects", "/home/ada/shop"))) == ["shop-db"]
    assert servers(path, section=("projects", "/home/ada/other")) == {}


def test_vs_code(tmp_path: Path) -> None:
    """Comments, inputs, the folder of the workspace, a file of variables that explicit ones win over."""
    (tmp_path / ".vscode").mkdir()
    shutil.copy(HOSTS / "vscode" / "mcp.json", tmp_path / ".vscode" / "mcp.json")
    shutil.copy(HOSTS / "vscode" / "variables.env", tmp_path / ".env")
    path = tmp_path / ".vscode" / "mcp.json"
    config = load(path, environment=HOME, inputs={"perplexity-key": "key"})
    perplexity, github = config.servers
    assert perplexity.env == {"PERPLEXITY_API_KEY": "key", "REGION": "eu-central-1", "LOG_LEVEL": "debug"}
    assert perplexity.cwd == str(tmp_path / "tools")
    assert perplexity.extra["dev"]["debug"] == {"type": "node"}
    assert (github.transport, github.headers) == ("streamable_http", {"X-MCP-Readonly": "true"})
    assert config.sources == (str(path), str(tmp_path / ".env"))


def test_cursor() -> None:
    """`${env:X}` in variables, headers and the block that will log in."""
    variables = {"API_KEY": "key", "CLIENT_ID": "id", "CLIENT_SECRET": "secret"}
    found = servers(HOSTS / "cursor" / ".cursor" / "mcp.json", environment=variables)
    assert found["local"].args == (str(HOSTS / "cursor" / "tools" / "server.py"),)
    assert found["remote"].headers == {"Authorization": "Bearer key"}
    assert found["remote"].extra["auth"] == {"CLIENT_ID": "id", "CLIENT_SECRET": "secret", "scopes": ["read", "write"]}
    assert "secret" not in repr(found["remote"])


def test_kiro() -> None:
    """What is approved and what is taken out; a server that is switched off is known, and nothing more."""
    found = servers(HOSTS / "kiro" / ".kiro" / "settings" / "mcp.json", environment={"BRAVE_API_KEY": "key"})
    assert (found["search"].auto_approve, found["search"].disabled_tools) == (("*",), ("brave_local_search",))
    assert (found["search"].disabled, found["remote"].disabled) == (False, True)
    assert found["remote"].extra == {"oauthScopes": ["read"]}


def test_kilo() -> None:
    """The file of the extension counts seconds, the newer one milliseconds, and has other words."""
    older = servers(HOSTS / "kilo" / ".kilocode" / "mcp.json")
    assert (older["local"].auto_approve, older["local"].timeout) == (("tool1", "tool2"), 120)
    assert older["remote"].transport == "streamable_http"
    newer = servers(HOSTS / "kilo" / "kilo.jsonc")
    assert (newer["local"].command, newer["local"].args) == ("node", ("/path/to/server.js", "--quiet"))
    assert (newer["local"].env, newer["local"].timeout) == ({"API_KEY": "your_api_key"}, 10)
    assert (newer["remote"].transport, newer["remote"].disabled, newer["remote"].timeout) == (
        "streamable_http",
        True,
        15,
    )


def test_windsurf() -> None:
    """`serverUrl` is a URL."""
    found = servers(HOSTS / "windsurf" / "mcp_config.json", environment={"FIGMA_TOKEN": "key"})
    assert found["figma"].url == "https://mcp.figma.example.com/mcp"
    assert found["figma"].headers == {"API_KEY": "Bearer key"}
    assert found["github"].disabled_tools == ("delete_repository",)


def test_gemini_and_codex() -> None:
    """Two more that people have: `httpUrl` and milliseconds; tables of TOML and seconds by name."""
    gemini = servers(HOSTS / "gemini" / ".gemini" / "settings.json")
    assert (gemini["python"].timeout, gemini["python"].disabled_tools) == (15, ("dangerous_tool",))
    assert gemini["python"].env == {"API_KEY": "$MY_API_TOKEN"}
    assert (gemini["http"].transport, gemini["http"].url) == ("streamable_http", "http://localhost:3000/mcp")
    codex = servers(HOSTS / "codex" / ".codex" / "config.toml")
    assert (codex["docs"].connect_timeout, codex["docs"].timeout, codex["docs"].env) == (20, 45.5, {"LOG": "1"})
    assert (codex["remote"].headers, codex["remote"].disabled) == ({"X-Region": "eu"}, True)


@pytest.mark.parametrize("ending", ["yaml", "toml", "json"])
def test_dragomans_own_means_the_same_in_every_syntax(ending: str) -> None:
    """Snake, camel and kebab case, defaults that are joined, text as it is written, groups, unknown keys kept."""
    path = HOSTS / f"dragoman.{ending}"
    config = load(path, environment=HOME, workspace=Path("/work"))
    restart = Restart(breaker=6)
    common: dict[str, Any] = {"env": {"LANG": "C"}, "timeout": 20}
    expected = HubConfig(
        servers=(
            ServerConfig(
                name="files",
                command="uvx",
                args=("mcp-server-files", "--root", "/work", "--depth", "3"),
                env={"LANG": "C", "VERBOSE": "yes", "RELEASE": "1.10"},
                restart=structs.replace(restart, longest_delay=30),
                start="on_use",
                idle_timeout=600,
                timeout=20,
            ),
            ServerConfig(
                name="files-eu",
                url="https://eu.example.com/mcp",
                headers={"Authorization": "Bearer none"},
                env={"LANG": "C"},
                restart=restart,
                timeout=5,
                concurrency=4,
            ),
            ServerConfig(
                name="old", url="https://old.example.com/sse", transport="sse", restart=restart, disabled=True, **common
            ),
        ),
        groups={"any-files": Group(servers=("files", "files-eu"), hedge_after=0.5)},
        keep_catalogue=False,
        sources=(str(path),),
        extra={"x-team": "tools"},
    )
    assert config == expected


def test_a_host_that_is_asked_for_a_variable_nobody_has_tells_its_own_file() -> None:
    """The file that another program wrote is named, not one of ours."""
    path = HOSTS / "claude_code" / ".mcp.json"
    with pytest.raises(ConfigError) as caught:
        load(path, environment=HOME)
    assert str(caught.value).startswith(f"{path}:7: mcpServers.api.headers.Authorization: ")
