"""The keeping of a hub: opening, adding, removing, reloading, watching its file, closing; and who is in it.

`hub.Hub` is this and the calls. What a hub consists of is put together here, when it is started.
"""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, cast

from msgspec import structs

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.names import nearest
from dragoman.config.hub import Group, HubConfig
from dragoman.config.model import ServerConfig, Target, config_for
from dragoman.errors import ConfigError, DragomanError, UnknownName, UsageError
from dragoman.events import ConfigReloaded, LogReceived
from dragoman.handle.handle import Handle
from dragoman.hub.bus import Bus
from dragoman.hub.calls import Calls
from dragoman.hub.finding import Finder
from dragoman.hub.fleet import Fleet, Turnover
from dragoman.hub.instruments import Instruments
from dragoman.model import ServerStatus
from dragoman.protocol.lifecycle import Verdict
from dragoman.protocol.metadata import ClientInfo
from dragoman.protocol.types import LogMessage
from dragoman.server.callbacks import ElicitationHandler, Roots, SamplingHandler
from dragoman.server.connect import Connecting, connect
from dragoman.store.catalogues import KeptCatalogues

__all__ = ["Household", "Servers"]

log: Final = logging.getLogger("dragoman")

#: How often the files of the configuration are looked at, if that is asked for (seconds).
_LOOK: Final = 1.0

Servers: TypeAlias = HubConfig | Mapping[str, Target] | Iterable[Target]


