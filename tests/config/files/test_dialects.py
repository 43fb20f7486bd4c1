"""Where servers stand in a file, in which words, and how much of what is wrong is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.config import HubConfig, ServerConfig, from_dict, parse
from dragoman.errors import ConfigError

STDIO = {"command": "server"}


def only(**settings: Any) -> ServerConfig:
    """The one server of a mapping with these settings."""
    (config,) = from_dict({"servers": {"a": settings}}, environment={"TEN": "10", "YES": "yes"}).servers
    return config


@pytest.mark.parametrize(
    "mapping",
    [
        {"mcpServers": {"a": STDIO}},
        {"servers": {"a": STDIO}},
        {"mcp_servers": {"a": STDIO}},
        {"mcp-servers": {"a": STDIO}},
        {"mcp.servers": {"a": STDIO}},
        {"mcp": {"servers": {"a": STDIO}}},
        {"mcp": {"a": STDIO}},
        {"a": STDIO},
        {"name": "a", "command": "server"},
        {"servers": [{"name": "a", "command": "server"}]},
    ],
    ids=str,
)
def test_servers_are_found_wherever_a_host_puts_them(mapping: dict[str, Any]) -> None:
    """Below either root, one level deeper, as a list, or pasted without anything around."""
    assert from_dict(mapping).servers == (ServerConfig(name="a", command="server"),)


def test_one_pasted_server_is_called_after_what_it_is() -> None:
    """As a server that is given in code."""
    (config,) = parse('{"command": "npx", "args": ["-y", "thing"]}').servers
    assert (config.name, config.args) == ("thing", ("-y", "thing"))


def test_both_roots_are_joined() -> None:
    """A file that is shared by two hosts."""
    config = from_dict({"mcpServers": {"a": STDIO}, "servers": {"b": STDIO}})
    assert [server.name for server in config.servers] == ["a", "b"]


def test_nothing_is_a_configuration_without_servers() -> None:
    """A hub can begin empty."""
    assert from_dict({}) == from_dict({"servers": {}}) == from_dict({"servers": None}) == HubConfig()


@pytest.mark.parametrize(
    ("settings", "field", "value"),
    [
        ({"command": "s", "type": "local"}, "transport", "stdio"),
        ({"url": "https://a.example", "type": "remote"}, "transport", "streamable_http"),
        ({"url": "wss://a.example", "type": "remote"}, "transport", "websocket"),
        ({"url": "https://a.example", "type": "streamableHttp"}, "transport", "streamable_http"),
        ({"url": "https://a.example", "type": "streamable-http"}, "transport", "streamable_http"),
        ({"url": "https://a.example", "transport": "streamable_http"}, "transport", "streamable_http"),
        ({"url": "https://a.example", "transportType": "HTTP"}, "transport", "streamable_http"),
        ({"url": "https://a.example", "type": "SSE"}, "transport", "sse"),
        ({"httpUrl": "https://a.example"}, "transport", "streamable_http"),
        ({"httpUrl": "https://a.example", "type": "sse"}, "transport", "sse"),
        ({"serverUrl": "https://a.example"}, "url", "https://a.example"),
        ({"server_url": "ws://a.example"}, "transport", "websocket"),
        ({"type": "pigeon", "command": "loft"}, "transport", "pigeon"),
        ({"command": ["npx", "-y", 1]}, "args", ("-y", "1")),
        ({"command": ["npx"], "args": ["-y"]}, "args", ("-y",)),
        ({"command": "s", "args": None}, "args", ()),
        ({"command": "/opt/my tool"}, "command", "/opt/my tool"),
        ({"command": "s", "timeoutMs": 1500}, "timeout", 1.5),
        ({"command": "s", "timeout_seconds": 15}, "timeout", 15.0),
        ({"command": "s", "timeout": "${TEN}"}, "timeout", 10.0),
        ({"command": "s", "timeout": 7200, "max_timeout": 7200}, "timeout", 7200.0),
        ({"command": "s", "timeout": float("inf")}, "timeout", float("inf")),
        ({"command": "s", "connect-timeout": 4}, "connect_timeout", 4.0),
        ({"command": "s", "maxMessageBytes": 2048.0}, "max_message_bytes", 2048),
        ({"command": "s", "priority": "${NONE:--3}"}, "priority", -3),
        ({"command": "s", "enabled": False}, "disabled", True),
        ({"command": "s", "isActive": True}, "disabled", False),
        ({"command": "s", "disabled": "yes"}, "disabled", True),
        ({"command": "s", "disabled": "${YES}"}, "disabled", True),
        ({"command": "s", "inheritEnv": "off"}, "inherit_env", False),
        ({"command": "s", "start": "onUse"}, "start", "on_use"),
        ({"command": "s", "autoApprove": ["a", "b"], "alwaysAllow": ["b", "c"]}, "auto_approve", ("a", "b", "c")),
        ({"command": "s", "disabledTools": ["a"], "excludeTools": ["b"]}, "disabled_tools", ("a", "b")),
        ({"command": "s", "env": {"A": 8080, "B": True, "C": 1.5}}, "env", {"A": "8080", "B": "true", "C": "1.5"}),
        ({"command": "s", "environment": {"A": "b"}}, "env", {"A": "b"}),
        ({"command": "s", "protocolVersion": "2025-06-18"}, "protocol_version", "2025-06-18"),
        ({"command": "s", "colour": "red", "name": "A"}, "extra", {"colour": "red", "name": "A"}),
        ({"command": "s", "_timout": 5, "x-comand": 6}, "extra", {"_timout": 5, "x-comand": 6}),
        ({"command": "s", "oauth": {"id": "${TEN}", "n": 1}}, "extra", {"oauth": {"id": "10", "n": 1}}),
        ({"command": "s", "note": "${NONE}"}, "extra", {"note": "${NONE}"}),
        ({"command": "s", "extra": {"a": 1}}, "extra", {"a": 1}),
    ],
    ids=str,
)
def test_words_of_every_host_are_understood(settings: dict[str, Any], field: str, value: object) -> None:
    """Spellings, aliases, units, and texts that stand for numbers."""
    assert getattr(only(**settings), field) == value


def test_defaults_hold_for_every_server_that_says_nothing_else() -> None:
    """Blocks are joined, the server's own members win, and switching off can be undone."""
    defaults = {"timeout": 5, "env": {"A": "1", "B": "1"}, "disabled": True, "retry": {"attempts": 2}}
    servers = {
        "a": STDIO | {"env": {"B": "2"}, "enabled": True},
        "b": STDIO | {"timeout": 6, "retry": {"trustHints": True}},
    }
    a, b = from_dict({"defaults": defaults, "servers": servers}).servers
    assert (a.timeout, a.env, a.disabled, a.retry.attempts) == (5, {"A": "1", "B": "2"}, False, 2)
    assert (b.timeout, b.disabled, b.retry.attempts, b.retry.trust_hints) == (6, True, 2, True)


