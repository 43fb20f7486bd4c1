"""JSON-RPC 2.0 envelopes: cut, told apart and built, with the payload left as bytes.

It must not know any MCP method. ``result``, ``params`` and ``error.data`` stay raw until someone looks at them.
"""

from __future__ import annotations

import contextlib
import re
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, defstruct, structs

from dragoman.errors import MalformedMessage
from dragoman.protocol.mending import mended

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "Envelope",
    "ErrorObject",
    "RequestId",
    "decode",
    "decode_batch",
    "encode",
    "encode_error",
    "encode_notification",
    "encode_request",
    "encode_result",
    "excerpt",
    "guess_id",
    "printable",
]

RequestId: TypeAlias = int | str

T = TypeVar("T")

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

_EXCERPT_BYTES: Final = 200
#: Parts of one batch. No server in use sends a tenth of that.
_MOST_PARTS: Final = 1000


class ErrorObject(Struct, gc=False):
    """The ``error`` member of an answer."""

    code: int
    message: str = ""
    data: Raw | UnsetType = UNSET


class Envelope(Struct, gc=False):
    """One message. A request has ``id`` and ``method``, a notification only ``method``, an answer only ``id``.

    ``id`` is None in an error answer to a message whose id could not be read.
    """

    id: RequestId | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


_decoder: Final = msgspec.json.Decoder(Envelope)
_encoder: Final = msgspec.json.Encoder()

_BEGIN_BYTES: Final = 64
#: What may begin an object, as far as is looked; what is all blanks may still be one.
_OBJECT_BEGINS: Final = (b"{", b"")

#: JSON bytes of any value that JSON can hold; bytes become base64 text, structs objects.
encode: Final = _encoder.encode


def decode(data: bytes | Raw) -> Envelope:
    """Give the envelope of one message; its raw members share ``data``'s memory.

    Raises:
        MalformedMessage: it is no JSON, no object, or no JSON-RPC message.
    """
    try:
        envelope = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        complaint = f"not a JSON-RPC message ({error})"
        if bytes(memoryview(data)[:_BEGIN_BYTES]).lstrip()[:1] not in _OBJECT_BEGINS:
            raise MalformedMessage(complaint, excerpt=_opening(data)) from None
        envelope = _second_chance(_decoder, data, complaint)
    if envelope.result is UNSET or envelope.error is not UNSET:
        _settle(envelope, data)
    return envelope


def _settle(envelope: Envelope, data: bytes | Raw) -> None:
    """Check a message that is no plain result; a null beside an error, or in place of parameters, counts as absent."""
    if envelope.error is not UNSET:
        envelope.result = UNSET
    elif envelope.method is UNSET:
        raise MalformedMessage("a JSON object without method, result or error", excerpt=_opening(data))
    if envelope.params is not UNSET and len(envelope.params) == 4 and bytes(envelope.params) == b"null":
        envelope.params = UNSET


def decode_batch(data: bytes) -> list[Raw]:
    """Give the messages of a JSON array (allowed in revision 2025-03-26 only).

    Raises:
        MalformedMessage: it is no JSON array, or one of more than 1,000 messages; no more than these are looked at.
    """
    decoder = _batch_decoder()
    try:
        batch = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        batch = _second_chance(decoder, data, f"not a JSON-RPC batch of at most {_MOST_PARTS:,} messages ({error})")
    return [part for part in structs.astuple(batch) if part is not UNSET]


@cache
def _batch_decoder() -> msgspec.json.Decoder[Any]:
    """Give what reads an array and stops at the first part too many: a list would hold millions before it is told."""
    parts = [(f"part{number}", Raw | UnsetType, UNSET) for number in range(_MOST_PARTS)]
    return msgspec.json.Decoder(defstruct("_Batch", parts, array_like=True, forbid_unknown_fields=True, gc=False))


def _second_chance(decoder: msgspec.json.Decoder[T], data: bytes | Raw, complaint: str) -> T:
    better = mended(data)
    if better is not None:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return decoder.decode(better)
    raise MalformedMessage(complaint, excerpt=_opening(data)) from None


def _opening(data: bytes | Raw) -> str:
    return excerpt(bytes(memoryview(data)[:_EXCERPT_BYTES]))


def encode_request(request_id: int, method: str, params: bytes) -> bytes:
    """Give a request; ``params`` is a JSON object's bytes, or empty for none."""
    if params:
        return b'{"jsonrpc":"2.0","id":%d,"method":%b,"params":%b}' % (request_id, encode(method), params)
    return b'{"jsonrpc":"2.0","id":%d,"method":%b}' % (request_id, encode(method))


def encode_notification(method: str, params: bytes) -> bytes:
    """Give a notification; ``params`` as in `encode_request`."""
    if params:
        return b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (encode(method), params)
    return b'{"jsonrpc":"2.0","method":%b}' % encode(method)


def encode_result(request_id: RequestId, result: bytes) -> bytes:
    """Give the answer to a server's request; ``result`` is a JSON object's bytes."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (encode(request_id), result)


def encode_error(request_id: RequestId | None, code: int, message: str) -> bytes:
    """Give an error answer to a server's request."""
    return encode({"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}})


def excerpt(data: bytes, limit: int = _EXCERPT_BYTES) -> str:
    """Give the first ``limit`` bytes as printable text, for errors and logs."""
    return printable(data[:limit].decode("utf-8", "backslashreplace"), 4 * limit)


def printable(text: str, limit: int = _EXCERPT_BYTES) -> str:
    """Give a server's text as errors and logs may show it: on one line, at most ``limit`` characters of it."""
    text = text if len(text) <= limit else f"{text[:limit]}…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


# Bounded digits: an id of ours has few, and converting thousands of them is refused by Python.
_ID_AT_HEAD: Final = re.compile(rb'^\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(\d{1,19}|"[^"\\]*")\s*[,}]')
_ID_AT_TAIL: Final = re.compile(rb',\s*"id"\s*:\s*(\d{1,19}|"[^"\\]*")\s*\}\s*$')
_PROTOCOL: Final = b'"jsonrpc"'


def guess_id(head: bytes, tail: bytes) -> RequestId | None:
    """Give the id of a message of which only the two ends are known (it was cut for its size), if one shows.

    What does not name the protocol at either end is no answer: servers also log JSON objects, with ids of their own.
    """
    if _PROTOCOL not in head and _PROTOCOL not in tail:
        return None
    found = _ID_AT_HEAD.search(head) or _ID_AT_TAIL.search(tail)
    if not found:
        return None
    text = found.group(1)
    return text[1:-1].decode("utf-8", "replace") if text.startswith(b'"') else int(text)
