"""Multi round-trip requests: what an ``input_required`` result asks for, and the parameters of the next round.

Pure. Whoever fulfils the questions lives in ``server/``. Source: 2026-07-28 basic/patterns/mrtr.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, Raw, UnsetType

from dragoman.errors import InvalidResult
from dragoman.protocol.jsonrpc import encode
from dragoman.protocol.kept import Kept, decode

__all__ = ["MAX_ROUNDS", "InputRequest", "InputRequired", "next_round", "read_input_required"]

#: How often one request may come back with questions before it is given up.
MAX_ROUNDS: Final = 10


class InputRequest(Kept):
    """One question: a method that a server may ask of a client, and its parameters."""

    method: str
    params: Raw = Raw(b"{}")


class InputRequired(Kept):
    """What the server needs before it goes on. ``request_state`` is opaque: echoed byte for byte, never read.

    A null one counts as absent: it would not be valid in the next round.
    """

    input_requests: dict[str, InputRequest] | None = None
    request_state: Raw | UnsetType = UNSET


def read_input_required(raw: Raw) -> InputRequired:
    """Give the questions of an ``input_required`` result.

    Raises:
        InvalidResult: it has neither questions nor a state, so that going on would loop for ever.
    """
    asked = decode(InputRequired, raw, "the input_required result")
    if asked.request_state is not UNSET and bytes(asked.request_state) == b"null":
        asked.request_state = UNSET
    if not asked.input_requests and asked.request_state is UNSET:
        raise InvalidResult("the input_required result has neither inputRequests nor requestState")
    return asked


def next_round(asked: InputRequired, answers: Mapping[str, Any]) -> bytes:
    """Give the members that the next round adds to the original parameters, as ``,"name":value`` bytes."""
    added = b""
    if asked.input_requests is not None:
        added += b',"inputResponses":' + encode(answers)
    if asked.request_state is not UNSET:
        added += b',"requestState":' + bytes(asked.request_state)
    return added
