"""What goes wrong below HTTP, and how that is told: Dragoman's errors, with no secret in their text.

The question behind each: was the request sent? If not, it is safe to try again; if so, nobody knows what became of it.
It knows no HTTP library; ``proxied.py`` converts its library's exceptions to those named here.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import Final

from dragoman.config.model import ServerConfig, redact_url
from dragoman.errors import (
    CannotConnect,
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    MalformedMessage,
    OutcomeUnknown,
)

__all__ = ["FAULTS", "BrokenOffError", "DisconnectedError", "Faults", "NotHttpError", "ProxyError"]


class NotHttpError(Exception):
    """What came is no HTTP."""


class DisconnectedError(OSError):
    """The server closed the connection before it answered."""


class BrokenOffError(OSError):
    """The server closed the connection within its answer."""


class ProxyError(OSError):
    """The proxy can't be reached, or refused with the HTTP status that ``status`` tells."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


#: Whatever a request can raise. `TimeoutError` and TLS errors are among them.
FAULTS: Final = (OSError, NotHttpError)


#: What OpenSSL says when the other side answers in plain text.
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"})


class Faults:
    """Makes the errors of one server.

    ``stands`` tells whether a conversation has come about: before that, a connection that fails means that none can be
    had. ``closed`` tells that this side has closed, which then is the reason for everything.
    """

    def __init__(self, config: ServerConfig, origin: str, proxy: str | None) -> None:
        self.config = config
        self.stands = False
        self.closed = False
        self._origin = origin
        self._proxy = redact_url(proxy or "")

    def unreachable(self, error: BaseException | None = None) -> ConnectionLost | CannotConnect:
        """Give the error for a request that was not sent, since no connection came about."""
        if self.closed or error is None:
            return ConnectionClosed("the connection was closed", server=self.config.name)
        kind = ConnectionLost if self.stands else CannotConnect
        origin, proxy = self._origin, self._proxy
        hint = None
        match error:
            case ssl.CertificateError():
                what = f"the TLS certificate of {origin} is not trusted ({_reason(error)})"
                hint = "Check the address; tls.ca_file names the authority of a private certificate."
            case ssl.SSLError() if error.reason in _NO_TLS:
                what = f"{origin} speaks no TLS"
                hint = f"Try {origin.replace('https://', 'http://').replace('wss://', 'ws://')}."
            case ProxyError() if error.status is not None:
                what = f"the proxy {proxy} refused with HTTP {error.status}"
            case ProxyError():
                what = f"the proxy {proxy} can't be reached ({error.reason})"
            case socket.gaierror():
                what = f"the host of {origin} is not known ({_reason(error)})"
            case TimeoutError() if error.errno is None:
                what = f"{origin} can't be reached (no connection within {self.config.connect_timeout:g} s)"
            case _:
                what = f"{origin} can't be reached ({_reason(error)})"
        return kind(what, server=self.config.name, hint=hint)

    def broken(self, error: BaseException, label: str) -> DragomanError:
        """Give the error for the request called ``label`` that was sent and whose answer did not come whole."""
        place = f"{label} to {self._origin}"
        match error:
            case _ if self.closed:
                told = "was closed on this side"
            case NotHttpError():
                return MalformedMessage(f"what came in answer to {place} is no HTTP", server=self.config.name)
            case DisconnectedError():
                told = "was closed by the server"
            case BrokenOffError():
                told = "broke off in the middle of it"
            case TimeoutError() if error.errno is None:
                told = "fell silent"
            case _:
                told = f"broke ({_reason(error)})"
        what = f"the answer to {place} was lost: the connection {told}"
        return OutcomeUnknown(what, method=label, server=self.config.name)


def _reason(error: BaseException) -> str:
    """Give a short reason without addresses."""
    if isinstance(error, ssl.SSLError):
        return str(getattr(error, "verify_message", None) or error.reason or type(error).__name__)
    if isinstance(error, OSError):
        # asyncio puts several failed addresses into one error without a number, whose text repeats each.
        if error.errno is not None and error.errno > 0:
            return os.strerror(error.errno)
        if error.strerror:
            return error.strerror
        first = error.args[0] if error.args else None
        if isinstance(first, str) and "Connect call failed" in first:
            return "no address of the host answers"
    return type(error).__name__
