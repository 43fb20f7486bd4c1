"""`dragoman call`: one call of one tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from dragoman.cli.options import Desk, server_options

if TYPE_CHECKING:
    from dragoman.cli.arguments import Word
    from dragoman.cli.running import Talk
    from dragoman.cli.schemas import Schema

__all__ = ["command"]


#: ``\b`` keeps click from joining the lines of a block.
_HELP: Final = """Call a tool.

\b
Arguments are typed by the tool's schema:
  city=Rome             text, number, true or false … as the tool asks
  tags=a tags=b         the elements of an array
  where.city=Rome       within an object
  limits:='[1, 2]'      JSON as it stands
  text@=notes.txt       what a file says

They win over --args. Exits with 1 if the tool reports an error.
"""


@click.command(help=_HELP)
@click.argument("tool")
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...", type=click.UNPROCESSED)
@click.option("--args", "base", metavar="JSON", help="The arguments as an object: JSON, @FILE, or - for stdin.")
@click.option("--no-check", is_flag=True, help="Send the arguments whatever the tool's schema says.")
@server_options
def command(desk: Desk, tool: str, words: tuple[str, ...], base: str | None, *, no_check: bool) -> int:
    """Call a tool; the help tells the rest."""
    from dragoman.cli.arguments import parse_words, read_base
    from dragoman.cli.running import converse

    parsed = parse_words(words)
    given = read_base(base)

    async def work(talk: Talk) -> int:
        from dragoman.cli.arguments import assemble
        from dragoman.cli.facts import tell_nearest
        from dragoman.errors import InvalidArguments, ServerError

        server, status = talk.server, talk.status
        schema = None if no_check else await _schema(talk, tool, parsed, given=base is not None)
        try:
            arguments = assemble(parsed, given, schema)
        except InvalidArguments as error:
            error.server = f"{server.name} {tool}"
            raise
        with status.waiting(f"calling {tool}"):
            try:
                result = await server.call_tool(tool, arguments, on_progress=status.progress)
            except ServerError as error:
                await tell_nearest(error, tool, "tool", server.list_tools)
                raise
        if desk.settings.as_json:
            desk.screen.write_json(result.raw)
        else:
            from dragoman.cli.contents import Contents

            Contents(desk.screen, desk.settings.save, tool).result(result)
            if result.is_error:
                desk.screen.note(f"{server.name}: the tool {tool!r} reported an error", "red")
        return 1 if result.is_error else 0

    return converse(desk, work)


async def _schema(talk: Talk, tool: str, words: list[Word], *, given: bool) -> Schema | None:
    """Give the tool's input schema, unless all arguments are JSON: such a call is one round trip."""
    if (words or given) and not any(word.kind == "text" for word in words):
        return None
    from dragoman.cli.facts import picked

    with talk.status.waiting("listing the tools"):
        listed = await talk.server.list_tools()
    (found,) = picked(listed, (tool,), "tool", talk.server.name)
    return found.input_schema
