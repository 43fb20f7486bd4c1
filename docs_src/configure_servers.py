"""Reads servers from a configuration file, shows what a wrong one is told, and finds the files of other hosts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from dragoman import DragomanError
from dragoman.config import discover, load, parse

GOOD = """\
defaults:
  timeout: 20
servers:
  clock:
    command: python
    args: [-m, dragoman.samples.clock]
    env:
      CLOCK_TOKEN: ${CLOCK_TOKEN:-none}
  notes:
    url: https://notes.example.com/mcp
    headers:
      Authorization: Bearer ${input:notes-token}
    auto_approve: [search]
  old:
    command: old-server
    disabled: true
groups:
  any:
    servers: [clock, notes]
"""

BAD = """\
{
  "mcpServers": {
    "clock": {"comand": "python", "timeout": "20"},
    "notes": {"url": "notes.example.com"}
  }
}
"""


def read(path: Path) -> None:
    """Read a file, as a hub does, and look at what it says."""
    config = load(path, inputs={"notes-token": "secret"})
    for server in config.servers:
        print(server)


def read_wrong() -> None:
    """Every problem of the text is told at once."""
    try:
        parse(BAD, "mcp.json")
    except DragomanError as error:
        print(error)


def find() -> list[str]:
    """Give the servers that other programs on this machine know."""
    found = [each for each in discover() if each.exists]
    return [f"{each.host}: {server.name}" for each in found for server in each.load().servers]


async def main() -> None:
    """Write the file somewhere, and read it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "dragoman.yaml"
        path.write_text(GOOD)
        read(path)
    read_wrong()


if __name__ == "__main__":
    import asyncio

    asyncio.run(main())
