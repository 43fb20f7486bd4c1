"""What a name stands for: the law by which a catalogue finds the tool or prompt that a caller means.

    full name              the entry of that server (or of the first server of that group that lists it)
    model's name           the tool that it was made for
    bare name              the entry of the one server that has it; of several in one group, the preferred server's;
                           never one that reads as another server's full name or name for models
    known server, unlisted the pair of server and name: nobody knows better yet
    anything else          an error that tells the candidates, or the nearest names

It looks at the shelves of a catalogue and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from dragoman.catalogue.entries import PromptEntry, ToolEntry
from dragoman.catalogue.names import full_name, is_hashed, nearest, plain_parts
from dragoman.catalogue.shelf import Shelf, Shelves
from dragoman.errors import AmbiguousName, ToolDisabled, UnknownName
from dragoman.protocol.jsonrpc import printable

__all__ = ["Resolver", "disabled"]

E = TypeVar("E", ToolEntry, PromptEntry)
_ShelfOf: TypeAlias = Callable[[Shelves], Shelf[E]]

_SHOWN_CHARS: Final = 200
_MOST_SHOWN: Final = 5
_LONG: Final = 200


def _tools(shelves: Shelves) -> Shelf[ToolEntry]:
    return shelves.tools


def _prompts(shelves: Shelves) -> Shelf[PromptEntry]:
    return shelves.prompts


class Resolver:
    """Finds what names stand for in the servers and groups that it was given; both may change meanwhile."""

    def __init__(self, servers: Mapping[str, Shelves], groups: Mapping[str, tuple[str, ...]]) -> None:
        self._servers = servers
        self._groups = groups

    def splits(self, full: str) -> Iterator[tuple[str, str]]:
        """Give each reading of a full name as a known server or group and a name there, the longest server first."""
        # A name of a million dots, which a model may make up, is cut nowhere that no name of a server reaches.
        reach = len(full) if len(full) < _LONG else max(map(len, (*self._servers, *self._groups)), default=0) + 1
        dot = full.rfind(".", 0, reach)
        while dot >= 0:
            owner = full[:dot]
            if owner in self._servers or owner in self._groups:
                yield owner, full[dot + 1 :]
            dot = full.rfind(".", 0, dot)

    def owns(self, entry: ToolEntry) -> bool:
        """Whether an entry's full name reads as that entry first: no longer name of a server or group begins it."""
        return "." not in entry.key or next(self.splits(entry.full_name)) == (entry.server, entry.key)

    def by_model_name(self, name: str) -> ToolEntry | None:
        """Give the tool that has that name for models, be it hidden."""
        return next((found for each in self._servers.values() if (found := each.models.get(name)) is not None), None)

    def tool(self, name: str) -> ToolEntry | tuple[str, str]:
        """Tell as `Catalogue.resolve_tool` does."""
        found = self.by_model_name(name) if "." not in name else None
        if found is not None:
            return self._shown(found)
        told = self._by_full_name(name, _tools) or self._by_plain_parts(name) or self._by_bare_name(name, _tools)
        if told is not None:
            return told
        hiding = next((each for each in self._servers.values() if name in each.tools.hidden), None)
        if hiding is not None:
            raise disabled(hiding.name, name)
        raise self._unknown(name, "tool", _tools)

    def prompt(self, name: str) -> PromptEntry | tuple[str, str]:
        """Tell as `Catalogue.resolve_prompt` does."""
        told = self._by_full_name(name, _prompts) or self._by_bare_name(name, _prompts)
        if told is not None:
            return told
        raise self._unknown(name, "prompt", _prompts)

    def _shown(self, entry: ToolEntry) -> ToolEntry:
        if self._servers[entry.server].hides(entry.key):
            raise disabled(entry.server, entry.key)
        return entry

    def _by_full_name(self, name: str, shelf_of: _ShelfOf[E]) -> E | tuple[str, str] | None:
        for owner, key in self.splits(name):
            members = (owner,) if owner in self._servers else self._groups[owner]
            found = self._on_one_of(members, key, shelf_of)
            if found is not None:
                return found
        return None

    def _on_one_of(self, servers: tuple[str, ...], key: str, shelf_of: _ShelfOf[E]) -> E | tuple[str, str] | None:
        """Give the entry of the first server that lists it, else the first server that may have it unlisted."""
        known = [self._servers[server] for server in servers if server in self._servers]
        for shelves in known:
            if key in shelf_of(shelves).entries:
                return shelf_of(shelves).entries[key]
        hiding = [shelves for shelves in known if shelf_of is _tools and shelves.hides(key)]
        for shelves in known:
            if shelves not in hiding and not shelf_of(shelves).settled:
                return shelves.name, key
        if hiding:
            raise disabled(hiding[0].name, key)
        return None

    def _by_plain_parts(self, name: str) -> tuple[str, str] | None:
        """Give server and tool of a model's name whose server has not listed the tool (yet)."""
        parts = plain_parts(name)
        if parts is None or parts[0] not in self._servers:
            return None
        found = self._on_one_of((parts[0],), parts[1], _tools)
        return None if found is None else parts

    def _by_bare_name(self, name: str, shelf_of: _ShelfOf[E]) -> E | None:
        holders = [shelf_of(each).entries[name] for each in self._servers.values() if name in shelf_of(each).entries]
        holders = [entry for entry in holders if not self._poses(entry)] if holders else holders
        if len(holders) < 2:
            return holders[0] if holders else None
        by_server = {entry.server: entry for entry in holders}
        for members in self._groups.values():
            if by_server.keys() <= set(members):
                return next(by_server[member] for member in members if member in by_server)
        candidates = [entry.full_name for entry in holders]
        shown = ", ".join(printable(each, _SHOWN_CHARS) for each in candidates[:_MOST_SHOWN])
        more = f" and {len(candidates) - _MOST_SHOWN} more" if len(candidates) > _MOST_SHOWN else ""
        raise AmbiguousName(
            f"{len(candidates)} servers have {printable(name, _SHOWN_CHARS)!r}: {shown}{more}",
            name=name,
            candidates=candidates,
            hint="Call it by its full name.",
        )

    def _poses(self, entry: ToolEntry | PromptEntry) -> bool:
        """Whether an entry's bare name reads as the name of what another server has, or had, or may have.

        Servers choose the names of their tools: nobody gets another's calls by it while that one is silent.
        """
        if is_hashed(entry.key):
            return True
        owners = {owner for owner, _ in self.splits(entry.key)}
        plain = plain_parts(entry.key)
        if plain is not None and plain[0] in self._servers:
            owners.add(plain[0])
        return bool(owners) and not any(entry.server in (owner, *self._groups.get(owner, ())) for owner in owners)

    def _unknown(self, name: str, what: str, shelf_of: _ShelfOf[Any]) -> UnknownName:
        owner, key = next(self.splits(name), ("", name))
        members = (owner,) if owner in self._servers else self._groups.get(owner, ())
        keys = [
            each for member in members if member in self._servers for each in shelf_of(self._servers[member]).entries
        ]
        # The server is right, so its own names come first.
        near = [full_name(owner, each) for each in nearest(key, keys)]
        near = near or list(nearest(name, self._full_names(name, shelf_of)))
        hint = f"Did you mean {_alternatives(near)}?" if near else f"hub.{what}s() lists all that are known."
        silent = [each for each, shelves in self._servers.items() if shelf_of(shelves).listed is None]
        if silent and not owner:
            hint += f" Not listed so far: {_enumeration(silent)}."
        told = printable(key, _SHOWN_CHARS)
        problem = f"it has no {what} called {told!r}" if owner else f"no server has a {what} called {told!r}"
        return UnknownName(problem, name=name, nearest=near, server=owner or None, hint=hint)

    def _full_names(self, name: str, shelf_of: _ShelfOf[Any]) -> Iterator[str]:
        """Give all full names, and what the name would be on the servers whose names nobody could know yet."""
        rest = name.partition(".")[2]
        for server, shelves in self._servers.items():
            shelf = shelf_of(shelves)
            for entry in shelf.entries.values():
                yield entry.full_name
            if rest and not shelf.settled and rest not in shelf.entries:
                yield full_name(server, rest)


def disabled(server: str, tool: str) -> ToolDisabled:
    """Give the error that a tool is hidden."""
    return ToolDisabled(f"the tool {printable(tool, _SHOWN_CHARS)!r} is switched off", tool=tool, server=server)


def _enumeration(names: list[str]) -> str:
    shown = [printable(name, _SHOWN_CHARS) for name in names[:_MOST_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _alternatives(names: list[str]) -> str:
    shown = [printable(name, _SHOWN_CHARS) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
