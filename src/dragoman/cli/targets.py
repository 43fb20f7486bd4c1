"""From what the command line says of a server to the settings that reach it.

`${NAME}` and `${NAME:-default}` in the values of ``--header``, ``--env`` and ``--set`` stand for variables of this
process's environment, so that a secret need not stand on the command line, where other users can read it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from dragoman.config.model import ServerConfig, Tls, config_for, redact_url
from dragoman.errors import ConfigError, UsageError

__all__ = ["Reach", "configured", "expanded", "pairs"]

_VARIABLE: Final = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_BARE_ADDRESS: Final = re.compile(r"(?:[^\s/@:]+:[^\s/@]*@)?(?:localhost|[\w.-]+:\d+)(?:[/?#]\S*)?")
_LONGEST_NAME: Final = 32
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_BUILTINS: Final = frozenset({".", "cd", "exec", "export", "set", "source", "ulimit"})
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCHEMES: Final = ("http", "https", "ws", "wss")
_TOLD_BY_TARGET: Final = frozenset({"command", "args", "url"})
_NEEDED: Final = {
    "float": "A number is needed.",
    "int": "A whole number is needed.",
    "bool": "true or false is needed.",
}


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What the options of every command say of the server; None and empty leave the settings' own defaults."""

    target: str
    headers: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str | None = None
    transport: str | None = None
    protocol_version: str | None = None
    timeout: float | None = None
    connect_timeout: float | None = None
    more: tuple[str, ...] = ()


def configured(reach: Reach, environment: Mapping[str, str] = os.environ) -> ServerConfig:
    """Give the settings of the server.

    Raises:
        ConfigError, UsageError: they can't be used; the text names the option.
    """
    if not reach.target.strip():
        hint = "Name it with -s TARGET (a command line or a URL), or in DRAGOMAN_SERVER."
        raise ConfigError("no server is named", hint=hint)
    _check_address(reach.target.strip())
    config = config_for(reach.target)
    _check_program(config)
    told: dict[str, Any] = {
        "cwd": reach.cwd,
        "transport": reach.transport,
        "protocol_version": reach.protocol_version,
        "timeout": reach.timeout,
        "connect_timeout": reach.connect_timeout,
        "headers": pairs(reach.headers, "--header", environment, colon=True) or None,
        "env": pairs(reach.env, "--env", environment) or None,
    }
    _check_fit(config, told)
    changes = {key: value for key, value in told.items() if value is not None}
    if reach.timeout is not None:
        changes["max_timeout"] = max(config.max_timeout, reach.timeout)
    changes |= _more(config, pairs(reach.more, "--set", environment))
    return msgspec.structs.replace(config, **changes)


def pairs(words: Sequence[str], option: str, environment: Mapping[str, str], *, colon: bool = False) -> dict[str, str]:
    """Read ``NAME=VALUE`` words (``NAME: VALUE`` too, if ``colon``), with variables put in.

    Raises:
        UsageError: one has no name or value, or names a variable that is not set.
    """
    found: dict[str, str] = {}
    for word in words:
        name, mark, value = word.partition("=")
        if colon and ":" in name:
            name, mark, value = word.partition(":")
            value = value.lstrip()
        if not mark or len(name.split()) != 1:
            raise UsageError(_slip(option, name), hint=f"Write {option} NAME=VALUE.")
        found[name.strip()] = expanded(value, option, environment)
    return found


def _slip(option: str, name: str) -> str:
    """Tell of a word that is no pair, without what may be its value: it may be secret."""
    head, *rest = name.split() or [""]
    if not head:
        return f"{option} has no name"
    shown = head[:_LONGEST_NAME] + (" …" if rest or len(head) > _LONGEST_NAME else "")
    return f"{option} {shown!r} has no value"


def expanded(text: str, option: str, environment: Mapping[str, str]) -> str:
    """Put variables in; ``$$`` is one dollar sign.

    Raises:
        UsageError: a variable is not set and has no default.
    """

    def put(found: re.Match[str]) -> str:
        name: str | None = found.group(1)
        default: str | None = found.group(2)
        if name is None:
            return "$"
        value = environment.get(name, default)
        if value is None:
            raise UsageError(f"{option} names the variable {name}, which is not set", hint=f"Set {name} and try again.")
        return value

    return _VARIABLE.sub(put, text)


