"""What a person should know of an address before visiting it: whose it is, and what looks suspicious about it.

Pure: it resolves and fetches nothing. Source: 2026-07-28 client/elicitation#safe-url-handling.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final
from urllib.parse import urlsplit

import msgspec

from dragoman.cli.plain import one_word

__all__ = ["Visit", "examined"]

_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PUNYCODE: Final = "xn--"
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WEB: Final = re.compile(
    r"https?://(?P<user>[^/?#]*@)?(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^/?#@:\[\]]+))(?::[0-9]{0,5})?(?=[/?#]|\Z)",
    re.IGNORECASE,
)
_ASCII_NAME: Final = re.compile(r"[A-Za-z0-9.-]+")
#: A last label that makes a browser read the whole host as a number.
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """An address in three parts, ``before`` + ``host`` + ``after``; ``can_open`` if a browser may have it."""

    before: str
    host: str
    after: str
    warnings: tuple[str, ...]
    can_open: bool


def examined(url: str) -> Visit:
    """Look at an address. The host is marked only if every browser is sure to read the same one."""
    refusal = _refusal(url)
    found = None if refusal else _WEB.match(url)
    if found is None:
        return Visit(before=url, host="", after="", warnings=(f"{refusal}; it will not be opened",), can_open=False)
    start, end = found.span("six" if found["six"] else "name")
    host = url[start:end]
    warnings = tuple(_warnings(host.lower(), user=bool(found["user"]), secure=url[:5].lower() == "https"))
    return Visit(before=url[:start], host=host, after=url[end:], warnings=warnings, can_open=True)


def _refusal(url: str) -> str:
    """Tell why an address can't be opened; empty if it can."""
    if one_word(url) != url:
        return "it has white space or invisible characters, which no address has"
    if "\\" in url:
        return "it has a backslash, which browsers read as a slash"
    try:
        parsed = urlsplit(url).hostname
    except ValueError:
        return "this is no address at all"
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[1].lower() not in ("http", "https"):
        return f"it is no web page (its scheme is {scheme[1] if scheme else 'missing'})"
    found = _WEB.match(url)
    host = (found["six"] or found["name"]) if found else ""
    if not host or host.lower() != parsed:
        return "its host can't be told for sure"
    return _refusal_of_host(host, is_six=bool(found and found["six"]))


def _refusal_of_host(host: str, *, is_six: bool) -> str:
    if is_six:
        return "" if _is_number(host) else "its host can't be told for sure"
    if host.isascii():
        if not _ASCII_NAME.fullmatch(host):
            return "its host has characters that no host has"
        if _NUMBER.fullmatch(host) and not _is_number(host):
            return "its host is a number in disguise"
        return ""
    if unicodedata.normalize("NFKC", host) != host or not all(map(_is_of_names, host)):
        return "its host has characters that no host has"
    try:
        host.encode("idna")
    except UnicodeError:
        return "its host can't be told for sure"
    return ""


def _is_of_names(character: str) -> bool:
    """Whether international names may have it: letters and their marks, digits, dots and hyphens."""
    return character in ".-" or unicodedata.category(character)[0] in "LM" or unicodedata.category(character) == "Nd"


def _warnings(host: str, *, user: bool, secure: bool) -> list[str]:
    found: list[str] = []
    if user:
        found.append(f"what stands before the @ is a user name, not the host; the host is {host}")
    if _PUNYCODE in host or not host.isascii():
        found.append(f"the host has letters of other scripts, which can imitate others: {_both_ways(host)}")
    if not secure and host not in _LOCAL_NAMES:
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
