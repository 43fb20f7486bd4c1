"""What a person should know of an address before visiting it: whose it is, and what looks suspicious about it.

Pure: it resolves and fetches nothing. Source: 2026-07-28 client/elicitation#safe-url-handling.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

__all__ = ["Visit", "examined"]

_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PUNYCODE: Final = "xn--"


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """An address in three parts, ``before`` + ``host`` + ``after``; ``can_open`` if a browser may have it."""

    before: str
    host: str
    after: str
    warnings: tuple[str, ...]
    can_open: bool


def examined(url: str) -> Visit:
    """Look at an address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return Visit(before=url, host="", after="", warnings=("this is no address at all",), can_open=False)
    web = parts.scheme in ("http", "https") and bool(host)
    start = url.lower().find(host, url.find(parts.netloc) + len(parts.netloc.rpartition("@")[0])) if host else -1
    if start < 0:
        start, host = len(url), ""
    return Visit(
        before=url[:start],
        host=url[start : start + len(host)],
        after=url[start + len(host) :],
        warnings=tuple(_warnings(parts, host, web=web)),
        can_open=web,
    )


def _warnings(parts: SplitResult, host: str, *, web: bool) -> list[str]:
    found: list[str] = []
    if not web:
        found.append(f"it is no web page (its scheme is {parts.scheme or 'missing'}); it will not be opened")
    if "@" in parts.netloc:
        found.append(f"what stands before the @ is a user name, not the host; the host is {host}")
    if _PUNYCODE in host or not host.isascii():
        found.append(f"the host has letters of other scripts, which can imitate others: {_both_ways(host)}")
    if web and parts.scheme == "http" and host not in _LOCAL_NAMES:
        found.append("it is not encrypted (http): others can read and change what you enter")
    if _is_number(host) and host not in _LOCAL_NAMES:
        found.append("the host is a bare number, so nothing tells whose it is")
    return found


def _both_ways(host: str) -> str:
    """Give the host as it is sent and as it is shown."""
    try:
        if host.isascii():
            labels = [
                label[len(_PUNYCODE) :].encode().decode("punycode") if label.startswith(_PUNYCODE) else label
                for label in host.split(".")
            ]
            return f"{host} is shown as {'.'.join(labels)}"
        return f"{host} is sent as {host.encode('idna').decode()}"
    except (UnicodeError, ValueError):
        return host


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
