"""The settings of one server: what is inferred, what is refused and how it is told, and that secrets stay hidden."""

from __future__ import annotations

import string
import types
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dragoman.config import ServerConfig
from dragoman.config.hub import Group, HubConfig
from dragoman.config.model import DEFAULT_MAX_MESSAGE_BYTES, Tls, config_for, redact_url
from dragoman.config.supervision import Restart, Retry
from dragoman.errors import ConfigError
from dragoman.protocol.versions import HANDSHAKE_VERSIONS, STATELESS_VERSIONS


def refusal(**settings: Any) -> ConfigError:
    """The error with which these settings are refused."""
    with pytest.raises(ConfigError) as caught:
        ServerConfig(**settings)
    return caught.value


# What is inferred.


@pytest.mark.parametrize(
    ("settings", "transport"),
    [
        ({"command": "server"}, "stdio"),
        ({"url": "http://a.example/mcp"}, "streamable_http"),
        ({"url": "https://a.example/mcp"}, "streamable_http"),
        ({"url": "HTTPS://A.example/mcp"}, "streamable_http"),
        ({"url": "ws://a.example/mcp"}, "websocket"),
        ({"url": "wss://a.example/mcp"}, "websocket"),
        ({"url": "https://a.example/sse", "transport": "sse"}, "sse"),
        ({"url": "https://a.example/mcp", "transport": "http"}, "streamable_http"),
        ({"url": "https://a.example/mcp", "transport": "streamable-http"}, "streamable_http"),
        ({"url": "wss://a.example/mcp", "transport": "ws"}, "websocket"),
        ({"transport": "pigeon"}, "pigeon"),
        ({"url": "pigeon://loft", "transport": "pigeon"}, "pigeon"),
        ({"command": "loft", "transport": "pigeon"}, "pigeon"),
    ],
)
def test_the_transport_is_inferred_or_taken_as_named(settings: dict[str, Any], transport: str) -> None:
    """A command means stdio, a URL's scheme tells the rest, other hosts' spellings and plug-ins' names are taken."""
    assert ServerConfig(**settings).transport == transport


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"command": "/usr/bin/mcp-server-time"}, "mcp-server-time"),
        ({"command": "npx"}, "npx"),
        ({"command": "/"}, "/"),
        ({"url": "https://user:hush@a.example:8443/mcp?key=hush"}, "a.example:8443"),
        ({"transport": "pigeon"}, "pigeon"),
        ({"url": "pigeon:loft", "transport": "pigeon"}, "pigeon"),
        ({"command": "npx", "name": "files"}, "files"),
    ],
)
def test_a_server_without_a_name_is_called_after_what_it_is(settings: dict[str, Any], name: str) -> None:
    """Errors can always say which server, and a name never holds a password."""
    assert ServerConfig(**settings).name == name


def test_a_config_that_was_settled_can_be_changed_in_one_place() -> None:
    """Replacing one value checks the whole anew and keeps the rest."""
    config = ServerConfig(url="https://a.example/mcp", timeout=5)
    other = msgspec.structs.replace(config, transport="sse")
    assert (other.transport, other.url, other.timeout) == ("sse", config.url, 5)
    with pytest.raises(ConfigError, match=r"^a\.example: timeout: "):
        msgspec.structs.replace(config, timeout=-1)


def test_a_config_can_be_made_from_plain_data() -> None:
    """A loader hands over what a file held; the same checks hold."""
    data = {"command": "server", "args": ["-v"], "env": {"A": "b"}, "timeout": 5, "tls": {"verify": False}}
    config = msgspec.convert(data, ServerConfig)
    assert config == ServerConfig(command="server", args=("-v",), env={"A": "b"}, timeout=5, tls=Tls(verify=False))


def test_what_the_caller_changes_later_does_not_change_the_config() -> None:
    """Frozen means frozen: the mappings and lists given are copied."""
    env, headers, args = {"A": "b"}, {"X-A": "b"}, ["-v"]
    config = ServerConfig(command="server", args=args, env=env, headers=headers)  # pyright: ignore[reportArgumentType]
    env["A"] = headers["X-A"] = args[0] = "changed"
    assert (config.env, config.headers, config.args) == ({"A": "b"}, {"X-A": "b"}, ("-v",))


def test_any_mapping_does_for_the_environment() -> None:
    """`os.environ` and read-only views are no dicts."""
    assert ServerConfig(command="server", env=types.MappingProxyType({"A": "b"})).env == {"A": "b"}


