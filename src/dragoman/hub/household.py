"""The keeping of a hub: opening, adding, removing, reloading, watching its file, closing; and who is in it.

`hub.Hub` is this and the calls. What a hub consists of is put together here, when it is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import AbstractEventLoop, Task
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar, cast
from weakref import WeakSet

from msgspec import structs

from dragoman.catalogue.catalogue import Catalogue
from dragoman.catalogue.names import nearest
from dragoman.config.hub import Group, HubConfig
from dragoman.config.model import ServerConfig, Target, config_for
from dragoman.errors import ConfigError, UnknownName, UsageError
from dragoman.events import ConfigReloaded, Listing, LogReceived
from dragoman.handle.handle import Handle
from dragoman.hub.bus import Bus
from dragoman.hub.calls import Calls
from dragoman.hub.excerpts import log_data, words
from dragoman.hub.finding import Finder
from dragoman.hub.fleet import Fleet, Turnover
from dragoman.hub.following import Stamps, follow, stamps_of
from dragoman.hub.instruments import Instruments
from dragoman.hub.watching import Announcer, Watch
from dragoman.model import ServerStatus
from dragoman.protocol.lifecycle import Verdict
from dragoman.protocol.metadata import ClientInfo
from dragoman.protocol.types import LogMessage
from dragoman.server.callbacks import ElicitationHandler, Roots, SamplingHandler
from dragoman.server.connect import Connecting, connect
from dragoman.store.catalogues import KeptCatalogues

__all__ = ["Household", "Servers"]

T = TypeVar("T")

Servers: TypeAlias = HubConfig | Mapping[str, Target] | Iterable[Target]

#: So many servers are named to whoever asks for one that is not there.
_NAMED: Final = 8


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
        self._seen: Stamps | None = None
        self._added: dict[str, ServerConfig] = {}
        self._bus = Bus()
        self._instruments = Instruments()
        self._catalogue = Catalogue()
        self._finder = Finder(self._catalogue)
        self._groups: Mapping[str, Group] = self._config.groups
        self._checks_arguments = self._config.check_arguments
        self._fleet_made: Fleet | None = None
        self._calls_made: Calls | None = None
        self._follower: Task[None] | None = None
        self._loop: AbstractEventLoop | None = None
        self._turning = asyncio.Lock()
        self._turns: set[Task[Any]] = set()
        self._watches: WeakSet[Watch] = WeakSet()
        self._announcer = Announcer(self._bus)
        self._closing: Task[None] | None = None
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
        from dragoman.config.loading import load  # late: whoever gives his servers in code needs no parsers

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
        hub._seen = stamps_of(hub._config.sources) if watch else None
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
        from dragoman.config.loading import from_dict

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
            UsageError: it was started or closed before.
        """
        if self._loop is not None or self._closed:
            said = "started" if self._loop is not None else "closed"
            raise UsageError(f"the hub was {said} before", hint="Make a new one; a hub is used once.")
        self._loop = asyncio.get_running_loop()
        kept = self._kept(self._config)
        self._fleet_made = fleet = Fleet(
            self._bus, self._catalogue, self._connecting, kept, instruments=self._instruments
        )
        self._calls_made = Calls(self._bus, self._instruments, fleet.handles.get)
        self._catalogue.set_groups({name: group.servers for name, group in self._groups.items()})
        fleet.enlist(self._config.servers)
        if self._seen is not None:
            following = follow(self._seen, lambda: self._config.sources, self.reload)
            self._follower = self._loop.create_task(following, name="dragoman follows its configuration")
        return self

    async def aclose(self) -> None:
        """Close all servers, side by side and bounded in time, and leave nothing behind.

        Any task may do so, any number of times: all wait for the same closing, which goes on if they are cancelled.

        Raises:
            UsageError: another event loop runs the hub.
        """
        if self._fleet_made is None:
            self._closed = True
        elif self._closing is None:
            closing = self._own_loop.create_task(self._close(self._fleet_made), name="dragoman closes its hub")
            self._closing, self._closed = closing, True
            await asyncio.shield(closing)
        elif not self._closing.done():
            await asyncio.shield(self._closing)

    async def _close(self, fleet: Fleet) -> None:
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait({self._follower})
        if self._turns:
            await asyncio.wait(self._turns)
        await asyncio.gather(*(watch.aclose() for watch in list(self._watches)), return_exceptions=True)
        try:
            await fleet.aclose()
        finally:
            await self._bus.aclose()
            await self._finder.aclose()

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
        loop = self._own_loop
        wanted = [self._handle(name) for name in names] or list(self._fleet.handles.values())
        for handle in wanted:
            handle.want()
        chosen = {handle.name for handle in wanted}
        deadline = None if timeout is None else loop.time() + timeout
        await self._fleet.settle(lambda handle: handle.name not in chosen or self._is_up_or_failed(handle), deadline)
        return {name: status for name, status in self.status().items() if name in chosen}

    async def add_server(self, target: Target, *, name: str = "") -> None:
        """Add a server and start it in the background. It stays when the hub's file is read again.

        Raises:
            ConfigError: it can't be used, or there is one of that name.
        """
        self._own_loop  # noqa: B018 - raises if it is not this one that runs
        config = config_for(target, name=name)
        if config.name in self._groups:
            raise ConfigError(f"there is a group called {config.name!r}", server=config.name)
        self._fleet.enlist([config])
        self._added[config.name] = config
        self._config = structs.replace(self._config, servers=(*self._config.servers, config))

    async def remove_server(self, name: str) -> None:
        """Take a server out, and close it when its calls have ended, bounded in time.

        Raises:
            UnknownName: there is none of that name.
            ConfigError: a group needs it.
        """
        await self._done(self._remove(name))

    async def _remove(self, name: str) -> None:
        async with self._turning:
            self._handle(name)
            for group, members in self._groups.items():
                if name in members.servers:
                    raise ConfigError(f"the group {group!r} needs it", server=name, hint="Change the group first.")
            left = tuple(config for config in self._config.servers if config.name != name)
            self._config = structs.replace(self._config, servers=left)
            self._added.pop(name, None)
            await self._fleet.dismiss(name)

    async def stop_server(self, name: str) -> None:
        """Close a server and leave it so until `start_server`; calls to it fail at once.

        Raises:
            UnknownName: there is none of that name.
        """
        await self._done(self._stop(name, start=False))

    async def start_server(self, name: str) -> None:
        """Start a server that was stopped, or try one that failed or waits at once.

        Raises:
            UnknownName: there is none of that name.
            UsageError: the configuration switches it off.
        """
        self._own_loop  # noqa: B018 - raises if it is not this one that runs
        handle = self._switched_on(name)
        handle.start()
        handle.wake()

    async def restart_server(self, name: str) -> None:
        """Close a server and start it anew.

        Raises:
            UnknownName: there is none of that name.
            UsageError: the configuration switches it off.
        """
        self._switched_on(name)
        await self._done(self._stop(name, start=True))

    async def _stop(self, name: str, *, start: bool) -> None:
        handle = self._handle(name)
        if not start:
            await handle.stop()
            return
        await handle.stop("it is being restarted")
        if self._fleet.handles.get(name) is handle:  # it may have been taken out meanwhile
            handle.start()
            handle.wake()

    async def reload(self, config: HubConfig | None = None) -> Turnover:
        """Read the configuration again, and change only what is another now; calls to other servers go on undisturbed.

        Without ``config``, the hub's file is read again, and servers that were added in code stay. With it, the hub
        becomes exactly what it says. It returns when servers that were taken out or changed have been closed.

        Raises:
            ConfigError: it is wrong; everything stays as it was.
            UsageError: the hub was not opened from a file.
        """
        return await self._done(self._reload(config))

    async def _reload(self, config: HubConfig | None) -> Turnover:
        async with self._turning:
            fleet = self._fleet
            if config is None:
                if self._source is None:
                    raise UsageError("this hub was not opened from a file", hint="Give reload() the new configuration.")
                config = _with_others(await asyncio.to_thread(self._source), self._added)
            self._added = {each.name: each for each in config.servers if each.name in self._added}
            # All of this before anything is waited for: calls meet one configuration or the other, and no mixture.
            former, self._config = self._config, config
            self._groups, self._checks_arguments = config.groups, config.check_arguments
            self._catalogue.set_groups({name: group.servers for name, group in config.groups.items()})
            if config.keep_catalogue != former.keep_catalogue:
                fleet.keep_in(self._kept(config))
            turnover = await fleet.turn_to(config)
        if self._bus.active:
            told = (turnover.added, turnover.removed, turnover.changed)
            self._bus.publish(ConfigReloaded(at=self._now(), added=told[0], removed=told[1], changed=told[2]))
        return turnover

    async def _done(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what changes the servers, to its end even if whoever wants it gives up."""
        try:
            task = self._own_loop.create_task(work, name="dragoman changes its servers")
        except UsageError:
            work.close()
            raise
        self._turns.add(task)
        task.add_done_callback(self._turned)
        return await asyncio.shield(task)

    def _turned(self, task: Task[Any]) -> None:
        self._turns.discard(task)
        if not task.cancelled():
            task.exception()  # so that nothing is logged if whoever wanted it gave up

    # What the calls need.

    @property
    def _fleet(self) -> Fleet:
        if self._fleet_made is None or self._closed:
            raise self._unusable()
        return self._fleet_made

    @property
    def _calls(self) -> Calls:
        if self._calls_made is None or asyncio._get_running_loop() is not self._loop:  # noqa: SLF001 - public one is slow
            raise self._unusable()
        return self._calls_made

    @property
    def _own_loop(self) -> AbstractEventLoop:
        """The loop that it was started in, which must be the one that runs."""
        if self._loop is None or asyncio.get_running_loop() is not self._loop:
            raise self._unusable()
        return self._loop

    def __repr__(self) -> str:
        if self._closed:
            told = "closed"
        elif self._fleet_made is None:
            told = "not started"
        else:
            states = Counter(handle.state for handle in list(self._fleet_made.handles.values()))
            told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in states.items())
        servers = len(self._config.servers)
        return f"<Hub of {servers} server{'' if servers == 1 else 's'}{told and f': {told}'}>"

    def _unusable(self) -> UsageError:
        if self._closed:
            return UsageError("the hub is closed", hint="Make a new one; a hub is used once.")
        if self._loop is not None:
            what = "the hub was started in another event loop"
            return UsageError(what, hint="Use it where it was started, or take dragoman.sync.Hub.")
        return UsageError("the hub is not started", hint="Enter it: async with hub: …")

    def _handle(self, name: str) -> Handle:
        handle = self._fleet.handles.get(name)
        if handle is None:
            known = list(self._fleet.handles)
            near = nearest(name, known)
            names = ", ".join([*known[:_NAMED], *(["…"] if len(known) > _NAMED else [])])
            hint = f"The servers are {names}." if known else "Add it by add_server()."
            hint = f"Did you mean {' or '.join(near)}?" if near else hint
            raise UnknownName(f"there is no server {name!r}", name=name, nearest=near, hint=hint)
        return handle

    def _switched_on(self, name: str) -> Handle:
        """Give a handle that can be started."""
        handle = self._handle(name)
        if handle.config.disabled:
            read = self._source is not None and name not in self._added
            where = f" in {self._config.sources[0]}" if read and self._config.sources else ""
            hint = "Take the setting away, then reload the hub."
            raise UsageError(
                f"the server {name!r} is switched off by its setting disabled{where}", server=name, hint=hint
            )
        return handle

    def _kept(self, config: HubConfig) -> KeptCatalogues | None:
        return KeptCatalogues(self._cache_folder) if config.keep_catalogue else None

    def _unlisted(self) -> bool:
        """Whether some server was never listed and may be yet."""
        return any(self._is_worth_waiting(handle) for handle in self._fleet.handles.values())

    def _is_worth_waiting(self, handle: Handle) -> bool:
        return not (self._has_settled(handle) or self._fleet.is_missed(handle.name))

    def _has_settled(self, handle: Handle) -> bool:
        """Whether it was ever listed, or is not worth waiting for: it fails."""
        if self._catalogue.known(handle.name, "prompts"):  # the last that is listed
            return True
        return handle.state not in ("configured", "connecting", "ready") or (handle.failures > 0 and not handle.server)

    def _is_up_or_failed(self, handle: Handle) -> bool:
        if handle.state == "ready":
            return self._catalogue.known(handle.name, "prompts")
        return handle.state not in ("configured", "connecting")

    async def _await_listed(self, wait: float, server: str | None = None) -> None:
        """Wait at most so long (seconds) for servers that were never listed, or for one."""
        loop, fleet = self._own_loop, self._fleet
        wanted = [self._handle(server)] if server is not None else list(fleet.handles.values())
        missing = {
            each.name for each in wanted if self._is_worth_waiting(each) or (server and not self._has_settled(each))
        }
        if not missing:
            return
        for handle in wanted:
            if handle.name in missing:
                handle.want()
        if not await fleet.settle(lambda each: each.name not in missing or self._has_settled(each), loop.time() + wait):
            for handle in wanted:
                if handle.name in missing and not self._has_settled(handle):
                    fleet.miss(handle.name)

    async def _await_listings(self, what: Listing, wait: float, server: str | None) -> None:
        """Wait for servers that were never listed, list anew what is past its lifetime: all in ``wait`` seconds."""
        deadline = self._own_loop.time() + wait
        await self._await_listed(wait, server)
        wanted = [self._handle(server)] if server is not None else list(self._fleet.handles.values())
        expired = [each for each in wanted if each.state == "ready" and self._catalogue.stale(each.name, what)]
        if expired and wait > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await asyncio.gather(*(each.refresh(what) for each in expired), return_exceptions=True)

    def _connecting(self, config: ServerConfig, verdict: Verdict | None) -> Connecting:
        return connect(config, on_log=partial(self._logged, config.name), remembered=verdict, **self._handlers)

    def _logged(self, server: str, message: LogMessage) -> None:
        if self._bus.active:
            logger = None if message.logger is None else words(message.logger)
            level, data = words(message.level), log_data(message)
            self._bus.publish(LogReceived(at=self._now(), server=server, level=level, logger=logger, data=data))

    @staticmethod
    def _now() -> float:
        return time.time()


def _config_of(servers: Servers) -> HubConfig:
    if isinstance(servers, HubConfig):
        return servers
    if isinstance(servers, str | ServerConfig):
        hint = "Give a list: Hub([…]). The servers of a file are opened by Hub.open(…)."
        raise ConfigError("one server is no list of servers", hint=hint)
    if isinstance(servers, Mapping):
        named = cast("Mapping[str, Target]", servers)
        for name, target in named.items():
            if isinstance(target, Mapping):
                hint = "Settings as in a file go to Hub.from_dict(…)."
                raise ConfigError("a mapping is no server", key=str(name), hint=hint)
        return HubConfig(servers=tuple(config_for(target, name=name) for name, target in named.items()))
    try:
        targets = list(servers)
    except TypeError:
        raise ConfigError(f"a value of type {type(servers).__name__} is no list of servers") from None
    configs = [config_for(target) for target in targets]
    names = [config.name for config in configs]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"two servers are called {double!r}", hint='Name them: Hub({"name": "command", …}).')
    return HubConfig(servers=tuple(configs))


def _with_others(config: HubConfig, others: Mapping[str, ServerConfig]) -> HubConfig:
    """Give the configuration with the servers that were added in code, but for names that it has itself."""
    taken = {each.name for each in config.servers} | set(config.groups)
    kept = tuple(each for name, each in others.items() if name not in taken)
    return structs.replace(config, servers=(*config.servers, *kept)) if kept else config
