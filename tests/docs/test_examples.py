"""What the pages show is what the programs are, and what they print."""

from __future__ import annotations

import ast
import logging
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


def test_a_program_leaves_the_log_as_it_was() -> None:
    """One silences it for its page; the tests that come after read it."""
    log = logging.getLogger("dragoman")
    before = log.level
    printed("fleet_trouble")
    assert log.level == before


@pytest.mark.parametrize("page", docs.pages(), ids=relative)
def test_a_page_shows_the_programs_as_they_are(page: docs.Path) -> None:
    """`python -m tools.docs` would change nothing."""
    markdown = page.read_text()
    assert docs.rewritten(page, markdown) == markdown


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
        "import asyncio\n\nfrom dragoman import ServerConfig, Tls, connect\n\n\n"
        'WITHOUT_A_PROXY = ServerConfig(url="https://notes.example.com/mcp", trust_env=False)\n'
    )


def test_a_marker_without_a_block_gets_one() -> None:
    """A writer puts the marker down; the tool does the rest, and a second run changes nothing."""
    page = docs.ROOT / "docs" / "how-to" / "new.md"
    markdown = "Look:\n\n<!-- docs_src/connect_http.py: WITHOUT_A_PROXY -->\n\nAnd then.\n"
    once = docs.rewritten(page, markdown)
    assert once.startswith("Look:\n\n<!-- docs_src/connect_http.py: WITHOUT_A_PROXY -->\n```python\nWITHOUT_A_PROXY = ")
    link = "Whole program: [docs_src/connect_http.py](../../docs_src/connect_http.py)"
    assert once.endswith(f"\n```\n\n{link}\n\nAnd then.\n")
    assert docs.rewritten(page, once) == once


def test_a_wrong_link_to_a_program_is_put_right() -> None:
    """The link below a block follows the file that the block comes from."""
    marker = "<!-- docs_src/connect_http.py: WITHOUT_A_PROXY -->\n"
    wrong = f"{marker}```python\n```\n\nWhole program: [docs_src/old.py](../docs_src/old.py)\n"
    right = docs.rewritten(docs.ROOT / "README.md", wrong)
    assert right.endswith("```\n\nWhole program: [docs_src/connect_http.py](docs_src/connect_http.py)\n")


def test_an_unknown_part_is_told() -> None:
    """A part that was renamed does not vanish from its page silently."""
    with pytest.raises(KeyError, match="no_such_part"):
        docs.rewritten(docs.ROOT / "README.md", "<!-- docs_src/connect_http.py: no_such_part -->\n")


@pytest.mark.parametrize("page", docs.pages(), ids=relative)
def test_blocks_can_be_pasted_from_top_to_bottom(page: docs.Path) -> None:
    """Whatever a block uses of its program, imports and helpers, it or a block above it has shown."""
    pasted: dict[str, set[str]] = {}
    for block in docs.blocks(page.read_text()):
        if block.prints:
            continue
        program = bound((docs.SOURCES / f"{block.name}.py").read_text())
        known = pasted.setdefault(block.name, set())
        known |= bound(block.text)
        used = {node.id for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Name)}
        assert used & program - known == set(), block.name


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_program_imports_no_other(name: str) -> None:
    """`python docs_src/NAME.py` finds all that it needs, whatever the import path."""
    program = ast.parse((docs.SOURCES / f"{name}.py").read_text())
    froms = [node.module or "" for node in ast.walk(program) if isinstance(node, ast.ImportFrom)]
    assert [module for module in froms if module.startswith("docs_src")] == []


def bound(source: str) -> set[str]:
    """Give the names that a program has at its top level."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {each.asname or each.name.partition(".")[0] for each in names}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case _:
                continue
    return found