@pytest.mark.parametrize("key", ["name", "command", "timeout", "env"])
def test_a_config_is_frozen(key: str) -> None:
    """It can be shared between tasks and kept as a key to what was learnt."""
    with pytest.raises(AttributeError):
        setattr(ServerConfig(command="server"), key, "other")


# What is refused, and by which name.

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "command"),
    ({"command": ""}, "command"),
    ({"command": " "}, "command"),
    ({"command": 5}, "command"),
    ({"command": "server", "url": "https://a.example"}, "command"),
    ({"url": "https://a.example", "transport": "stdio"}, "command"),
    ({"transport": "stdio"}, "command"),
    ({"transport": "streamable_http"}, "url"),
    ({"transport": "http"}, "url"),
    ({"transport": "sse", "command": "server"}, "url"),
    ({"transport": "websocket", "command": "server"}, "url"),
    ({"transport": 5, "command": "server"}, "transport"),
    ({"url": ""}, "url"),
    ({"url": "a.example/mcp"}, "url"),
    ({"url": "ftp://a.example/mcp"}, "url"),
    ({"url": "ftp://a.example/mcp", "transport": "sse"}, "url"),
    ({"url": "https://"}, "url"),
    ({"url": "https:///mcp"}, "url"),
    ({"url": "https://[::1/mcp"}, "url"),
    ({"url": "https://a.example:port/mcp"}, "url"),
    ({"url": "https://a.example:99999/mcp"}, "url"),
    ({"url": "https://a.example:0/mcp"}, "url"),
    ({"url": 5}, "url"),
    ({"command": "server", "args": "-v"}, "args"),
    ({"command": "server", "args": None}, "args"),
    ({"command": "server", "args": ["-v", 3]}, "args"),
    ({"command": "server", "args": [b"-v"]}, "args"),
    ({"command": "server", "name": None}, "name"),
    ({"command": "server", "env": None}, "env"),
    ({"command": "server", "env": ["A=b"]}, "env"),
    ({"command": "server", "env": {"PORT": 8080}}, "env"),
    ({"command": "server", "env": {8080: "PORT"}}, "env"),
    ({"command": "server", "cwd": 5}, "cwd"),
    ({"command": "server", "inherit_env": "yes"}, "inherit_env"),
    ({"url": "https://a.example", "headers": {"X-A": None}}, "headers"),
    ({"url": "https://a.example", "cookies": {"a": 1}}, "cookies"),
    ({"url": "https://a.example", "proxy": 3128}, "proxy"),
    ({"url": "https://a.example", "trust_env": 1}, "trust_env"),
    ({"url": "https://a.example", "tls": {"verfiy": False, "verify": 0}}, "tls"),
    ({"url": "https://a.example", "tls": True}, "tls"),
    ({"url": "https://a.example", "tls": Tls(key_file="key.pem")}, "tls"),
    *(
        ({"command": "server", key: value}, key)
        for key in ("timeout", "max_timeout", "connect_timeout", "probe_timeout", "sse_read_timeout")
        for value in (0, -1, float("nan"), float("-inf"), "5", None, True)
    ),
    *(({"command": "server", "shutdown_timeout": value}, "shutdown_timeout") for value in (-1, float("nan"), "5")),
    *(({"command": "server", "max_connections": value}, "max_connections") for value in (0, -5, 1e9, "1")),
    *(({"command": "server", "max_message_bytes": value}, "max_message_bytes") for value in (0, 1023, -5, 1e9, "1")),
    ({"command": "server", "protocol_version": "2020-02-02"}, "protocol_version"),
    ({"command": "server", "protocol_version": 20250618}, "protocol_version"),
    ({"command": "server", "era": "stone"}, "era"),
    ({"command": "server", "era": "stateless", "protocol_version": "2025-06-18"}, "era"),
    ({"command": "server", "era": "handshake", "protocol_version": "2026-07-28"}, "era"),
    ({"command": "server", "validate_results": "no"}, "validate_results"),
    ({"command": "server", "log_level": "loud"}, "log_level"),
    ({"command": "server", "extra": ["a"]}, "extra"),
    ({"command": "server", "disabled": "yes"}, "disabled"),
    ({"command": "server", "start": "never"}, "start"),
    ({"command": "server", "priority": 1.5}, "priority"),
    *(
        ({"command": "server", key: value}, key)
        for key in ("idle_timeout", "health_interval", "rate")
        for value in (0, -1, float("nan"), "5")
    ),
    *(({"command": "server", "concurrency": value}, "concurrency") for value in (0, -1, 1.5)),
    ({"command": "server", "restart": {"first_delay": "1"}}, "restart"),
    ({"command": "server", "retry": True}, "retry"),
    ({"command": "server", "disabled_tools": "delete"}, "disabled_tools"),
    ({"command": "server", "auto_approve": "*"}, "auto_approve"),
]


