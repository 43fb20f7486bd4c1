"""What a person most likely meant: advice for slips in the words of a command line, and for errors of a server.

Pure: it looks at words, settings and errors, and asks nothing of anyone. `failure.py` and `program.py` say it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

import click

from dragoman.config.model import ServerConfig, redact_url
from dragoman.errors import CommandNotFound, DragomanError, HttpError, LoginRequired

__all__ = ["for_server", "for_words", "meant_target"]

_URL: Final = re.compile(r"(?:https?|wss?)://\S+")
_PROGRAM: Final = re.compile(
    r"(?:.*/)?(?:npx|npm|pnpm|bunx|bun|yarn|uvx|uv|pipx|node|deno|tsx|env|docker|python[0-9.]*)"
)
_TARGET_OPTIONS: Final = ("-s", "--server")
_WITH_ARGUMENTS: Final = ("call", "prompt", "complete")
_OTHER_WIRES: Final = ("sse", "websocket")
_NOT_FOUND: Final = 404
_NOT_THAT_WAY: Final = (400, 404, 405, 426)


def meant_target(words: Iterable[str]) -> str:
    """Give the first word that looks like a server: a URL, or a whole command line; empty if none does."""
    for word in words:
        head, blank, _ = word.strip().partition(" ")
        if _URL.fullmatch(word) or (blank and _PROGRAM.fullmatch(head)):
            return word
    return ""


def for_words(error: click.ClickException, words: Sequence[str]) -> str:
    """Give advice on a command line that click refused; empty if none comes to mind."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = (context.info_name or "") if context is not None else ""
    if isinstance(error, click.NoSuchOption):
        if context is not None and isinstance(context.command, click.Group):
            return _behind_command(error.option_name, words, context.command.list_commands(context))
        return _quoted(error.option_name, words) or _as_argument(error.option_name, words, command)
    if "unexpected extra argument" in error.format_message():
        unquoted = _quoted("", words)
        target = meant_target(words)
        return unquoted or (f"Did you mean -s {shlex.quote(target)}?" if target and not _place(words) else "")
    return ""


def for_server(error: DragomanError, config: ServerConfig, *, named_transport: bool) -> str | None:
    """Give the advice that this server's settings allow; None leaves the error's own."""
    if isinstance(error, CommandNotFound) and error.hint == CommandNotFound.default_hint:
        return "Install it, or correct the command behind -s."
    if not isinstance(error, HttpError):
        return None
    if named_transport and config.transport in _OTHER_WIRES and error.status in _NOT_THAT_WAY:
        return f"It may not speak {config.transport}: try without --transport."
    if isinstance(error, LoginRequired):
        if any(name.lower() == "authorization" for name in config.headers):
            return "The Authorization header that was sent was refused: look whether it is right and still valid."
        return "Log in: no token was sent. Give one with --header 'Authorization=Bearer ${TOKEN}'."
    if error.status == _NOT_FOUND and config.url is not None:
        asked = redact_url(config.url)
        often = "" if asked.rstrip("/").endswith("/mcp") else " Endpoints often end in /mcp."
        return f"The address asked was {asked}: is it right?{often}"
    return None


def _behind_command(option: str, words: Sequence[str], commands: Sequence[str]) -> str:
    at = next((at for at, word in enumerate(words) if word in commands), 0)
    if not at:
        return f"Options come after the command: dragoman COMMAND {option} …"
    return f"Put {option} after the command: dragoman {shlex.join([words[at], *words[at + 1 :], *words[:at]])}"


def _place(words: Sequence[str]) -> int:
    """Give the place of the value of -s; 0 if there is none."""
    return next((at + 1 for at, word in enumerate(words[:-1]) if word in _TARGET_OPTIONS), 0)


def _quoted(option: str, words: Sequence[str]) -> str:
    """Tell of a command line behind -s that was meant whole and lacks its quotes."""
    place = _place(words)
    if not place or place + 1 >= len(words) or " " in words[place] or _URL.fullmatch(words[place]):
        return ""
    rest = words[place + 1 :]
    if option and not any(word.startswith(option) for word in rest):
        return ""
    if not _PROGRAM.fullmatch(words[place]) and rest[0].startswith("--"):
        return ""
    return f"Quote the whole command line: -s {shlex.quote(shlex.join(words[place:]))}"


def _as_argument(option: str, words: Sequence[str], command: str) -> str:
    if command not in _WITH_ARGUMENTS or not option.startswith("--"):
        return ""
    name = option.removeprefix("--")
    at = next((at for at, word in enumerate(words) if word.partition("=")[0] == option), len(words))
    following = words[at + 1] if at + 1 < len(words) and not words[at + 1].startswith("-") else "VALUE"
    value = words[at].partition("=")[2] if at < len(words) and "=" in words[at] else following
    return f"Arguments are written {shlex.quote(f'{name}={value}')}."
