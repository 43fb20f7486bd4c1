"""Writes a briefing down: Markdown, and the pictures beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .desk import Briefing


def in_markdown(briefing: Briefing, footnote: str, pictures: str) -> str:
    """Give a briefing as Markdown. ``pictures`` is the beginning of the pictures' file names."""
    return "\n".join(_lines(briefing, footnote, pictures)) + "\n"


def _lines(briefing: Briefing, footnote: str, pictures: str) -> Iterator[str]:
    yield "# Good morning"
    for number, section in enumerate(briefing.sections):
        yield f"\n## {section.title}\n"
        yield from (f"- {line}" for line in section.lines)
        if section.picture:
            yield f"\n![{section.title}]({pictures}-{number}.png)"
        if section.problem:
            yield f"\n> {section.problem}"
    yield "\n## Servers\n"
    yield from (f"- {name}: {words}" for name, words in briefing.servers.items())
    yield f"\n{footnote}"


def write(briefing: Briefing, footnote: str, path: Path) -> str:
    """Write a briefing and its pictures to files, and give its text. A reader never sees half a file."""
    text = in_markdown(briefing, footnote, path.stem)
    for number, section in enumerate(briefing.sections):
        if section.picture:
            path.with_name(f"{path.stem}-{number}.png").write_bytes(section.picture)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)
    return text
