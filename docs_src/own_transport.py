"""A transport of one's own: one message a line over a Unix domain socket."""

from __future__ import annotations

import asyncio

from dragoman import ServerConfig, connect
from dragoman.errors import CannotConnect, ConnectionClosed, ConnectionLost, MessageTooLarge
from dragoman.protocol.lines import LineSplitter, OversizeLine
from dragoman.transports.base import Inbox, Outgoing


class UnixTransport:
    """A channel: everything travels over one stream."""

    kind = "unix"
    exchanges = False

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._reading: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lost: ConnectionLost | None = None

    async def open(self, inbox: Inbox) -> None:
        """Connect, and begin to read."""
        path = self._config.extra["path"]
        try:
            reader, self._writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            raise CannotConnect(f"nobody answers at {path} ({error.strerror})", server=self._config.name) from error
        self._reading = asyncio.create_task(self._read(reader, inbox))

    def send(self, message: Outgoing) -> None:
        """Send one message. None: it is on its way."""
        if self._lost is not None or self._writer is None:
            raise ConnectionLost("the socket is closed", server=self._config.name)
        self._writer.write(message.data.replace(b"\n", b" ") + b"\n")

    def negotiated(self, version: str) -> None:
        """Learn the protocol version, which makes no difference here."""

    def last_words(self) -> str:
        """Give nothing: there is no stderr."""
        return ""

    async def aclose(self) -> None:
        """Close, and wait until nothing is left."""
        self._lost = self._lost or ConnectionClosed("the connection was closed", server=self._config.name)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        if self._writer is not None:
            self._writer.close()

    async def _read(self, reader: asyncio.StreamReader, inbox: Inbox) -> None:
        limit = self._config.max_message_bytes
        splitter = LineSplitter(limit)
        while data := await reader.read(64 * 1024):
            for line in splitter.feed(data):
                if isinstance(line, OversizeLine):
                    inbox.message_rejected(MessageTooLarge("a message is too large", limit=limit))
                else:
                    inbox.message_received(line)
        self._lost = ConnectionLost("the server closed the socket", server=self._config.name, hint="Connect again.")
        inbox.connection_lost(self._lost)


async def main(unix_path: str = "clock.sock") -> None:
    """Use it without any registration: `connect` takes a transport as its target."""
    config = ServerConfig(name="clock", transport="unix", extra={"path": unix_path})
    async with connect(UnixTransport(config), name="clock") as clock:
        print(clock, "has", len(await clock.list_tools()), "tools")


if __name__ == "__main__":
    asyncio.run(main())
