"""Turns a server's configuration into a running process: finds the program, makes its environment, starts it.

It watches nothing and ends nothing: `process.py` does. Neighbour of `stdio.py`; POSIX only.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NoReturn

from msgspec import Struct

from dragoman.config.model import ServerConfig
from dragoman.errors import CannotConnect, CommandNotFound, ConfigError

__all__ = ["Command", "Launched", "command_for", "launch"]

#: What a program needs to start and to find its user; everything else may hold secrets.
_INHERITED: Final = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "USER"}
)
_INHERITED_PREFIXES: Final = ("LC_", "XDG_")

_INSTALL: Final = {
    "bun": "Install Bun, which brings it.",
    "bunx": "Install Bun, which brings it.",
    "deno": "Install Deno.",
    "docker": "Install Docker, or start with another command.",
    "node": "Install Node.js.",
    "npm": "Install Node.js, which brings it.",
    "npx": "Install Node.js, which brings it.",
    "pipx": "Install pipx.",
    "podman": "Install Podman.",
    "uv": "Install uv.",
    "uvx": "Install uv, which brings it.",
}
_EXHAUSTED: Final = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Command(Struct, frozen=True):
    """What to start: the program's absolute path, its arguments, its whole environment, its directory.

    None stands for this process's own environment or directory.
    """

    path: Path
    args: tuple[str, ...]
    env: dict[str, str] | None
    cwd: Path | None


class Launched(Struct):
    """A started process, and this side's ends of its three pipes, none of which blocks."""

    process: subprocess.Popen[bytes]
    stdin: int
    stdout: int
    stderr: int


def command_for(config: ServerConfig, environ: Mapping[str, str]) -> Command:
    """Give what ``config`` starts when this process's environment is ``environ``.

    A command without a slash is looked up on the server's own ``PATH``; one with a slash is relative to its ``cwd``.

    Raises:
        CommandNotFound: the program is not there.
        ConfigError: it can't be executed, or the directory is missing.
    """
    env = _environment(config, environ)
    cwd = Path(config.cwd).expanduser() if config.cwd else None
    if cwd is not None and not cwd.is_dir():
        _fail(config, f"cwd: {str(cwd)!r} is no directory", "Create it, or correct cwd.")
    search = (environ if env is None else env).get("PATH", os.defpath)
    return Command(_program(config, search, cwd), config.args, env, cwd)


def launch(command: Command, name: str) -> Launched:
    """Start ``command`` as the leader of a session and group of its own. Blocks for a millisecond or so.

    ``name`` is the server's, for errors.

    Raises:
        ConfigError: the system refuses the program, its arguments or its environment.
        CannotConnect: the system has no room for another process or descriptor.
    """
    ends: list[int] = []
    try:
        for _ in range(3):
            ends += os.pipe()
        child_in, stdin, stdout, child_out, stderr, child_err = ends
        for end in (stdin, stdout, stderr):
            os.set_blocking(end, False)
        process = subprocess.Popen(
            [command.path, *command.args],
            stdin=child_in,
            stdout=child_out,
            stderr=child_err,
            cwd=command.cwd,
            env=command.env,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        _close(ends)
        _refused(command, name, error)
    except BaseException:
        _close(ends)
        raise
    _close((child_in, child_out, child_err))
    return Launched(process, stdin, stdout, stderr)


def _environment(config: ServerConfig, environ: Mapping[str, str]) -> dict[str, str] | None:
    if config.inherit_env and not config.env and environ is os.environ:
        return None  # copying it would cost as much as all else here
    if config.inherit_env:
        return {**environ, **config.env}
    few = {k: v for k, v in environ.items() if k in _INHERITED or k.startswith(_INHERITED_PREFIXES)}
    return {**few, **config.env}


def _program(config: ServerConfig, search: str, cwd: Path | None) -> Path:
    command = config.command or ""
    if "/" in command:
        path = Path(cwd or "", Path(command).expanduser()).absolute()
        _check_program(config, path)
        return path
    places = [path for directory in search.split(os.pathsep) if (path := Path(directory, command)).is_file()]
    for path in places:
        if os.access(path, os.X_OK):
            return path.absolute()
    for path in places:
        _check_program(config, path)
    hint = _install_hint(command, search)
    error = CommandNotFound(f"command {command!r} is nowhere on PATH", server=config.name, hint=hint)
    error.add_note(f"It was looked for in {search}.")  # too long for a status line or a log
    raise error


def _check_program(config: ServerConfig, path: Path) -> None:
    if not path.exists():
        raise CommandNotFound(f"command {str(path)!r} does not exist", server=config.name, hint=_blank_hint(str(path)))
    if path.is_dir():
        _fail(config, f"command: {str(path)!r} is a directory", "Name the program in it.")
    if not os.access(path, os.X_OK):
        _fail(config, f"command: {str(path)!r} is not executable", "Run chmod +x on it, or name its interpreter.")


def _install_hint(command: str, search: str) -> str | None:
    if hint := _blank_hint(command):
        return hint
    if command in _INSTALL:
        return f"{_INSTALL[command]} If it is installed, add its directory to PATH in the server's env."
    from difflib import get_close_matches

    near = get_close_matches(command, _programs(search), n=1, cutoff=0.75)
    return f"Did you mean {near[0]}?" if near else None


def _blank_hint(command: str) -> str | None:
    return "Put the arguments into args; command is the program alone." if " " in command.strip() else None


def _programs(search: str) -> set[str]:
    found: set[str] = set()
    for directory in search.split(os.pathsep):
        try:
            found.update(os.listdir(directory))  # noqa: PTH208 - only the names are wanted, of thousands
        except OSError:
            continue
    return found


def _refused(command: Command, name: str, error: OSError | ValueError) -> NoReturn:
    """Convert what the system said; arguments and environment may hold secrets and are never shown."""
    if isinstance(error, ValueError):
        raise ConfigError(f"args or env can't be passed on ({error})", server=name) from None
    reason = os.strerror(error.errno) if error.errno else str(error)
    what = f"{command.path} could not be started ({reason})"
    if error.errno in _EXHAUSTED:
        hint = "Close other servers, or raise this process's limits (ulimit -n, ulimit -u)."
        raise CannotConnect(what, server=name, hint=hint) from None
    hints = {
        errno.ENOEXEC: "A script needs a first line that names its interpreter (#!).",
        errno.ENOENT: "The interpreter that its first line names is missing.",
        errno.E2BIG: "Arguments and environment are too long together.",
    }
    raise ConfigError(what, server=name, hint=hints.get(error.errno or 0, "")) from None


def _fail(config: ServerConfig, what: str, hint: str) -> NoReturn:
    raise ConfigError(what, server=config.name, hint=hint)


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
