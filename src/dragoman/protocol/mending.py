"""JSON that real servers get slightly wrong, put right: a second chance for what would not decode.

Pure, and off the fast path: it is asked only after a strict decoder has refused. It changes nothing that was right,
and knows neither envelopes nor MCP. Its callers are `jsonrpc` and `kept`.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw

__all__ = ["mended"]

#: Larger texts are not mended: it would hold up everyone else for too long.
_LARGEST: Final = 4 * 1024 * 1024

# A surrogate's escape with all backslashes before it (an even number of them means that it is no escape), and the
# other half of the pair. A run of backslashes is looked at once, from its begin. Nothing else is matched, so that texts
# full of other escapes cost nothing.
_SURROGATE: Final = re.compile(
    rb"(?<!\\)(\\++)u[dD](?:[89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|[c-fC-F][0-9a-fA-F]{2})"
)
_WHOLE_NUMBER: Final = re.compile(rb"(-?\d+)\.0+")

_members_decoder: Final = msgspec.json.Decoder(dict[str, Raw])


def mended(text: bytes | Raw) -> bytes | None:
    r"""Give a text that says the same in a way that strict decoders take, or None if nothing here was wrong.

    - Half of a surrogate pair (``"\ud83d"``: JavaScript cuts emoji in two) becomes U+FFFD.
    - In the outermost object, a member that is null counts as absent, and ``3.0`` as ``3``.
    """
    original = bytes(text)
    if len(original) > _LARGEST:
        return None
    better = _SURROGATE.sub(_whole, original) if b"\\u" in original else original
    better = _tidied(better)
    return None if better == original else better


def _whole(found: re.Match[bytes]) -> bytes:
    backslashes, low = found.group(1), found.group(2)
    if len(backslashes) % 2 == 0:
        return found.group() if low is None else found.group()[: -len(low)] + rb"\ufffd"
    return found.group() if low is not None else backslashes[:-1] + rb"\ufffd"


def _tidied(text: bytes) -> bytes:
    try:
        members = _members_decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text
    kept: dict[str, Raw] = {}
    changed = False
    for name, value in members.items():
        told = bytes(value)
        number = _WHOLE_NUMBER.fullmatch(told)
        changed = changed or told == b"null" or number is not None
        if told != b"null":
            kept[name] = Raw(number.group(1)) if number else value
    return msgspec.json.encode(kept) if changed else text
