"""Talks to a server over the pipes of its process: one message a line, all of them in one stream each way.

Everything happens in the event loop's callbacks: what is read is cut and handed on at once, a lone message is written
at once, a burst once per turn of the loop. There is no task, no thread and no lock while it runs.
It knows no message's meaning. Neighbours: `process.py` (the process and its end), `backlog.py` (what waits).
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import structs

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    ConfigError,
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    MalformedMessage,
    MessageTooLarge,
    ServerExited,
)
from dragoman.protocol.jsonrpc import excerpt, guess_id
from dragoman.protocol.lines import LineSplitter, OversizeLine
from dragoman.transports.backlog import CHUNK, Backlog
from dragoman.transports.base import Inbox, Outgoing
from dragoman.transports.launch import command_for
from dragoman.transports.orphans import orphan_watch
from dragoman.transports.process import ServerProcess, clear_away, exit_words

__all__ = ["StdioTransport"]

_log: Final = logging.getLogger("dragoman.stdio")

#: Bytes read at once. Buffers over 128 KiB are mapped and unmapped by the allocator each time: 20 times the cost.
_READ_SIZE: Final = 64 * 1024

#: What a pipe is widened to once a server sends much: a 10 MB result then takes half the time. Not from the start,
#: because the system bounds the sum of a user's pipes.
_WIDE_PIPE: Final = 256 * 1024

#: How much stderr is kept, in bytes.
_STDERR_KEPT: Final = 64 * 1024

#: How long a server that hung up is given to end, so that its exit status can be told.
_EXIT_GRACE: Final = 0.25

#: After the exit, at most this many reads of what is left: a grandchild may hold the pipe and go on writing.
_LAST_READS: Final = 64

#: Messages handed on in one turn of the loop. The rest has to wait, and nothing is read meanwhile: one read may bring
#: 32,000 lines, and whoever talks to other servers waits with them.
_MOST_AT_ONCE: Final = 500


class StdioTransport:
    """One server, started as a process of its own. POSIX only.

    The server, its group and what still hangs on its tree end with `aclose`, when this process ends in any way, and
    when the transport becomes garbage. When the server ends by itself, or closes its stdin or stdout, the inbox learns
    it once, with the exit status and the last words, and what is left of its group is ended.
    """

    kind: str = "stdio"
    exchanges: bool = False

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._process: ServerProcess | None = None
        self._splitter = LineSplitter(config.max_message_bytes)
        self._waiting: deque[bytes | OversizeLine] = deque()
        self._ends = False  # as soon as nothing waits any more
        self._backlog = Backlog()
        self._words = bytearray()
        self._established = False
        self._wide = False
        # A message may be written in place: nothing waits, and something was read since the last such write. Without
        # the second condition, a burst would cost one system call for each message.
        self._direct = False
        self._writable = False
        self._flushing = False
        self._watches_stdin = False
        self._over: ConnectionLost | ServerExited | None = None
        self._hung_up = ""
        self._grace: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def open(self, inbox: Inbox) -> None:
        """Start the server. That it then exits at once is told to the inbox.

        Raises:
            ConfigError: the command can't be started, or this system is not POSIX.
            CannotConnect: the system has no room for another process.
        """
        if os.name != "posix":
            hint = "Give the server's url, or run this client under WSL."
            raise ConfigError("stdio servers need a POSIX system", server=self._config.name, hint=hint)
        if self._over is not None:
            raise self._refusal()
        self._loop = asyncio.get_running_loop()
        self._inbox = inbox
        command = command_for(self._config, os.environ)
        try:
            self._process = process = ServerProcess(command, self._config.name, self._on_exit)
        except DragomanError:
            await orphan_watch.settle()
            raise
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._loop.add_reader(self._stdout, self._read_stdout)
        self._loop.add_reader(self._stderr, self._read_stderr)
        self._finalizer = weakref.finalize(self, clear_away, (process.footprint,))
        self._finalizer.atexit = False  # then all servers are cleared away together
        self._direct = self._writable = True

    def send(self, message: Outgoing) -> asyncio.Future[None] | None:
        """Send one message. None: it is on its way. A future: too much waits; it is done when there is room for it.

        A message whose future is cancelled is never written. A message that was on its way and of which not a byte was
        written when the connection is lost is told of by the inbox's ``request_failed``, with `ConnectionLost`.

        Raises:
            ConnectionLost: it was not written.
        """
        data = message.data
        if b"\n" in data or b"\r" in data:
            message = structs.replace(message, data=(data := _one_line(data)))
        if self._direct and len(data) < CHUNK:
            self._direct = False
            try:
                written = os.write(self._stdin, data + b"\n")
            except BlockingIOError:
                written = 0
            except OSError as error:
                self._hang_up(f"stopped reading its input ({error.strerror})")
                raise self._refusal() from None
            if written <= len(data):
                self._backlog.begin(message, written)
                self._watch_stdin(wanted=True)
            return None
        if not self._writable:
            raise self._refusal()
        entry = self._backlog.add(message)
        self._direct = False
        if not self._flushing and not self._watches_stdin:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return entry

    def negotiated(self, version: str) -> None:
        """Learn that the conversation came about: its end is a loss from now on, no failure to connect."""
        self._established = True

    def last_words(self) -> str:
        """Give the last 64 KiB of the server's stderr."""
        return self._words[-_STDERR_KEPT:].decode("utf-8", "replace")

    async def aclose(self) -> None:
        """End the server: stdin closed, a wait of ``shutdown_timeout``, SIGTERM, the same wait, SIGKILL.

        Any task may call it, any number of times; each waits for the end. Being cancelled leaves the end under way.
        """
        if self._over is None:
            if self._flushing:  # a burst that waits for the loop's next turn
                self._flush()
            self._over = ConnectionClosed("the connection was closed", server=self._config.name)
            self._begin_end()
        if self._ending is not None and not self._loop.is_closed():
            await asyncio.wait((self._ending,))

    # Reading.

    def _read_stdout(self) -> None:
        # One read for each turn of the loop: a server that floods us does not keep others waiting.
        try:
            data = os.read(self._stdout, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._stdout)
            self._finish_lines()
            self._hang_up("closed its output")
            return
        if len(data) == _READ_SIZE and not self._wide:
            self._widen()
        self._direct = self._writable and not self._backlog
        self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        if self._over is not None:
            return
        lines = self._splitter.feed(data)
        if not self._waiting and len(lines) <= _MOST_AT_ONCE:
            self._hand_on(lines)
            return
        if not self._waiting:
            self._loop.remove_reader(self._stdout)
            self._loop.call_soon(self._hand_on_some)
        self._waiting.extend(lines)

    def _hand_on(self, lines: Iterable[bytes | OversizeLine]) -> None:
        received = self._inbox.message_received
        for line in lines:
            if isinstance(line, bytes):
                received(line)
            else:
                self._reject(line)

    def _hand_on_some(self) -> None:
        """Hand on the first of what waits. After the last, go on reading, or tell of the end that was put off."""
        waiting = self._waiting
        if not waiting:  # it was dropped, because the end began
            return
        try:
            self._hand_on([waiting.popleft() for _ in range(min(len(waiting), _MOST_AT_ONCE))])
        finally:
            if waiting:
                self._loop.call_soon(self._hand_on_some)
            elif self._ends:
                self._finish_lines()
                self._lose()
            elif self._over is None:
                self._loop.add_reader(self._stdout, self._read_stdout)

    def _finish_lines(self) -> None:
        if self._over is not None:
            return
        line = self._splitter.finish()
        if isinstance(line, OversizeLine):
            self._reject(line)
        elif line is not None and line.rstrip().endswith((b"}", b"]")):
            self._inbox.message_received(line)
        elif line is not None:
            # No answer: the loss that follows tells whoever waits for it what became of the server.
            what = "half a message, then the end"
            self._inbox.message_rejected(MalformedMessage(what, excerpt=excerpt(line), server=self._config.name))

    def _reject(self, line: OversizeLine) -> None:
        limit = self._config.max_message_bytes
        error = MessageTooLarge(
            f"a message of {line.size} bytes is over the limit of {limit}", limit=limit, server=self._config.name
        )
        self._inbox.message_rejected(error, guess_id(line.head, line.tail))

    def _widen(self) -> None:
        self._wide = True
        try:
            from fcntl import F_SETPIPE_SZ, fcntl

            fcntl(self._stdout, F_SETPIPE_SZ, _WIDE_PIPE)
        except (ImportError, OSError):
            return

    def _read_stderr(self) -> None:
        try:
            data = os.read(self._stderr, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._stderr)
            return
        self._keep_stderr(data)

    def _keep_stderr(self, data: bytes) -> None:
        self._words += data
        if len(self._words) > 2 * _STDERR_KEPT:
            del self._words[:-_STDERR_KEPT]
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s: %s", self._config.name, data.decode("utf-8", "replace").rstrip())

    # Writing.

    def _flush(self) -> None:
        """Write one chunk of what waits. The rest follows when the pipe takes it."""
        self._flushing = False
        if not self._writable or not self._backlog:
            return
        chunk = self._backlog.chunk()
        try:
            written = os.write(self._stdin, chunk)
        except BlockingIOError:
            written = 0
        except OSError as error:
            self._hang_up(f"stopped reading its input ({error.strerror})")
            return
        self._backlog.wrote(written)
        self._watch_stdin(wanted=bool(self._backlog))

    def _watch_stdin(self, *, wanted: bool) -> None:
        if wanted != self._watches_stdin:
            self._watches_stdin = wanted
            if wanted:
                self._loop.add_writer(self._stdin, self._flush)
            else:
                self._loop.remove_writer(self._stdin)

    # The end.

    def _on_exit(self) -> None:
        """Take what the ended server left in its pipes, then tell of its end."""
        if self._over is None:
            for _ in range(_LAST_READS):
                data = self._read_rest(self._stdout)
                if not data:
                    break
                self._deliver(data)
            if not self._waiting:
                self._finish_lines()
        for _ in range(_LAST_READS):
            data = self._read_rest(self._stderr)
            if not data:
                break
            self._keep_stderr(data)
        self._lose()

    @staticmethod
    def _read_rest(descriptor: int) -> bytes:
        try:
            return os.read(descriptor, _READ_SIZE)
        except OSError:
            return b""

    def _hang_up(self, how: str) -> None:
        """Note that one direction is dead. The exit that mostly follows is waited for a moment: it tells more."""
        if self._over is not None or self._hung_up:
            return
        self._hung_up = how
        self._stop_writing()
        self._grace = self._loop.call_later(_EXIT_GRACE, self._grace_over)

    def _grace_over(self) -> None:
        if self._process is not None and not self._process.check():
            self._lose()

    def _lose(self) -> None:
        if self._over is not None:
            return
        if self._waiting:
            self._ends = True
            return
        self._over = error = self._loss()
        self._begin_end()
        self._inbox.connection_lost(error)

    def _loss(self) -> ConnectionLost | ServerExited:
        returncode = self._process.returncode if self._process is not None else None
        how = self._hung_up if returncode is None else exit_words(returncode)
        what, name, stderr = f"the server {how}", self._config.name, self.last_words()
        if not self._established:
            return ServerExited(what, returncode=returncode, stderr=stderr, server=name)
        return ConnectionLost(what, stderr=stderr, server=name, hint="Connect again.")

    def _refusal(self) -> ConnectionLost:
        """Give a new error for a message that was not written."""
        over, name = self._over, self._config.name
        if isinstance(over, ConnectionClosed):
            return ConnectionClosed(over.what, server=name)
        if over is None:
            what, stderr = f"the server {self._hung_up}", self.last_words()
        else:
            what, stderr = over.what, over.stderr
        return ConnectionLost(f"{what} before the message was written", stderr=stderr, server=name)

    def _stop_writing(self) -> None:
        self._direct = self._writable = False
        self._watch_stdin(wanted=False)

    def _begin_end(self) -> None:
        """Give back what was not written, and let a task end the process."""
        process = self._process
        if process is None:
            return
        if self._loop.is_closed():
            process.end_now()
            return
        if self._grace is not None:
            self._grace.cancel()
        if self._waiting:  # its output is read on, so that it can write its last
            self._waiting.clear()
            self._loop.add_reader(self._stdout, self._read_stdout)
        self._stop_writing()
        for message in self._backlog.abandon(self._refusal):
            if message.id is not None:
                self._inbox.request_failed(message.id, self._refusal())
        self._ending = self._loop.create_task(self._end(process), name=f"end of {self._config.name}")

    async def _end(self, process: ServerProcess) -> None:
        try:
            await process.end(self._config.shutdown_timeout)
        except BaseException:  # the loop itself ends and cancels its tasks
            self._stop_reading()
            process.end_now()
            raise
        self._stop_reading()
        process.finish()
        await orphan_watch.settle()

    def _stop_reading(self) -> None:
        self._finalizer.detach()
        self._loop.remove_reader(self._stdout)
        self._loop.remove_reader(self._stderr)


def _one_line(data: bytes) -> bytes:
    """Make line breaks blanks. In JSON they can only stand between tokens: within a string they are escaped."""
    return data.replace(b"\r", b" ").replace(b"\n", b" ")
