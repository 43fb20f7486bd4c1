"""How well tools are found on a small sample of our own: what worked keeps working.

Tools as common servers list them, and what a person would ask for; how it goes on public sets, `bench.retrieval` tells.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dragoman.catalogue.search import ToolIndex, document_of
from tests.parts import ROOT

SAMPLE = ROOT / "tests" / "data" / "retrieval"
FLOORS = {1: 0.57, 5: 0.76, 10: 0.79}
"""What is measured (0.592, 0.776, 0.809), less two questions or so."""


def read(path: Path) -> dict[str, list[Any]]:
    """One file of the sample."""
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def index() -> ToolIndex:
    """All tools of the sample."""
    found = ToolIndex()
    for server, tools in read(SAMPLE / "tools.json").items():
        listed = [document_of(server, json.dumps(tool).encode(), f"{server}.{tool['name']}") for tool in tools]
        found.replace(server, listed)
    return found


def test_every_question_is_about_a_tool_of_the_sample(index: ToolIndex) -> None:
    """The sample holds a hundred tools, and asks for each of them."""
    keys = {f"{server}.{tool['name']}" for server, tools in read(SAMPLE / "tools.json").items() for tool in tools}
    assert read(SAMPLE / "questions.json").keys() == keys
    assert len(index) == len(keys) == 100


@pytest.mark.parametrize("cut", FLOORS)
def test_recall_does_not_fall(index: ToolIndex, cut: int) -> None:
    """So many of the questions have their tool among the first."""
    asked = [(text, key) for key, texts in read(SAMPLE / "questions.json").items() for text in texts]
    right = sum(key in [hit.key for hit in index.find(text, cut)] for text, key in asked)
    assert len(asked) == 152
    assert right / len(asked) >= FLOORS[cut]


def test_every_tool_is_found_by_its_full_name(index: ToolIndex) -> None:
    """And comes first."""
    keys = read(SAMPLE / "questions.json").keys()
    assert [index.find(key, 1)[0].key for key in keys] == list(keys)
