"""The options say how a server is reached; what can't be meant is refused with the option's name."""

from __future__ import annotations

import pytest

from dragoman.cli.targets import Reach, configured, expanded
from dragoman.errors import ConfigError, DragomanError

ENVIRONMENT = {"TOKEN": "s3cret", "EMPTY": ""}


def reach(target: str = "server", **told: object) -> Reach:
    """The options with these values."""
    return Reach(target=target, **told)  # pyright: ignore[reportArgumentType] - drawn from a table


def test_a_command_line_is_split_as_a_shell_would() -> None:
    """And the rest of the settings are their defaults."""
    config = configured(reach("server --flag 'two words'"), ENVIRONMENT)
    assert (config.command, config.args, config.timeout) == ("server", ("--flag", "two words"), 60.0)


def test_the_options_become_settings() -> None:
    """Each of them."""
    told = reach(
        "server",
        cwd="/tmp",
        env=("A=1", "B=x=${TOKEN}"),
        protocol_version="2025-11-25",
        timeout=7200.0,
        connect_timeout=9.0,
    )
    config = configured(told, ENVIRONMENT)
    assert (config.cwd, config.env, config.protocol_version) == ("/tmp", {"A": "1", "B": "x=s3cret"}, "2025-11-25")
    assert (config.timeout, config.connect_timeout) == (7200.0, 9.0)
    assert config.max_timeout == 7200.0


def test_headers_are_written_either_way() -> None:
    """`NAME=VALUE`, or as HTTP writes them; variables are put in from this process's environment."""
    told = reach("https://example.com", headers=("Authorization=Bearer ${TOKEN}", "X-Url: http://a=b", "X-Empty="))
    headers = configured(told, ENVIRONMENT).headers
    assert headers == {"Authorization": "Bearer s3cret", "X-Url": "http://a=b", "X-Empty": ""}


def test_other_settings_are_typed() -> None:
    """`--set` reaches every setting that has no option of its own."""
    more = (
        "max_message_bytes=2048",
        "trust_env=false",
        "era=handshake",
        "tls.verify=0",
        "tls.ca_file=ca",
        "cookies.a=b",
    )
    config = configured(reach("https://example.com", more=more), ENVIRONMENT)
    assert (config.max_message_bytes, config.trust_env, config.era) == (2048, False, "handshake")
    assert (config.tls.verify, config.tls.ca_file, config.cookies) == (False, "ca", {"a": "b"})


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("npx -y @modelcontextprotocol/server-everything stdio", "server-everything"),
        ("npx -y @modelcontextprotocol/server-everything@1.2.3 stdio", "server-everything"),
        ("uvx mcp-server-time --local-timezone UTC", "mcp-server-time"),
        ("uvx mcp-server-time@latest", "mcp-server-time"),
        ("uv tool run mcp-server-git", "mcp-server-git"),
        ("python -m dragoman.samples.notes", "dragoman.samples.notes"),
        ("/usr/bin/python3.12 /opt/weather/server.py", "weather"),
        ("node servers/everything/dist/index.js stdio", "everything"),
        ("python3 -c pass", "python3"),
        ("env A=1 my-server", "my-server"),
        ("/opt/bin/my-server --verbose", "my-server"),
        ("npx", "npx"),
        ("https://user:pass@example.com:8080/mcp", "example.com:8080"),
    ],
)
def test_a_server_is_called_what_people_know_it_by(command: str, name: str) -> None:
    """The program itself, not what launches it."""
    assert configured(reach(command), ENVIRONMENT).name == name


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (reach(""), "no server is named. Name it with -s TARGET"),
        (reach("  "), "no server is named"),
        (reach("localhost:8000/mcp"), "'localhost:8000/mcp' looks like an address without its scheme. Write http://"),
        (reach("localhost/mcp"), "'localhost/mcp' looks like an address"),
        (
            reach("htps://example.com"),
            "htps:// leads to no server. A URL begins with http://, https://, ws:// or wss://.",
        ),
        (reach("server 'open"), "the command line can't be split into words"),
        (reach("https://example.com", env=("A=1",)), "--env has no meaning for a URL"),
        (reach("https://example.com", cwd="/tmp"), "--cwd has no meaning for a URL"),
        (reach("server", headers=("A=1",)), "--header has no meaning for a command line"),
        (reach("server", env=("A",)), "--env 'A' has no value"),
        (reach("server", env=("A=${NOT_SET}",)), "--env names the variable NOT_SET, which is not set"),
        (reach("server", timeout=0.0), "server: timeout: must be more than 0 seconds"),
        (reach("server", connect_timeout=-1.0), "server: connect_timeout: must be more than 0 seconds"),
        (reach("server", protocol_version="1999-01-01"), "server: protocol_version: '1999-01-01' is none of"),
        (reach("server", transport="sse"), "server: url: is missing for transport sse"),
        (reach("server", more=("nothing=1",)), "--set names 'nothing', which is no setting. There are name, transport"),
        (reach("server", more=("command=x",)), "--set names 'command', which is no setting"),
        (reach("server", more=("tls.nothing=1",)), "--set names 'tls.nothing', which is no setting. There are verify"),
        (reach("server", more=("timeout=soon",)), "--set timeout can't have the value 'soon'"),
        (reach("server", more=("cookies=1",)), "--set cookies needs a name within it"),
    ],
)
def test_what_cannot_be_meant_is_refused(told: Reach, error: str) -> None:
    """Before anything is started, and with the option in the text."""
    with pytest.raises(DragomanError) as caught:
        configured(told, ENVIRONMENT)
    assert str(caught.value).startswith(error)


