"""What servers offer comes back from disk, or not at all: no file, and no disk, can hurt a caller."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.cache.offers import Listed, Offer
from dragoman.config.model import ServerConfig, Tls
from dragoman.protocol.lifecycle import Verdict
from dragoman.store.catalogues import KeptCatalogues, default_folder

OFFER = Offer(
    info=b'{"name":"clock"}',
    instructions="Ask for the time.",
    capabilities=b'{"tools":{}}',
    verdict=Verdict("2026-07-28", "stdio"),
    tools=Listed((b'{"name":"now"}', b'{"name":"zone"}'), ("left out: x",), 1, 60_000, 1000.5),
    prompts=Listed(),
)
CLOCK = ServerConfig(name="clock", command="clock")


@pytest.fixture
def kept(tmp_path: Path) -> KeptCatalogues:
    """Give a store whose folder is not there yet."""
    return KeptCatalogues(tmp_path / "cache" / "catalogue")


def files(kept: KeptCatalogues) -> list[Path]:
    """Give the files of kept offers."""
    assert kept.folder is not None
    return sorted(kept.folder.glob("*.offer"))


def only(kept: KeptCatalogues) -> Path:
    """Give the one file of a kept offer."""
    (path,) = files(kept)
    return path


def aged(seconds: float) -> tuple[float, float]:
    """Give the two times of a file that was last written so long ago."""
    then = time.time() - seconds
    return then, then


# What comes back.


def test_an_offer_comes_back_as_it_was(kept: KeptCatalogues) -> None:
    """To this process and to the next; None stays None, and empty empty."""
    key = kept.key(CLOCK)
    assert kept.load(key) is None
    kept.save(key, OFFER)
    again = KeptCatalogues(kept.folder)
    assert again.key(CLOCK) == key
    assert again.load(key) == OFFER
    kept.save(key, Offer())
    assert again.load(key) == Offer()


def test_many_come_back_by_key(kept: KeptCatalogues) -> None:
    """Those that are not there are left out."""
    kept.save("a", OFFER)
    kept.save("b", Offer())
    assert kept.load_many(["a", "b", "c"]) == {"a": OFFER, "b": Offer()}


def test_what_is_forgotten_is_gone(kept: KeptCatalogues) -> None:
    """Also when it never was there."""
    kept.forget("a")
    kept.save("a", OFFER)
    kept.forget("a")
    assert kept.load("a") is None
    assert files(kept) == []


texts = st.text(max_size=20)
listed = st.builds(
    Listed,
    st.lists(st.binary(max_size=20), max_size=4).map(tuple),
    st.lists(texts.filter(str.isprintable), max_size=2).map(tuple),
    st.integers(0, 9),
    st.none() | st.integers(-(2**40), 2**40),
    st.floats(0, 1e10),
)
offers = st.builds(Offer, info=st.binary(), instructions=st.none() | texts, tools=st.none() | listed, templates=listed)


@given(offer=offers)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_offer_comes_back(kept: KeptCatalogues, offer: Offer) -> None:
    """Entries are bytes: nobody looks whether they are JSON."""
    kept.save("a", offer)
    assert kept.load("a") == offer


@pytest.mark.parametrize("offer", [Offer(instructions="\ud800"), Offer(tools=Listed(ttl_ms=10**400))])
def test_an_offer_that_can_not_be_written_is_not_kept(kept: KeptCatalogues, offer: Offer) -> None:
    """Half a surrogate pair has no UTF-8, and the format holds numbers of 64 bits."""
    kept.save("a", offer)
    assert kept.load("a") is None


# Whose it is.


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"name": "other"}, True),
        ({"timeout": 5.0, "priority": 3, "disabled_tools": ("x",), "extra": {"a": 1}}, True),
        ({"command": "other"}, False),
        ({"args": ("x",)}, False),
        ({"cwd": "/"}, False),
        ({"env": {"TOKEN": "x"}}, False),
        ({"inherit_env": False}, False),
        ({"protocol_version": "2025-11-25"}, False),
    ],
)
def test_an_offer_belongs_to_how_a_server_is_reached(
    kept: KeptCatalogues, change: dict[str, Any], *, same: bool
) -> None:
    """Its name and the settings of the hub do not count; what it is started with does."""
    config: dict[str, Any] = {"name": "clock", "command": "clock"}
    assert (kept.key(ServerConfig(**{**config, **change})) == kept.key(CLOCK)) is same


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"headers": {"AUTHORIZATION": "one"}}, True),
        ({"headers": {"Authorization": "two"}}, False),
        ({"headers": {}}, False),
        ({"cookies": {"session": "1"}}, False),
        ({"url": "https://a.example/mcp?team=2"}, False),
        ({"transport": "sse"}, False),
        ({"tls": Tls(cert_file="/me.pem")}, False),
    ],
)
def test_an_offer_belongs_to_who_asks(kept: KeptCatalogues, change: dict[str, Any], *, same: bool) -> None:
    """A server lists other tools to other users, so nobody is shown another's."""
    config: dict[str, Any] = {"name": "a", "url": "https://a.example/mcp", "headers": {"Authorization": "one"}}
    assert (kept.key(ServerConfig(**{**config, **change})) == kept.key(ServerConfig(**config))) is same


