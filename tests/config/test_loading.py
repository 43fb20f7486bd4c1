"""Configurations from files: which file, what stands around it, and what is told when it can't be read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from dragoman.config import Input, load, parse
from dragoman.config.loading import FILE_NAMES
from dragoman.errors import ConfigError

SERVER = "servers:\n  a:\n    command: server\n"


class Drawer(KeyringBackend):
    """A keyring of one entry, which can be locked."""

    priority = 1  # pyright: ignore[reportAssignmentType] - as its makers do
    locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringError("hush-hush")
        return "secret" if (service, username) == ("dragoman", "token") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringError


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    """A keyring in place of the user's."""
    before = keyring.get_keyring()
    keyring.set_keyring(drawer := Drawer())
    yield drawer
    keyring.set_keyring(before)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder two levels down, in which this process stands."""
    deep = tmp_path / "home" / "shop" / "src" / "deep"
    deep.mkdir(parents=True)
    (deep.parent.parent / ".git").mkdir()
    monkeypatch.chdir(deep)
    return deep.parent.parent


def home(project: Path) -> dict[str, str]:
    """The variables of the user whose project it is."""
    return {"HOME": str(project.parent)}


@pytest.mark.parametrize("name", FILE_NAMES)
@pytest.mark.parametrize("folder", ["src/deep", "src", ".", "../.config/dragoman"])
def test_a_file_is_found_from_the_project_up_and_in_the_users_folder(project: Path, name: str, folder: str) -> None:
    """The current folder, those above it, the project's root, the user's configuration folder."""
    path = (project / folder / name).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"servers": {"a": {"command": "s"}}}' if "json" in name else "servers = {}")
    if name.endswith(("yaml", "yml")):
        path.write_text(SERVER)
    assert load(environment=home(project)).sources == (str(path),)


def test_the_nearest_file_wins(project: Path) -> None:
    """A folder's own before the project's, that before the user's."""
    (project / "dragoman.yaml").write_text(SERVER)
    near = project / "src" / "dragoman.toml"
    near.write_text("servers = {}")
    assert load(environment=home(project)).sources == (str(near),)


def test_what_lies_above_the_project_is_not_taken(project: Path) -> None:
    """Another's file in a shared folder is nobody's configuration."""
    (project.parent / "dragoman.yaml").write_text(SERVER)
    with pytest.raises(ConfigError) as caught:
        load(environment=home(project))
    assert all(name in caught.value.what for name in FILE_NAMES)
    for folder in (project / "src" / "deep", project, project.parent / ".config" / "dragoman"):
        assert str(folder) in caught.value.what


def test_without_a_project_only_the_current_folder_counts(project: Path) -> None:
    """No `.git` above: nothing says how far up is meant."""
    (project / ".git").rmdir()
    (project / "dragoman.yaml").write_text(SERVER)
    with pytest.raises(ConfigError, match="no configuration was found"):
        load(environment=home(project))


def test_the_users_folder_can_be_moved(project: Path) -> None:
    """By the variable that other programs obey."""
    moved = project.parent / "elsewhere"
    (moved / "dragoman").mkdir(parents=True)
    (moved / "dragoman" / "dragoman.yaml").write_text(SERVER)
    found = load(environment=home(project) | {"XDG_CONFIG_HOME": str(moved)})
    assert found.sources == (str(moved / "dragoman" / "dragoman.yaml"),)


