"""Follows the files of a configuration: says when one of them has changed. It reads none and knows no hub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

from dragoman.errors import DragomanError

__all__ = ["Stamps", "follow", "stamps_of"]

log: Final = logging.getLogger("dragoman")

#: How often the files are looked at (seconds).
_LOOK: Final = 1.0
#: A file that has just changed is looked at again after so long (seconds), until it stays as it is.
_SETTLE: Final = 0.1

#: What tells whether files have changed, by their paths; None: it is not there.
Stamps: TypeAlias = dict[str, tuple[int, int, int] | None]


async def follow(seen: Stamps, files: Callable[[], Iterable[str]], changed: Callable[[], Awaitable[object]]) -> None:
    """Await ``changed()`` whenever one of the files is not as it was ``seen``, for ever.

    What that raises is logged, once for each change.
    """
    while True:
        await asyncio.sleep(_LOOK)
        now = await _looked(files())
        if now == seen:
            continue
        while now != seen:
            seen = now
            await asyncio.sleep(_SETTLE)
            now = await _looked(files())
        try:
            turnover = await changed()
        except DragomanError as error:
            log.error("the changed configuration is not taken: %s", error)  # noqa: TRY400 - the text says it all
        except Exception:
            log.exception("the changed configuration is not taken")
        else:
            log.info("the configuration was read again: %s", turnover)
        # Other files may count now; one that changed again meanwhile is seen with the next look.
        seen = {**await _looked(files()), **seen}
        seen = {file: stamp for file, stamp in seen.items() if file in set(files())}


async def _looked(files: Iterable[str]) -> Stamps:
    return await asyncio.to_thread(stamps_of, list(files))


def stamps_of(files: Iterable[str]) -> Stamps:
    """Look at files, and give what tells whether they have changed."""
    stamps: Stamps = {}
    for file in files:
        try:
            stat = Path(file).stat()
            stamps[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            stamps[file] = None
    return stamps
