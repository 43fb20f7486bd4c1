"""Runs any asyncio client library through the same loops, so that only the libraries differ.

A library's own module says how to open a conversation; everything else is here. An owner task opens and closes each
one, because some libraries insist on that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from time import perf_counter
from typing import Any, Protocol

from bench.clients.peer import Session, Target

MESSAGE = "hello"


class Conversation(Protocol):
    """One open connection of one library."""

    async def echo(self, message: str) -> str:
        """Call ``echo`` and give the text of its answer."""
        ...

    async def blob(self, size: int) -> str:
        """Call ``blob`` and give the text of its answer."""
        ...

    async def tools(self, *, schemas: bool) -> list[str]:
        """Give the names of all tools; with ``schemas``, have looked at each input schema as a mapping."""
        ...


class AsyncSession:
    """A `Session` over one conversation."""

    def __init__(self, runner: asyncio.Runner, conversation: Conversation) -> None:
        self._run: Callable[[Coroutine[Any, Any, int]], int] = runner.run
        self._conversation = conversation

    def call(self, at_once: int, seconds: float) -> int:
        return self._run(self._call(at_once, seconds))

    def blob(self, size: int) -> int:
        async def blob() -> int:
            return len(await self._conversation.blob(size))

        return self._run(blob())

    def list_tools(self, *, schemas: bool) -> int:
        async def list_tools() -> int:
            return len(await self._conversation.tools(schemas=schemas))

        return self._run(list_tools())

    async def _call(self, at_once: int, seconds: float) -> int:
        deadline = perf_counter() + seconds
        if at_once == 1:
            return await self._call_until(deadline)
        return sum(await asyncio.gather(*(self._call_until(deadline) for _ in range(at_once))))

    async def _call_until(self, deadline: float) -> int:
        echo, done = self._conversation.echo, 0
        while perf_counter() < deadline:
            if await echo(MESSAGE) != MESSAGE:
                raise ValueError("the echo is not what was said")
            done += 1
        return done


class AsyncPeer:
    """A `Peer` over a library's way to open a conversation."""

    def __init__(self, opened: Callable[[Target], AbstractAsyncContextManager[Conversation]]) -> None:
        self._opened = opened
        self._runner = asyncio.Runner()
        self._owners: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()

    def connect(self, target: Target, count: int = 1) -> list[Session]:
        conversations = self._runner.run(self._connect(target, count))
        return [AsyncSession(self._runner, conversation) for conversation in conversations]

    def disconnect(self) -> None:
        self._runner.run(self._disconnect())

    async def _connect(self, target: Target, count: int) -> list[Conversation]:
        loop = asyncio.get_running_loop()
        ready: list[asyncio.Future[Conversation]] = [loop.create_future() for _ in range(count)]
        self._owners += [asyncio.create_task(self._own(target, future)) for future in ready]
        return await asyncio.gather(*ready)

    async def _own(self, target: Target, ready: asyncio.Future[Conversation]) -> None:
        try:
            async with self._opened(target) as conversation:
                ready.set_result(conversation)
                await self._closing.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _disconnect(self) -> None:
        self._closing.set()
        await asyncio.gather(*self._owners)
        self._owners.clear()
        self._closing.clear()
