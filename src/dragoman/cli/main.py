"""The entry point: the table of commands, and the quick ways out that need no parser.

It imports nothing but the version until a command is known to run; `program.py` has the parser.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from dragoman.version import VERSION

__all__ = ["COMMANDS", "Entry", "main"]


class Entry(NamedTuple):
    """A command: the module that has it as `command`, and what it gives, in one line."""

    module: str
    summary: str


#: Every command, in the order in which help tells them.
COMMANDS: Final = {
    "info": Entry("dragoman.cli.commands.info", "What a server is and what it offers."),
    "tools": Entry("dragoman.cli.commands.tools", "The tools of a server, or some of them in full."),
    "call": Entry("dragoman.cli.commands.call", "Call a tool."),
    "resources": Entry("dragoman.cli.commands.resources", "The resources and resource templates of a server."),
    "read": Entry("dragoman.cli.commands.read", "Read a resource."),
    "prompts": Entry("dragoman.cli.commands.prompts", "The prompts of a server."),
    "prompt": Entry("dragoman.cli.commands.prompt", "Fill in a prompt."),
    "complete": Entry("dragoman.cli.commands.complete", "Suggest values for an argument of a prompt or template."),
    "ping": Entry("dragoman.cli.commands.ping", "Ask whether a server is there, and how fast it answers."),
    "demo": Entry("dragoman.demo", "A tour on the sample servers that come along."),
}

_VERSION_WORDS: Final = ("--version", "-V")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Raises:
        SystemExit: always; see `exit_codes` for the statuses.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) == 1 and words[0] in _VERSION_WORDS:
        print(f"dragoman {VERSION}")  # noqa: T201 - before there is a screen
        sys.exit(0)
    from dragoman.cli.program import run

    sys.exit(run(words))
