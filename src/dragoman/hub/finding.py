"""Keeps the search index of a hub in step with its catalogue: only what changed since the last question is indexed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.entries import ToolEntry

if TYPE_CHECKING:
    from dragoman.catalogue.search import ToolIndex

__all__ = ["Finder", "Found"]


class Found(Struct, frozen=True):
    """A tool that was found. ``score`` is comparable within one answer only; more is better."""

    entry: ToolEntry
    score: float

    @property
    def name(self) -> str:
        """The tool's full name."""
        return self.entry.full_name

    def __repr__(self) -> str:
        return f"Found({self.name!r}, score={self.score:.3g})"


class Finder:
    """Finds tools by what they do. Nothing is built before the first question."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._index: ToolIndex | None = None
        self._seen: dict[str, int] = {}

    def find(self, query: str, limit: int, server: str | None) -> list[Found]:
        """Give the tools that fit a query best, best first."""
        index = self._current()
        tools = self._catalogue.tools
        hits = index.find(query, limit, server=server)
        return [Found(tools[hit.key], hit.score) for hit in hits if hit.key in tools]

    def close(self) -> None:
        """Let the index go."""
        if self._index is not None:
            self._index.close()
            self._index = None
            self._seen = {}

    def _current(self) -> ToolIndex:
        from dragoman.catalogue.search import ToolIndex  # late: it brings SQLite, and many hubs are never searched
        from dragoman.catalogue.words import document_of

        if self._index is None:
            self._index = ToolIndex()
        now = self._catalogue.changed_at("tools")
        for server in self._seen.keys() - now.keys():
            self._index.remove(server)
        for server, version in now.items():
            if self._seen.get(server) != version:
                tools = self._catalogue.all_tools(server)
                self._index.replace(server, [document_of(server, tool.raw, tool.full_name) for tool in tools])
        self._seen = now
        return self._index
