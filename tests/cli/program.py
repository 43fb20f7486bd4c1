"""The real program, run as a user runs it: in a pipe, or at a terminal with a person who types.

`COMMAND` starts it as a process of its own; nothing of it is imported here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from tests.servers import scripted

COMMAND = [sys.executable, "-m", "dragoman"]
PATIENCE = 20.0
"""Seconds that any run or any wait may take."""

NOTES = f"{sys.executable} -m dragoman.samples.notes"
CLOCK = f"{sys.executable} -m dragoman.samples.clock"
ODD = f"{sys.executable} {Path(__file__).with_name('odd_server.py')}"

# Opening a terminal as the leader of a session makes it that session's own: Ctrl-C typed there then reaches it.
_TAKE_TERMINAL = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"
_AT_ITS_OWN_TERMINAL = [sys.executable, "-I", "-S", "-c", _TAKE_TERMINAL]

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def misbehaving(*words: str) -> str:
    """The command line of the scripted server, as one would type it."""
    return shlex.join(scripted(*words))


class Done(NamedTuple):
    """How a run ended: its exit status, and what it wrote."""

    status: int
    out: str
    err: str


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a run: this one without what would change how things look."""
    base = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "DRAGOMAN_SERVER")}
    return base | {"TERM": "xterm-256color", "PYTHONUTF8": "1"} | dict(more or {})


def run(*words: str, stdin: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
    """Run the program with pipes and give how it ended."""
    done = subprocess.run(
        [*COMMAND, *words],
        input=stdin.encode(),
        capture_output=True,
        env=environment(env),
        cwd=cwd,
        timeout=PATIENCE,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


class Terminal:
    """The program at a terminal, with its stdin, stdout and stderr there unless told otherwise."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        columns: int = 100,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int | None = None,
    ) -> None:
        self.raw = ""
        self._master, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self._process = subprocess.Popen(
            [*_AT_ITS_OWN_TERMINAL, *COMMAND, *words],
            stdin=side,
            stdout=side if stdout is None else stdout,
            stderr=side,
            env=environment(env),
            cwd=cwd,
            start_new_session=True,
        )
        os.close(side)
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """All that was written, without colours and cursor movements."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def expect(self, text: str) -> str:
        """Wait until `text` is written after what was expected before; give all up to and with it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.text[self._seen :]:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} did not come; the terminal has:\n{self.text}")
        end = self.text.index(text, self._seen) + len(text)
        shown = self.text[self._seen : end]
        self._seen = end
        return shown

    def type(self, text: str) -> None:
        """Type some keys."""
        os.write(self._master, text.encode())

    def send(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def finish(self) -> int:
        """Wait for the end and give the exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self._process.wait(max(deadline - time.monotonic(), 0.1))

    def _read(self, deadline: float) -> bool:
        """Take what is written next; False at the end or at the deadline."""
        ready, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            return False
        data = b""
        with contextlib.suppress(OSError):  # Linux tells the end of a pseudo-terminal with EIO
            data = os.read(self._master, 65536)
        self.raw += data.decode("utf-8", "replace")
        return bool(data)
