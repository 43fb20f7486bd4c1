"""No committed file names a package registry or a place on somebody's machine.

Which registry serves a package is for the machine to say; the hashes in the locks say whether it is the right one.
"""

from __future__ import annotations

import re

import pytest

from tests.repository import committed, relative

# Each in two pieces, so that this file passes its own test.
REGISTRIES = [
    "pypi" + r"\.org",
    "python" + r"hosted\.org",
    "registry" + r"\.npmjs",
    "npmjs" + r"\.org",
    "yarnpkg" + r"\.com",
]
PLACES = [
    r"(?<![\w.~}-])/wo" + "rk/",
    r"(?<![\w.~}-])/ro" + "ot/",
    r"(?<![\w.~}-])/ho" + r"me/[a-z]+/\.pyenv",
    "/tmp/" + "dragoman",
]


@pytest.mark.parametrize("pattern", [*REGISTRIES, *PLACES])
def test_no_committed_file_has(pattern: str) -> None:
    """No address of a registry, and no path that exists on one machine only."""
    search = re.compile(pattern.encode()).search
    assert [relative(path) for path in committed() if search(path.read_bytes())] == []
