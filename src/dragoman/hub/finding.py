"""Keeps the search index of a hub in step with its catalogue: only what changed since the last question is indexed."""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.entries import ToolEntry
from dragoman.errors import UsageError

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
    """Finds tools by what they do. Nothing is built before the first question.

    The index is brought up to date in a thread (ten thousand tools take half a second), to its end even if whoever
    asked gives up.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._index: ToolIndex | None = None
        self._seen: dict[str, int] = {}
        self._turn = asyncio.Lock()
        self._updating: Task[None] | None = None
        self._closed = False

    async def find(self, query: str, limit: int, server: str | None) -> list[Found]:
        """Give the tools that fit a query best, best first.

        Raises:
            UsageError: it was closed.
        """
        async with self._turn:  # whoever looks into the index while a thread fills it holds up the loop
            index = await self._current()
            hits = index.find(query, limit, server=server)
        tools = self._catalogue.tools
        return [Found(tools[hit.key], hit.score) for hit in hits if hit.key in tools]

    async def aclose(self) -> None:
        """Let the index go."""
        self._closed = True
        if self._updating is not None:
            await asyncio.wait({self._updating})
        if self._index is not None:
            self._index.close()
            self._index = None

    async def _current(self) -> ToolIndex:
        if self._updating is not None:  # whoever began it gave up
            await asyncio.wait({self._updating})
        if not self._closed and (self._index is None or self._seen != self._catalogue.changed_at("tools")):
            self._updating = asyncio.create_task(self._update(), name="dragoman indexes tools")
            self._updating.add_done_callback(self._updated)
            await asyncio.shield(self._updating)
        if self._closed or self._index is None:
            raise UsageError("the hub is closed", hint="Make a new one; a hub is used once.")
        return self._index

    async def _update(self) -> None:
        now = self._catalogue.changed_at("tools")
        gone = self._seen.keys() - now.keys()
        changed = [server for server, version in now.items() if self._seen.get(server) != version]
        tools = {server: list(self._catalogue.all_tools(server)) for server in changed}
        self._index = await asyncio.to_thread(_filled, self._index, gone, tools)
        self._seen = now

    def _updated(self, task: Task[None]) -> None:
        self._updating = None
        if not task.cancelled():
            task.exception()  # so that nothing is logged if whoever asked gave up


def _filled(index: ToolIndex | None, gone: Iterable[str], tools: Mapping[str, Iterable[ToolEntry]]) -> ToolIndex:
    """Give the index without the servers that are gone, with these tools in the place of what it had of theirs."""
    from dragoman.catalogue.search import ToolIndex  # late: it brings SQLite, and many hubs are never searched
    from dragoman.catalogue.words import document_of

    if index is None:
        index = ToolIndex()
    for server in gone:
        index.remove(server)
    for server, entries in tools.items():
        index.replace(server, [document_of(server, entry.raw, entry.full_name) for entry in entries])
    return index