@pytest.mark.parametrize(("settings", "key"), REFUSED, ids=str)
def test_what_can_not_work_is_refused_by_the_name_of_its_key(settings: dict[str, Any], key: str) -> None:
    """Whoever wrote the setting finds it by the message alone."""
    error = refusal(**settings)
    assert error.what.startswith(f"{key}: ")
    assert error.code == "config.invalid"


def test_every_setting_that_can_be_wrong_is_shown_to_be_refused() -> None:
    """No key is missing from the list above: a new setting brings its refusal along."""
    assert {key for _, key in REFUSED} == set(ServerConfig.__struct_fields__)


@pytest.mark.parametrize("key", sorted(set(ServerConfig.__struct_fields__)))
def test_a_value_of_a_foreign_type_is_refused_by_the_name_of_its_key(key: str) -> None:
    """A wrong type is told when the setting is made, not when a process starts."""
    assert refusal(**{"command": "server", key: object()}).what.startswith(f"{key}: ")


def test_a_wrong_entry_is_told_with_its_place() -> None:
    """In a long list or mapping, the entry is named, and its value is not."""
    assert refusal(command="server", args=["-v", "-x", 3]).what == "args: expected str, got int in place 2"
    assert refusal(command="server", env={"A": "b", "PORT": 8080}).what == "env: expected str, got int under 'PORT'"


def test_a_choice_is_refused_with_the_choices() -> None:
    """Whoever mistypes one learns what there is."""
    assert refusal(command="x", start="lazy").what == "start: must be one of eager, on_use, not 'lazy'"
    assert refusal(command="x", era="new").what == "era: must be one of handshake, stateless, not 'new'"


def test_a_refusal_names_the_server() -> None:
    """Among fifty servers, the one with the mistake is named."""
    assert str(refusal(name="files", command="server", timeout=-1)).startswith("files: timeout: ")


@pytest.mark.parametrize("version", [*STATELESS_VERSIONS, *HANDSHAKE_VERSIONS])
def test_every_known_version_can_be_pinned(version: str) -> None:
    """The pin takes each revision that the tables know."""
    assert ServerConfig(command="server", protocol_version=version).protocol_version == version


def test_an_unknown_version_is_told_with_the_known_ones() -> None:
    """The choice is in the message."""
    error = refusal(command="server", protocol_version="2020-02-02")
    assert all(version in error.what for version in (*STATELESS_VERSIONS, *HANDSHAKE_VERSIONS))


@pytest.mark.parametrize("key", ["timeout", "max_timeout", "connect_timeout", "probe_timeout", "sse_read_timeout"])
def test_patience_may_be_endless(key: str) -> None:
    """A time-out can be turned off."""
    assert getattr(ServerConfig(command="server", **{key: float("inf")}), key) == float("inf")  # pyright: ignore[reportArgumentType]


