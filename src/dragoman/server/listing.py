"""Listings: all pages of one, entry by entry, so that a broken entry costs only itself.

Source: 2026-07-28 server/utilities/pagination, server/utilities/caching.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from dragoman.errors import InvalidParams, InvalidResult, ProtocolError, RequestTimeout
from dragoman.protocol.jsonrpc import encode, printable
from dragoman.protocol.kept import Kept, decode, decode_list
from dragoman.protocol.types import Page
from dragoman.server.calls import Calls

__all__ = ["MOST_PROBLEMS", "Pages", "in_time", "list_all"]

K = TypeVar("K", bound=Kept)

#: Lines that tell of entries left out.
MOST_PROBLEMS: Final = 100

_MOST_PAGES: Final = 10_000
#: So many entries are read before others have their turn: a broken one costs ten times what a good one does.
_ENTRIES_AT_ONCE: Final = 200
_SHOWN_CHARS: Final = 500
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
        ProtocolError: the pages never end, or are more than ``max_message_bytes`` together.
        RequestTimeout: not all of them came within ``max_timeout``.
    """
    async with in_time(calls, method):
        try:
            return await _pages(calls, method, member, kind)
        except _StaleCursorError:
            try:
                return await _pages(calls, method, member, kind)
            except _StaleCursorError as error:
                raise error.refusal from None


@asynccontextmanager
async def in_time(calls: Calls, method: str) -> AsyncGenerator[None]:
    """Bound the time of a whole listing, however many pages it has.

    Raises:
        RequestTimeout: ``max_timeout`` has passed.
    """
    config = calls.connection.config
    limit = asyncio.timeout(config.max_timeout)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        what = f"not all pages of {method} came within {config.max_timeout:g} s"
        raise RequestTimeout(what, timeout=config.max_timeout, method=method, server=config.name) from None


class Pages:
    """Holds the pages of one listing against their bounds: their sum in bytes, their number, no cursor twice."""

    def __init__(self, calls: Calls, method: str) -> None:
        self._method = method
        self._server = calls.connection.config.name
        self._limit = calls.connection.config.max_message_bytes
        self._size = 0
        self._seen: set[str] = set()

    def took(self, page: Raw) -> None:
        """Count a page.

        Raises:
            ProtocolError: it is one too many.
        """
        self._size += len(page)
        if self._size > self._limit:
            what = f"{self._method}: the pages are over the limit of {self._limit} bytes together"
            raise ProtocolError(what, server=self._server)

    def follow(self, cursor: str) -> bytes:
        """Give the parameters that ask for the next page.

        Raises:
            ProtocolError: that one was there already, or the pages are too many.
        """
        if cursor in self._seen or len(self._seen) >= _MOST_PAGES:
            what = f"{self._method}: the pages never end (cursor {printable(cursor)!r} came again)"
            if cursor not in self._seen:
                what = f"{self._method}: the pages never end ({_MOST_PAGES:,} came)"
            raise ProtocolError(what, server=self._server)
        self._seen.add(cursor)
        return b'"cursor":%b' % encode(cursor)


class _StaleCursorError(Exception):
    def __init__(self, refusal: InvalidParams) -> None:
        super().__init__(refusal.what)
        self.refusal = refusal


async def _pages(calls: Calls, method: str, member: str, kind: type[K]) -> Page[K]:
    page: Page[K] = Page([], [])
    pages = Pages(calls, method)
    members = b""
    while True:
        try:
            raw = await calls.whole(method, members)
        except InvalidParams as refusal:
            if not members:
                raise
            raise _StaleCursorError(refusal) from None
        pages.took(raw)
        told = await _take(raw, member, kind, page)
        page.ttl_ms = _shorter(page.ttl_ms, told.ttl_ms)
        page.cache_scope = "private" if "private" in (page.cache_scope, told.cache_scope) else told.cache_scope
        if told.next_cursor is None:
            return page
        members = pages.follow(told.next_cursor)


async def _take(raw: Raw, member: str, kind: type[K], page: Page[K]) -> _Envelope:
    told = decode(_Envelope, raw, f"the listing of {member}")
    listed: Raw = getattr(told, _FIELDS[member])
    for number, entry in enumerate(decode_list(listed, f"the listing of {member}"), 1):
        if bytes(memoryview(entry)[:1]) != b"{":
            _leave_out(page, member, entry, "it is no object")
        else:
            try:
                page.items.append(decode(kind, entry, "the entry"))
            except InvalidResult as error:
                _leave_out(page, member, entry, error.what)
        if not number % _ENTRIES_AT_ONCE:
            await asyncio.sleep(0)
    return told


def _leave_out(page: Page[K], member: str, entry: Raw, why: str) -> None:
    page.left_out += 1
    if len(page.problems) < MOST_PROBLEMS:
        page.problems.append(printable(f"left out of {member}: {_label(entry)}: {why}", _SHOWN_CHARS))


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