def test_variables_have_defaults_and_an_escape() -> None:
    """`${NAME:-default}` and `$$`."""
    assert expanded("${TOKEN}-${NOT_SET:-none}-${EMPTY}-$$5", "--env", ENVIRONMENT) == "s3cret-none--$5"
    assert expanded("$TOKEN stays", "--env", ENVIRONMENT) == "$TOKEN stays"


def test_no_secret_shows_in_the_settings_text() -> None:
    """What was put in stays out of errors and logs."""
    config = configured(reach("https://example.com", headers=("Authorization=Bearer ${TOKEN}",)), ENVIRONMENT)
    assert "s3cret" not in repr(config)
    with pytest.raises(ConfigError) as caught:
        configured(reach("https://example.com", headers=("A=${TOKEN}",), protocol_version="x"), ENVIRONMENT)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (reach("https://example.com", headers=("Authorization Bearer s3cret",)), "--header 'Authorization …' has no"),
        (reach("https://example.com", headers=("Authorization s3cret==",)), "--header 'Authorization …' has no"),
        (reach("https://example.com", headers=("=s3cret",)), "--header has no name. Write --header NAME=VALUE."),
        (reach("https://example.com", headers=("x" * 40 + "s3cret",)), "--header '" + "x" * 32 + " …' has no value"),
        (reach("https://example.com", more=("headers.Authorization s3cret",)), "--set 'headers.Authorization …' has"),
        (reach("server", env=("TOKEN s3cret",)), "--env 'TOKEN …' has no value"),
        (reach("localhost:1/mcp?token=s3cret"), "'localhost:1/mcp?token=***' looks like an address"),
        (reach("localhost:1?token=s3cret"), "'localhost:1?token=***' looks like an address"),
        (reach("me:s3cret@localhost:1/mcp"), "'***@localhost:1/mcp' looks like an address"),
        (reach("localhost:99999/mcp?token=s3cret"), "'***' looks like an address"),
    ],
)
def test_no_slip_tells_a_secret(told: Reach, error: str) -> None:
    """What may be the value is left out of the error and of its advice."""
    with pytest.raises(DragomanError) as caught:
        configured(told, ENVIRONMENT)
    assert str(caught.value).startswith(error)
    assert "s3cret" not in str(caught.value)
