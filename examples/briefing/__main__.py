"""The command: `python -m examples.briefing [--to FILE] [--follow N] [--config FILE] [--quiet]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
from pathlib import Path

from dragoman import DragomanError, Hub
from dragoman.errors import ConfigError

from .desk import Desk
from .narrator import Figures, Narrator
from .report import write
from .settings import Settings

CONFIG = Path(__file__).with_name("briefing.yaml")


def options(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="briefing", description="Write a morning briefing from several servers.")
    parser.add_argument("--config", type=Path, default=CONFIG, help="the servers and the settings")
    parser.add_argument("--to", type=Path, default=Path("briefing.md"), help="the file to write")
    parser.add_argument("--follow", type=int, default=0, metavar="N", help="write N briefings, each upon a change")
    parser.add_argument("--quiet", action="store_true", help="do not tell what happens meanwhile")
    return parser.parse_args(words)


async def run(given: argparse.Namespace) -> None:
    """Open the hub, and write as many briefings as are wanted.

    Raises:
        ConfigError: the file is wrong.
        DragomanError: the note that is to be followed can't be had.
    """
    hub = Hub.open(given.config)
    settings = Settings.of(hub.config)
    figures = Figures()
    hub.instrument(figures)
    if not given.quiet:
        Narrator(hub)
    async with hub:
        desk = Desk(hub, settings)
        if not given.follow:
            print(write(await desk.write(), str(figures), given.to), end="")
            return
        async with contextlib.aclosing(desk.rewrite()) as briefings:
            written = 0
            async for briefing in briefings:
                write(briefing, str(figures), given.to)
                written += 1
                print(f"briefing {written} is in {given.to}", flush=True)
                if written == given.follow:
                    break


def main() -> int:
    """Run and give the exit status."""
    logging.getLogger("dragoman").setLevel(logging.ERROR)  # the narrator tells of servers already
    try:
        asyncio.run(run(options(sys.argv[1:])))
    except ConfigError as error:
        print(f"briefing: {error}", file=sys.stderr)
        return 2
    except DragomanError as error:
        print(f"briefing: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
