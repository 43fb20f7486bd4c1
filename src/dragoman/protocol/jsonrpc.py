"""JSON-RPC 2.0 envelopes: cut, told apart and built, with the payload left as bytes.

It must not know any MCP method. ``result``, ``params`` and ``error.data`` stay raw until someone looks at them.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from dragoman.errors import MalformedMessage

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
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
]

RequestId: TypeAlias = int | str

INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603


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
_batch_decoder: Final = msgspec.json.Decoder(list[Raw])
_encoder: Final = msgspec.json.Encoder()

#: JSON bytes of any value that JSON can hold; bytes become base64 text, structs objects.
encode: Final = _encoder.encode


def decode(data: bytes | Raw) -> Envelope:
    """Give the envelope of one message; its raw members share ``data``'s memory.

    Raises:
        MalformedMessage: it is no JSON, no object, or no JSON-RPC message.
    """
    try:
        envelope = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a JSON-RPC message ({error})", excerpt=excerpt(bytes(data)[:200])) from None
    if envelope.method is UNSET and envelope.result is UNSET and envelope.error is UNSET:
        raise MalformedMessage("a JSON object without method, result or error", excerpt=excerpt(bytes(data)[:200]))
    return envelope


def decode_batch(data: bytes) -> list[Raw]:
    """Give the messages of a JSON array (allowed in revision 2025-03-26 only).

    Raises:
        MalformedMessage: it is no JSON array.
    """
    try:
        return _batch_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a JSON-RPC batch ({error})", excerpt=excerpt(data[:200])) from None


def encode_request(request_id: int, method: str, params: bytes) -> bytes:
    """Give a request; ``params`` is a JSON object's bytes, or empty for none. ``method`` must be plain ASCII."""
    if params:
        return b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":%b}' % (request_id, method.encode(), params)
    return b'{"jsonrpc":"2.0","id":%d,"method":"%b"}' % (request_id, method.encode())


def encode_notification(method: str, params: bytes) -> bytes:
    """Give a notification; ``params`` as in `encode_request`."""
    if params:
        return b'{"jsonrpc":"2.0","method":"%b","params":%b}' % (method.encode(), params)
    return b'{"jsonrpc":"2.0","method":"%b"}' % method.encode()


def encode_result(request_id: RequestId, result: bytes) -> bytes:
    """Give the answer to a server's request; ``result`` is a JSON object's bytes."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (encode(request_id), result)


def encode_error(request_id: RequestId | None, code: int, message: str) -> bytes:
    """Give an error answer to a server's request."""
    return encode({"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}})


def excerpt(data: bytes, limit: int = 200) -> str:
    """Give the first ``limit`` bytes as printable text, for errors and logs."""
    text = data[:limit].decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


_ID_AT_HEAD: Final = re.compile(rb'^\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(\d+|"[^"\\]*")\s*[,}]')
_ID_AT_TAIL: Final = re.compile(rb',\s*"id"\s*:\s*(\d+|"[^"\\]*")\s*\}\s*$')


def guess_id(head: bytes, tail: bytes) -> RequestId | None:
    """Give the id of a message of which only the two ends are known (it was cut for its size), if one shows."""
    found = _ID_AT_HEAD.search(head) or _ID_AT_TAIL.search(tail)
    if not found:
        return None
    text = found.group(1)
    return text[1:-1].decode("utf-8", "replace") if text.startswith(b'"') else int(text)
