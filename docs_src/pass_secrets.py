"""Hands secrets to servers without writing them down, and shows that they don't show."""

from __future__ import annotations

import asyncio
import os
import sys

from dragoman import ServerConfig, connect


def over_http(token: str) -> ServerConfig:
    """A token in a header."""
    return ServerConfig(
        name="notes",
        url="https://me:secret@notes.example.com/mcp?key=secret",
        headers={"Authorization": f"Bearer {token}"},
    )


def as_a_program(token: str) -> ServerConfig:
    """A token in the environment of a program that sees little else of this one's."""
    return ServerConfig(
        name="clock",
        command=sys.executable,
        args=("-m", "dragoman.samples.clock"),
        env={"CLOCK_TOKEN": token},
        inherit_env=False,
    )


async def main() -> None:
    """Take the token from the environment, where a password manager or the shell put it."""
    token = os.environ.get("CLOCK_TOKEN", "none")
    print(over_http(token))
    async with connect(as_a_program(token)) as clock:
        print(clock.info.title, "got its token")


if __name__ == "__main__":
    asyncio.run(main())
