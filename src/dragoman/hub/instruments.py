"""The instruments of a hub: they see each call begin and end in the caller's own context, and cost nobody a call.

They hear of servers, too, whether or not anybody listens on the bus.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from dragoman.events import CallFailed, CallFinished, CallStarted, Event, Instrument

__all__ = ["Instruments"]

log: Final = logging.getLogger("dragoman")


class Instruments:
    """All instruments. One that raises is logged, once for each kind of error, and otherwise ignored."""

    def __init__(self) -> None:
        self._instruments: list[Instrument] = []
        self._complained: set[tuple[int, type[Exception]]] = set()

    def __bool__(self) -> bool:
        return bool(self._instruments)

    def add(self, instrument: Instrument) -> None:
        """Take another instrument."""
        self._instruments.append(instrument)

    def begin(self, event: CallStarted) -> Mapping[str, str] | None:
        """Tell all that a call begins; give what they want to be sent along with it."""
        context: dict[str, str] = {}
        for instrument in self._instruments:
            try:
                context.update(instrument.begin(event) or {})
            except Exception as error:  # noqa: BLE001 - it is foreign code, and must not cost the call
                self._complain(instrument, error)
        return context or None

    def note(self, event: Event) -> None:
        """Tell all what happens within a call, or to a server."""
        for instrument in self._instruments:
            try:
                instrument.note(event)
            except Exception as error:  # noqa: BLE001 - as in `begin`
                self._complain(instrument, error)

    def end(self, event: CallFinished | CallFailed) -> None:
        """Tell all how a call ended."""
        for instrument in self._instruments:
            try:
                instrument.end(event)
            except Exception as error:  # noqa: BLE001 - as in `begin`
                self._complain(instrument, error)

    def _complain(self, instrument: Instrument, error: Exception) -> None:
        kind = (id(instrument), type(error))
        if kind not in self._complained:
            self._complained.add(kind)
            log.warning("the instrument %s failed; calls go on", type(instrument).__name__, exc_info=error)