class Household:
    """Holds what a hub consists of. ``servers`` are settings, or targets as `connect` takes them (or these by name).

    - ``sampling``, ``elicitation``, ``roots``, ``client_info``: as `connect` takes them, for all servers.
    - ``cache_folder``: where the catalogue is kept; None: the user's cache folder.

    Raises:
        ConfigError: the servers can't be used together.
    """

    def __init__(
        self,
        servers: Servers = (),
        *,
        sampling: SamplingHandler | None = None,
        elicitation: ElicitationHandler | None = None,
        roots: Roots | None = None,
        client_info: ClientInfo | None = None,
        cache_folder: Path | str | None = None,
    ) -> None:
        self._config = _config_of(servers)
        self._handlers: dict[str, Any] = {
            "sampling": sampling,
            "elicitation": elicitation,
            "roots": roots,
            "client_info": client_info,
        }
        self._cache_folder = None if cache_folder is None else Path(cache_folder)
        self._source: Callable[[], HubConfig] | None = None
        self._watches = False
        self._bus = Bus()
        self._instruments = Instruments()
        self._catalogue = Catalogue()
        self._finder = Finder(self._catalogue)
        self._groups: Mapping[str, Group] = self._config.groups
        self._checks_arguments = self._config.check_arguments
        self._fleet_made: Fleet | None = None
        self._calls_made: Calls | None = None
        self._turning = asyncio.Lock()
        self._watcher: Task[None] | None = None
        self._loop: AbstractEventLoop | None = None
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        watch: bool = False,
        inputs: Mapping[str, str] | None = None,
        sampling: SamplingHandler | None = None,
        elicitation: ElicitationHandler | None = None,
        roots: Roots | None = None,
        client_info: ClientInfo | None = None,
        cache_folder: Path | str | None = None,
    ) -> Self:
        """Give a hub of the servers in a file: ``async with Hub.open() as hub: …``.

        ``path`` is any host's file; None looks for ``dragoman.{yaml,toml,json}`` in the project, then in the user's
        config folder. ``inputs`` are the values of ``${input:id}``. With ``watch``, the hub follows the file's changes.

        Raises:
            ConfigError: there is no such file, or it is wrong: all that is, by line and key.
        """
        from dragoman.config.load import load  # late: whoever gives his servers in code needs no parsers

        def read() -> HubConfig:
            return load(path, inputs=inputs)

        hub = cls(
            read(),
            sampling=sampling,
            elicitation=elicitation,
            roots=roots,
            client_info=client_info,
            cache_folder=cache_folder,
        )
        hub._source = read
        hub._watches = watch
        return hub

    @classmethod
    def from_dict(
        cls,
        settings: Mapping[str, Any],
        *,
        sampling: SamplingHandler | None = None,
        elicitation: ElicitationHandler | None = None,
        roots: Roots | None = None,
        client_info: ClientInfo | None = None,
        cache_folder: Path | str | None = None,
    ) -> Self:
        """Give a hub of what would stand in a file, in any host's words.

        Raises:
            ConfigError: it is wrong, by key.
        """
        from dragoman.config.load import from_dict

        return cls(
            from_dict(settings),
            sampling=sampling,
            elicitation=elicitation,
            roots=roots,
            client_info=client_info,
            cache_folder=cache_folder,
        )

    # Its life.

    async def start(self) -> Self:
        """Start all servers in the background and return at once. Entering the hub does this.

        Raises:
            UsageError: it was started before.
        """
        if self._loop is not None:
            raise UsageError("the hub was started before", hint="Make a new one; a hub is used once.")
        self._loop = asyncio.get_running_loop()
        kept = KeptCatalogues(self._cache_folder) if self._config.keep_catalogue else None
        self._fleet_made = Fleet(self._bus, self._catalogue, self._connecting, kept)
        self._calls_made = Calls(self._bus, self._instruments)
        self._catalogue.set_groups({name: group.servers for name, group in self._groups.items()})
        self._fleet_made.enlist(self._config.servers)
        if self._watches and self._source is not None:
            self._watcher = self._loop.create_task(self._follow_files(), name="dragoman watches its configuration")
        return self

    async def aclose(self) -> None:
        """Close all servers, side by side and bounded in time, and leave nothing behind. Safe to call twice."""
        if self._fleet_made is None or self._closed:
            self._closed = True
            return
        self._closed = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait({self._watcher})
        try:
            await self._fleet_made.aclose()
        finally:
            await self._bus.aclose()
            self._finder.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Its servers.

    @property
    def config(self) -> HubConfig:
        """Its settings, as they are now."""
        return self._config

    def status(self) -> dict[str, ServerStatus]:
        """Give how each server is, by name."""
        return {name: handle.status() for name, handle in self._fleet.handles.items()}

    async def wait_ready(self, *names: str, timeout: float | None = None) -> dict[str, ServerStatus]:
        """Wait until these servers (or all) are connected and listed, or have failed; give how each is.

        One that starts on use is started. ``timeout`` is in seconds; when it has passed, they are as they are.

        Raises:
            UnknownName: there is no server of that name.
        """
        wanted = [self._handle(name) for name in names] or list(self._fleet.handles.values())
        for handle in wanted:
            handle.want()
        chosen = {handle.name for handle in wanted}
        deadline = None if timeout is None else self._running.time() + timeout
        await self._fleet.settle(lambda handle: handle.name not in chosen or self._has_settled(handle), deadline)
        return {name: status for name, status in self.status().items() if name in chosen}

    async def add_server(self, target: Target, *, name: str = "") -> None:
        """Add a server and start it in the background.

        Raises:
            ConfigError: it can't be used, or there is one of that name.
        """
        config = config_for(target, name=name)
        if config.name in self._groups:
            raise ConfigError(f"there is a group called {config.name!r}", server=config.name)
        self._fleet.enlist([config])
        self._config = structs.replace(self._config, servers=(*self._config.servers, config))

    async def remove_server(self, name: str) -> None:
        """Take a server out, and close it when its calls have ended, bounded in time.

        Raises:
            UnknownName: there is none of that name.
            ConfigError: a group needs it.
        """
        self._handle(name)
        for group, members in self._groups.items():
            if name in members.servers:
                raise ConfigError(f"the group {group!r} needs it", server=name, hint="Change the group first.")
        self._config = structs.replace(
            self._config, servers=tuple(config for config in self._config.servers if config.name != name)
        )
        await self._fleet.dismiss(name)

    async def stop_server(self, name: str) -> None:
        """Close a server and leave it so until `start_server`; calls to it fail at once."""
        await self._handle(name).stop()

    async def start_server(self, name: str) -> None:
        """Start a server that was stopped, or try one that failed or waits at once."""
        handle = self._handle(name)
        handle.start()
        handle.wake()

    async def restart_server(self, name: str) -> None:
        """Close a server and start it anew."""
        handle = self._handle(name)
        await handle.stop("it is being restarted")
        handle.start()
        handle.wake()

    async def reload(self, config: HubConfig | None = None) -> Turnover:
        """Read the configuration again (or take ``config``), and change only what is another now.

        Raises:
            ConfigError: it is wrong; everything stays as it was.
            UsageError: the hub was not opened from a file.
        """
        if config is None:
            if self._source is None:
                raise UsageError("this hub was not opened from a file", hint="Give reload() the new configuration.")
            config = await asyncio.to_thread(self._source)
        async with self._turning:
            turnover, rest = self._fleet.turn_to(config)
            self._config = config
            self._groups = config.groups
            self._checks_arguments = config.check_arguments
            self._catalogue.set_groups({name: group.servers for name, group in config.groups.items()})
            await rest
        if self._bus.active:
            told = (turnover.added, turnover.removed, turnover.changed)
            self._bus.publish(ConfigReloaded(at=self._now(), added=told[0], removed=told[1], changed=told[2]))
        return turnover

    async def _follow_files(self) -> None:
        """Reload when a file of the configuration has changed; one that is wrong is told once, and changes nothing."""
        seen = await asyncio.to_thread(_stamps, self._config.sources)
        while True:
            await asyncio.sleep(_LOOK)
            now = await asyncio.to_thread(_stamps, self._config.sources)
            if now == seen:
                continue
            seen = now
            try:
                turnover = await self.reload()
            except DragomanError as error:
                log.error("the changed configuration is not taken: %s", error)  # noqa: TRY400 - the text says it all
            else:
                log.info("the configuration was read again: %s", turnover)
                seen = await asyncio.to_thread(_stamps, self._config.sources)

    # What the calls need.

    @property
    def _fleet(self) -> Fleet:
        if self._fleet_made is None or self._closed:
            raise self._unusable()
        return self._fleet_made

    @property
    def _calls(self) -> Calls:
        if self._calls_made is None:
            raise self._unusable()
        return self._calls_made

    @property
    def _running(self) -> AbstractEventLoop:
        if self._loop is None:
            raise self._unusable()
        return self._loop

    def _unusable(self) -> UsageError:
        if self._closed:
            return UsageError("the hub is closed", hint="Make a new one; a hub is used once.")
        return UsageError("the hub is not started", hint="Enter it: async with hub: …")

    def _handle(self, name: str) -> Handle:
        handle = self._fleet.handles.get(name)
        if handle is None:
            near = nearest(name, self._fleet.handles)
            hint = f"Did you mean {' or '.join(near)}?" if near else "Add it by add_server()."
            raise UnknownName(f"there is no server {name!r}", name=name, nearest=near, hint=hint)
        return handle

    def _group_of(self, name: str, server: str) -> str | None:
        """Give the group that a name speaks of: by its own name, or by a bare name that all its servers share."""
        if not self._groups:
            return None
        split = self._catalogue.split(name)
        if split is not None:
            return split[0] if split[0] in self._groups else None
        return next((group for group, members in self._groups.items() if server in members.servers), None)

    def _members(self, group: str, tool: str) -> Sequence[str]:
        """Give the servers of a group that have a tool, or of which nobody knows whether they do."""
        servers = self._groups[group].servers
        listing = [name for name in servers if f"{name}.{tool}" in self._catalogue.tools]
        return [name for name in servers if name in listing or not self._catalogue.known(name)]

    def _unlisted(self) -> bool:
        """Whether some server was never listed and may be yet."""
        return any(not self._has_settled(handle) for handle in self._fleet.handles.values())

    def _has_settled(self, handle: Handle) -> bool:
        if self._catalogue.known(handle.name, "prompts"):  # the last that is listed
            return True
        if handle.state == "degraded":
            return True
        return handle.state not in ("configured", "connecting", "ready")

    async def _await_listings(self, wait: float, server: str | None = None) -> None:
        """Wait for servers that were never listed; list anew what is past its lifetime."""
        handles = self._fleet.handles
        wanted = [self._handle(server)] if server is not None else list(handles.values())
        missing = {handle.name for handle in wanted if not self._has_settled(handle)}
        if missing:
            for handle in wanted:
                if handle.name in missing:
                    handle.want()
            deadline = self._running.time() + wait
            await self._fleet.settle(lambda each: each.name not in missing or self._has_settled(each), deadline)
        expired = [each for each in wanted if each.state == "ready" and self._catalogue.stale(each.name)]
        if expired:
            await asyncio.gather(*(each.refresh() for each in expired), return_exceptions=True)

    def _connecting(self, config: ServerConfig, verdict: Verdict | None) -> Connecting:
        return connect(config, on_log=partial(self._logged, config.name), remembered=verdict, **self._handlers)

    def _logged(self, server: str, message: LogMessage) -> None:
        if self._bus.active:
            self._bus.publish(
                LogReceived(
                    at=self._now(), server=server, level=message.level, logger=message.logger, data=message.data
                )
            )

    @staticmethod
    def _now() -> float:
        return time.time()


def _config_of(servers: Servers) -> HubConfig:
    if isinstance(servers, HubConfig):
        return servers
    if isinstance(servers, Mapping):
        named = cast("Mapping[str, Target]", servers)
        return HubConfig(servers=tuple(config_for(target, name=name) for name, target in named.items()))
    if isinstance(servers, str):
        raise ConfigError("one string is no list of servers", hint="Give a list: Hub([…]).")
    return HubConfig(servers=tuple(config_for(target) for target in servers))


def _stamps(files: Iterable[str]) -> dict[str, tuple[int, int, int] | None]:
    """Give what tells whether files have changed."""
    stamps: dict[str, tuple[int, int, int] | None] = {}
    for file in files:
        try:
            stat = Path(file).stat()
            stamps[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            stamps[file] = None
    return stamps
