"""The desk: has all sections written side by side, again whenever the followed note changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from dragoman import DragomanError, Hub

from .sections import SECTIONS, Section, Writer
from .settings import Settings

PATIENCE = 5.0
"""Seconds that servers may take to come up; whoever takes longer is not in the briefing."""


@dataclass(frozen=True)
class Briefing:
    """All sections in their order, and what there is to say of each server, by name."""

    sections: tuple[Section, ...]
    servers: dict[str, str]


class Desk:
    """Writes briefings with the servers of one hub."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings

    async def write(self) -> Briefing:
        """Write one briefing; a section that fails says so and costs no other one."""
        statuses = await self._hub.wait_ready(timeout=PATIENCE)
        sections = await asyncio.gather(*(self._attempt(name, writer) for name, writer in SECTIONS.items()))
        servers = {
            name: f"{status.state}, {status.tools} tools" if status.connected_at else f"{status.state}: {status.reason}"
            for name, status in statuses.items()
        }
        return Briefing(tuple(sections), servers)

    async def rewrite(self) -> AsyncGenerator[Briefing, None]:
        """Write a briefing now, and a new one whenever the followed note changes.

        Raises:
            DragomanError: nobody can tell of its changes.
        """
        async with self._hub.subscribe(self._settings.follow, server=self._settings.follow_server or None) as changes:
            yield await self.write()
            async for _ in changes:  # a lost connection counts too: something may have been missed
                yield await self.write()

    async def _attempt(self, name: str, writer: Writer) -> Section:
        try:
            return await writer(self._hub, self._settings)
        except DragomanError as error:
            return Section(name.capitalize(), problem=str(error))
