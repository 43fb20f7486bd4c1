"""The sample clock at a Unix domain socket, one client after the other, as inetd would serve it.

`python docs_src/unix_server.py [PATH]` serves (at `clock.sock`) until it is interrupted.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path


def serve(path: str) -> None:
    """Start a clock for each client: the connection is its stdin and stdout."""
    Path(path).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print(f"clock listens on {path}", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                stream = connection.fileno()
                clock = [sys.executable, "-m", "dragoman.samples.clock"]
                subprocess.run(clock, stdin=stream, stdout=stream, check=False)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(sys.argv[1] if len(sys.argv) > 1 else "clock.sock")
