"""`dragoman ping`: whether a server is there, and how fast it answers."""

from __future__ import annotations

import click

from dragoman.cli.options import Desk, server_options

__all__ = ["command"]


@click.command()
@server_options
def command(desk: Desk) -> int:
    """Ask whether a server is there, and how fast it answers.

    Sends `ping`, or `server/discover` in the stateless era, which has no ping.
    """
    from dragoman.cli.running import Talk, converse

    async def work(talk: Talk) -> int:
        import time

        begun = time.perf_counter()
        await talk.server.ping()
        took = (time.perf_counter() - begun) * 1000
        if desk.settings.as_json:
            desk.screen.write_json(b"{}")
        else:
            desk.screen.print(f"{talk.server.name} answered in {took:.1f} ms")
        return 0

    return converse(desk, work)
