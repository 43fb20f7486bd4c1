"""Shows what tools, resources and prompts say: text as it is, structure laid out, everything else as a file.

On a pipe the text comes out exactly; on a terminal it is made safe first.
"""

from __future__ import annotations

from typing import Final

from dragoman.cli.colouring import laid_out
from dragoman.cli.plain import one_line, safe, size_text
from dragoman.cli.saving import Saver, stem_of
from dragoman.cli.screen import Screen
from dragoman.protocol.content import (
    AudioContent,
    Content,
    EmbeddedResource,
    ImageContent,
    ResourceContents,
    ResourceLink,
    TextContent,
)
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import PromptMessage

__all__ = ["Contents"]

_ROLE_COLOURS: Final = {"user": "blue", "assistant": "magenta"}


class Contents:
    """Shows contents on a screen; files go into ``directory`` and are named after ``name`` if nothing tells a name."""

    def __init__(self, screen: Screen, directory: str, name: str) -> None:
        self._screen = screen
        self._saver = Saver(directory)
        self._name = name

    def result(self, result: ToolResult) -> None:
        """Show a tool's result. Structure that only repeats the text is shown once, laid out on a terminal."""
        blocks = result.content
        structured = result.structured
        told = structured is not None or result.structured_raw is not None
        repeats = told and _repeats(blocks, structured)
        if not (repeats and self._screen.is_terminal):
            for block in blocks:
                self.block(block)
        if told and (self._screen.is_terminal or not blocks):
            self._structure(structured)
        elif not blocks:
            self._screen.note("The tool answered without content.")
        self.end()

    def block(self, block: Content) -> None:
        """Show one content block."""
        match block:
            case TextContent():
                self._text(block.text)
            case ImageContent() | AudioContent():
                self._file(self._name, block.mime_type, block.decoded())
            case EmbeddedResource():
                self.resource(block.resource, heading=True)
            case ResourceLink():
                told = " · ".join(one_line(part) for part in (block.title or block.name, block.mime_type) if part)
                shown = self._screen.style(one_line(block.uri), "cyan")
                self._screen.print_styled(
                    f"resource {shown}" + (self._screen.style(f"  {told}", "dim") if told else "")
                )
            case _:
                from msgspec import json

                self._structure(json.decode(block.raw))

    def resource(self, contents: ResourceContents, *, heading: bool = False) -> None:
        """Show what a resource holds."""
        if heading and self._screen.is_terminal:
            self._screen.print_styled(self._screen.style(one_line(contents.uri), "dim"))
        if contents.text is not None:
            self._text(contents.text)
        else:
            self._file(stem_of(contents.uri, self._name), contents.mime_type, contents.decoded())

    def message(self, message: PromptMessage) -> None:
        """Show one message of a prompt under its role."""
        role = one_line(message.role)
        self._screen.print_styled(self._screen.style(f"{role}:", _ROLE_COLOURS.get(role, "cyan"), "bold"))
        self.block(message.content)

    def end(self) -> None:
        """Tell what was left out, when all is shown."""
        count = self._saver.left_out
        if count:
            told = f"{count} more file{' was' if count == 1 else 's were'} not saved; --json gives all of them."
            self._screen.complain(self._screen.err_style(told, "yellow"))

    def _text(self, text: str) -> None:
        self._screen.print(text.removesuffix("\n"))

    def _structure(self, value: object) -> None:
        self._screen.print_styled(laid_out(self._screen, value))

    def _file(self, name: str, kind: str | None, data: bytes) -> None:
        path = self._saver.save(name, kind, data)
        if path is None:
            return
        told = safe(f"({kind or 'unknown type'}, {size_text(len(data))})")
        shown = self._screen.style(str(path), "green")
        self._screen.print_styled(f"saved {shown} {self._screen.style(told, 'dim')}")


def _repeats(blocks: list[Content], structured: object) -> bool:
    """Whether the text is the structure written as JSON, as the specification asks servers to repeat it."""
    if len(blocks) != 1 or not isinstance(blocks[0], TextContent):
        return False
    import json

    try:
        return json.loads(blocks[0].text) == structured
    except (ValueError, RecursionError):
        return False
