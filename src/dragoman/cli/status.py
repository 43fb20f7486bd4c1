"""The line that tells what is going on while the program waits: a spinner, or a bar where the server tells progress.

Only on a terminal, and only after a moment: what is quick needs no line. It runs on a timer of the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from collections.abc import Generator
from typing import Final

from dragoman.cli.plain import one_line
from dragoman.cli.screen import Screen
from dragoman.protocol.types import Progress

__all__ = ["StatusLine"]

_FIRST_SECONDS: Final = 0.3
_FRAME_SECONDS: Final = 0.1
_BAR_COLUMNS: Final = 28
_SPINNERS: Final = {True: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", False: "|/-\\"}
_WIDE: Final = frozenset({"W", "F"})


class StatusLine:
    """The waiting line of one command."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._text = ""
        self._since = 0.0
        self._progress: Progress | None = None
        self._frame = 0
        self._paused = 0

    @contextlib.contextmanager
    def waiting(self, text: str) -> Generator[None]:
        """Tell what is waited for, until the block ends."""
        if self._screen.quiet or not self._screen.err_is_terminal:
            yield
            return
        loop = asyncio.get_running_loop()
        self._text, self._since, self._progress = text, loop.time(), None
        self._timer: asyncio.TimerHandle = loop.call_later(_FIRST_SECONDS, self._tick)
        try:
            yield
        finally:
            self._timer.cancel()
            self._screen.erase()

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Keep the line away while something else has the terminal."""
        self._paused += 1
        self._screen.erase()
        try:
            yield
        finally:
            self._paused -= 1

    def progress(self, progress: Progress) -> None:
        """Take what the server tells of its progress."""
        self._progress = progress

    def _tick(self) -> None:
        self._frame += 1
        if not self._paused:
            self._screen.show_transient(self._line())
        self._timer = asyncio.get_running_loop().call_later(_FRAME_SECONDS, self._tick)

    def _line(self) -> str:
        style, draws = self._screen.err_style, self._screen.draws
        seconds = int(asyncio.get_running_loop().time() - self._since)
        elapsed = f" · {seconds} s" if seconds else ""
        told = self._progress
        if told is not None and told.total:
            share = min(max(told.progress / told.total, 0.0), 1.0)
            filled, empty = _bar(share, draws=draws)
            percent = f" {share:4.0%}  "
            rest = f"{one_line(told.message or self._text)}{elapsed}"
            room = self._screen.err_width - _BAR_COLUMNS - len(percent) - 1
            return style(filled, "cyan") + style(empty, "dim") + percent + style(_fitted(rest, room), "dim")
        spinners = _SPINNERS[draws]
        spinner = spinners[self._frame % len(spinners)]
        doing = self._text if told is None else f"{one_line(told.message or self._text)} · {told.progress:g}"
        return style(spinner, "cyan") + " " + style(_fitted(f"{doing}{elapsed}", self._screen.err_width - 3), "dim")


def _bar(share: float, *, draws: bool) -> tuple[str, str]:
    """Give the full and the empty part of a bar, together `_BAR_COLUMNS` wide."""
    full = round(share * _BAR_COLUMNS)
    return ("━" * full, "─" * (_BAR_COLUMNS - full)) if draws else ("#" * full, "." * (_BAR_COLUMNS - full))


def _fitted(text: str, columns: int) -> str:
    """Cut the text to a number of columns; wide characters take two."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in _WIDE else not unicodedata.combining(character)
        if used > columns:
            return text[: max(index - 1, 0)] + "…"
    return text