def test_the_defaults_are_the_documented_ones() -> None:
    """A change of patience or bounds is a decision, not an accident."""
    config = ServerConfig(command="server")
    assert (config.timeout, config.max_timeout, config.connect_timeout, config.probe_timeout) == (60, 3600, 60, 3)
    assert (config.sse_read_timeout, config.shutdown_timeout) == (300, 2)
    assert config.max_message_bytes == DEFAULT_MAX_MESSAGE_BYTES == 134_217_728
    assert config.max_connections == 100


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Restart(first_delay=0), "restart.first_delay: "),
        (lambda: Restart(first_delay=9, longest_delay=8), "restart.first_delay: "),
        (lambda: Restart(breaker=0), "restart.breaker: "),
        (lambda: Retry(attempts=0), "retry.attempts: "),
        (lambda: Retry(attempts=21), "retry.attempts: "),
        (lambda: Retry(first_delay=9, longest_delay=8), "retry.first_delay: "),
        (lambda: Group(servers=()), "groups: "),
        (lambda: Group(servers=("a",), hedge_after=0), "groups.hedge_after: "),
        (lambda: HubConfig(servers=(ServerConfig(command="a"), ServerConfig(command="a"))), "two servers"),
        (lambda: HubConfig(servers=(ServerConfig(command="a"),), groups={"a": Group(servers=("a",))}), "groups: "),
        (lambda: HubConfig(servers=(ServerConfig(command="abc"),), groups={"g": Group(servers=("abd",))}), "groups: "),
    ],
    ids=map(str, range(11)),
)
def test_what_supervision_and_groups_can_not_do_is_refused(make: Callable[[], object], words: str) -> None:
    """Each block of settings checks itself, and names its key."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.what.startswith(words)


def test_a_group_that_names_no_server_is_told_the_nearest() -> None:
    """A slip of one letter is mended in one look."""
    with pytest.raises(ConfigError, match="Did you mean 'abc'"):
        HubConfig(servers=(ServerConfig(command="abc"),), groups={"g": Group(servers=("abd",))})


# Targets.


def test_a_config_stands_for_itself_under_another_name_if_given() -> None:
    """The name given to `connect` wins."""
    config = ServerConfig(command="server")
    assert config_for(config) is config
    assert config_for(config, name="files") == ServerConfig(command="server", name="files")


@pytest.mark.parametrize("url", ["https://a.example/mcp", " http://127.0.0.1:8000/mcp\n", "WSS://a.example/"])
def test_a_url_stands_for_the_server_there(url: str) -> None:
    """Blanks around a pasted address do no harm."""
    assert config_for(url).url == url.strip()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("server", ("server",)),
        ("npx -y @scope/server stdio", ("npx", "-y", "@scope/server", "stdio")),
        ("'/opt/my server/run' --name \"a b\"", ("/opt/my server/run", "--name", "a b")),
        ("proxy https://a.example/mcp", ("proxy", "https://a.example/mcp")),
        ("//host/share/server", ("//host/share/server",)),
        ("server [http://[", ("server", "[http://[")),
    ],
)
def test_a_command_line_is_split_as_a_shell_would(line: str, words: tuple[str, ...]) -> None:
    """Quotes hold words together, and a URL among the arguments is an argument."""
    config = config_for(line)
    assert (config.command, *config.args) == words
    assert config_for(words) == config
    assert config_for(list(words)) == config


@pytest.mark.parametrize("target", ["", "  ", [], (), "''", [""]])
def test_nothing_is_no_target(target: Any) -> None:
    """An empty variable in a script is told as such."""
    with pytest.raises(ConfigError, match="empty"):
        config_for(target)


@pytest.mark.parametrize("target", [None, 5, {"command": "server"}, {"server"}, b"server", [5], "server 'half"])
def test_what_stands_for_no_server_is_refused(target: Any) -> None:
    """A mistake in the call is a ConfigError, whatever it was."""
    with pytest.raises(ConfigError):
        config_for(target)


@pytest.mark.parametrize("target", ["ftp://a.example/mcp", "htps://a.example"])
def test_a_url_of_an_unknown_scheme_is_no_command(target: str) -> None:
    """A misspelt scheme is told, not looked up on the PATH."""
    with pytest.raises(ConfigError, match=r"^url: .* starts with none of http://"):
        config_for(target)


@given(st.text())
def test_any_text_is_a_config_or_a_config_error(target: str) -> None:
    """What comes from a command line never raises anything else."""
    try:
        config = config_for(target)
    except ConfigError:
        return
    assert (config.command is None) != (config.url is None)


@given(st.lists(st.text()))
def test_any_list_of_words_is_a_config_or_a_config_error(target: list[str]) -> None:
    """What comes from a script never raises anything else."""
    try:
        config = config_for(target)
    except ConfigError:
        assert not target or not target[0].strip()
        return
    assert [config.command, *config.args] == target


# Secrets.

SECRET = "hush"
"""What every planted secret begins with, and no name, host or message does."""

plain = st.text(string.ascii_letters + string.digits + "-._~%", max_size=8).map(SECRET.__add__)
wild = st.text(string.printable, max_size=8).map(SECRET.__add__)
mappings = st.dictionaries(st.sampled_from(["TOKEN", "X-Key", "a"]), wild, min_size=1)
schemes = st.sampled_from(["http://", "https://", "ws://", "wss://", "ftp://", "http:/", "http:", "//", ""])
hosts = st.sampled_from(["a.example", "a.example:8443", "[::1]:80", "[::1", "a.example:port", "a.example:70000", ""])


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """URLs, right and wrong ones, with secrets wherever URLs have room for them."""
    user = draw(st.sampled_from(["", "user:{}@", "{}:{}@", "{}@"])).replace("{}", draw(plain))
    password = draw(wild)
    if draw(st.booleans()):
        user = f"user:{password}@"
    query = draw(st.sampled_from(["", "?{}", "?key={}", "?key={}&{}", "?key={}&other={}", "?=&key={}"]))
    fragment = draw(st.sampled_from(["", "#{}"]))
    return draw(schemes) + user + draw(hosts) + "/mcp" + (query + fragment).replace("{}", draw(plain))


def shown(config: ServerConfig) -> str:
    """Everything that a config says of itself without being asked for a setting."""
    return f"{config!r} {config} {config.name}"


def told(error: ConfigError) -> str:
    """Everything that an error shows, also in a traceback's chain."""
    return f"{error!r} {error} {error.args!r} {error.__cause__!r} {error.server!r}"


