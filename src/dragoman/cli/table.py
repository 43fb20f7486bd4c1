"""The table of commands. A command's module is loaded when it is used; what it is for is told from here."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["COMMANDS", "Entry"]


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
