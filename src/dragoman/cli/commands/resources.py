"""`dragoman resources`: the resources and resource templates of a server."""

from __future__ import annotations

import click

from dragoman.cli.options import Desk, server_options

__all__ = ["command"]


@click.command()
@click.option("--templates", is_flag=True, help="Only the templates.")
@server_options
def command(desk: Desk, *, templates: bool) -> int:
    """List the resources of a server, and the templates of more.

    On a pipe: one line each, with URI, name, type and description between tabs; a template's URI has braces.
    With --json, the result of `resources/list`; with --templates, of `resources/templates/list`.
    """
    from dragoman.cli.running import Talk, converse

    async def work(talk: Talk) -> int:
        from dragoman.cli.facts import joined, show_resources, tell_problems

        server, as_json = talk.server, desk.settings.as_json
        with talk.status.waiting("listing the resources"):
            found = [] if templates else await server.list_resources()
            patterns = await server.list_resource_templates() if templates or not as_json else []
        tell_problems(desk.screen, server)
        if as_json:
            desk.screen.write_json(joined("resourceTemplates", patterns) if templates else joined("resources", found))
        else:
            show_resources(desk.screen, found, patterns)
        return 0

    return converse(desk, work)
