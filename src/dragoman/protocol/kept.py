"""Values that keep the bytes they came from, so that no unknown field is ever lost.

Pure. `decode` turns bytes into such a value; `Kept.raw` gives the bytes back, `Kept.extra` whatever has no field. Both
hold for the values inside a value too: a tool's annotations, a prompt's arguments.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from types import UnionType
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, defstruct, field, structs
from msgspec.json import Decoder

from dragoman.errors import InvalidResult
from dragoman.protocol.mending import mended

__all__ = ["Kept", "decode", "decode_any", "decode_list", "decode_object", "texts"]

#: The wire name of what is never on the wire: `decode` always overwrites it.
_RAW_MEMBER: Final = "$raw"

_any_decoder: Final[Decoder[Any]] = Decoder()
_list_decoder: Final = Decoder(list[Raw])
_mapping_decoder: Final = Decoder(dict[str, Raw])
_object_decoder: Final = Decoder(dict[str, Any])

T = TypeVar("T")


class Kept(Struct, kw_only=True, rename="camel", gc=False):
    """The base of all values that servers send."""

    raw_json: Raw = field(default=Raw(b"{}"), name=_RAW_MEMBER)

    @property
    def raw(self) -> bytes:
        """The JSON exactly as it came."""
        return bytes(self.raw_json)

    @property
    def extra(self) -> dict[str, Any]:
        """The members that this client has no field for.

        Raises:
            InvalidResult: one of them is not valid JSON, which nobody had looked at before.
        """
        known = set(self.__struct_encode_fields__) - {_RAW_MEMBER}
        members = _read(_object_decoder, self.raw_json, f"the extra members of a {type(self).__name__}")
        return {name: value for name, value in members.items() if name not in known}

    def __repr__(self) -> str:
        told = ((name, getattr(self, name)) for name in self.__struct_fields__ if "raw" not in name.split("_"))
        shown = (f"{name}={value!r}" for name, value in told if value is not None and value is not UNSET)
        return f"{type(self).__name__}({', '.join(shown)})"


K = TypeVar("K", bound=Kept)


def decode(kind: type[K], raw: Raw | bytes, what: str) -> K:
    """Give the value of one JSON object. ``what`` names it in the error.

    Raises:
        InvalidResult: it does not have the shape that the specification tells.
    """
    reading = _readings.get(kind) or _reading(kind)
    try:
        value: K = reading.decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        value = _second_chance(reading.decoder, raw, f"{what} does not fit the specification ({error})")
    value.raw_json = raw if isinstance(raw, Raw) else Raw(raw)
    for name, _ in reading.inner:
        if getattr(value, name):
            reading.hand_down(value)
            break
    return value


def decode_any(raw: Raw | bytes, what: str) -> Any:  # noqa: ANN401 - any JSON value; the caller looks
    """Give any JSON value as plain Python ones.

    Raises:
        InvalidResult: it is not JSON.
    """
    return _read(_any_decoder, raw, f"{what} is not valid JSON")


def decode_object(raw: Raw | bytes, what: str) -> dict[str, Any] | None:
    """Give a JSON object as plain Python values; None if it is another JSON value.

    Raises:
        InvalidResult: it is not JSON.
    """
    value = decode_any(raw, what)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def decode_list(raw: Raw | bytes, what: str) -> list[Raw]:
    """Give the entries of a JSON array, each still as bytes. Null, as some languages write an empty one, has none.

    Raises:
        InvalidResult: it is no JSON array.
    """
    try:
        return _list_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if bytes(memoryview(raw)[:5]) == b"null":
            return []
        return _second_chance(_list_decoder, raw, f"{what} is no JSON array ({error})")


def texts(value: object) -> tuple[str, ...]:
    """Give the strings of a JSON array that is decoded already; none if it is something else."""
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(entry for entry in entries if isinstance(entry, str))


def _read(decoder: Decoder[T], raw: Raw | bytes, complaint: str) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _second_chance(decoder, raw, f"{complaint} ({error})")


def _second_chance(decoder: Decoder[T], raw: Raw | bytes, complaint: str) -> T:
    better = mended(raw)
    if better is not None:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return decoder.decode(better)
    raise InvalidResult(complaint) from None


# Values inside values. msgspec gives no bytes for those, so they are looked up in a second, shallow pass, which is
# made only for a value that has some.

_Shape: TypeAlias = Literal["one", "list", "mapping"]


class _Reading:
    """How one kind of value is read. ``inner`` names the members that hold values of their own, and how they lie."""

    __slots__ = ("_members", "decoder", "inner")

    def __init__(self, kind: type[Kept]) -> None:
        self.decoder: Decoder[Any] = Decoder(kind)
        fields = structs.fields(kind)
        self.inner: tuple[tuple[str, _Shape], ...] = tuple(
            (spec.name, shape) for spec in fields if (shape := _shape(spec.type)) is not None
        )
        wire = {spec.name: spec.encode_name for spec in fields}
        members = [(name, Raw | UnsetType, field(default=UNSET, name=wire[name])) for name, _ in self.inner]
        self._members: Decoder[Any] = Decoder(defstruct(f"_{kind.__name__}Members", members, gc=False))

    def hand_down(self, value: Kept) -> None:
        """Give the values inside ``value`` their bytes."""
        members = _read(self._members, value.raw_json, "a value does not fit the specification")
        for name, shape in self.inner:
            held = getattr(value, name)
            if not held:
                continue
            for part, raw in _pairs(held, getattr(members, name), shape):
                part.raw_json = raw
                reading = _readings.get(type(part)) or _reading(type(part))
                if reading.inner:
                    reading.hand_down(part)


def _pairs(held: Any, raw: Raw, shape: _Shape) -> Iterable[tuple[Kept, Raw]]:  # noqa: ANN401 - as the shape tells
    """Give each value that a member holds with its bytes."""
    if shape == "one":
        return ((held, raw),)
    if shape == "list":
        return zip(held, _list_decoder.decode(raw), strict=True)
    entries = _mapping_decoder.decode(raw)
    return [(value, entries[name]) for name, value in held.items()]


def _reading(kind: type[Kept]) -> _Reading:
    reading = _readings.get(kind)
    if reading is None:
        reading = _readings[kind] = _Reading(kind)
    return reading


_readings: Final[dict[type[Kept], _Reading]] = {}


def _shape(hint: object) -> _Shape | None:
    """Tell how `Kept` values lie in a member of that type; None if it holds none."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for option in options:
        origin, parts = get_origin(option), get_args(option)
        if _is_kept(option):
            return "one"
        if origin in (tuple, list) and _is_kept(parts[0]):
            return "list"
        if origin is dict and _is_kept(parts[1]):
            return "mapping"
    return None


def _is_kept(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, Kept)