def test_one_script_in_two_folders_is_two_servers(
    kept: KeptCatalogues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path means another file there; a command on the path, and an option, mean the same."""
    script = ServerConfig(name="a", command="python", args=("server.py",))
    installed = ServerConfig(name="a", command="npx", args=("-y", "@notes/server"))
    keys: list[tuple[str, str]] = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "server.py").touch()
        monkeypatch.chdir(tmp_path / name)
        keys.append((kept.key(script), kept.key(installed)))
    assert keys[0][0] != keys[1][0]
    assert keys[0][1] == keys[1][1]


def test_a_folder_that_was_removed_under_us_does_no_harm(
    kept: KeptCatalogues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nobody can say where we are."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert kept.key(ServerConfig(name="a", command="python", args=("server.py", "."))) == kept.key(
        ServerConfig(name="b", command="python", args=("server.py", "."))
    )


def test_any_setting_gives_a_key(kept: KeptCatalogues) -> None:
    """An environment need not be text, and no part runs into the next."""
    odd = [("a", "\udc80"), ("a\udc80", ""), ("a", "\\udc80"), ("a", "', '")]
    keys = {kept.key(ServerConfig(command="x", args=(word,), env={name: "\udcff"})) for name, word in odd}
    assert len(keys) == len(odd)
    assert kept.key(ServerConfig(command="x", env={"a": "1", "b": "2"})) == kept.key(
        ServerConfig(command="x", env={"b": "2", "a": "1"})
    )


def test_no_secret_shows_on_disk(kept: KeptCatalogues) -> None:
    """Neither in names nor in what is written; and without the key file nobody can try what would give a name."""
    config = ServerConfig(name="a", url="https://user:hush@a.example/mcp?token=hush", headers={"Authorization": "hush"})
    kept.save(kept.key(config), OFFER)
    assert kept.folder is not None
    for path in kept.folder.iterdir():
        assert b"hush" not in path.read_bytes()
        assert re.fullmatch(r"key|[0-9a-f]{32}\.offer", path.name)
    other = KeptCatalogues(kept.folder.parent / "other")
    assert other.key(config) != kept.key(config)


def test_what_is_kept_is_for_its_user_alone(kept: KeptCatalogues) -> None:
    """Whatever the umask, and even if the folder was open before."""
    assert kept.folder is not None
    kept.folder.mkdir(parents=True, mode=0o755)
    before = os.umask(0)
    try:
        kept.save(kept.key(CLOCK), OFFER)
    finally:
        os.umask(before)
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.folder.iterdir()} == {0o600}


def test_the_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the system tells; a relative path in the variable is passed over."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "dragoman" / "catalogue"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == tmp_path / ".cache" / "dragoman" / "catalogue"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == tmp_path / "Library" / "Caches" / "dragoman" / "catalogue"


# What can't be used.


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        (rb".*", b""),
        (rb"(?<=.{10}).*", b""),
        (rb".\Z", b""),
        (rb"\Z", b"x"),
        (rb"now", b"woe"),
        (rb"catalogue 1\n", b"catalogue 2\n"),
        (rb".*", b"something else entirely"),
        (rb".*", b"dragoman catalogue 1\n"),
        (rb".*", b"dragoman catalogue 1\n\0\0\0\0"),
    ],
)
def test_a_spoiled_file_is_passed_over(
    kept: KeptCatalogues, part: bytes, instead: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut, changed, of another program, or of a newer version of this one; the next save mends it."""
    kept.save("a", OFFER)
    only(kept).write_bytes(re.sub(part, instead, only(kept).read_bytes(), count=1, flags=re.DOTALL))
    with caplog.at_level(logging.DEBUG, "dragoman"):
        assert kept.load("a") is None
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    kept.save("a", OFFER)
    assert kept.load("a") == OFFER


@given(data=st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_with_a_right_checksum_do_no_harm(kept: KeptCatalogues, data: bytes) -> None:
    """Whoever can write there can make one, and must not break a start."""
    kept.save("a", Offer())
    only(kept).write_bytes(b"dragoman catalogue 1\n" + crc32(data).to_bytes(4, "big") + data)
    assert kept.load("a") in (None, Offer())


def test_what_is_no_plain_file_is_passed_over(kept: KeptCatalogues, tmp_path: Path) -> None:
    """A pipe would hold us up, a link may lead anywhere."""
    kept.save("real", OFFER)
    assert kept.folder is not None
    os.mkfifo(kept.folder / "pipe.offer")
    (kept.folder / "folder.offer").mkdir()
    (kept.folder / "link.offer").symlink_to(only_named(kept, "real"))
    assert kept.load_many(["real", "pipe", "folder", "link", "a/../real\0"]) == {"real": OFFER}


def only_named(kept: KeptCatalogues, name: str) -> Path:
    """Give the file of that key."""
    assert kept.folder is not None
    return kept.folder / f"{name}.offer"


def test_a_file_that_is_too_large_is_passed_over(kept: KeptCatalogues, caplog: pytest.LogCaptureFixture) -> None:
    """It is not even read; and none of that size is written."""
    kept.save("a", OFFER)
    with only(kept).open("r+b") as file:
        file.truncate(65 * 1024 * 1024)
    with caplog.at_level(logging.DEBUG, "dragoman"):
        assert kept.load("a") is None
    assert "larger than" in caplog.text
    kept.save("b", Offer(tools=Listed((bytes(64 * 1024 * 1024),))))
    assert not only_named(kept, "b").exists()


# When the disk does not help.


@pytest.mark.parametrize("place", ["/dev/null/x", "/proc/x/y", "/sys/kernel/x"])
def test_a_folder_that_can_not_be_is_told_once(place: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is kept, nothing fails; keys are good for this process."""
    kept = KeptCatalogues(Path(place))
    with caplog.at_level(logging.WARNING, "dragoman"):
        key = kept.key(CLOCK)
        for _ in range(3):
            kept.save(key, OFFER)
            kept.forget(key)
            kept.tidy()
    assert kept.key(CLOCK) == key
    assert kept.load(key) is None
    assert len(caplog.records) == 1
    assert "is not kept in" in caplog.text


def test_a_full_disk_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    program = f"""
import logging, resource, signal
from pathlib import Path
from dragoman.cache.offers import Listed, Offer
from dragoman.store.catalogues import KeptCatalogues
logging.basicConfig(format="%(levelname)s %(message)s")
kept = KeptCatalogues(Path({str(tmp_path)!r}))
kept.save("a", Offer(info=b"old"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
for _ in range(2):
    kept.save("a", Offer(tools=Listed((bytes(100_000),))))
assert kept.load("a") == Offer(info=b"old")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.count("WARNING") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.offer"]


def test_a_spoiled_key_file_is_made_anew(kept: KeptCatalogues) -> None:
    """What was kept under the old keys is lost, and that is all."""
    kept.key(CLOCK)
    assert kept.folder is not None
    (kept.folder / "key").write_bytes(b"short")
    key = KeptCatalogues(kept.folder).key(CLOCK)
    assert KeptCatalogues(kept.folder).key(CLOCK) == key


def together(program: str) -> list[str]:
    """Give what four processes print that run a program; each begins when all have got so far as to read a line."""
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    return answers


PRELUDE = """
from pathlib import Path
from dragoman.cache.offers import Listed, Offer
from dragoman.config.model import ServerConfig
from dragoman.store.catalogues import KeptCatalogues
clock = ServerConfig(name="a", command="clock")
print("ready", flush=True)
input()
"""


def test_processes_that_start_at_once_agree_on_keys(tmp_path: Path) -> None:
    """Whoever makes the folder's secret first: all use the same. Of two hundred folders, some see a race."""
    answers = together(f"""{PRELUDE}
for number in range(200):
    print(KeptCatalogues(Path({str(tmp_path)!r}, str(number))).key(clock))
""")
    assert len(set(answers)) == 1


def test_processes_that_write_at_once_spoil_nothing(tmp_path: Path) -> None:
    """Each file is whole whenever it is read."""
    together(f"""{PRELUDE}
kept = KeptCatalogues(Path({str(tmp_path)!r}))
for round in range(200):
    kept.save("a", Offer(tools=Listed((bytes([round]) * 5000,) * 20)))
    found = kept.load("a")
    assert found is not None and len(set(found.tools.items)) == 1, found
""")
    assert [path.name for path in tmp_path.iterdir()] == ["a.offer"]


# How much is kept.


def test_old_files_go(kept: KeptCatalogues) -> None:
    """What was not saved for 90 days, and what a process left half-written; other people's files stay."""
    kept.save("new", OFFER)
    assert kept.folder is not None
    days = 24 * 3600
    for name, age in (
        ("old.offer", 91 * days),
        ("older.part", 2 * 3600),
        ("young.part", 60),
        ("notes.txt", 999 * days),
    ):
        (kept.folder / name).write_bytes(b"")
        os.utime(kept.folder / name, aged(age))
    KeptCatalogues(kept.folder).save("other", OFFER)
    assert {path.name for path in kept.folder.iterdir()} == {"new.offer", "other.offer", "young.part", "notes.txt"}


def test_there_are_never_too_many_files(kept: KeptCatalogues) -> None:
    """The oldest go."""
    kept.save("new", OFFER)
    assert kept.folder is not None
    for number in range(600):
        path = kept.folder / f"{number}.offer"
        path.write_bytes(b"")
        os.utime(path, aged(1000 - number))
    kept.tidy()
    names = {path.name for path in files(kept)}
    assert len(names) == 512
    assert {"new.offer", "599.offer"} <= names
    assert "0.offer" not in names


def test_files_never_take_too_much_together(kept: KeptCatalogues) -> None:
    """The oldest beyond 512 MiB go; these are all holes, so the disk does not feel them."""
    kept.save("new", OFFER)
    assert kept.folder is not None
    for number in range(10):
        path = kept.folder / f"{number}.offer"
        path.touch()
        os.truncate(path, 60 * 1024 * 1024)
        os.utime(path, aged(100 - number))
    kept.tidy()
    assert [path.name for path in files(kept)] == [*(f"{number}.offer" for number in range(2, 10)), "new.offer"]


def test_twenty_servers_come_back_at_once(kept: KeptCatalogues) -> None:
    """Keys, files and all: 5 ms on a quiet machine; the bound leaves room for a busy one."""
    configs = [ServerConfig(name=f"s{each}", command="python", args=("-m", f"s{each}")) for each in range(20)]
    offer = Offer(tools=Listed((b'{"name":"x","description":"%s"}' % (b"long " * 200),) * 50))
    for config in configs:
        kept.save(kept.key(config), offer)
    best = 1.0
    for _ in range(5):
        begun = time.perf_counter()
        again = KeptCatalogues(kept.folder)
        found = again.load_many([again.key(config) for config in configs])
        best = min(best, time.perf_counter() - begun)
        assert list(found.values()) == [offer] * 20
    assert best < 0.02
