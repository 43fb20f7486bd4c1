"""Faults at random against the servers of a hub, and callers who mind: what `tests.hub.test_chaos` is made of.

`Servers` has the programs and does to them what a fault says, from outside; `Storm` draws faults and calls by one seed
and counts what becomes of each. What is drawn repeats with the seed, when it happens does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import json as msgjson
from msgspec import structs

from dragoman import Hub, ServerConfig
from dragoman.config.supervision import Restart, Retry
from dragoman.errors import DragomanError
from dragoman.hub.outcomes import ToolCall

SERVER: Final = Path(__file__).with_name("server.py")
KINDS: Final = (("stdio", "stateless"), ("stdio", "handshake"), ("http", "stateless"), ("http", "handshake"))

Fault: TypeAlias = Literal["kill", "freeze", "reset", "reload", "remove", "stop"]
FAULTS: Final[tuple[Fault, ...]] = ("kill", "freeze", "reset", "reload", "remove", "stop")


class Servers:
    """So many servers by name, of all kinds in turn; those over HTTP are programs that this starts."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.configs: dict[str, ServerConfig] = {}
        self.http: dict[str, tuple[str, ...]] = {}
        self.running: dict[str, asyncio.subprocess.Process] = {}
        for number in range(count):
            transport, era = KINDS[number % len(KINDS)]
            name = f"{transport}{number}"
            words = ("-I", "-S", str(SERVER), name, era, str(folder))
            port = quiet_port() if transport == "http" else 0
            if port:
                self.http[name] = (*words, str(port))
            self.configs[name] = ServerConfig(
                name=name,
                command=None if port else sys.executable,
                args=() if port else words,
                url=f"http://127.0.0.1:{port}/mcp" if port else None,
                timeout=2.0,
                connect_timeout=3.0,
                probe_timeout=1.0,
                shutdown_timeout=0.3,
                health_interval=0.5 if number % 5 == 0 else None,
                idle_timeout=0.3 if number % 5 == 1 else None,
                start="on_use" if number % 5 == 2 else "eager",
                concurrency=8 if number % 5 == 3 else None,
                restart=Restart(first_delay=0.05, longest_delay=0.5, breaker=(2, 50)[number % 3 > 0]),
                retry=Retry(tools=("*",), first_delay=0.02, longest_delay=0.5) if number % 2 else Retry(attempts=1),
            )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Have those over HTTP run for as long as the context lasts."""
        try:
            await asyncio.gather(*map(self.revive, self.http))
            yield
        finally:
            await asyncio.gather(*map(self.end, list(self.running)))

    async def revive(self, name: str) -> None:
        """Start a server over HTTP and wait until it listens."""
        process = await asyncio.create_subprocess_exec(sys.executable, *self.http[name])
        self.running[name] = process
        async with asyncio.timeout(20):
            while self.pid(name) != process.pid:
                assert process.returncode is None, f"{name} ended with status {process.returncode}"
                await asyncio.sleep(0.005)

    async def end(self, name: str) -> None:
        """Kill a server over HTTP."""
        process = self.running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    def pid(self, name: str) -> int:
        """Give the process that serves under this name, or did last; 0 if none ever did."""
        with contextlib.suppress(OSError):
            return int((self.folder / name).read_text())
        return 0

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Send a signal, if the process is one of these servers still; tell whether it is."""
        pid = self.pid(name)
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if str(self.folder).encode() in words and name.encode() in words:
                os.kill(pid, number)
                return True
        return False


def quiet_port() -> int:
    """Give a port on which nobody listens, and which the system gives to nobody while its server is away."""
    while True:
        port = random.randrange(20_000, 32_000)  # below those that outgoing connections get
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return port


@dataclass
class Tally:
    """What became of all: counts by outcome, and what must not be."""

    calls: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    refusals: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    latest: float = 0.0
    """By how many seconds the latest call missed its time-out."""