def _check_address(target: str) -> None:
    """Refuse what was meant to be a URL and would be taken for a command.

    Raises:
        ConfigError: it lacks its scheme, or has one that no transport knows.
    """
    if _BARE_ADDRESS.fullmatch(target):
        url = redact_url(f"http://{target}")
        shown = url.removeprefix("http://")
        hint = f"Write {url}." if shown == target else "Write http:// before it."
        raise ConfigError(f"{shown!r} looks like an address without its scheme", hint=hint)
    scheme = _SCHEME.match(target)
    if scheme and scheme[1].lower() not in _SCHEMES:
        raise ConfigError(f"{scheme[1]}:// leads to no server", hint=f"A URL begins with {_told(_SCHEMES)}.")


def _check_program(config: ServerConfig) -> None:
    """Refuse what only a shell understands.

    Raises:
        ConfigError: the command line sets a variable, changes the directory or joins commands.
    """
    command = config.command or ""
    if _ASSIGNMENT.match(command):
        word = f"{command.partition('=')[0]}=…"
        hint = f"Write --env {word} and begin with the program."
        raise ConfigError(f"the command line begins with {word}, and no shell is started", hint=hint)
    if command in _BUILTINS or "&&" in config.args:
        hint = "Use --cwd DIR and --env NAME=VALUE, or start one: -s \"sh -c '…'\"."
        raise ConfigError("the command line is written for a shell, and no shell is started", hint=hint)


def _told(schemes: Sequence[str]) -> str:
    return ", ".join(f"{scheme}://" for scheme in schemes[:-1]) + f" or {schemes[-1]}://"


def _check_fit(config: ServerConfig, told: Mapping[str, Any]) -> None:
    remote = config.command is None
    for key, option in (("env", "--env"), ("cwd", "--cwd")) if remote else (("headers", "--header"),):
        if told[key] is not None:
            wanted, here = ("a command line", "a URL") if remote else ("a URL", "a command line")
            raise UsageError(f"{option} has no meaning for {here}", hint=f"Leave it out, or give {wanted}.")


def _more(config: ServerConfig, given: Mapping[str, str]) -> dict[str, Any]:
    """Give the settings of ``--set KEY=VALUE``, typed as `ServerConfig` has them; a dot reaches into a setting."""
    changes: dict[str, Any] = {}
    for key, text in given.items():
        outer, dot, inner = key.partition(".")
        current = changes.get(outer, getattr(config, outer, None))
        if outer in _TOLD_BY_TARGET or outer not in config.__struct_fields__:
            raise _no_setting(key, outer, [name for name in config.__struct_fields__ if name not in _TOLD_BY_TARGET])
        if isinstance(current, Mapping):
            if not inner:
                raise UsageError(f"--set {key} needs a name within it", hint=f"Write --set {key}.NAME=VALUE.")
            changes[outer] = {**current, inner: text}
        elif isinstance(current, Tls):
            changes[outer] = msgspec.structs.replace(current, **{inner: _typed(current, inner, key, text)})
        else:
            changes[outer] = _typed(config, key if dot else outer, key, text)
    return changes


def _typed(owner: msgspec.Struct, name: str, key: str, text: str) -> object:
    kinds = {entry.name: entry.type for entry in msgspec.structs.fields(owner)}
    if name not in kinds:
        raise _no_setting(key, name, list(kinds))
    try:
        return msgspec.convert(text, kinds[name], strict=False)
    except msgspec.ValidationError as error:
        kind = next((kind for kind in _NEEDED if f"`{kind}" in str(error)), "")
        hint = _NEEDED.get(kind, "See the reference of settings.")
        raise UsageError(f"--set {key} can't have the value {text!r}", hint=hint) from None


def _no_setting(key: str, name: str, known: Sequence[str]) -> UsageError:
    from dragoman.cli.coercion import nearest

    near = nearest(name, known)
    guess = f"Did you mean {key.removesuffix(name)}{near}? " if near else ""
    return UsageError(f"--set names {key!r}, which is no setting", hint=f"{guess}There are {', '.join(known)}.")
