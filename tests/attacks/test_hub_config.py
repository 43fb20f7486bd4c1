"""Hostile configuration files: what they make a reader wait for, run, or say in its errors."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dragoman.config import discover, load, parse
from dragoman.errors import ConfigError

SECRET = "hunter2-secret"
QUICK = 10.0
"""Seconds that reading the worst file of its size may take on a slow machine."""


def refused(text: str, name: str = "x.json") -> str:
    """Give the text of the error that a file's text ends in."""
    with pytest.raises(ConfigError) as caught:
        parse(text, name)
    return str(caught.value)


def test_looking_for_hosts_waits_for_no_pipe(tmp_path: Path) -> None:
    """A named pipe where Claude Code keeps its servers holds nothing, and holds up nothing."""
    os.mkfifo(tmp_path / ".claude.json")
    assert not any(found.exists for found in discover(tmp_path, tmp_path, {}))


def test_looking_for_hosts_reads_no_endless_device(tmp_path: Path) -> None:
    """A link to `/dev/zero` would fill the memory."""
    (tmp_path / ".claude.json").symlink_to("/dev/zero")
    assert not any(found.exists for found in discover(tmp_path, tmp_path, {}))


def test_looking_for_hosts_survives_deep_nesting(tmp_path: Path) -> None:
    """A million brackets end no recursion that others would see."""
    (tmp_path / ".claude.json").write_text('{"a":' + "[" * 1_000_000)
    places = {found.host for found in discover(tmp_path, tmp_path, {})}
    assert "Claude Code" in places


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read it, and make files of others")
def test_a_file_of_the_system_that_waits_for_more_holds_up_nothing() -> None:
    """`/proc/kmsg` calls itself a regular file, and a read of it waits for the kernel to say something."""
    if not os.access("/proc/kmsg", os.R_OK):
        pytest.skip("this system has no such file")
    with pytest.raises(ConfigError):
        load("/proc/kmsg")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
@pytest.mark.parametrize("how", ["file", "link"])
def test_a_file_of_another_user_is_not_taken_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Someone puts a root and a configuration above the folder where others work; named, it is read."""
    (tmp_path / ".git").mkdir()
    planted = tmp_path / "dragoman.json"
    real = tmp_path / "real.json"
    real.write_text('{"mcpServers": {"a": {"command": "evil"}}}')
    if how == "link":
        planted.symlink_to(real)
    else:
        real.rename(planted)
    os.chown(planted, 12345, 12345, follow_symlinks=False)
    below = tmp_path / "work"
    below.mkdir()
    monkeypatch.chdir(below)
    with pytest.raises(ConfigError, match="belongs to another user"):
        load(environment={"HOME": str(below)})
    assert load(planted).servers[0].name == "a"


@pytest.mark.parametrize(
    "text",
    [
        '{"mcpServers": {"a\\u001b[31m\\u202e": {"comand": "x"}}}',
        '{"mcpServers": {"a": {"command": "x"}}, "groups": {"g\\u001b[1m\\u202e": ["x"]}}',
    ],
)
def test_a_name_in_an_error_steers_no_terminal(text: str) -> None:
    """Escapes and bidirectional overrides of a file's names are written out."""
    told = refused(text)
    assert "\\x1b" in told
    assert told.isprintable()


def test_what_is_unknown_in_a_file_does_not_show_in_its_text() -> None:
    """Other hosts keep the tokens of logins in the file of their servers."""
    text = f'{{"oauthAccount": {{"token": "{SECRET}"}}, "mcpServers": {{"a": {{"command": "x"}}}}}}'
    config = parse(text, ".claude.json")
    assert config.extra["oauthAccount"]["token"] == SECRET
    for told in (repr(config), str(config), f"{config}"):
        assert SECRET not in told
        assert "oauthAccount" in told


def _members(count: int) -> str:
    servers = ",".join(f'"s{at}":{{"command":"x"}}' for at in range(1000))
    members = ",".join(f'"t{at}"' for at in range(count))
    return f'{{"mcpServers":{{{servers}}},"groups":{{"g":[{members}]}}}}'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (_members(20_000), "x.json"),
        ("{" + ",".join(f'"mcpServerz{at}":1' for at in range(150_000)) + "}", "x.json"),
        ("".join(f"[a{at}]\n" for at in range(250_000)), "x.toml"),
        ("".join(f"[a{'.b' * 60}.c{at}]\n" for at in range(20_000)), "x.toml"),
    ],
    ids=["members", "keys", "tables", "deep tables"],
)
def test_a_file_full_of_mistakes_is_refused_soon_and_in_few_words(text: str, name: str) -> None:
    """A hundred mistakes are told; looking for what each of a hundred thousand was meant for would take minutes."""
    began = time.monotonic()
    told = refused(text, name)
    assert time.monotonic() - began < QUICK
    assert len(told.splitlines()) <= 100


@pytest.mark.parametrize(
    "held",
    [
        "A=x" + " " * 1_000_000 + "y",
        'A="\n' + ("x" * 20_000 + "\n") * 150 + '"\n',
        ('A="\n' + "\\x\n" * 196 + '"\n') * 4000,
    ],
    ids=["blanks", "long quote", "many quotes"],
)
def test_a_file_of_variables_is_read_in_one_go(tmp_path: Path, held: str) -> None:
    """Each was read again and again for a comment or the end of a quote."""
    (tmp_path / "s.env").write_text(held)
    (tmp_path / "x.json").write_text('{"mcpServers": {"a": {"command": "x", "envFile": "s.env"}}}')
    began = time.monotonic()
    assert "A" in load(tmp_path / "x.json").servers[0].env
    assert time.monotonic() - began < QUICK


def test_references_do_not_blow_up_a_text() -> None:
    """A hundred thousand references to a variable of two thousand characters are refused."""
    text = '{"mcpServers": {"a": {"command": "x", "env": {"K": "' + "${B}" * 100_000 + '"}}}}'
    with pytest.raises(ConfigError, match="more than a million characters"):
        parse(text, "x.json", environment={"B": "x" * 2000})


@pytest.mark.parametrize("path", ["pipe", "/dev/zero", "."])
def test_a_file_of_variables_that_is_no_file_holds_up_nothing(tmp_path: Path, path: str) -> None:
    """An `envFile` may lead anywhere."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x.json").write_text(f'{{"mcpServers": {{"a": {{"command": "x", "envFile": "{path}"}}}}}}')
    with pytest.raises(ConfigError, match=r"regular file|directory"):
        load(tmp_path / "x.json")


@pytest.mark.parametrize("line", [f"{SECRET} x", f"A='{SECRET}"])
def test_a_bad_line_of_any_file_is_not_repeated(tmp_path: Path, line: str) -> None:
    """An `envFile` that leads to a file of secrets shows none of it."""
    (tmp_path / "s.env").write_text(f"A=1\n{line}\n")
    (tmp_path / "x.json").write_text('{"mcpServers": {"a": {"command": "x", "envFile": "s.env"}}}')
    with pytest.raises(ConfigError, match=r"line 2") as caught:
        load(tmp_path / "x.json")
    assert SECRET not in str(caught.value)
