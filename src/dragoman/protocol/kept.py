"""Values that keep the bytes they came from, so that no unknown field is ever lost.

Pure. `decode` turns bytes into such a value; `Kept.raw` gives the bytes back, `Kept.extra` whatever has no field.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from dragoman.errors import InvalidResult

__all__ = ["Kept", "decode", "decode_any", "decode_list"]

#: No JSON member that a server sends can matter under this name: `decode` always overwrites it.
_RAW_MEMBER: Final = "$raw"

_any_decoder: Final = msgspec.json.Decoder()
_list_decoder: Final = msgspec.json.Decoder(list[Raw])
_object_decoder: Final = msgspec.json.Decoder(dict[str, Any])


class Kept(Struct, kw_only=True, rename="camel", gc=False):
    """The base of all values that servers send."""

    raw_json: Raw = field(default=Raw(b"{}"), name=_RAW_MEMBER)

    @property
    def raw(self) -> bytes:
        """The JSON exactly as it came."""
        return bytes(self.raw_json)

    @property
    def extra(self) -> dict[str, Any]:
        """The members that this client has no field for."""
        known = set(self.__struct_encode_fields__)
        return {key: value for key, value in _object_decoder.decode(self.raw_json).items() if key not in known}

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__ if not name.startswith("raw_"))
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown if v is not None)})"


K = TypeVar("K", bound=Kept)
_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def decode(kind: type[K], raw: Raw | bytes, what: str) -> K:
    """Give the value of one JSON object. ``what`` names it in the error.

    Raises:
        InvalidResult: it does not have the shape that the specification tells.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: K = decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidResult(f"{what} does not fit the specification ({error})") from None
    value.raw_json = raw if isinstance(raw, Raw) else Raw(raw)
    return value


def decode_any(raw: Raw | bytes, what: str) -> Any:
    """Give any JSON value as plain Python ones.

    Raises:
        InvalidResult: it is not JSON.
    """
    try:
        return _any_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidResult(f"{what} is not valid JSON ({error})") from None


def decode_list(raw: Raw | bytes, what: str) -> list[Raw]:
    """Give the entries of a JSON array, each still as bytes.

    Raises:
        InvalidResult: it is no JSON array.
    """
    try:
        return _list_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidResult(f"{what} is no JSON array ({error})") from None
