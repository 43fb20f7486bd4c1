"""What the benchmark asks of every client, whatever library it is, and what a client is pointed at.

Kept light: it is imported in the measured process, where memory counts.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Target(NamedTuple):
    """One server: a command line, or a URL."""

    command: tuple[str, ...] = ()
    url: str = ""


class Session(Protocol):
    """One client connected to one echo server. Every method blocks until it is done."""

    def call(self, at_once: int, seconds: float) -> int:
        """Call ``echo`` over and over for so long, so many at once, look at each answer's text; give the number."""
        ...

    def blob(self, size: int) -> int:
        """Call ``blob`` once and give the length of the text that came."""
        ...

    def list_tools(self, *, schemas: bool) -> int:
        """List all tools, look at each name (and input schema, as a mapping, if asked); give the number."""
        ...


class Peer(Protocol):
    """One client library, within one process."""

    def connect(self, target: Target, count: int = 1) -> list[Session]:
        """Connect so many times, all at once, each to a server of its own if it is a command."""
        ...

    def disconnect(self) -> None:
        """Close all that is connected."""
        ...
