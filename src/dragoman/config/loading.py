"""Reads configurations from files: finds the file, its variables and secrets, and leaves the rest to pure neighbours.

`document` reads the text, `dialects` the meaning, `interpolate` the references. Here alone files are opened.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from dragoman.config.files.dialects import Dialect, dialect_of, read_hub
from dragoman.config.files.document import MAX_FILE_BYTES, decoded, parse_document
from dragoman.config.files.dotenv import parse_dotenv
from dragoman.config.files.interpolate import Input, LookupFailed, Surroundings, Values
from dragoman.config.files.node import Node, tree
from dragoman.config.files.servers import EnvFiles
from dragoman.config.hub import HubConfig
from dragoman.errors import ConfigError

__all__ = ["FILE_NAMES", "from_dict", "load", "parse"]

FILE_NAMES: Final = ("dragoman.yaml", "dragoman.yml", "dragoman.toml", "dragoman.json", "dragoman.jsonc")

_SERVICE: Final = "dragoman"
_HOST_FOLDERS: Final = ((".kiro", "settings"), (".vscode",), (".cursor",), (".kilocode",), (".kilo",), (".gemini",))

Ask = Callable[[Input], str | None]


def load(
    path: str | Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    workspace: Path | None = None,
    ask: Ask | None = None,
    section: Sequence[str] = (),
) -> HubConfig:
    """Read a configuration: Dragoman's own, or that of any host.

    Args:
        path: the file. None: ``dragoman.yaml``, ``.yml``, ``.toml``, ``.json`` or ``.jsonc`` in the current directory,
            else in the folders above it up to the project's root (the one with ``.git``), else in the user's
            configuration folder (``$XDG_CONFIG_HOME/dragoman``, else ``~/.config/dragoman``).
        environment: what ``${VAR}`` stands for; None: this process's environment.
        inputs: what ``${input:id}`` stands for, by id. After it come the variable ``DRAGOMAN_INPUT_<ID>``, ``ask``, and
            the default that the file gives.
        workspace: what ``${workspaceFolder}`` stands for; None: the folder of the file, without a host's own folder
            such as ``.vscode``; for a file of the user's, the current directory.
        ask: called with an `Input` that nothing else answers; gives the answer, or None. It may block.
        section: keys that lead to a part of the file which holds the servers, as for one project in Claude Code's file.

    Raises:
        ConfigError: there is no such file, or anything in it is wrong. All that is wrong is told at once.
    """
    variables = os.environ if environment is None else environment
    file = _found(variables) if path is None else Path(path).expanduser()
    name = str(file)
    root = parse_document(decoded(read_bytes(file), name), name)
    for key in section:
        root = root.members.get(key, Node({}, root.line))
    sources = [name]
    folder = file.parent
    values = _surroundings(variables, inputs, ask, workspace or _workspace(file, variables))
    config = read_hub(
        root, values, _env_files(folder, variables, sources), file=name, dialect=dialect_of(str(file.absolute()))
    )
    return structs.replace(config, sources=tuple(sources))


def parse(
    text: str | bytes,
    name: str = "",
    *,
    environment: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    workspace: Path | None = None,
) -> HubConfig:
    """Read a configuration from its text. The ending of ``name`` tells the syntax; without one the text itself does.

    Nothing is opened and nobody is asked: ``${VAR}`` counts with the given ``environment`` only, ``envFile`` and
    ``${keyring:…}`` are refused.

    Raises:
        ConfigError: anything in it is wrong; ``name`` is its ``file``.
    """
    root = parse_document(decoded(text, name) if isinstance(text, bytes) else text, name)
    values = _surroundings(environment or {}, inputs, None, workspace, keyring=False)
    config = read_hub(root, values, _no_env_files, file=name, dialect=dialect_of(name))
    return structs.replace(config, sources=(name,) if name else ())


def from_dict(
    mapping: Mapping[str, object],
    *,
    environment: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    workspace: Path | None = None,
    ask: Ask | None = None,
) -> HubConfig:
    """Read a configuration from plain data, as a file would hold it.

    An ``envFile`` is found from the workspace, which is the current directory unless told otherwise.

    Raises:
        ConfigError: anything in it is wrong; ``key`` is the dotted path.
    """
    variables = os.environ if environment is None else environment
    sources: list[str] = []
    folder = workspace or Path.cwd()
    values = _surroundings(variables, inputs, ask, folder)
    config = read_hub(tree(mapping), values, _env_files(folder, variables, sources), dialect=Dialect())
    return structs.replace(config, sources=tuple(sources))


def user_folders(environment: Mapping[str, str], platform: str = sys.platform) -> list[Path]:
    """Give the folders that may hold the user's own configuration, the first first."""
    home = home_folder(environment)
    below = environment.get("XDG_CONFIG_HOME", "")
    folders = [Path(below) if below.startswith("/") else home / ".config"]
    if platform == "darwin":
        folders.append(home / "Library" / "Application Support")
    if platform == "win32" and (roaming := environment.get("APPDATA")):
        folders.insert(0, Path(roaming))
    return [folder / "dragoman" for folder in folders]


