"""The settings of a hub: its servers, and which of them stand in for one another. Frozen, checked when made.

Pure: `loading` opens files, `files` knows what they say in other hosts' words.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from msgspec import Struct, field

from dragoman.config.model import ServerConfig
from dragoman.errors import ConfigError

__all__ = ["Group", "HubConfig"]


class Group(Struct, frozen=True, kw_only=True):
    """Servers that offer the same: ``group.tool`` calls the first of them that can be asked.

    ``servers`` are their names, in order of preference. A call goes on to the next server when nothing was sent, or
    when repeating it is safe. ``hedge_after``: a read-only tool (see `Retry.trust_hints` and ``tools``) that has not
    answered after so many seconds is asked on the next server too, and the first answer counts. None: never.
    """

    servers: tuple[str, ...]
    hedge_after: float | None = None

    def __post_init__(self) -> None:
        if not self.servers:
            raise ConfigError("groups: a group needs at least one server")
        if self.hedge_after is not None and not self.hedge_after > 0:
            raise ConfigError("groups.hedge_after: must be more than 0 seconds")


class HubConfig(Struct, frozen=True, kw_only=True):
    """A hub's servers and groups.

    - ``servers``: in the order of the file; names differ.
    - ``groups``: by name; a group's name is no server's name.
    - ``keep_catalogue``: whether what servers list is kept on disk, in the user's cache folder, for the next start.
    - ``check_arguments``: whether arguments are held against a tool's input schema before they are sent.
    - ``sources``: the files that all this was read from.
    - ``extra``: members of the file that Dragoman does not know; its text shows their names only.

    Raises:
        ConfigError: two servers have one name, or a group names a server that is not there.
    """

    servers: tuple[ServerConfig, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict[str, Group])
    keep_catalogue: bool = True
    check_arguments: bool = True
    sources: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __repr__(self) -> str:
        extra = dict.fromkeys(self.extra, "***")
        return (
            f"HubConfig(servers={self.servers!r}, groups={self.groups!r}, keep_catalogue={self.keep_catalogue}, "
            f"check_arguments={self.check_arguments}, sources={self.sources!r}, extra={extra!r})"
        )

    __str__ = __repr__

    def __post_init__(self) -> None:
        names: set[str] = set()
        for config in self.servers:
            if config.name in names:
                raise ConfigError(f"two servers are called {config.name!r}", hint="Give one of them another name.")
            names.add(config.name)
        for name, group in self.groups.items():
            if name in names:
                raise ConfigError(f"groups: {name!r} is a server's name too", hint="Give the group another name.")
            for member in group.servers:
                if member not in names:
                    near = get_close_matches(member, names, n=1)
                    hint = f"Did you mean {near[0]!r}?" if near else None
                    raise ConfigError(f"groups: {name!r} names the unknown server {member!r}", hint=hint)
