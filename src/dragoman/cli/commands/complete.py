"""`dragoman complete`: suggestions for an argument."""

from __future__ import annotations

import click

from dragoman.cli.options import Desk, server_options

__all__ = ["command"]


@click.command()
@click.argument("argument", metavar="NAME=BEGINNING")
@click.argument("settled", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--prompt", metavar="NAME", help="Complete an argument of this prompt.")
@click.option("--resource", metavar="TEMPLATE", help="Complete a variable of this resource template.")
@server_options
def command(desk: Desk, argument: str, settled: tuple[str, ...], prompt: str | None, resource: str | None) -> int:
    """Suggest values for an argument of a prompt or a variable of a resource template, one a line.

    The first NAME=BEGINNING is what to complete; further NAME=VALUE tell what is settled already.
    """
    from dragoman.cli.arguments import parse_words, prompt_arguments
    from dragoman.cli.running import Talk, converse
    from dragoman.errors import UsageError
    from dragoman.protocol.types import PromptReference, ResourceReference

    if (prompt is None) == (resource is None):
        raise UsageError("one of --prompt and --resource is needed", hint="Name what the argument belongs to.")
    ref = PromptReference(prompt) if prompt is not None else ResourceReference(resource or "")
    ((name, value),) = prompt_arguments(parse_words((argument,)), {}).items()
    context = prompt_arguments(parse_words(settled), {})

    async def work(talk: Talk) -> int:
        from dragoman.cli.facts import tell_nearest
        from dragoman.errors import ServerError

        with talk.status.waiting(f"completing {name}"):
            try:
                found = await talk.server.complete(ref, name, value, context=context)
            except ServerError as error:
                if prompt is not None:
                    await tell_nearest(error, prompt, "prompt", talk.server.list_prompts)
                raise
        if desk.settings.as_json:
            desk.screen.write_json(found.raw)
            return 0
        for suggestion in found.values:
            desk.screen.print(suggestion)
        if found.has_more or (found.total or 0) > len(found.values):
            desk.screen.note(f"{len(found.values)} of {found.total or 'more'}")
        elif not found.values:
            desk.screen.note("No suggestions.")
        return 0

    return converse(desk, work)
