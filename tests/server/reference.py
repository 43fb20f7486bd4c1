"""What the reference promises of faults: the tables of ``docs/reference/faults.md``, read for comparison."""

from __future__ import annotations

import re

from tests.parts import ROOT

PAGE = ROOT / "docs" / "reference" / "faults.md"
ROW = re.compile(r"^\| (?P<fault>[^|]+?) \| (?P<gives>[^|]+?) \|", re.MULTILINE)
ERROR = re.compile(r"`(\w+)`")


def documented(section: str) -> dict[str, str]:
    """Give the faults of one section, each with the error that the caller gets ("" for none)."""
    body = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [(row["fault"], row["gives"]) for row in ROW.finditer(body)][1:]
    return {fault: "".join(ERROR.findall(gives)[:1]) for fault, gives in rows}