def home_folder(environment: Mapping[str, str]) -> Path:
    """Give the user's home: as the variables say, else as the system does."""
    named = environment.get("HOME") or environment.get("USERPROFILE")
    return Path(named) if named else Path.home()


def _found(environment: Mapping[str, str]) -> Path:
    searched: list[Path] = []
    for folder in (*_project_folders(Path.cwd()), *user_folders(environment)):
        searched.append(folder)
        present = [folder / name for name in FILE_NAMES if (folder / name).is_file()]
        if len(present) > 1:
            names = " and ".join(path.name for path in present)
            raise ConfigError(
                f"{names} stand side by side", file=str(folder), hint="Keep one, or name the one to read."
            )
        if present:
            return _own(present[0])
    where = ", ".join(map(str, searched))
    names = ", ".join(FILE_NAMES)
    raise ConfigError(f"no configuration was found: none of {names} in {where}", hint="Write one, or name a file.")


def _own(file: Path) -> Path:
    """Give a file that was found, not named, if nobody else wrote it: its servers would run with this user's rights."""
    if hasattr(os, "geteuid"):
        owners = {file.lstat().st_uid, file.stat().st_uid}
        if owners - {os.geteuid(), 0}:
            raise ConfigError(
                "belongs to another user", file=str(file), hint="Name the file if you trust whoever wrote it."
            )
    return file


def _project_folders(start: Path) -> Iterator[Path]:
    """Give the folder and those above it up to the project's root; alone it stands if there is no root."""
    folders = [start, *start.parents]
    root = next((place for place, folder in enumerate(folders) if (folder / ".git").exists()), 0)
    yield from folders[: root + 1]


def read_bytes(file: Path) -> bytes:
    """Give what a file holds, or one byte more than it may hold. Pipes and devices could hold up everything.

    Raises:
        ConfigError: it is not there, is no file, or can't be read.
    """
    try:
        kind = file.stat()
        if stat.S_ISDIR(kind.st_mode):
            raise ConfigError("is a directory", file=str(file), hint="Name the file in it.")
        if not stat.S_ISREG(kind.st_mode):
            raise ConfigError("is no regular file", file=str(file), hint="Name a file.")
        # Some files of the system call themselves regular and wait for more; others can be exchanged just now.
        with open(file, "rb", buffering=0, opener=_open_without_waiting) as opened:
            return _all_of(opened.fileno())
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=str(file), hint="Check its path.") from None
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else "the path is not usable"
        raise ConfigError(f"can't be read ({told})", file=str(file), hint="Check its path and its rights.") from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _all_of(descriptor: int) -> bytes:
    parts: list[bytes] = []
    left = MAX_FILE_BYTES + 1
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _workspace(file: Path, environment: Mapping[str, str]) -> Path:
    folder = file.absolute().parent
    home = home_folder(environment)
    for steps in _HOST_FOLDERS:
        if folder.parts[-len(steps) :] == steps:
            folder = folder.parents[len(steps) - 1]
            break
    users = user_folders(environment)
    return Path.cwd() if folder == home or any(folder.is_relative_to(user.parent) for user in users) else folder


def _surroundings(
    variables: Mapping[str, str],
    inputs: Mapping[str, str] | None,
    ask: Ask | None,
    workspace: Path | None,
    *,
    keyring: bool = True,
) -> Values:
    places = {"pathSeparator": os.sep, "userHome": str(home_folder(variables))}
    if workspace is not None:
        absolute = workspace.expanduser().absolute()
        places |= {"workspaceFolder": str(absolute), "workspaceFolderBasename": absolute.name}
    secret = _keyring if keyring else None
    return Surroundings(variables=variables, inputs=inputs or {}, places=places, ask=ask, keyring=secret)


def _keyring(name: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        hint = "Install it: pip install 'dragoman[keyring]'."
        raise LookupFailed(f"${{keyring:{name}}} needs the library keyring", hint) from None
    try:
        held = keyring.get_password(_SERVICE, name)
    except KeyringError as error:
        told = type(error).__name__
        raise LookupFailed(f"the keyring can't be read ({told})", "Unlock it, or set up a backend.") from None
    if held is None:
        what = f"the keyring has no entry {name!r} of the service {_SERVICE}"
        raise LookupFailed(what, f"Store it: keyring set {_SERVICE} {name}.")
    return held


def _env_files(folder: Path, environment: Mapping[str, str], sources: list[str]) -> EnvFiles:
    def read(path: str) -> dict[str, str]:
        begins = path.removeprefix("~")
        home = path.startswith("~/")
        file = home_folder(environment) / begins.lstrip("/") if home else folder / path
        try:
            held = parse_dotenv(decoded(read_bytes(file), str(file)))
        except ConfigError as error:
            line = "" if error.line is None else f", line {error.line}"
            raise LookupFailed(f"the file {file}{line}: {error.what}", error.hint) from None
        if str(file) not in sources:
            sources.append(str(file))
        return held

    return read


def _no_env_files(_path: str) -> dict[str, str]:
    raise LookupFailed("no file is read here", "Use load() to read files of variables.")
