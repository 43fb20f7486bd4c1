"""Shows what a server lists: tables on a terminal, one line an entry with tabs between the columns elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from dragoman.cli.plain import one_line, shortened, wrapped
from dragoman.cli.screen import Screen

__all__ = ["Column", "show_facts", "show_table"]

_LONGEST_CELL: Final = 240
_LONGEST_WHOLE: Final = 36
_NARROW: Final = 60


class Column(NamedTuple):
    """One column. The main one is shown bold; a ``wide`` one may break into several lines."""

    title: str
    style: str = ""
    wide: bool = False


def show_table(screen: Screen, columns: Sequence[Column], rows: Sequence[Sequence[str]], footer: str) -> None:
    """Show a listing; ``footer`` is said below it on a terminal."""
    if not screen.is_terminal:
        for row in rows:
            screen.print("\t".join(one_line(cell) for cell in row))
        return
    if rows and screen.width < _NARROW:
        _stack(screen, columns, rows)
    elif rows:
        _draw(screen, columns, rows)
    for line in wrapped(footer, screen.width) or [""]:
        screen.print_styled(screen.style(line, "dim"))


def show_facts(screen: Screen, facts: Sequence[tuple[str, str]]) -> None:
    """Show names and values, one pair a line; what is empty is left out."""
    told = [(name, value) for name, value in facts if value]
    if not screen.is_terminal:
        for name, value in told:
            screen.print(f"{name}\t{one_line(value)}")
        return
    if told:
        _draw(screen, (Column("", "dim"), Column("", wide=True)), told, heads=False)


def _stack(screen: Screen, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Show each entry in lines of its own, where columns would be too narrow to be read."""
    for row in rows:
        for place, (column, cell) in enumerate(zip(columns, row, strict=True)):
            told = shortened(cell, _LONGEST_CELL)
            for line in wrapped(told, screen.width, "  " if place else "", cut=True):
                screen.print_styled(screen.style(line, column.style) if column.style else line)


def _draw(screen: Screen, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, heads: bool = True) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(
        width=screen.width,
        color_system="standard" if screen.colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )
    table = Table(box=None, show_header=heads, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    for place, column in enumerate(columns):
        longest = max(len(row[place]) for row in rows)
        whole = not column.wide and longest <= _LONGEST_WHOLE
        table.add_column(Text(column.title), style=column.style, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(shortened(cell, _LONGEST_CELL)) for cell in row))
    screen.erase()
    console.print(table)