@given(settings=st.fixed_dictionaries({}, optional={"env": mappings, "extra": mappings}), wrong=st.booleans())
def test_a_stdio_server_never_shows_its_secrets(settings: dict[str, Any], *, wrong: bool) -> None:
    """The environment's values appear in no text; the names do, and help."""
    config = ServerConfig(command="server", **settings)
    assert SECRET not in shown(config)
    assert all(repr(name) in repr(config) for mapping in settings.values() for name in mapping)
    if wrong:
        assert SECRET not in told(refusal(command="server", timeout=-1, **settings))


@given(
    url=addresses(),
    settings=st.fixed_dictionaries(
        {}, optional={"headers": mappings, "cookies": mappings, "proxy": addresses(), "extra": mappings}
    ),
    wrong=st.sampled_from([{}, {"timeout": 0}, {"transport": "stdio"}, {"protocol_version": "1"}, {"command": "x"}]),
)
def test_a_remote_server_never_shows_its_secrets(url: str, settings: dict[str, Any], wrong: dict[str, Any]) -> None:
    """Headers, cookies, and what URLs carry beside the address appear in no text, not even when the URL is broken."""
    try:
        text = shown(ServerConfig(url=url, **{**settings, **wrong}))
    except ConfigError as error:
        text = told(error)
    assert SECRET not in text


@given(
    st.sampled_from(["env", "headers", "cookies"]), st.one_of(st.binary(), st.lists(wild, min_size=1), st.just(None))
)
def test_a_secret_of_a_wrong_type_is_refused_without_being_shown(key: str, value: object) -> None:
    """The complaint about a value names its type only."""
    error = refusal(command="server", **{key: {"TOKEN": value}})
    assert SECRET not in told(error)
    assert "TOKEN" in error.what


@given(st.text())
def test_redacting_never_fails(url: str) -> None:
    """Whatever stands in a file where a URL should be can be put into an error text."""
    redact_url(url)


@given(st.from_regex(r"\Ahttps?://[a-z]{1,9}\.example(:[1-9][0-9]{0,3})?(/[a-z0-9@:-]{1,9}){0,3}\Z"))
def test_redacting_leaves_an_address_without_secrets_as_it_is(url: str) -> None:
    """What is shown helps to find the mistake."""
    assert redact_url(url) == url


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://user:pass@a.example/mcp", "https://***@a.example/mcp"),
        ("https://token@a.example/mcp", "https://***@a.example/mcp"),
        ("https://a.example/mcp?key=k&b=2", "https://a.example/mcp?key=***&b=***"),
        ("https://a.example/mcp?k", "https://a.example/mcp?***"),
        ("https://a.example/mcp#k", "https://a.example/mcp"),
        ("https://a.example/@scope/server", "https://a.example/@scope/server"),
        ("https://user:pa/ss@a.example/mcp", "***"),
        ("user:pass@proxy.example:3128", "***"),
        ("proxy.example/x", "proxy.example/x"),
        ("note:///a?k=v", "note:///a?k=***"),
        ("note:/a", "note:/a"),
    ],
)
def test_redacting_hides_what_may_be_secret(url: str, safe: str) -> None:
    """The host and the path stay; a password with an unescaped slash does not slip through."""
    assert redact_url(url) == safe


@given(st.dictionaries(st.sampled_from(sorted(ServerConfig.__struct_fields__)), st.none() | st.integers() | st.text()))
def test_any_settings_are_a_config_or_a_config_error(settings: Mapping[str, Any]) -> None:
    """A loader has one kind of error to expect."""
    assume(settings)
    try:
        ServerConfig(**settings)
    except ConfigError as error:
        key, colon, _ = error.what.partition(": ")
        assert colon
        assert key in ServerConfig.__struct_fields__
