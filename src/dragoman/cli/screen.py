"""Where the program's words go: results to stdout, everything else to stderr, and how either may look.

To a terminal, text of servers goes made safe; to a file or a pipe it goes as it is. It knows no command.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from typing import Final, TextIO

from dragoman.cli.plain import safe, safe_json

__all__ = ["OutputLost", "Screen", "drop_output"]

_STYLES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_DEFAULT_WIDTH: Final = 80


class OutputLost(Exception):
    """stdout does not take what is written there; the message tells why."""


@contextlib.contextmanager
def _taken() -> Generator[None]:
    """Tell a disk that is full from other failures; a reader that went away is a matter of its own."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(error.strerror or str(error)) from None


def drop_output(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, so that the interpreter does not complain of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Screen:
    """stdout and stderr.

    ``is_terminal`` tells of stdout; ``is_attended`` whether a person can be asked: stdin and stderr are terminals;
    ``is_interrupted`` whether the person interrupted and was told so.
    """

    def __init__(self, *, colour: bool = True, quiet: bool = False) -> None:
        for stream in (sys.stdout, sys.stderr):
            _never_fail(stream)
        self.quiet = quiet
        self.is_terminal = sys.stdout.isatty()
        self.err_is_terminal = sys.stderr.isatty()
        self.is_attended = self.err_is_terminal and sys.stdin is not None and sys.stdin.isatty()
        wanted = colour and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") != "dumb"
        self.colour = wanted and self.is_terminal
        self.err_colour = wanted and self.err_is_terminal
        self._transient = False
        self._is_asking = False
        self.is_interrupted = False

    def print(self, text: str = "") -> None:
        """Print a line of result. On a terminal it is made safe first."""
        self.print_styled(safe(text) if self.is_terminal else text)

    def print_styled(self, text: str) -> None:
        """Print a line that was made safe and styled before."""
        self.erase()
        with _taken():
            sys.stdout.write(text + "\n")

    def write(self, data: bytes) -> None:
        """Write bytes of result as they are."""
        self.erase()
        with _taken():
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def flush(self) -> None:
        """Hand on all that was printed."""
        with _taken():
            sys.stdout.flush()

    def write_json(self, data: bytes) -> None:
        """Write a result object as it came, on a line of its own; on a terminal, unsafe characters are escaped.

        JSON can hold such characters bare only within strings, where their escapes mean the same.
        """
        if self.is_terminal:
            text = data.decode("utf-8", "backslashreplace")
            data = safe_json(text).encode()
        self.write(data + b"\n")

    def style(self, text: str, *styles: str) -> str:
        """Give safe text in styles for stdout: ``bold``, ``dim`` or a colour."""
        return _styled(safe(text), styles) if self.colour else safe(text)

    def err_style(self, text: str, *styles: str) -> str:
        """Give safe text in styles for stderr."""
        return _styled(safe(text), styles) if self.err_colour else safe(text)

    def note(self, text: str, *styles: str) -> None:
        """Say something beside the result, unless that is unwanted."""
        if not self.quiet:
            self.complain(self.err_style(text, *(styles or ("dim",))))

    def complain(self, text: str) -> None:
        """Say what must be said; the text was made safe and styled before."""
        self.erase()
        self.flush()
        self._tell(("\n" if self._is_asking else "") + text + "\n")
        self._is_asking = False

    def ask(self, text: str) -> None:
        """Put a question, leaving the cursor behind it; the text was made safe and styled before."""
        self.erase()
        self._tell(text)
        self._is_asking = True

    def answered(self) -> None:
        """Take note that the question was answered, so that the cursor is on a line of its own."""
        self._is_asking = False

    def _tell(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except BrokenPipeError:
            raise
        except OSError:
            drop_output(sys.stderr)

    def show_transient(self, text: str) -> None:
        """Show a line on stderr that the next words replace; the text was made safe and styled before."""
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
        self._transient = True

    def erase(self) -> None:
        """Take the transient line away."""
        if self._transient:
            self._transient = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    @property
    def width(self) -> int:
        """How many columns stdout has."""
        return _columns(sys.stdout)

    @property
    def err_width(self) -> int:
        """How many columns stderr has."""
        return _columns(sys.stderr)

    @property
    def draws(self) -> bool:
        """Whether stderr can show line drawing."""
        return (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"


def _styled(text: str, styles: tuple[str, ...]) -> str:
    return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m" if styles and text else text


def _never_fail(stream: TextIO) -> None:
    """Let a character that the terminal's encoding lacks come out as an escape."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _columns(stream: TextIO) -> int:
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_WIDTH
    except (OSError, ValueError):
        return _DEFAULT_WIDTH