class Storm:
    """Faults and callers upon a hub. ``seed`` settles what is drawn."""

    def __init__(self, hub: Hub, servers: Servers, seed: int) -> None:
        self.hub = hub
        self.servers = servers
        self.names = list(servers.configs)
        self.tally = Tally()
        self._seed = seed
        self._chance = random.Random(seed)
        self._over = False
        self._down: set[str] = set()
        self._generation = 0

    async def rage(self, faults: int, *, callers: int, pause: float, at: Callable[[int], object] | None = None) -> None:
        """Do so many faults, ``pause`` seconds apart on average, while so many callers call; ``at`` is told of each."""
        async with asyncio.TaskGroup() as crowd:
            for number in range(callers):
                crowd.create_task(self._call_on(number), name=f"caller {number}")
            async with asyncio.TaskGroup() as under_way:
                for number in range(faults):
                    fault, name = (
                        self._chance.choice(FAULTS),
                        self._chance.choice(list(self.hub.status()) or self.names),
                    )
                    under_way.create_task(self._do(fault, name, self._chance.random()), name=f"{fault} {name}")
                    await asyncio.sleep(self._chance.uniform(0, 2 * pause))
                    if at is not None:
                        at(number)
            self._over = True

    async def calm(self) -> None:
        """Put everything right, and wait until every server answers.

        Raises:
            TimeoutError: one does not.
        """
        for name in self.names:
            self.servers.signal(name, signal.SIGCONT)
            await self._settle(name)
        async with asyncio.timeout(30):
            for name in self.names:
                while True:
                    with contextlib.suppress(DragomanError):
                        if (await self.hub.call_tool(f"{name}.echo", {"message": "calm"})).text == f"{name} calm":
                            break
                    await asyncio.sleep(0.05)

    async def _settle(self, name: str) -> None:
        if name not in self.hub.status():
            await self.hub.add_server(self.servers.configs[name])
        await self.hub.start_server(name)

    # Faults.

    async def _do(self, fault: Fault, name: str, chance: float) -> None:
        self.tally.faults[fault] += 1
        try:
            match fault:
                case "kill":
                    await self._kill(name, chance)
                case "freeze":
                    await self._freeze(name, chance)
                case "reset":
                    await self._reset(name, chance)
                case "reload":
                    await self._reload(name)
                case "remove":
                    await self._remove(name, chance)
                case "stop":
                    await self._stop(name, chance)
        except DragomanError as error:  # two faults at once on one server may be in each other's way
            self.tally.refusals[f"{fault}: {type(error).__name__}"] += 1

    async def _kill(self, name: str, chance: float) -> None:
        if name not in self.servers.http:
            self.servers.signal(name, signal.SIGKILL)
        elif name not in self._down:
            self._down.add(name)
            await self.servers.end(name)
            await asyncio.sleep(chance / 2)
            await self.servers.revive(name)
            self._down.discard(name)

    async def _freeze(self, name: str, chance: float) -> None:
        if self.servers.signal(name, signal.SIGSTOP):
            await asyncio.sleep(chance * 3)
            self.servers.signal(name, signal.SIGCONT)

    async def _reset(self, name: str, chance: float) -> None:
        others = list(self.servers.http)
        self.servers.signal(name if name in others else others[int(chance * len(others))], signal.SIGUSR1)

    async def _reload(self, name: str) -> None:
        """Give one server other settings; those that are out come back with this."""
        self._generation += 1
        wanted = self.servers.configs
        env = {"GENERATION": str(self._generation)}
        wanted[name] = structs.replace(wanted[name], env=env, timeout=2.0 + self._generation % 2)
        await self.hub.reload(structs.replace(self.hub.config, servers=tuple(wanted.values())))

    async def _remove(self, name: str, chance: float) -> None:
        await self.hub.remove_server(name)
        await asyncio.sleep(chance / 2)
        self.tally.faults["re-add"] += 1
        await self.hub.add_server(self.servers.configs[name])

    async def _stop(self, name: str, chance: float) -> None:
        await self.hub.stop_server(name)
        await asyncio.sleep(chance / 2)
        await self.hub.start_server(name)

    # Callers.

    async def _call_on(self, caller: int) -> None:
        chance = random.Random(f"{self._seed} {caller}")
        number = 0
        while not self._over:
            number += 1
            await self._call_once(chance, f"{caller}-{number}")
            await asyncio.sleep(chance.uniform(0, 0.2))

    async def _call_once(self, chance: random.Random, message: str) -> None:
        name, timeout = chance.choice(self.names), chance.choice((0.1, 0.5, 2.0))
        arguments: dict[str, object] = {"message": message, "delay": chance.choice((0, 0, 0.005, 0.05))}
        way = chance.choice((self._plain, self._face, self._raw, self._many, self._listed))
        gives_up = chance.random() < 0.05
        patience = chance.uniform(0, 0.02) if gives_up else timeout
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(patience if gives_up else None):
                text = await way(name, arguments, timeout)
        except DragomanError as error:
            self.tally.calls[type(error).__name__] += 1
        except TimeoutError:
            self.tally.calls["given up"] += 1
        else:
            self.tally.calls["answered"] += 1
            if text != f"{name} {message}":
                self.tally.wrong.append(f"{name} {message}: {text}")
        self.tally.latest = max(self.tally.latest, loop.time() - began - patience)

    async def _plain(self, name: str, arguments: dict[str, object], timeout: float) -> str:
        return (await self.hub.call_tool(f"{name}.echo", arguments, timeout=timeout)).text

    async def _face(self, name: str, arguments: dict[str, object], timeout: float) -> str:
        return (await self.hub.server(name).call_tool("echo", arguments, timeout=timeout)).text

    async def _raw(self, name: str, arguments: dict[str, object], timeout: float) -> str:
        told = await self.hub.call_raw(f"{name}.echo", msgjson.encode(arguments), timeout=timeout)
        return msgjson.decode(told)["content"][0]["text"]

    async def _many(self, name: str, arguments: dict[str, object], timeout: float) -> str:
        """Call it as one of a batch; what becomes of the others is theirs."""
        batch = [ToolCall(f"{each}.echo", arguments, timeout) for each in (self.names[0], name, self.names[-1])]
        outcomes = await self.hub.call_many(batch)
        told = [outcome.result.text for outcome in outcomes if outcome.result is not None]
        if wrong := [text for text in told if not text.endswith(f" {arguments['message']}")]:
            self.tally.wrong.append(f"{arguments['message']}: {wrong}")
        return outcomes[1].unwrap().text

    async def _listed(self, name: str, arguments: dict[str, object], timeout: float) -> str:
        """Call none, but ask for all tools; they may be as old as they like, but not late."""
        tools = await self.hub.tools(wait=timeout)
        odd = [tool.full_name for tool in tools if tool.full_name != f"{tool.server}.echo"]
        return f"{name} {arguments['message']}" if not odd else str(odd)
