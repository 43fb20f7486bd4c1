"""One server's part of a catalogue: its listings, and which of its tools the configuration hides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, Generic, TypeVar

from msgspec import Struct

from dragoman.cache.offers import Listed
from dragoman.catalogue.entries import (
    Entry,
    PromptEntry,
    ResourceEntry,
    Standing,
    TemplateEntry,
    ToolEntry,
    key_reader,
)
from dragoman.events import Listing

__all__ = ["Change", "Shelf", "Shelves"]

E = TypeVar("E", bound=Entry)


class Change(Struct, Generic[E], frozen=True):
    """What a new listing changes: entries that came, that went, and that tell something else than before."""

    added: tuple[E, ...]
    removed: tuple[E, ...]
    changed: tuple[E, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class Shelf(Generic[E]):
    """One listing of one server. ``entries`` are by key, in the order of the listing; ``hidden`` are left out of them.

    ``listed`` is the last listing (None: there never was one), ``version`` the catalogue's version that it came with.
    """

    __slots__ = ("_kind", "_read", "_server", "entries", "hidden", "listed", "standing", "version")

    def __init__(self, server: str, kind: type[E], clock: Callable[[], float]) -> None:
        self._server = server
        self._kind = kind
        self._read = _READERS[kind]
        self.entries: dict[str, E] = {}
        self.hidden: dict[str, E] = {}
        self.listed: Listed | None = None
        self.standing = Standing(clock)
        self.version = 0

    @property
    def settled(self) -> bool:
        """Whether what is not listed is not there: the listing is whole and not stale."""
        return self.listed is not None and self.listed.left_out == 0 and not self.standing.stale

    def put(self, listed: Listed, patterns: Sequence[str]) -> Change[E]:
        """Take a new listing. An entry that tells the same as before stays the same object."""
        before, hidden_before = self.entries, self.hidden
        entries: dict[str, E] = {}
        hidden: dict[str, E] = {}
        changed: list[E] = []
        for raw in listed.items:
            key = self._read(raw)
            if key is None:
                continue
            entry = before.get(key) or hidden_before.get(key)
            if entry is None or entry.raw != raw:
                entry = self._kind(self._server, key, raw, self.standing)
                if key in before:
                    changed.append(entry)
            if patterns and matches_any(key, patterns):
                hidden[key] = entry
            else:
                entries[key] = entry
        self.entries, self.hidden, self.listed = entries, hidden, listed
        self.standing.fetched_at = listed.fetched_at
        self.standing.expires_at = listed.expires_at
        return Change(
            tuple(entry for key, entry in entries.items() if key not in before),
            tuple(entry for key, entry in before.items() if key not in entries),
            tuple(entry for entry in changed if entries.get(entry.key) is entry),
        )


class Shelves:
    """All listings of one server. ``patterns`` hide tools; ``models`` are its tools by their names for models."""

    __slots__ = ("_models", "_models_of", "name", "patterns", "prompts", "resources", "templates", "tools")

    def __init__(self, name: str, patterns: Sequence[str], clock: Callable[[], float]) -> None:
        self.name = name
        self.patterns = tuple(patterns)
        self.tools = Shelf(name, ToolEntry, clock)
        self.resources = Shelf(name, ResourceEntry, clock)
        self.templates = Shelf(name, TemplateEntry, clock)
        self.prompts = Shelf(name, PromptEntry, clock)
        self._models: dict[str, ToolEntry] = {}
        self._models_of: Listed | None = None

    @property
    def models(self) -> dict[str, ToolEntry]:
        """Its tools, hidden ones too, by their names for models."""
        if self._models_of is not self.tools.listed:
            shown = (self.tools.entries, self.tools.hidden)
            self._models = {entry.model_name: entry for entries in shown for entry in entries.values()}
            self._models_of = self.tools.listed
        return self._models

    @property
    def offers_resources(self) -> bool:
        """Whether it ever listed resources or templates, be it none."""
        return self.resources.listed is not None or self.templates.listed is not None

    def shelf(
        self, what: Listing
    ) -> Shelf[ToolEntry] | Shelf[ResourceEntry] | Shelf[TemplateEntry] | Shelf[PromptEntry]:
        """Give one of its listings."""
        if what == "tools":
            return self.tools
        if what == "prompts":
            return self.prompts
        return self.resources if what == "resources" else self.templates

    def hides(self, tool: str) -> bool:
        """Whether the configuration hides a tool of that name."""
        return matches_any(tool, self.patterns)


def matches_any(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is one of the patterns itself, or matches one (``*`` stands for anything)."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


_READERS: Final[Mapping[type[Entry], Callable[[bytes], str | None]]] = {
    kind: key_reader(kind) for kind in (ToolEntry, ResourceEntry, TemplateEntry, PromptEntry)
}
