"""A cache folder that others can write to, and what a label or a log line makes of hostile names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dragoman.cache.offers import Listed, Offer
from dragoman.config.model import ServerConfig
from dragoman.events import CallFinished, CallStarted, LogReceived
from dragoman.store.catalogues import KeptCatalogues
from dragoman.telemetry.logs import StructuredLogs
from dragoman.telemetry.metrics import Metrics

OFFER = Offer(tools=Listed((b'{"name":"now"}',)))
CLOCK = ServerConfig(name="clock", command="clock")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user's")
def test_a_folder_of_another_user_is_neither_read_nor_written(tmp_path: Path) -> None:
    """In it he could give one server's listing out as another's."""
    kept = KeptCatalogues(tmp_path / "mine")
    key = kept.key(CLOCK)
    kept.save(key, OFFER)
    os.chown(tmp_path / "mine", 12345, 12345)
    theirs = KeptCatalogues(tmp_path / "mine")
    before = {path.name for path in (tmp_path / "mine").iterdir()}
    assert theirs.load(key) is None
    assert theirs.key(CLOCK) != key
    theirs.save(theirs.key(CLOCK), OFFER)
    assert {path.name for path in (tmp_path / "mine").iterdir()} == before


def test_a_folder_that_everybody_may_use_is_closed(tmp_path: Path) -> None:
    """What was too open is the user's alone after the first save."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    kept = KeptCatalogues(folder)
    kept.save(kept.key(CLOCK), OFFER)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("what", ["pipe", "link", "folder", "huge"])
def test_what_is_planted_in_place_of_a_kept_file_is_passed_over(tmp_path: Path, what: str) -> None:
    """It holds up nothing, leads nowhere, and is replaced by the next save where it can be."""
    kept = KeptCatalogues(tmp_path / "cache")
    key = kept.key(CLOCK)
    kept.save(key, OFFER)
    (path,) = (tmp_path / "cache").glob("*.offer")
    held = path.read_bytes()
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(held)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif what == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    assert kept.load(key) is None
    kept.save(key, OFFER)
    assert (kept.load(key) == OFFER) is (what != "folder")
    assert (tmp_path / "elsewhere").read_bytes() == held


@pytest.mark.parametrize("name", ["\ud800", "x" * 1_000_000, 'a"}\nfake_metric 1\n', "\x1b[2J"])
def test_no_name_of_a_tool_breaks_the_metrics(name: str) -> None:
    """Half a surrogate pair, which a model's JSON can hold, would keep all metrics from being written out."""
    prometheus_client = pytest.importorskip("prometheus_client")
    registry = prometheus_client.CollectorRegistry()
    metrics = Metrics(registry, tools=True)
    metrics(CallStarted(at=0.0, call_id=1, server="a", method="tools/call", name=name))
    metrics(CallFinished(at=0.0, call_id=1, server="a", method="tools/call", name=name, seconds=0.1))
    told = prometheus_client.generate_latest(registry).decode()
    assert 'tool="' in told
    assert "\nfake_metric" not in told
    assert len(told) < 20_000


def test_a_secret_below_a_key_of_any_length_is_hidden() -> None:
    """Keys of a log line are a server's choice; what is below one that is not looked at is not shown."""
    lines: list[dict[str, object]] = []

    class Lines:
        def info(self, event: str, **fields: object) -> None:
            lines.append({"event": event, **fields})

        debug = warning = error = critical = info

    data = {"x" * 300 + "_password": "hunter2", "password": "hunter2", "x" * 100_000: {"a": "hunter2"}}
    StructuredLogs(Lines())(LogReceived(at=0.0, server="a", level="info", logger=None, data=data))
    (line,) = lines
    assert "hunter2" not in str(line)
    assert len(str(line)) < 2000