def test_all_that_is_wrong_is_told_in_the_order_of_the_file() -> None:
    """The first in `line` and `key`, every one in the text and in `others`; one mistake in the defaults once."""
    text = (
        "servers:\n  a:\n    comand: x\n    timeout: '5'\n  b:\n    url: ftp://a.example\n    rate: 0\n"
        "    concurrency: 0\n    env: {A: '${NONE}'}\ndefaults:\n  restart: {breaker: no}\ngroups:\n  g: [c]\n"
    )
    with pytest.raises(ConfigError) as caught:
        parse(text, "a.yaml")
    error = caught.value
    found = [(each.line, each.key) for each in (error, *error.others)]
    assert found == [
        (3, "servers.a.comand"),
        (4, "servers.a.timeout"),
        (6, "servers.b.url"),
        (7, "servers.b.rate"),
        (8, "servers.b.concurrency"),
        (9, "servers.b.env.A"),
        (11, "defaults.restart.breaker"),
        (13, "groups.g[0]"),
    ]
    assert str(error).count("\n") == len(found) - 1
    assert all(line.startswith("a.yaml:") for line in str(error).splitlines())


def test_a_server_that_is_off_may_miss_its_variables() -> None:
    """It is known, and nothing that it lacks is asked for; what is wrong all the same is told."""
    settings = {"url": "${URL}", "headers": {"A": "${NONE}", "B": "b"}, "timeout": "${T}", "envFile": "none.env"}
    config = only(disabled=True, **settings)
    assert (config.disabled, config.url, config.headers, config.timeout) == (
        True,
        "https://unset.invalid/",
        {"B": "b"},
        60,
    )
    assert only(command="${NONE}", disabled=True, args=["${NONE}"]).command == "${NONE}"
    with pytest.raises(ConfigError, match="comand"):
        only(comand="x", disabled=True)


def test_an_error_of_plain_data_names_the_path_and_no_file() -> None:
    """There is no file to look into."""
    with pytest.raises(ConfigError) as caught:
        from_dict({"servers": {"a": {"command": "s", "tls": {"key_file": "k"}, "restart": {"breaker": 0}}}})
    assert str(caught.value).splitlines() == [
        "servers.a.restart.breaker: must be at least 1.",
        "servers.a.tls: key_file stands without cert_file.",
    ]
    with pytest.raises(ConfigError) as caught:
        from_dict({"servers": {"a.b": {"command": "s", "timeout": -1}}})
    assert str(caught.value) == 'servers."a.b".timeout: must be more than 0 seconds.'
    assert (caught.value.file, caught.value.line, caught.value.server) == ("", None, "a.b")


def test_switches_of_the_hub_are_read() -> None:
    """Beside the servers, in any spelling."""
    config = from_dict({"keepCatalogue": False, "check-arguments": "no", "servers": {}, "other": 1})
    assert (config.keep_catalogue, config.check_arguments, config.extra) == (False, False, {"other": 1})
