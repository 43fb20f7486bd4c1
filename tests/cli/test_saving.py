"""Files of servers are put where they belong, under harmless names, over nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.cli.saving import Saver, stem_of
from dragoman.errors import UsageError

#: The endings of media and of plain text.
HARMLESS = {
    *(".png", ".jpg", ".gif", ".webp", ".avif", ".bmp", ".tiff", ".svg"),
    *(".wav", ".mp3", ".m4a", ".ogg", ".flac", ".mp4", ".mpeg", ".webm"),
    *(".pdf", ".json", ".zip", ".gz", ".txt", ".md", ".csv", ".bin"),
}


def named(directory: Path, name: str, kind: str | None) -> str:
    """The name of the file that is made of these."""
    path = Saver(str(directory)).save(name, kind, b"x")
    assert path is not None
    return path.name


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("face", "image/png", "face.png"),
        ("face.PNG", "image/png", "face.png"),
        ("face", "image/jpeg; q=1", "face.jpg"),
        ("notes.txt", "text/plain", "notes.txt"),
        ("v1.2.txt", "text/plain", "v1_2.txt"),
        ("data", None, "data.bin"),
        ("other", "x/y", "other.bin"),
    ],
)
def test_a_name_is_made_of_what_is_known(tmp_path: Path, name: str, kind: str | None, told: str) -> None:
    """The ending comes from the type alone."""
    assert named(tmp_path, name, kind) == told


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("click.py", "image/png", "click_py.png"),
        ("click.py", "text/x-python", "click_py.bin"),
        ("sitecustomize.pth", None, "sitecustomize_pth.bin"),
        ("evil.desktop", "application/x-desktop", "evil_desktop.bin"),
        ("page", "text/html", "page.bin"),
        (".bashrc", None, "bashrc.bin"),
        ("..", "image/png", "result.png"),
        (".png", "image/png", "result.png"),
        ("NUL", "image/png", "NUL_.png"),
        ("com1.png", "image/png", "com1_.png"),
    ],
)
def test_no_file_is_one_that_something_runs(tmp_path: Path, name: str, kind: str | None, told: str) -> None:
    """Neither Python nor a shell nor a desktop, whatever the server calls it; nor is it a device."""
    assert named(tmp_path, name, kind) == told


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """The second file of a name gets a number; a link in the way is not followed."""
    outside = tmp_path / "outside"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a-2.txt").symlink_to(outside)
    for byte in (b"\x00", b"\x01"):
        Saver(str(tmp_path / "in")).save("a", "text/plain", byte)
    assert (tmp_path / "in" / "a.txt").read_bytes() == b"\x00"
    assert (tmp_path / "in" / "a-3.txt").read_bytes() == b"\x01"
    assert not outside.exists()


def test_a_result_leaves_no_more_files_than_can_be_looked_through(tmp_path: Path) -> None:
    """The rest is counted; one name is not tried again from the first number."""
    saver = Saver(str(tmp_path))
    paths = [saver.save("a", "image/png", b"x") for _ in range(103)]
    assert [path is None for path in paths] == [False] * 100 + [True] * 3
    assert saver.left_out == 3
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", *(f"a-{number}.png" for number in range(2, 101))}


@given(st.text(), st.none() | st.text())
def test_no_name_leads_out_of_the_directory(
    tmp_path_factory: pytest.TempPathFactory, name: str, kind: str | None
) -> None:
    """Whatever a server calls a thing, the file lies in the directory and is not hidden."""
    directory = tmp_path_factory.mktemp("files")
    path = Saver(str(directory)).save(name, kind, b"x")
    assert path is not None
    assert path.suffix in HARMLESS
    assert path.parent == directory
    assert path.resolve().parent == directory.resolve()
    assert not path.name.startswith((".", "-"))
    assert path.name.isascii()
    assert len(path.name) < 120


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the way out."""
    with pytest.raises(UsageError, match=r"can't be written \(No such file or directory\).*--save"):
        Saver(str(tmp_path / "nowhere")).save("a", None, b"")


@pytest.mark.parametrize(
    ("uri", "stem"),
    [
        ("file:///a/b.txt", "b.txt"),
        ("https://example.com/", "resource"),
        ("note:///a%20b", "a b"),
        ("file:///a/b/", "b"),
        ("urn:isbn:1", "isbn:1"),
        ("http://[broken", "resource"),
    ],
)
def test_a_resource_is_called_by_the_end_of_its_path(uri: str, stem: str) -> None:
    """Or by a general name, if its URI has no path."""
    assert stem_of(uri, "resource") == stem
