"""Puts the programs of `docs_src`, and what they print, into the Markdown that shows them.

A marker, in an HTML comment, stands on the line before a fenced block: `docs_src/NAME.py` for the whole program,
`docs_src/NAME.py: A B` for its functions, classes and values A and B (`imports`: its imports), and
`docs_src/NAME.py prints` for its output. Below each program stands a link to its file. `python -m tools.docs` rewrites
the programs and links, and with `--outputs` the outputs too; `tests/docs` compares all of them.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["ROOT", "SOURCES", "Block", "blocks", "pages", "rewritten", "shown"]

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = ROOT / "docs_src"

_BLOCK: Final = re.compile(
    r"^<!-- docs_src/(?P<name>\w+)\.py(?:(?P<prints> prints)|: (?P<parts>[\w ]+))? -->\n"
    r"(?:```(?P<kind>\w*)\n(?P<text>.*?)^```$(?:\n\nWhole program: \[[^\n]*)?)?",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One marked block: the program, which parts of it (none: all), whether its output is meant, and what is there."""

    name: str
    parts: tuple[str, ...]
    prints: bool
    text: str


def pages() -> list[Path]:
    """Every page that may show programs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(markdown: str) -> Iterator[Block]:
    """Give the marked blocks of a page."""
    for found in _BLOCK.finditer(markdown):
        yield _block(found)


def shown(block: Block) -> str:
    """Give what a block that shows a program should hold.

    Raises:
        KeyError: the program has no such part.
    """
    source = (SOURCES / f"{block.name}.py").read_text()
    if not block.parts:
        return source
    parts = _parts(source)
    return "\n\n".join(parts[part] for part in block.parts)


def rewritten(page: Path, markdown: str, printed: Callable[[str], str] | None = None) -> str:
    """Give a page with its programs as they are now, and with their outputs if `printed` runs a program."""

    def put(found: re.Match[str]) -> str:
        block = _block(found)
        marker = found.group().partition("\n")[0]
        after = "\n" if found["text"] is None else ""
        if not block.prints:
            return f"{marker}\n```python\n{shown(block)}```\n\n{_link(page, block.name)}{after}"
        kind = "text" if found["kind"] is None else found["kind"]
        return found.group() if printed is None else f"{marker}\n```{kind}\n{printed(block.name)}```{after}"

    return _BLOCK.sub(put, markdown)


def _link(page: Path, name: str) -> str:
    path = SOURCES / f"{name}.py"
    return f"Whole program: [{path.relative_to(ROOT)}]({os.path.relpath(path, page.parent)})"


def _block(found: re.Match[str]) -> Block:
    parts = tuple((found["parts"] or "").split())
    return Block(found["name"], parts, found["prints"] is not None, found["text"] or "")


def _parts(source: str) -> dict[str, str]:
    """Give the source of each top-level name; the imports, which stand together, count as one part, `imports`."""
    lines = source.splitlines(keepends=True)
    found: dict[str, str] = {}
    imports: list[ast.stmt] = []
    for node in ast.parse(source).body:
        start = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        text = "".join(lines[start - 1 : node.end_lineno])
        match node:
            case ast.Import() | ast.ImportFrom():
                if getattr(node, "module", "") != "__future__":
                    imports.append(node)
                    found["imports"] = "".join(lines[imports[0].lineno - 1 : node.end_lineno])
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = text
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = text
            case _:
                continue
    return found


def main() -> None:
    """Rewrite all pages and name those that changed."""
    printed = None
    if "--outputs" in sys.argv:
        from tests.docs.programs import printed
    for page in pages():
        before = page.read_text()
        after = rewritten(page, before, printed)
        if after != before:
            page.write_text(after)
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
