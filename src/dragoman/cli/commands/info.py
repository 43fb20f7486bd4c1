"""`dragoman info`: what a server is, and what it offers."""

from __future__ import annotations

import click

from dragoman.cli.options import Desk, server_options

__all__ = ["command"]


@click.command()
@server_options
def command(desk: Desk) -> int:
    """Tell what a server is and what it offers.

    With --json, the result of `initialize`, or what it would be in the stateless era.
    """
    from dragoman.cli.running import Talk, converse

    async def work(talk: Talk) -> int:
        from dragoman.cli.facts import opening_json, show_opening

        if desk.settings.as_json:
            desk.screen.write_json(opening_json(talk.server))
        else:
            show_opening(desk.screen, talk.server)
        return 0

    return converse(desk, work)
