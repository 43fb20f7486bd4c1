"""All that a hub's servers offer, merged: who has what, under which names, and which server is meant by a name.

It asks no server and keeps no file; the hub fills it with listings. `shelf` holds one server's part, `resolving` tells
what a name stands for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from dragoman.cache.offers import Listed
from dragoman.catalogue.entries import PromptEntry, ResourceEntry, TemplateEntry, ToolEntry
from dragoman.catalogue.resolving import Resolver, disabled
from dragoman.catalogue.shelf import Change, Shelves
from dragoman.events import Listing

__all__ = ["Catalogue", "Delta"]

#: Templates of one server that a URI is held against: their matching costs time, and servers choose how many they have.
_MOST_TEMPLATES = 1000


class Delta(Struct, frozen=True):
    """What an update changed, as names on the server (or URIs); ``total`` counts what is listed now."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    total: int = 0
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class Catalogue:
    """The merged listings of all servers, in the order in which the servers were added.

    ``tools`` are the listed tools by full name, ``version`` grows with each change of what is listed. ``clock`` tells
    seconds since the epoch.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.tools: dict[str, ToolEntry] = {}
        self.version = 0
        self._clock = clock
        self._servers: dict[str, Shelves] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._resolver = Resolver(self._servers, self._groups)

    # What the hub tells it.

    def add_server(self, name: str, *, hidden: Sequence[str] = ()) -> None:
        """Make a server known. Tools that match one of the ``hidden`` patterns are never listed.

        A server that is known already keeps its place and its listings; only what is hidden may change.
        """
        known = self._servers.get(name)
        if known is None:
            self._servers[name] = Shelves(name, hidden, self._clock)
            if "." in name:
                self._read_anew()
        elif known.patterns != tuple(hidden):
            known.patterns = tuple(hidden)
            if known.tools.listed is not None:
                self._put(known, "tools", known.tools.listed)

    def remove_server(self, name: str) -> None:
        """Forget a server and all that it listed; nothing happens if it is not known."""
        shelves = self._servers.pop(name, None)
        if shelves is None:
            return
        self._take_out(shelves.tools.entries.values())
        if "." in name:
            self._read_anew()
        self.version += 1

    def set_groups(self, groups: Mapping[str, Sequence[str]]) -> None:
        """Tell which servers stand in for one another, by the group's name, in order of preference."""
        self._groups.clear()
        self._groups.update({name: tuple(servers) for name, servers in groups.items()})
        self._read_anew()

    def update(self, server: str, what: Listing, listing: Listed, *, stale: bool = False) -> Delta:
        """Put a listing in the place of the one before. ``stale``: its server is away.

        Raises:
            KeyError: the server was not added.
        """
        shelves = self._servers[server]
        shelves.shelf(what).standing.away = stale
        return self._put(shelves, what, listing)

    def mark(self, server: str, *, stale: bool) -> None:
        """Say that a server can't be asked now, or can be asked again. Nothing happens if it is not known."""
        shelves = self._servers.get(server)
        if shelves is not None:
            for shelf in (shelves.tools, shelves.resources, shelves.templates, shelves.prompts):
                shelf.standing.away = stale

    def _put(self, shelves: Shelves, what: Listing, listing: Listed) -> Delta:
        shelf = shelves.shelf(what)
        first = shelf.listed is None
        if what == "tools":
            change = shelves.tools.put(listing, shelves.patterns)
            self._exchange(change)
        else:
            change = shelf.put(listing, ())
        if first or change:
            self.version += 1
            shelf.version = self.version
        return Delta(
            tuple(entry.key for entry in change.added),
            tuple(entry.key for entry in change.removed),
            len(shelf.entries),
            tuple(entry.key for entry in change.changed),
        )

    # Full names. Those of two servers can be the same: `a` with a tool `b.c`, and `a.b` with a tool `c`. A full name is
    # the longest server's, listed or not, so that it does not change its meaning when a listing arrives. The other tool
    # has a name for models, and its full name if the longer server turns out not to have it (see `resolving`).

    def _exchange(self, change: Change[ToolEntry]) -> None:
        self._take_out(change.removed)
        for entry in (*change.added, *change.changed):
            if self._resolver.owns(entry):
                self.tools[entry.full_name] = entry

    def _take_out(self, entries: Iterable[ToolEntry]) -> None:
        for entry in entries:
            if self.tools.get(entry.full_name) is entry:
                del self.tools[entry.full_name]

    def _read_anew(self) -> None:
        """Decide again which entry has which full name."""
        self.tools.clear()
        self.tools.update({entry.full_name: entry for entry in self.all_tools() if self._resolver.owns(entry)})

    # What is known.

    def servers(self) -> tuple[str, ...]:
        """Give the names of the servers, in order."""
        return tuple(self._servers)

    def known(self, server: str, what: Listing = "tools") -> bool:
        """Whether that was ever listed."""
        shelves = self._servers.get(server)
        return shelves is not None and shelves.shelf(what).listed is not None

    def listed(self, server: str) -> int:
        """Give how many tools a server lists."""
        shelves = self._servers.get(server)
        return 0 if shelves is None else len(shelves.tools.entries)

    def listing(self, server: str, what: Listing = "tools") -> Listed | None:
        """Give the last listing as it came, hidden tools included; None if there was none."""
        shelves = self._servers.get(server)
        return None if shelves is None else shelves.shelf(what).listed

    def stale(self, server: str, what: Listing = "tools") -> bool:
        """Whether a listing may be outdated, or was never there."""
        shelves = self._servers.get(server)
        return shelves is None or shelves.shelf(what).listed is None or shelves.shelf(what).standing.stale

    def changed_at(self, what: Listing = "tools") -> dict[str, int]:
        """Give, for each server that listed, the ``version`` with which its listing last changed."""
        found = ((name, shelves.shelf(what).version) for name, shelves in self._servers.items())
        return {name: version for name, version in found if version}

    def all_tools(self, server: str | None = None) -> Iterator[ToolEntry]:
        """Give the listed tools of all servers, or of one, in stable order."""
        for shelves in self._chosen(server):
            yield from shelves.tools.entries.values()

    def all_resources(self, server: str | None = None) -> Iterator[ResourceEntry]:
        """Give the listed resources of all servers, or of one, in stable order."""
        for shelves in self._chosen(server):
            yield from shelves.resources.entries.values()

    def all_templates(self, server: str | None = None) -> Iterator[TemplateEntry]:
        """Give the listed resource templates of all servers, or of one, in stable order."""
        for shelves in self._chosen(server):
            yield from shelves.templates.entries.values()

    def all_prompts(self, server: str | None = None) -> Iterator[PromptEntry]:
        """Give the listed prompts of all servers, or of one, in stable order."""
        for shelves in self._chosen(server):
            yield from shelves.prompts.entries.values()

    def _chosen(self, server: str | None) -> list[Shelves]:
        # A copy: a server may come or go while somebody goes through them.
        if server is None:
            return list(self._servers.values())
        return [self._servers[server]] if server in self._servers else []

    # Names.

    def split(self, full: str) -> tuple[str, str] | None:
        """Give server (or group) and tool of a full name; None if it begins with the name of neither.

        Of several, the longest name counts: names may contain dots.
        """
        return next(self._resolver.splits(full), None)

    def resolve_tool(self, name: str) -> ToolEntry | tuple[str, str]:
        """Give the tool that is meant by a full name, a model's name, or a bare name that one server alone has.

        The pair of server and tool is given for what is not listed and may be there all the same: the server has
        never listed its tools, or its listing is stale or has gaps.

        Raises:
            AmbiguousName: several servers have a tool of that bare name.
            ToolDisabled: the configuration hides it.
            UnknownName: there is none; the nearest are told.
        """
        return self.tools.get(name) or self._resolver.tool(name)

    def resolve_prompt(self, name: str) -> PromptEntry | tuple[str, str]:
        """Give the prompt that is meant by a full name or a bare one, as `resolve_tool` does.

        Raises:
            AmbiguousName: several servers have a prompt of that bare name.
            UnknownName: there is none; the nearest are told.
        """
        return self._resolver.prompt(name)

    def entry(self, server: str, tool: str) -> ToolEntry | None:
        """Give the listed tool of that server and name, whatever others have the same full name; None if there is none.

        Raises:
            ToolDisabled: the configuration hides it.
        """
        shelves = self._servers.get(server)
        found = None if shelves is None else shelves.tools.entries.get(tool)
        if found is None and self.hides(server, tool):
            raise disabled(server, tool)
        return found

    def hides(self, server: str, tool: str) -> bool:
        """Whether the configuration hides a tool of that name of a server, listed or not."""
        shelves = self._servers.get(server)
        return shelves is not None and shelves.hides(tool)

    def by_model_name(self, name: str) -> ToolEntry | None:
        """Give the listed tool that has that name for models."""
        found = self._resolver.by_model_name(name)
        return None if found is None or self._servers[found.server].hides(found.key) else found

    def resource_servers(self, uri: str) -> list[str]:
        """Give the servers that may have a resource, in order.

        Those that list this very URI; if none does, those with a template that it can be made from; if none has one,
        all that offer resources at all.
        """
        exact = [name for name, shelves in self._servers.items() if uri in shelves.resources.entries]
        if exact:
            return exact
        made = [name for name, shelves in self._servers.items() if _can_make(shelves, uri)]
        return made or [name for name, shelves in self._servers.items() if shelves.offers_resources]


def _can_make(shelves: Shelves, uri: str) -> bool:
    templates = islice(shelves.templates.entries.values(), _MOST_TEMPLATES)
    return any(entry.pattern.matches(uri) for entry in templates)
