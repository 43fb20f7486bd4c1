"""Tells on stderr what happens while a briefing is written, and counts what it took."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from dragoman import Hub
from dragoman.events import (
    CallFailed,
    CallFinished,
    CallProgressed,
    CallRetried,
    CallStarted,
    Event,
    ServerChanged,
    ServerLost,
    ServerRecovered,
)

TOLD = (ServerChanged, ServerLost, ServerRecovered, CallProgressed, CallRetried, CallFailed)


class Narrator:
    """Hears of events as they come. What it says may come late; nothing waits for it."""

    def __init__(self, hub: Hub) -> None:
        hub.on(TOLD, self._tell)

    async def _tell(self, event: Event) -> None:
        words = in_words(event)
        if words:
            print(words, file=sys.stderr, flush=True)


def in_words(event: Event) -> str:
    """Give an event as a line for people; empty if it is no news to them."""
    match event:
        case ServerChanged(status=status) if status.failures > 1:
            return ""  # one more attempt that failed is no news
        case ServerChanged(server=server, status=status) if status.state in ("ready", "waiting", "failed"):
            return f"* {server} is {status.state}"
        case ServerLost(server=server, reason=reason):
            return f"! {server} is lost: {reason}"
        case ServerRecovered(server=server, away=away):
            return f"* {server} is back after {away:.1f} s"
        case CallProgressed(name=name, progress=progress, total=float() as total):
            return f"  {name} {'#' * int(progress)}{'.' * int(total - progress)} {event.message or ''}"
        case CallRetried(name=name, attempt=attempt, reason=reason):
            return f"  {name} is tried again (number {attempt}): {reason}"
        case CallFailed(name=name, reason=reason):
            return f"! {name} failed: {reason}"
        case _:
            return ""


class Figures:
    """Counts calls. An instrument, because a handler might hear of the last call only after the report is written."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.failed = 0
        self.slowest = ("", 0.0)

    def begin(self, event: CallStarted) -> Mapping[str, str] | None:
        """Count a call."""
        self.calls[event.server] = self.calls.get(event.server, 0) + 1

    def end(self, event: CallFinished | CallFailed) -> None:
        """Take note of how it went."""
        self.failed += isinstance(event, CallFailed) or event.is_error
        if event.seconds > self.slowest[1]:
            self.slowest = (f"{event.server} {event.name}", event.seconds)

    def note(self, event: Event) -> None:
        """Leave the rest to the narrator."""

    def __str__(self) -> str:
        calls = ", ".join(f"{count} of {server}" for server, count in sorted(self.calls.items()))
        return f"Calls: {calls}; {self.failed} failed. The slowest was {self.slowest[0]}."
