"""What tools and resources give, on a pipe: text as it is, structure as JSON, everything else in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import ODD, run


def test_text_on_a_pipe_is_exact() -> None:
    """Escapes and all: a program may want them."""
    assert run("call", "escapes", "-s", ODD).out.startswith("before red \x1b[31malert\x1b[0m \x9b2J bell\x07")
    assert run("read", "odd:///text", "-s", ODD).out.startswith("no newline at the end red \x1b[31m")


def test_pictures_sounds_and_bytes_are_saved_and_named(tmp_path: Path) -> None:
    """One file each, next to each other, in the directory that --save names."""
    words = ("--save", str(tmp_path), "-s", ODD)
    assert run("call", "image", *words).out.splitlines() == [
        f"saved {tmp_path / 'image.png'} (image/png, 10 bytes)",
        f"saved {tmp_path / 'image-2.png'} (image/png, 10 bytes)",
    ]
    assert run("call", "sound", *words).out == f"saved {tmp_path / 'sound.bin'} (audio/x-strange\\x1b[1m, 4 bytes)\n"
    assert run("call", "blob", *words).out.startswith(f"saved {tmp_path / 'bashrc.bin'} ")
    assert (tmp_path / "image-2.png").read_bytes() == b"\x89PNG image"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bashrc.bin", "image-2.png", "image.png", "sound.bin"]


def test_files_go_into_the_working_directory(tmp_path: Path) -> None:
    """Unless told otherwise."""
    assert run("call", "image", "-s", ODD, cwd=tmp_path).out.startswith("saved image.png (")


def test_json_saves_nothing(tmp_path: Path) -> None:
    """The object holds it all."""
    told = json.loads(run("call", "image", "--json", "-s", ODD, cwd=tmp_path).out)
    assert len(told["content"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_resource_of_bytes_is_saved_under_a_harmless_name(tmp_path: Path) -> None:
    """Or goes where --output says."""
    done = run("read", "odd:///../../etc/p\u0430sswd", "-s", ODD, cwd=tmp_path)
    assert done.out == "saved p-sswd.png (image/png, 6 bytes)\n"
    run("read", "odd:///picture", "-o", "mine.png", "-s", ODD, cwd=tmp_path)
    assert (tmp_path / "mine.png").read_bytes() == b"\x89PNG.."
    refused = run("read", "odd:///picture", "-o", "no/such/place", "-s", ODD, cwd=tmp_path)
    assert refused.status == 2
    assert "'no/such/place' can't be made: 'no/such' does not exist." in refused.err


def test_output_to_stdout_is_exact_bytes() -> None:
    """`-o -`."""
    import subprocess

    from tests.cli.program import COMMAND, environment

    words = [*COMMAND, "read", "odd:///picture", "-o", "-", "-s", ODD]
    assert subprocess.run(words, capture_output=True, env=environment(), timeout=20, check=True).stdout == b"\x89PNG.."


def test_a_resource_in_parts_is_shown_part_by_part(tmp_path: Path) -> None:
    """Text, then the file."""
    lines = run("read", "odd:///both", "-s", ODD, cwd=tmp_path).out.splitlines()
    assert lines[0].startswith("no newline at the end")
    assert lines[-1] == "saved both.png (image/png, 6 bytes)"


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ("repeated", '{"a": 1}\n'),
        ("empty", ""),
    ],
)
def test_structure_on_a_pipe_is_shown_where_there_is_no_text(tool: str, told: str) -> None:
    """`--json` is for who wants it always."""
    assert run("call", tool, "-s", ODD).out == told


def test_structure_alone_is_json() -> None:
    """With whatever acts on a terminal made harmless only there."""
    assert json.loads(run("call", "structured", "-s", ODD).out)["of"][:4] == [1, 2.5, None, True]


def test_content_of_an_unknown_kind_is_shown_whole() -> None:
    """Nothing is dropped because it is new."""
    assert json.loads(run("call", "unknown", "-s", ODD).out)["beams"] == [1, 2]


def test_a_link_is_named() -> None:
    """With what the server calls it."""
    assert run("call", "link", "-s", ODD).out.startswith("resource odd:///text  a link red \\x1b[31malert")


def test_a_picture_that_is_none_fails_the_call() -> None:
    """What is wrong is told."""
    done = run("call", "bad_base64", "-s", ODD)
    assert done.status == 1
    assert "the data of an image is not base64" in done.err


def test_a_question_without_a_terminal_is_declined() -> None:
    """And that is said on stderr."""
    done = run("call", "confirm", "-s", ODD)
    assert json.loads(done.out) == {"action": "decline"}
    assert done.err == "odd_server.py asks: Go on? (declined: there is no terminal to ask at)\n"


@pytest.mark.parametrize("command", ["info", "tools", "resources", "prompts"])
def test_no_listing_holds_anything_that_acts(command: str) -> None:
    """Names and descriptions are one line each, and safe even on a pipe."""
    done = run(command, "-s", ODD)
    assert done.status == 0
    assert not {character for character in done.out + done.err if ord(character) < 32} - {"\n", "\t"}
    assert "\x9b" not in done.out
