"""What the tutorial shows beside its programs, which `tests/docs` runs."""

from __future__ import annotations

import re

from tests.parts import ROOT

PAGE = ROOT / "docs" / "tutorial" / "many-servers.md"


def test_the_tutorial_shows_the_file_that_its_program_opens() -> None:
    """The block of YAML is the file beside the program."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert blocks == [(ROOT / "docs_src" / "fleet.yaml").read_text()]
