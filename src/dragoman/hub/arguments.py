"""Arguments that come as bytes, made fit to be sent. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from dragoman.errors import InvalidArguments

__all__ = ["compact"]


def compact(arguments: bytes) -> Raw:
    """Give the arguments as one line of JSON: a line end within them would cut the message on its way.

    Raises:
        InvalidArguments: they are no JSON object.
    """
    try:
        line = msgspec.json.format(arguments, indent=-1)
        msgspec.json.decode(line, type=dict[str, Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArguments(f"the arguments are no JSON object ({error})") from None
    return Raw(line)
