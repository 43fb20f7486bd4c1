"""What a configuration starts, and how it is told that it can't."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest

from dragoman.config.model import ServerConfig
from dragoman.errors import (
    CommandNotFound,
    ConfigError,
)
from dragoman.transports.stdio import StdioTransport
from tests.servers import scripted
from tests.transports.recording import RecordingInbox, ask, call
from tests.transports.started import about, configuration, opened


async def test_the_servers_environment_is_ours_and_the_configured() -> None:
    """`env` is laid over this process's environment, and `cwd` is where the server runs."""
    async with opened(env={"GREETING": "hello"}, cwd="/") as (transport, inbox):
        told = await about(transport, inbox)
        assert told["env"]["GREETING"] == "hello"
        assert told["env"]["PATH"] == os.environ["PATH"]
        assert told["cwd"] == "/"


async def test_a_closed_environment_passes_only_what_programs_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `inherit_env` off, a secret of this process stays here."""
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    monkeypatch.setenv("LC_TIME", "C")
    async with opened(inherit_env=False, env={"GREETING": "hello"}) as (transport, inbox):
        env = (await about(transport, inbox))["env"]
        assert "SECRET_TOKEN" not in env
        assert (env["GREETING"], env["LC_TIME"], env["PATH"]) == ("hello", "C", os.environ["PATH"])


async def test_a_relative_command_is_relative_to_its_directory(tmp_path: Path) -> None:
    """A command with a slash starts from `cwd`."""
    program = tmp_path / "run.sh"
    program.write_text('#!/bin/sh\nexec "$@"\n')
    program.chmod(0o755)
    transport, inbox = (
        StdioTransport(ServerConfig(command="./run.sh", args=tuple(scripted()), cwd=str(tmp_path))),
        (RecordingInbox()),
    )
    await transport.open(inbox)
    assert (await ask(transport, inbox, call(1, "echo", message="hi")))["id"] == 1
    await transport.aclose()


async def refused(**settings: Any) -> ConfigError:
    """Give the error with which opening fails."""
    transport = StdioTransport(ServerConfig(name="files", **settings))
    with pytest.raises(ConfigError) as caught:
        await transport.open(RecordingInbox())
    await transport.aclose()
    assert caught.value.server == "files"
    return caught.value


async def test_a_command_that_is_nowhere_is_named_with_the_path_searched(tmp_path: Path) -> None:
    """The server's own PATH counts, and a note to the error shows it."""
    error = await refused(command="no-such-server", env={"PATH": f"{tmp_path}:/nonexistent"})
    assert isinstance(error, CommandNotFound)
    assert "'no-such-server'" in str(error)
    assert f"{tmp_path}:/nonexistent" in error.__notes__[0]


@pytest.mark.parametrize(
    ("command", "advice"),
    [("npx", "Install Node.js"), ("uvx", "Install uv"), ("npx -y thing", "Put the arguments into args")],
)
async def test_a_missing_launcher_comes_with_advice(tmp_path: Path, command: str, advice: str) -> None:
    """What users lack most often, and get wrong most often, is told with its cure."""
    error = await refused(command=command, env={"PATH": str(tmp_path)})
    assert advice in str(error)


async def test_a_misspelt_command_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """A slip of the finger is recognised."""
    (tmp_path / "mcp-server-time").touch(mode=0o755)
    error = await refused(command="mcp-sever-time", env={"PATH": str(tmp_path)})
    assert "Did you mean mcp-server-time?" in str(error)


async def test_what_can_not_be_executed_is_told_apart(tmp_path: Path) -> None:
    """Not executable, a directory, no interpreter, no format: each is a mistake of its own."""
    plain, bad, odd = tmp_path / "plain", tmp_path / "bad", tmp_path / "odd"
    plain.write_text("#!/bin/sh\n")
    bad.write_text("#!/nonexistent/interpreter\n")
    odd.write_bytes(b"\x00\x01\x02")
    bad.chmod(0o755)
    odd.chmod(0o755)
    assert "is not executable" in str(await refused(command=str(plain)))
    assert "is not executable" in str(await refused(command="plain", env={"PATH": str(tmp_path)}))
    assert "is a directory" in str(await refused(command=str(tmp_path)))
    assert "does not exist" in str(await refused(command=str(tmp_path / "none")))
    assert "interpreter" in str(await refused(command=str(bad)))
    assert "#!" in str(await refused(command=str(odd)))


async def test_a_missing_directory_and_a_bad_environment_are_told_without_secrets() -> None:
    """The error names the key, never a value of `env`."""
    assert "cwd: '/nonexistent'" in str(await refused(command="cat", cwd="/nonexistent"))
    error = await refused(command="cat", env={"TOKEN": "hush\0hush"})
    assert "hush" not in str(error)


async def test_without_descriptors_left_it_can_not_connect_and_leaves_none() -> None:
    """A system without room is no mistake in the configuration, and what was opened by then is closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 4, hard))
    try:
        transport = StdioTransport(configuration())
        with pytest.raises(Exception, match="Too many open files"):
            await transport.open(RecordingInbox())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await transport.aclose()


async def test_other_systems_are_told_that_stdio_needs_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the error says so, with what to do instead."""
    transport = StdioTransport(configuration())
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        with pytest.raises(ConfigError) as caught:
            await transport.open(RecordingInbox())
    assert "POSIX" in str(caught.value)
