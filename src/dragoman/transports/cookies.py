"""Cookies of one origin: some load balancers find a server by them, so they are kept once a server sets one.

Python's own cookie jar decides what is kept and sent. It is imported when there is a first cookie, which most servers
never set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from dragoman.config.model import ServerConfig
from dragoman.errors import ConfigError
from dragoman.transports.network import Address

if TYPE_CHECKING:
    from email.message import Message
    from http.cookiejar import CookieJar

__all__ = ["Cookies"]

#: Cookies that are kept, their size in all, and that of one ``Set-Cookie`` header (characters). All of them go out with
#: each request, in a head that servers bound, too.
_MOST_COOKIES: Final = 50
_MOST_CHARS: Final = 64 * 1024
_LONGEST_COOKIE: Final = 4 * 1024


class _Told:
    """An answer as the jar wants to see it."""

    def __init__(self, set_cookies: Sequence[str]) -> None:
        from email.message import Message

        self._message = Message()
        for value in set_cookies:
            self._message["Set-Cookie"] = value

    def info(self) -> Message:
        """Give the headers."""
        return self._message


class Cookies:
    """The cookies of the origin of ``address``, to begin with those of the configuration.

    Raises:
        ConfigError: a configured cookie can't be sent.
    """

    def __init__(self, config: ServerConfig, address: Address) -> None:
        self._origin = address.origin
        self._jar: CookieJar | None = None
        self._configured = len(config.cookies)
        if config.cookies:
            self._extract([_set_cookie(config, name, value) for name, value in config.cookies.items()], "/")

    def take(self, set_cookies: Sequence[str], target: str) -> None:
        """Keep what the ``Set-Cookie`` headers of an answer from ``target`` say.

        A header over 4 KiB is passed over, and so are cookies that would be more than 50, or over 64 KiB, in all.
        """
        jar = self._extract([value for value in set_cookies if len(value) <= _LONGEST_COOKIE], target)
        kept = list(jar)
        sizes = [len(cookie.name) + len(cookie.value or "") for cookie in kept]
        while len(kept) > self._configured and (len(kept) > _MOST_COOKIES or sum(sizes) > _MOST_CHARS):
            sizes.pop()
            newest = kept.pop()
            jar.clear(newest.domain, newest.path, newest.name)

    def _extract(self, set_cookies: Sequence[str], target: str) -> CookieJar:
        from http.cookiejar import CookieJar, DefaultCookiePolicy
        from urllib.request import Request  # noqa: TID251 - the jar's idea of a request; nothing is opened

        if self._jar is None:
            self._jar = CookieJar(DefaultCookiePolicy(rfc2965=False, netscape=True))
        self._jar.extract_cookies(cast("Any", _Told(set_cookies)), Request(self._origin + target))  # noqa: S310 - as above
        return self._jar

    def header(self, target: str) -> str:
        """Give the ``Cookie`` header for a request to ``target``; empty if there is nothing to send."""
        if self._jar is None:
            return ""
        from urllib.request import Request  # noqa: TID251 - the jar's idea of a request; nothing is opened

        request = Request(self._origin + target)  # noqa: S310 - it is never opened
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie") or ""


def _set_cookie(config: ServerConfig, name: str, value: str) -> str:
    from http.cookies import CookieError, SimpleCookie

    try:
        pair = SimpleCookie({name: value})[name].OutputString()
    except CookieError:
        raise ConfigError("cookies: a name can't be sent", server=config.name) from None
    if not pair.isprintable():
        raise ConfigError("cookies: a value can't be sent", server=config.name)
    return f"{pair}; Path=/"
