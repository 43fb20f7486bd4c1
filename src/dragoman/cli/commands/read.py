"""`dragoman read`: what a resource holds."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from dragoman.cli.options import Desk, server_options

if TYPE_CHECKING:
    from dragoman.cli.running import Talk
    from dragoman.cli.screen import Screen
    from dragoman.errors import ServerError
    from dragoman.protocol.types import ReadResult

__all__ = ["command"]


@click.command()
@click.argument("uri")
@click.option("-o", "--output", metavar="FILE", help="Write the bytes to this file; - is stdout.")
@server_options
def command(desk: Desk, uri: str, output: str | None) -> int:
    """Read a resource.

    Text goes to stdout as it is; anything else is saved to a file, which is named (see --save and --output).
    """
    from dragoman.cli.running import converse

    if output not in (None, "-"):
        from dragoman.cli.saving import check_file

        check_file(output)

    async def work(talk: Talk) -> int:
        from dragoman.errors import ServerError

        with talk.status.waiting(f"reading {uri}"):
            try:
                result = await talk.server.read_resource(uri)
            except ServerError as error:
                await _tell_nearest(error, uri, talk)
                raise
        if desk.settings.as_json:
            desk.screen.write_json(result.raw)
        elif output is not None:
            _write(desk.screen, result, output)
        else:
            _show(desk, result)
        return 0

    return converse(desk, work)


async def _tell_nearest(error: ServerError, uri: str, talk: Talk) -> None:
    """Put the nearest address into the hint of a refusal, if the server lists one; templates may give others."""
    from dragoman.cli.coercion import nearest
    from dragoman.errors import DragomanError, InvalidParams

    if not isinstance(error, InvalidParams):
        return
    with contextlib.suppress(DragomanError):
        known = [entry.uri for entry in await talk.server.list_resources()]
        near = nearest(uri, known) if uri not in known else ""
        if near:
            error.hint = f"Did you mean {near!r}? `dragoman resources` lists what there is."


def _show(desk: Desk, result: ReadResult) -> None:
    from dragoman.cli.contents import Contents

    texts = [part.text for part in result.contents if part.text is not None]
    if len(texts) == len(result.contents) == 1 and not desk.screen.is_terminal:
        desk.screen.write(texts[0].encode("utf-8", "backslashreplace"))
        return
    contents = Contents(desk.screen, desk.settings.save, "resource")
    for part in result.contents:
        contents.resource(part, heading=len(result.contents) > 1)
    contents.end()


def _write(screen: Screen, result: ReadResult, output: str) -> None:
    from pathlib import Path

    from dragoman.errors import UsageError

    data = b"".join(part.decoded() for part in result.contents)
    if output == "-":
        screen.write(data)
        return
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        hint = "Name a file that can be written."
        raise UsageError(f"{output!r} can't be written ({error.strerror})", hint=hint) from None
