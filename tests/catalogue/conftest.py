"""What the tests of the catalogue share: listings, and a clock that they turn."""

from __future__ import annotations

import pytest

from dragoman.catalogue.catalogue import Catalogue
from tests.catalogue.listed import Clock


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands at 1000."""
    return Clock()


@pytest.fixture
def catalogue(clock: Clock) -> Catalogue:
    """Give an empty catalogue that goes by that clock."""
    return Catalogue(clock=clock)