def test_two_files_side_by_side_are_refused(project: Path) -> None:
    """Nobody would know which of them counts."""
    (project / "dragoman.yaml").write_text(SERVER)
    (project / "dragoman.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"dragoman\.yaml and dragoman\.json stand side by side"):
        load(environment=home(project))


def in_a_circle(path: Path) -> None:
    """Make a link that leads to itself."""
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (str, "there is no such file"),
        (Path.mkdir, "is a directory"),
        (os.mkfifo, "is no regular file"),
        (in_a_circle, "can't be read"),
    ],
    ids=["nothing", "directory", "pipe", "circle"],
)
def test_what_can_not_be_read_is_told(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    """And nothing waits for a pipe that nobody writes to."""
    path = tmp_path / "dragoman.yaml"
    make(path)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {words}")


def test_a_name_that_no_file_can_have_is_told() -> None:
    """A NUL in a path is no reason for another kind of error."""
    with pytest.raises(ConfigError, match="path is not usable"):
        load("a\0b")


def test_the_environment_of_this_process_counts_unless_another_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And `parse` knows none at all."""
    monkeypatch.setenv("DRAGOMAN_TEST_VALUE", "here")
    path = tmp_path / "a.yaml"
    path.write_text(f"{SERVER}    cwd: ${{DRAGOMAN_TEST_VALUE}}\n")
    assert load(path).servers[0].cwd == "here"
    with pytest.raises(ConfigError, match="DRAGOMAN_TEST_VALUE"):
        load(path, environment={})
    with pytest.raises(ConfigError, match="DRAGOMAN_TEST_VALUE"):
        parse(path.read_text(), "a.yaml")


def test_the_workspace_is_the_folder_of_the_project(project: Path) -> None:
    """Without the host's own folders; given, it counts; for the user's files it is where one stands."""
    text = '{"servers": {"a": {"command": "s", "cwd": "${workspaceFolder}|${userHome}"}}}'
    cases = {
        project / "a.json": project,
        project / ".kiro" / "settings" / "mcp.json": project,
        project / ".cursor" / "mcp.json": project,
        project.parent / ".cursor" / "mcp.json": project / "src" / "deep",
        project.parent / ".config" / "dragoman" / "dragoman.json": project / "src" / "deep",
    }
    for path, folder in cases.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        assert load(path, environment=home(project)).servers[0].cwd == f"{folder}|{project.parent}"
    given = load(project / "a.json", environment=home(project), workspace=Path("/work"))
    assert given.servers[0].cwd == f"/work|{project.parent}"


def test_files_of_variables_are_read_and_listed(tmp_path: Path) -> None:
    """From the folder of the configuration; explicit variables win; who watches files knows them all."""
    (tmp_path / "b.env").write_text("A=1\nB=2\n")
    path = tmp_path / "a.yaml"
    path.write_text(f"{SERVER}    envFile: b.env\n    env: {{B: 3}}\n  c: {{command: x, env_file: b.env}}\n")
    config = load(path)
    assert config.servers[0].env == {"A": "1", "B": "3"}
    assert config.sources == (str(path), str(tmp_path / "b.env"))
    with pytest.raises(ConfigError, match="no file is read here"):
        parse(path.read_text(), "a.yaml")


def test_the_user_is_asked_once_for_each_input(tmp_path: Path) -> None:
    """With what the file says of it."""
    path = tmp_path / "mcp.json"
    path.write_text(
        '{"inputs": [{"type": "pickString", "id": "r", "description": "Where?", "password": true,'
        ' "options": ["a", {"label": "B", "value": "b"}], "default": "a"}],'
        ' "servers": {"x": {"command": "s", "args": ["${input:r}"]}, "y": {"command": "s", "args": ["${input:r}"]}}}'
    )
    asked: list[Input] = []

    def ask(wanted: Input) -> str:
        asked.append(wanted)
        return "b"

    assert [server.args for server in load(path, ask=ask).servers] == [("b",), ("b",)]
    assert asked == [Input(id="r", description="Where?", password=True, default="a", options=("a", "b"))]


def test_secrets_come_from_the_keyring(tmp_path: Path, drawer: Drawer) -> None:
    """Of the service dragoman; an entry that is not there and a keyring that is locked are told."""
    path = tmp_path / "a.yaml"
    path.write_text(f"{SERVER}    env: {{T: '${{keyring:token}}'}}\n")
    assert load(path).servers[0].env == {"T": "secret"}
    drawer.locked = True
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:4: servers.a.env.T: the keyring can't be read (KeyringError)")
    assert "hush" not in str(caught.value)
    drawer.locked = False
    path.write_text(f"{SERVER}    env: {{T: '${{keyring:tokn}}'}}\n")
    with pytest.raises(ConfigError, match=r"no entry 'tokn'.*keyring set dragoman tokn"):
        load(path)


def test_without_the_library_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    """It is wanted by few, and not installed for all."""
    path = tmp_path / "a.yaml"
    path.write_text(f"{SERVER}    env: {{T: '${{keyring:token}}'}}\n")
    program = f"import sys; sys.modules['keyring'] = None\nfrom dragoman.config import load; load({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'dragoman[keyring]'" in done.stderr.splitlines()[-1]


def test_settings_alone_bring_no_parsers() -> None:
    """Whoever gives servers in code pays for no YAML and no TOML."""
    program = "import sys, dragoman.config; assert not {'yaml', 'tomllib', 'keyring'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
