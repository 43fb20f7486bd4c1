"""The options that every command has, and what they add up to."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast, get_args

import click

from dragoman.cli.failure import guarded
from dragoman.cli.screen import Screen
from dragoman.cli.targets import Reach
from dragoman.errors import UsageError
from dragoman.protocol.types import LogLevel
from dragoman.protocol.versions import HANDSHAKE_VERSIONS, STATELESS_VERSIONS

__all__ = ["Desk", "Settings", "server_options"]

_HERE: Final = "."
_URL_MARK: Final = "://"
_TRANSPORTS: Final = "stdio, streamable_http, sse, websocket, or one of a plug-in"


class Settings(NamedTuple):
    """What the shared options say: how to reach the server, what to offer it, and how to show what it says."""

    reach: Reach
    roots: tuple[str, ...]
    log_level: LogLevel | None
    as_json: bool
    quiet: bool
    colour: bool
    debug: bool
    save: str


class Desk(NamedTuple):
    """What a command works with: the shared options, and the screen that they make."""

    settings: Settings
    screen: Screen


_OPTIONS: Final = (
    click.option(
        "-s",
        "--server",
        "target",
        metavar="TARGET",
        envvar="DRAGOMAN_SERVER",
        help="The server: a command line (quoted) or a URL. DRAGOMAN_SERVER stands in for it.",
    ),
    click.option(
        "--header", "headers", metavar="NAME=VALUE", multiple=True, help="HTTP header; ${VAR} is put in. Repeatable."
    ),
    click.option(
        "--env", metavar="NAME=VALUE", multiple=True, help="Variable for a stdio server; ${VAR} is put in. Repeatable."
    ),
    click.option("--cwd", metavar="DIR", help="Directory that a stdio server starts in."),
    click.option("--transport", metavar="KIND", help=f"{_TRANSPORTS}; told by TARGET if left out."),
    click.option(
        "--protocol-version",
        metavar="DATE",
        help=f"Speak this revision only: {', '.join((*STATELESS_VERSIONS, *HANDSHAKE_VERSIONS))}.",
    ),
    click.option(
        "--timeout", type=float, metavar="SECONDS", help="How long a request may stay without answer or progress. [60]"
    ),
    click.option("--connect-timeout", type=float, metavar="SECONDS", help="How long connecting may take. [60]"),
    click.option(
        "--set", "more", metavar="KEY=VALUE", multiple=True, help="Any other setting of the server. Repeatable."
    ),
    click.option("--root", "roots", metavar="PATH", multiple=True, help="Offer this directory as a root. Repeatable."),
    click.option(
        "--log-level", type=click.Choice(get_args(LogLevel)), help="Ask for log lines of this level and above."
    ),
    click.option(
        "--save", metavar="DIR", default=_HERE, help="Where pictures, sounds and other files are put. [this directory]"
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the protocol's own result object and nothing else."),
    click.option("-q", "--quiet", is_flag=True, help="No progress, log lines or notes on stderr."),
    click.option("--no-color", is_flag=True, help="No colours (NO_COLOR does the same)."),
    click.option("--debug", is_flag=True, help="Show the messages, the server's stderr, and tracebacks."),
)


def server_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command all of these options; it gets them as its first argument, a `Desk`."""

    @functools.wraps(command)
    def with_settings(**given: Any) -> int:  # noqa: ANN401 - whatever the command asks for
        reach = Reach(
            target=given.pop("target") or "",
            headers=given.pop("headers"),
            env=given.pop("env"),
            cwd=given.pop("cwd"),
            transport=given.pop("transport"),
            protocol_version=given.pop("protocol_version"),
            timeout=given.pop("timeout"),
            connect_timeout=given.pop("connect_timeout"),
            more=given.pop("more"),
        )
        settings = Settings(
            reach=reach,
            roots=given.pop("roots"),
            log_level=given.pop("log_level"),
            as_json=given.pop("as_json"),
            quiet=given.pop("quiet"),
            colour=not given.pop("no_color"),
            debug=given.pop("debug"),
            save=given.pop("save"),
        )
        screen = Screen(colour=settings.colour, quiet=settings.quiet)

        def work() -> int:
            if settings.save != _HERE:
                from dragoman.cli.saving import check_directory

                check_directory(settings.save)
            if not reach.target.strip():
                _tell_what_was_meant(given)
            return command(Desk(settings, screen), **given)

        return guarded(screen, work, debug=settings.debug)

    for option in reversed(_OPTIONS):
        with_settings = option(with_settings)
    return with_settings


def _tell_what_was_meant(given: Mapping[str, object]) -> None:
    """Refuse to go on if a server stands among the other words; without one, the settings tell what is missing.

    Raises:
        UsageError: one of them looks like a server.
    """
    from dragoman.cli.advice import meant_target

    words: list[str] = []
    for value in given.values():
        if isinstance(value, str):
            words.append(value)
        elif isinstance(value, tuple):
            words += cast("tuple[str, ...]", value)
    target = meant_target(words)
    if _URL_MARK in target.partition(" ")[0]:
        from dragoman.config.model import redact_url

        target = redact_url(target)
    if target:
        raise UsageError("no server is named", hint=f"Did you mean -s {shlex.quote(target)}?")
