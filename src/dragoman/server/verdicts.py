"""Remembers, within this process, how each server wanted to be spoken to, so that it is not asked twice.

Keyed by how the server is reached and what is pinned, never by its name; what has neither command nor URL (a transport
object) is not remembered. Whoever keeps verdicts on disk passes them to ``connect``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from dragoman.config.model import ServerConfig
from dragoman.protocol.lifecycle import Verdict

__all__ = ["forget", "recall", "remember"]

_MOST: Final = 1024

_verdicts: OrderedDict[tuple[object, ...], Verdict] = OrderedDict()


def recall(config: ServerConfig) -> Verdict | None:
    """Give what was agreed with this server before."""
    return _verdicts.get(_key(config))


def remember(config: ServerConfig, verdict: Verdict) -> None:
    """Keep what was agreed; the oldest goes when there are too many."""
    if config.command is None and config.url is None:
        return
    key = _key(config)
    _verdicts[key] = verdict
    _verdicts.move_to_end(key)
    if len(_verdicts) > _MOST:
        _verdicts.popitem(last=False)


def forget(config: ServerConfig) -> None:
    """Drop what was agreed: it did not hold."""
    _verdicts.pop(_key(config), None)


def _key(config: ServerConfig) -> tuple[object, ...]:
    # With the pins: what one of them enforced says nothing about how the server is spoken to without it.
    reached = (config.transport, config.command, config.args, config.cwd, config.url)
    return (*reached, config.era, config.protocol_version)
