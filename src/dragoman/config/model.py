"""The settings of one server: frozen, keyword-only, checked when made.

Pure: it reads no file and no environment (see its neighbours for that) and starts nothing. Secrets (``env``,
``headers``, passwords in URLs) never show in its text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast, get_args
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct, ValidationError, convert, field, structs

from dragoman.config.naming import program_name
from dragoman.config.supervision import Restart, Retry
from dragoman.errors import ConfigError
from dragoman.protocol.types import LogLevel
from dragoman.protocol.versions import HANDSHAKE_VERSIONS, STATELESS_VERSIONS, revision

__all__ = ["DEFAULT_MAX_MESSAGE_BYTES", "ServerConfig", "Target", "Tls", "config_for", "redact_url"]

DEFAULT_MAX_MESSAGE_BYTES: Final = 128 * 1024 * 1024

_SMALLEST_BOUND: Final = 1024
_HIDDEN: Final = "***"
_PORT: Final = re.compile(r"^[^:]+://[^/?#]*:([0-9]{1,9})(?:[/?#]|$)")
_LARGEST_PORT: Final = 65535
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET_MAPPINGS: Final = frozenset({"env", "headers", "cookies", "extra"})
_SCHEMES: Final = {"http": "streamable_http", "https": "streamable_http", "ws": "websocket", "wss": "websocket"}
_URL_TRANSPORTS: Final = frozenset({"streamable_http", "sse", "websocket"})
_ALIASES: Final = {"http": "streamable_http", "streamable-http": "streamable_http", "ws": "websocket"}


class Tls(Struct, frozen=True, kw_only=True):
    """TLS settings. Paths are files in PEM form; ``verify=False`` accepts any certificate and is for tests only."""

    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_hostname: str | None = None


class ServerConfig(Struct, frozen=True, kw_only=True):
    """How to reach one server, and how patient to be with it. Times are in seconds, sizes in bytes.

    ``transport`` is inferred from ``command`` (stdio) or ``url`` (Streamable HTTP, WebSocket by scheme) when left out.
    ``command`` is one program, ``args`` are its arguments; `config_for` splits a whole command line.

    - ``timeout``: how long a request may stay without an answer or progress. ``max_timeout``: its hard maximum, which
      progress can't extend. ``connect_timeout``: the whole opening, handshake included. ``probe_timeout``: how long
      a silent server is asked for the stateless era before the handshake is tried as well.
    - ``sse_read_timeout``: how long an event stream may stay silent before it is taken for dead.
    - ``shutdown_timeout``: how long a process has after its stdin closed, and again after SIGTERM.
    - ``protocol_version`` pins one revision; ``era`` pins an era.
    - ``max_message_bytes`` bounds one message from the server.
    - ``max_connections``: so many requests an HTTP server gets at once; others wait.
    - ``log_level``: log lines of this level and above are asked for; None: those that the server sends unasked.
    - ``inherit_env`` passes this process's whole environment on to a stdio server; otherwise only the few variables
      that programs need to start (``PATH``, ``HOME`` …).

    What follows counts in a `Hub` only:

    - ``disabled``: known, but never started. ``start``: ``eager``, or ``on_use`` by the first call that needs it.
      ``priority``: of the servers to start, those with more come first.
    - ``idle_timeout``: shut down after so long without a call; the next call wakes it. None: never.
    - ``health_interval``: how often a server that nobody calls is asked whether it is there. None: never.
    - ``restart``, ``retry``: how it is brought back, and what may be repeated.
    - ``concurrency``: so many calls at once at most; others wait. ``rate``: so many calls in a second at most.
    - ``disabled_tools``: tools that are neither listed nor called. ``auto_approve``: tools that may be called without
      asking a person. In both, ``*`` stands for anything.

    Raises:
        ConfigError: a value is of a wrong type, or can't work with the others; the text names the key.
    """

    name: str = ""
    transport: str = ""
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str | None = None
    inherit_env: bool = True
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cookies: Mapping[str, str] = field(default_factory=dict[str, str])
    proxy: str | None = None
    trust_env: bool = True
    tls: Tls = Tls()
    timeout: float = 60.0
    max_timeout: float = 3600.0
    connect_timeout: float = 60.0
    probe_timeout: float = 3.0
    sse_read_timeout: float = 300.0
    shutdown_timeout: float = 2.0
    protocol_version: str | None = None
    era: Literal["handshake", "stateless"] | None = None
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    max_connections: int = 100
    validate_results: bool = True
    log_level: LogLevel | None = None
    disabled: bool = False
    start: Literal["eager", "on_use"] = "eager"
    priority: int = 0
    idle_timeout: float | None = None
    health_interval: float | None = None
    restart: Restart = Restart()
    retry: Retry = Retry()
    concurrency: int | None = None
    rate: float | None = None
    disabled_tools: tuple[str, ...] = ()
    auto_approve: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        settle = structs.force_setattr
        for key in ("args", "disabled_tools", "auto_approve"):
            if isinstance(getattr(self, key), str):
                self._fail(key, "must be a list of strings, not one string")
        for spec in _fields():
            value = getattr(self, spec.name)
            try:
                # Checked, and copied: what the caller does to a dict or list of theirs later changes nothing here.
                settle(self, spec.name, convert(value, spec.type))
            except ValidationError as error:
                self._fail(spec.name, _told(error, value, spec.type))
        if self.command is not None and self.url is not None:
            self._fail("command", "stands beside url; a server has one of the two")
        settle(self, "transport", self._settled_transport())
        if not self.name:
            settle(self, "name", self._inferred_name())
        self._check_numbers()
        self._check_version()
        if self.tls.key_file is not None and self.tls.cert_file is None:
            self._fail("tls", "key_file stands without cert_file")

    def _settled_transport(self) -> str:
        named = _ALIASES.get(self.transport, self.transport)
        if self.url is not None:
            scheme = self._scheme(self.url)
            if scheme not in _SCHEMES and (not named or named in _URL_TRANSPORTS):
                self._fail("url", f"{redact_url(self.url)!r} starts with none of http://, https://, ws://, wss://")
            named = named or _SCHEMES[scheme]
        elif self.command is not None:
            named = named or "stdio"
        if not named:
            self._fail("command", "is missing: a server needs a command or a url")
        if named == "stdio" and self.command is None:
            self._fail("command", "is missing for transport stdio")
        if named in _URL_TRANSPORTS and self.url is None:
            self._fail("url", f"is missing for transport {named}")
        if self.command is not None and not self.command.strip():
            self._fail("command", "is empty")
        return named

    def _scheme(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme not in _SCHEMES or (bool(parts.hostname) and parts.port != 0)
        except ValueError:
            usable = False
        if not usable:
            port = _PORT.search(url)
            if port is not None and not 1 <= int(port[1]) <= _LARGEST_PORT:
                self._fail("url", f"names port {port[1]}, and ports go from 1 to {_LARGEST_PORT}")
            self._fail("url", f"{redact_url(url)!r} names no host that can be reached")
        return urlsplit(url).scheme

    def _inferred_name(self) -> str:
        if self.command is not None:
            return program_name(self.command, self.args)
        if self.url is not None:
            return urlsplit(self.url).netloc.rpartition("@")[2] or self.transport
        return self.transport

    def _check_numbers(self) -> None:
        for key in ("timeout", "max_timeout", "connect_timeout", "probe_timeout", "sse_read_timeout"):
            if not getattr(self, key) > 0:
                self._fail(key, "must be more than 0 seconds")
        for key in ("idle_timeout", "health_interval", "rate"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                self._fail(key, "must be more than 0")
        if self.concurrency is not None and self.concurrency < 1:
            self._fail("concurrency", "must be at least 1")
        if not self.shutdown_timeout >= 0:
            self._fail("shutdown_timeout", "must be 0 seconds or more")
        if self.max_message_bytes < _SMALLEST_BOUND:
            self._fail("max_message_bytes", f"must be at least {_SMALLEST_BOUND} bytes")
        if self.max_connections < 1:
            self._fail("max_connections", "must be at least 1")

    def _check_version(self) -> None:
        pin = self.protocol_version
        if pin is None:
            return
        known = revision(pin)
        if known is None:
            self._fail("protocol_version", f"{pin!r} is none of {', '.join(STATELESS_VERSIONS + HANDSHAKE_VERSIONS)}")
        elif self.era not in (None, known.era):
            self._fail("era", f"{self.era} does not fit protocol_version {pin}")

    def __repr__(self) -> str:
        shown: list[str] = []
        for spec in _fields():
            value: Any = getattr(self, spec.name)
            if value == spec.default or value in ({}, ()):
                continue
            if spec.name in _SECRET_MAPPINGS:
                value = dict.fromkeys(value, _HIDDEN)
            elif spec.name in ("url", "proxy"):
                value = redact_url(value)
            shown.append(f"{spec.name}={value!r}")
        return f"ServerConfig({', '.join(shown)})"

    __str__ = __repr__

    def _fail(self, key: str, problem: str) -> NoReturn:
        raise ConfigError(f"{key}: {problem}", key=key, server=self.name or None)


@cache
def _fields() -> tuple[structs.FieldInfo, ...]:
    return structs.fields(ServerConfig)


def _told(error: ValidationError, value: object, kind: object) -> str:
    """Give msgspec's complaint in our words. It names types and places, never values."""
    problem, _, place = str(error).partition(" - at ")
    if "enum" in problem:
        return f"must be one of {', '.join(_choices(kind))}, not {value!r}"
    if isinstance(value, Mapping):
        names = [name for name, held in cast("Mapping[object, object]", value).items() if not isinstance(held, str)]
        place = f" under {names[0]!r}" if names and isinstance(names[0], str) else " as a name"
    elif place:
        place = f" in place {place.strip('`$[]')}"
    return f"{problem[0].lower()}{problem[1:]}{place}".replace("`", "")


