"""What the tests of handles share."""

from __future__ import annotations

from collections import OrderedDict

import pytest


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test without verdicts on servers met before."""
    monkeypatch.setattr("dragoman.server.verdicts._verdicts", OrderedDict[object, object]())
