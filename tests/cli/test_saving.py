"""Files of servers are put where they belong, under harmless names, over nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.cli.saving import save, stem_of
from dragoman.errors import UsageError


def test_a_name_is_made_of_what_is_known(tmp_path: Path) -> None:
    """The ending comes from the name if it has one, else from the type."""
    cases = [
        ("face", "image/png", "face.png"),
        ("notes.md", "text/plain", "notes.md"),
        ("face", "image/jpeg; q=1", "face.jpg"),
        ("data", None, "data.bin"),
        ("other", "x/y", "other.bin"),
        ("page", "text/html", "page.html"),
    ]
    assert [save(str(tmp_path), name, kind, b"x").name for name, kind, _ in cases] == [told for _, _, told in cases]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """The second file of a name gets a number; a link in the way is not followed."""
    outside = tmp_path / "outside"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a-2.txt").symlink_to(outside)
    paths = [save(str(tmp_path / "in"), "a", "text/plain", bytes([n])) for n in range(2)]
    assert [path.name for path in paths] == ["a.txt", "a-3.txt"]
    assert [path.read_bytes() for path in paths] == [b"\x00", b"\x01"]
    assert not outside.exists()


@given(st.text(), st.none() | st.text())
def test_no_name_leads_out_of_the_directory(
    tmp_path_factory: pytest.TempPathFactory, name: str, kind: str | None
) -> None:
    """Whatever a server calls a thing, the file lies in the directory and is not hidden."""
    directory = tmp_path_factory.mktemp("files")
    path = save(str(directory), name, kind, b"x")
    assert path.parent == directory
    assert path.resolve().parent == directory.resolve()
    assert not path.name.startswith((".", "-"))
    assert path.name.isascii()
    assert len(path.name) < 120


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the way out."""
    with pytest.raises(UsageError, match=r"can't be written \(No such file or directory\).*--save"):
        save(str(tmp_path / "nowhere"), "a", None, b"")


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
