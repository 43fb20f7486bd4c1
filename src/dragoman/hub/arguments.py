"""Arguments that come as bytes, made fit to be sent. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from dragoman.errors import InvalidArguments

__all__ = ["compact", "names_of"]


def compact(arguments: bytes | bytearray | memoryview) -> Raw:
    """Give the arguments as one line of JSON: a line end within them would cut the message on its way.

    Of two with one name the last is given, so that what is checked is what is sent. What lies deeper is as it came.

    Raises:
        InvalidArguments: they are no JSON object.
    """
    try:
        line = msgspec.json.format(bytes(arguments), indent=-1)
        line = msgspec.json.encode(msgspec.json.decode(line, type=dict[str, Raw]))
        line.decode()  # what is no UTF-8 within a text is not seen before
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArguments(f"the arguments are no JSON object ({error})") from None
    return Raw(line)


def names_of(arguments: Raw) -> tuple[str, ...]:
    """Give the names of arguments that were made compact."""
    return tuple(msgspec.json.decode(arguments, type=dict[str, Raw]))
