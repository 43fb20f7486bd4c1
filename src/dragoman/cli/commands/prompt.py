"""`dragoman prompt`: a prompt with its arguments filled in."""

from __future__ import annotations

import click

from dragoman.cli.options import Desk, server_options

__all__ = ["command"]


@click.command()
@click.argument("name")
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...", type=click.UNPROCESSED)
@click.option("--args", "base", metavar="JSON", help="The arguments as an object: JSON, @FILE, or - for stdin.")
@server_options
def command(desk: Desk, name: str, words: tuple[str, ...], base: str | None) -> int:
    """Fill in a prompt and show its messages. All arguments are text."""
    from dragoman.cli.arguments import parse_words, prompt_arguments, read_base
    from dragoman.cli.running import Talk, converse

    arguments = prompt_arguments(parse_words(words), read_base(base))

    async def work(talk: Talk) -> int:
        from dragoman.cli.facts import tell_nearest
        from dragoman.errors import ServerError

        with talk.status.waiting(f"getting {name}"):
            try:
                result = await talk.server.get_prompt(name, arguments)
            except ServerError as error:
                await tell_nearest(error, name, "prompt", talk.server.list_prompts)
                raise
        if desk.settings.as_json:
            desk.screen.write_json(result.raw)
            return 0
        from dragoman.cli.contents import Contents

        contents = Contents(desk.screen, desk.settings.save, name)
        if result.description and desk.screen.is_terminal:
            desk.screen.print_styled(desk.screen.style(result.description, "dim"))
        for message in result.messages:
            contents.message(message)
        contents.end()
        return 0

    return converse(desk, work)
