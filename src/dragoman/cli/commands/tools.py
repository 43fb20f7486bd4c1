"""`dragoman tools`: the tools of a server, or some of them in full."""

from __future__ import annotations

import click

from dragoman.cli.options import Desk, server_options

__all__ = ["command"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@server_options
def command(desk: Desk, names: tuple[str, ...]) -> int:
    """List the tools of a server; with names, show those in full.

    On a pipe: one line a tool, with name, arguments and description between tabs.
    """
    from dragoman.cli.running import Talk, converse

    async def work(talk: Talk) -> int:
        from dragoman.cli.facts import joined, picked, show_tool, show_tools, tell_problems

        with talk.status.waiting("listing the tools"):
            listed = await talk.server.list_tools()
        tell_problems(desk.screen, talk.server)
        tools = picked(listed, names, "tool", talk.server.name)
        if desk.settings.as_json:
            desk.screen.write_json(joined("tools", tools))
        elif names:
            for place, tool in enumerate(tools):
                if place:
                    desk.screen.print()
                show_tool(desk.screen, tool)
        else:
            show_tools(desk.screen, tools)
        return 0

    return converse(desk, work)
