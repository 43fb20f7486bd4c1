"""What the pages show is what the programs are, and what they print."""

from __future__ import annotations

import re

import pytest

from tests.docs.programs import printed
from tests.repository import relative
from tools import docs

RUNNABLE = sorted(path.stem for path in docs.SOURCES.glob("*.py") if "\nasync def main(" in path.read_text())
SHOWN = [(relative(page), block) for page in docs.pages() for block in docs.blocks(page.read_text())]
FENCE = re.compile(r"^(.*)\n```python$", re.MULTILINE)


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_program_runs_and_prints_what_the_pages_say(name: str) -> None:
    """Each program, with the servers that it wants, ends well; where its output is shown, it is this one."""
    output = printed(name)
    for page, block in SHOWN:
        if block.prints and block.name == name:
            assert block.text == output, page


@pytest.mark.parametrize("page", docs.pages(), ids=relative)
def test_a_page_shows_the_programs_as_they_are(page: docs.Path) -> None:
    """`python -m tools.docs` would change nothing."""
    markdown = page.read_text()
    assert docs.rewritten(markdown) == markdown


@pytest.mark.parametrize("page", docs.pages(), ids=relative)
def test_a_page_shows_no_python_that_is_not_run(page: docs.Path) -> None:
    """Every block of Python stands below a marker that says where it comes from."""
    before = FENCE.findall(page.read_text())
    assert [line for line in before if not line.startswith("<!-- docs_src/")] == []


def test_every_program_is_shown_somewhere() -> None:
    """A program that no page shows has been forgotten."""
    assert set(RUNNABLE) - {block.name for _, block in SHOWN} == set()


def test_parts_of_a_program_can_be_shown_alone() -> None:
    """Functions, values and imports come out as they stand in the file."""
    block = docs.Block("connect_http", ("imports", "WITHOUT_A_PROXY"), prints=False, text="")
    assert docs.shown(block) == (
        "import asyncio\nfrom dragoman import ServerConfig, Tls, connect\n\n\n"
        'WITHOUT_A_PROXY = ServerConfig(url="https://notes.example.com/mcp", trust_env=False)\n'
    )


def test_a_marker_without_a_block_gets_one() -> None:
    """A writer puts the marker down; the tool does the rest, and a second run changes nothing."""
    page = "Look:\n\n<!-- docs_src/connect_http.py: WITHOUT_A_PROXY -->\n\nAnd then.\n"
    once = docs.rewritten(page)
    assert once.startswith("Look:\n\n<!-- docs_src/connect_http.py: WITHOUT_A_PROXY -->\n```python\nWITHOUT_A_PROXY = ")
    assert once.endswith("\n```\n\nAnd then.\n")
    assert docs.rewritten(once) == once


def test_an_unknown_part_is_told() -> None:
    """A part that was renamed does not vanish from its page silently."""
    with pytest.raises(KeyError, match="no_such_part"):
        docs.rewritten("<!-- docs_src/connect_http.py: no_such_part -->\n")
