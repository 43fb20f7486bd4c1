"""The keys that a server may have in a file: ours, in every spelling, and those of other hosts.

Pure tables. A key that is nearly a known one is a mistake; one that is like none is kept for whoever knows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Final

from msgspec import structs

from dragoman.config.model import ServerConfig

__all__ = ["NO_DEFAULTS", "TRANSPORTS", "key_of", "meant", "near", "squashed"]

#: Fields of `ServerConfig` that a file tells in another way.
_UNWRITTEN: Final = frozenset({"name", "extra"})

#: Settings that belong to one server, and can't be the default of all.
NO_DEFAULTS: Final = frozenset({"command", "args", "url", "transport"})

#: Other hosts' keys, squashed, and what they are here. ``url:http`` also says which transport; ``:ms`` the unit.
_ALIASES: Final = {
    "alwaysallow": "auto_approve",
    "enabled": "enabled",
    "environment": "env",
    "envfile": "env_file",
    "excludetools": "disabled_tools",
    "httpheaders": "headers",
    "httpurl": "url:http",
    "isactive": "enabled",
    "serverurl": "url",
    "startuptimeoutms": "connect_timeout:ms",
    "startuptimeoutsec": "connect_timeout",
    "timeoutms": "timeout:ms",
    "timeoutsec": "timeout",
    "timeoutseconds": "timeout",
    "tooltimeoutsec": "timeout",
    "transporttype": "transport",
    "type": "transport",
}

#: Keys of other hosts that mean nothing here. They are kept, and are no misspellings of ours.
_FOREIGN_WORDS: Final = """
    auth authorization authprovidertype authserverurl bearertoken bearertokenenvvar category chunking clientid comment
    description dev displayname enabledtools envhttpheaders envvars gallery group headershelper icon iconurl id
    includetools instructions label location longrunning metadata name note notes oauth oauthscopes origin provider
    registry required sandbox scope scopes searchkey source tags title tools toolprefix trust vars version
    """
_FOREIGN: Final = frozenset(_FOREIGN_WORDS.split())

#: What people write by mistake, squashed, and what they mean.
_MISTAKES: Final = {
    "address": "url",
    "allowedtools": "auto_approve",
    "approve": "auto_approve",
    "argument": "args",
    "arguments": "args",
    "baseurl": "url",
    "certificate": "tls",
    "cmd": "command",
    "dir": "cwd",
    "directory": "cwd",
    "disable": "disabled",
    "enable": "enabled",
    "endpoint": "url",
    "environ": "env",
    "envs": "env",
    "envvariables": "env",
    "exec": "command",
    "executable": "command",
    "href": "url",
    "lazy": "start",
    "maxconcurrency": "concurrency",
    "params": "args",
    "program": "command",
    "ratelimit": "rate",
    "retries": "retry",
    "ssl": "tls",
    "uri": "url",
    "workdir": "cwd",
    "workingdir": "cwd",
    "workingdirectory": "cwd",
}

#: Names of transports, squashed. Empty: told by ``command`` or by the scheme of the URL.
TRANSPORTS: Final = {
    "http": "streamable_http",
    "local": "",
    "remote": "",
    "sse": "sse",
    "stdio": "stdio",
    "streamable": "streamable_http",
    "streamablehttp": "streamable_http",
    "websocket": "websocket",
    "ws": "websocket",
}

_CLOSE: Final = 0.78
_LONGEST: Final = 100


def squashed(key: str) -> str:
    """Give a key without what tells camelCase, snake_case and kebab-case apart."""
    return key.replace("_", "").replace("-", "").lower()


def key_of(written: str) -> tuple[str, str] | None:
    """Give the setting that a key stands for, and how its value is meant (empty, ``http`` or ``ms``); None: unknown."""
    squash = squashed(written)
    told = _ALIASES.get(squash) or _own().get(squash)
    if told is None:
        return None
    field, _, treatment = told.partition(":")
    return field, treatment


def meant(written: str) -> str | None:
    """Give the right spelling of a key that is unknown but nearly known; None: it is somebody else's."""
    squash = squashed(written)
    if squash in _FOREIGN or written.startswith(("_", "x-", "X-", "$", "//", "#")):
        return None
    if squash in _MISTAKES:
        return _MISTAKES[squash]
    found = near(squash, [*_own(), *_ALIASES])
    if found is None:
        return None
    camel = written != written.lower()
    if (own := _own().get(found)) is not None:
        first, *rest = own.split("_")
        return first + "".join(word.capitalize() for word in rest) if camel else own
    return _spelled(found, camel=camel)


def near(written: str, known: Iterable[str]) -> str | None:
    """Give the known word that is most like a wrong one, if any is much like it."""
    words = list(known)
    if found := get_close_matches(written[:_LONGEST], words, n=1, cutoff=_CLOSE):
        return found[0]
    # In a short word, two letters that changed places are a third of it: `ulr`.
    return next((word for word in words if len(word) == len(written) and sorted(word) == sorted(written)), None)


_SPELLINGS: Final[Mapping[str, tuple[str, str]]] = {
    "alwaysallow": ("always_allow", "alwaysAllow"),
    "envfile": ("env_file", "envFile"),
    "excludetools": ("exclude_tools", "excludeTools"),
    "httpheaders": ("http_headers", "httpHeaders"),
    "httpurl": ("http_url", "httpUrl"),
    "isactive": ("is_active", "isActive"),
    "serverurl": ("server_url", "serverUrl"),
    "startuptimeoutms": ("startup_timeout_ms", "startupTimeoutMs"),
    "startuptimeoutsec": ("startup_timeout_sec", "startupTimeoutSec"),
    "timeoutms": ("timeout_ms", "timeoutMs"),
    "timeoutsec": ("timeout_sec", "timeoutSec"),
    "timeoutseconds": ("timeout_seconds", "timeoutSeconds"),
    "tooltimeoutsec": ("tool_timeout_sec", "toolTimeoutSec"),
    "transporttype": ("transport_type", "transportType"),
}


def _spelled(squash: str, *, camel: bool) -> str:
    snake, other = _SPELLINGS.get(squash, (squash, squash))
    return other if camel else snake


@cache
def _own() -> dict[str, str]:
    return {squashed(field.name): field.name for field in structs.fields(ServerConfig) if field.name not in _UNWRITTEN}
