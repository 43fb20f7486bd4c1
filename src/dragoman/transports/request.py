"""One HTTP request, ready to be written: what the transports ask of ``pool.py``, without an HTTP library."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

__all__ = ["Head", "Request"]


class Head:
    """Headers that many requests share, made ready for sending once; see `Pool.head`."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        self.raw = _lines(fields)


class Request(Struct, gc=False, frozen=True):
    """One request. ``target`` is path and query, ``label`` what errors call it.

    ``fields`` are headers beside those of ``head``; both must hold only values that are safe to send. ``silence``
    bounds in seconds how long nothing may come, before the answer and within it; None is for ever. With ``on_held`` it
    waits its turn where a server has as many connections as it may have, and learns when that begins and ends.
    """

    verb: str
    target: str
    head: Head
    label: str
    fields: Mapping[str, str] | None = None
    body: bytes | None = None
    silence: float | None = None
    on_held: Callable[[bool], None] | None = None

    def begin(self) -> bytes:
        """Give all that stands before the body."""
        raw = b"%b %b HTTP/1.1\r\n%b" % (self.verb.encode(), self.target.encode(), self.head.raw)
        if self.fields:
            raw += _lines(self.fields)
        return raw + (b"\r\n" if self.body is None else b"Content-Length: %d\r\n\r\n" % len(self.body))


def _lines(fields: Mapping[str, str]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in fields.items()]).encode()
