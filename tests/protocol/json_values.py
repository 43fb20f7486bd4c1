"""JSON for hypothesis to draw: any value, any object, text that JSON can carry."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text()
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.text(max_size=8), values, max_size=5)


def written(value: object) -> st.SearchStrategy[bytes]:
    """The ways in which servers write one value: with blanks or without, with escapes or in UTF-8."""
    return st.sampled_from(
        [
            json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
            for separators in ((",", ":"), (", ", ": "), (" ,\t", " :  "))
            for ascii_only in (True, False)
        ]
    )
