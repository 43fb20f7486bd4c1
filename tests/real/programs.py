"""Starts other people's servers as programs and finds out where they listen, without ever fixing a port.

Used by the tests beside it; knows nothing of Dragoman but how a configuration is written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import psutil

from dragoman import ServerConfig
from tests import parts

PATIENCE = 20.0
"""Seconds until a program must listen; they take about one."""


@contextmanager
def running(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, stdout: int = subprocess.DEVNULL
) -> Generator[subprocess.Popen[str]]:
    """Run a program until the block ends."""
    process = subprocess.Popen(
        command, cwd=parts.ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=stdout, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def fixture_server(name: str, python: str = sys.executable) -> Generator[str]:
    """Run one of `tests/real/servers` over HTTP and give its address, without a path."""
    with running([python, "-m", f"tests.real.servers.{name}", "http"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, f"the server {name} ended with status {process.wait(5)}"
        yield f"http://127.0.0.1:{port}"


@contextmanager
def listening_server(command: Sequence[str], env: Mapping[str, str]) -> Generator[str]:
    """Run a server that was told to take any port, and give its address, without a path."""
    with running(command, env=env) as process:
        deadline = time.monotonic() + PATIENCE
        while not (ports := listening_ports(process.pid)):
            assert process.poll() is None, f"{command} ended with status {process.returncode}"
            assert time.monotonic() < deadline, f"{command} does not listen"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{ports[0]}"


def listening_ports(pid: int) -> list[int]:
    """The TCP ports on which a process accepts connections."""
    connections = psutil.Process(pid).net_connections(kind="tcp")
    return [each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN]


def fixture_config(name: str, address: str, transport: str, version: str, python: str = sys.executable) -> ServerConfig:
    """How to reach a fixture server: ``transport`` is ``stdio`` or what its program serves over HTTP."""
    if transport == "stdio":
        args = ("-m", f"tests.real.servers.{name}", "stdio")
        return ServerConfig(name=name, command=python, args=args, cwd=str(parts.ROOT), protocol_version=version)
    if transport == "legacy":
        return ServerConfig(name=name, url=f"{address}/legacy/sse", transport="sse", protocol_version=version)
    if transport == "socket":
        url = f"{address.replace('http', 'ws', 1)}/socket/ws"
        return ServerConfig(name=name, url=url, protocol_version=version)
    return ServerConfig(name=name, url=f"{address}/{transport}/mcp", protocol_version=version)
