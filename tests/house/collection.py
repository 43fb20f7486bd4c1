"""A pytest plugin that writes down what was collected: each test with the requirements that it names.

Loaded with `-p tests.house.collection` by `test_requirements.py`, in a process of its own, because the run that
contains that test may have collected only a part. The file to write is named by `DRAGOMAN_COLLECTION`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

DESTINATION = "DRAGOMAN_COLLECTION"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write a JSON object: the node id of each test, without parameters, to the requirements that it names."""
    found: dict[str, list[str]] = {}
    for item in session.items:
        named = [requirement for mark in item.iter_markers("requirement") for requirement in mark.args]
        found.setdefault(item.nodeid.partition("[")[0], []).extend(named)
    Path(os.environ[DESTINATION]).write_text(json.dumps(found))
