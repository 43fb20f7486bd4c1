"""What aiohttp and the operating system raise, turned into Dragoman's errors, with no secret in their text.

The question behind each: was the request sent? If not, it is safe to try again; if so, nobody knows what became of it.
"""

from __future__ import annotations

import os
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from dragoman.config.model import ServerConfig, redact_url
from dragoman.errors import (
    CannotConnect,
    ConnectionClosed,
    ConnectionLost,
    DragomanError,
    MalformedMessage,
    OutcomeUnknown,
)

__all__ = ["FAULTS", "UNSENT", "Faults"]

#: Whatever a request can raise.
FAULTS: Final = (aiohttp.ClientError, HttpProcessingError, OSError)

#: Those of `FAULTS` that are raised before anything was sent, whoever raises them.
UNSENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


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
            case aiohttp.ClientConnectorCertificateError():
                what = f"the TLS certificate of {origin} is not trusted ({_reason(error.certificate_error)})"
                hint = "Check the address; tls.ca_file names the authority of a private certificate."
            case aiohttp.ClientHttpProxyError():
                what = f"the proxy {proxy} refused with HTTP {error.status}"
            case aiohttp.ClientProxyConnectionError():
                what = f"the proxy {proxy} can't be reached ({_reason(error.os_error)})"
            case aiohttp.ClientConnectorDNSError():
                what = f"the host of {origin} is not known ({_reason(error.os_error)})"
            case aiohttp.ClientConnectorError():
                what = f"{origin} can't be reached ({_reason(error.os_error)})"
            case TimeoutError():
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
            case HttpProcessingError() | aiohttp.ClientResponseError():
                return MalformedMessage(f"what came in answer to {place} is no HTTP", server=self.config.name)
            case TimeoutError():
                told = "fell silent"
            case aiohttp.ServerDisconnectedError():
                told = "was closed by the server"
            case aiohttp.ClientPayloadError():
                told = "broke off in the middle of it"
            case _:
                told = f"broke ({_reason(error)})"
        what = f"the answer to {place} was lost: the connection {told}"
        return OutcomeUnknown(what, method=label, server=self.config.name)


def _reason(error: BaseException) -> str:
    """Give a short reason without addresses: aiohttp's own texts show whole URLs."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    told: object = getattr(error, "verify_message", None) or getattr(error, "strerror", None)
    return str(told) if told else type(error).__name__
