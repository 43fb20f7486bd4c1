"""Listings: all pages of one, entry by entry, so that a broken entry costs only itself.

Source: 2026-07-28 server/utilities/pagination, server/utilities/caching.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from dragoman.errors import InvalidParams, InvalidResult, ProtocolError
from dragoman.protocol.jsonrpc import encode
from dragoman.protocol.kept import Kept, decode, decode_list
from dragoman.protocol.types import Page
from dragoman.server.calls import Calls

__all__ = ["list_all"]

K = TypeVar("K", bound=Kept)

_MOST_PAGES: Final = 10_000
_NOTHING: Final = Raw(b"[]")


class _Envelope(Kept):
    """A page of any listing. One pass finds all: a page may be large."""

    next_cursor: str | None = None
    ttl_ms: int | None = None
    cache_scope: str | None = None
    tools: Raw = _NOTHING
    resources: Raw = _NOTHING
    resource_templates: Raw = _NOTHING
    prompts: Raw = _NOTHING


_FIELDS: Final = {spec.encode_name: spec.name for spec in msgspec.structs.fields(_Envelope)}


async def list_all(calls: Calls, method: str, member: str, kind: type[K]) -> Page[K]:
    """Give every entry of a listing. A cursor that goes stale on the way begins the listing anew, once.

    Raises:
        InvalidResult: a page is no listing at all.
        ProtocolError: the pages never end.
    """
    try:
        return await _pages(calls, method, member, kind)
    except _StaleCursorError:
        try:
            return await _pages(calls, method, member, kind)
        except _StaleCursorError as error:
            raise error.refusal from None


class _StaleCursorError(Exception):
    def __init__(self, refusal: InvalidParams) -> None:
        super().__init__(refusal.what)
        self.refusal = refusal


async def _pages(calls: Calls, method: str, member: str, kind: type[K]) -> Page[K]:
    page: Page[K] = Page([], [])
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(_MOST_PAGES):
        try:
            raw = await calls.whole(method, b'"cursor":%b' % encode(cursor) if cursor is not None else b"")
        except InvalidParams as refusal:
            if cursor is None:
                raise
            raise _StaleCursorError(refusal) from None
        told = _take(raw, member, kind, page)
        page.ttl_ms = _shorter(page.ttl_ms, told.ttl_ms)
        page.cache_scope = "private" if "private" in (page.cache_scope, told.cache_scope) else told.cache_scope
        cursor = told.next_cursor
        if cursor is None:
            return page
        if cursor in seen:
            break
        seen.add(cursor)
    raise ProtocolError(f"{method}: the pages never end (cursor {cursor!r} came again)")


def _take(raw: Raw, member: str, kind: type[K], page: Page[K]) -> _Envelope:
    told = decode(_Envelope, raw, f"the listing of {member}")
    listed: Raw = getattr(told, _FIELDS[member])
    for entry in decode_list(listed, f"the listing of {member}"):
        try:
            page.items.append(decode(kind, entry, "the entry"))
        except InvalidResult as error:
            page.problems.append(f"left out of {member}: {_label(entry)}: {error.what}")
    return told


class _Label(msgspec.Struct):
    name: str | msgspec.UnsetType = msgspec.UNSET
    uri: str | msgspec.UnsetType = msgspec.UNSET


def _label(entry: Raw) -> str:
    try:
        label = msgspec.json.decode(entry, type=_Label)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "an entry without a readable name"
    shown = label.name if isinstance(label.name, str) else label.uri
    return repr(shown) if isinstance(shown, str) else "an entry without a name"


def _shorter(one: int | None, other: int | None) -> int | None:
    """Give the shorter lifetime; a negative one counts as 0, an absent one as nothing told."""
    told = [max(0, ttl) for ttl in (one, other) if ttl is not None]
    return min(told, default=None)
