"""`dragoman prompts`: the prompts of a server."""

from __future__ import annotations

import click

from dragoman.cli.options import Desk, server_options

__all__ = ["command"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@server_options
def command(desk: Desk, names: tuple[str, ...]) -> int:
    """List the prompts of a server; with names, show those in full.

    On a pipe: one line a prompt, with name, arguments and description between tabs.
    """
    from dragoman.cli.running import Talk, converse

    async def work(talk: Talk) -> int:
        from dragoman.cli.facts import joined, picked, show_prompt, show_prompts, tell_problems

        with talk.status.waiting("listing the prompts"):
            listed = await talk.server.list_prompts()
        tell_problems(desk.screen, talk.server)
        prompts = picked(listed, names, "prompt", talk.server.name)
        if desk.settings.as_json:
            desk.screen.write_json(joined("prompts", prompts))
        elif names:
            for place, prompt in enumerate(prompts):
                if place:
                    desk.screen.print()
                show_prompt(desk.screen, prompt)
        else:
            show_prompts(desk.screen, prompts)
        return 0

    return converse(desk, work)