def _choices(kind: object) -> list[str]:
    """Give the texts that a `Literal` admits, also beside None."""
    return [kind] if isinstance(kind, str) else [each for part in get_args(kind) for each in _choices(part)]


#: What `connect` takes: a configuration, a URL, a command line, or a list of arguments.
Target: TypeAlias = ServerConfig | str | Sequence[str]


def config_for(target: Target, *, name: str = "") -> ServerConfig:
    """Give the configuration that a target stands for.

    Raises:
        ConfigError: it is empty, can't be read as a command line, or is nothing that stands for a server.
    """
    if isinstance(target, ServerConfig):
        return structs.replace(target, name=name) if name else target
    if isinstance(target, str):
        text = target.strip()
        if _ADDRESS.match(text):
            return ServerConfig(name=name, url=text)
        words = _words(text)
    elif isinstance(target, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance] - not everyone checks types
        words = list(target)
    else:
        raise ConfigError(
            f"a value of type {type(target).__name__} is no server",
            hint="Give a URL, a command line, a list or a ServerConfig.",
        )
    if not words:
        raise ConfigError("the target is empty", hint="Give a URL, or a command and its arguments.")
    return ServerConfig(name=name, command=words[0], args=tuple(words[1:]))


def _words(command_line: str) -> list[str]:
    try:
        return shlex.split(command_line)
    except ValueError as error:
        raise ConfigError(f"the command line can't be split into words ({error})") from None


def redact_url(url: str) -> str:
    """Give the URL without what may be secret: user, password, the values of its query, and its fragment."""
    try:
        parts = urlsplit(url)
        readable = parts.port is None or bool(parts.hostname)
    except ValueError:
        return _HIDDEN
    if not readable or (not parts.netloc and "@" in url):
        return _HIDDEN
    host = parts.netloc.rpartition("@")
    netloc = f"{_HIDDEN}@{host[2]}" if host[1] else host[2]
    query = "&".join(_redacted(pair) for pair in parts.query.split("&")) if parts.query else ""
    redacted = urlunsplit((parts.scheme, netloc, parts.path, query, ""))
    if not netloc and "://" in url and "://" not in redacted:  # `note:///a` has an authority, an empty one
        redacted = redacted.replace(":", "://", 1)
    return redacted


def _redacted(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={_HIDDEN}" if equals else _HIDDEN
