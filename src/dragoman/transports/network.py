"""What HTTP, HTTP+SSE and WebSocket have in common besides connections: addresses, headers, TLS, the way to a proxy.

It opens nothing and knows no HTTP library; connections are in ``pool.py``. No text made here shows a header's value, a
cookie, a password or a URL's query.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from base64 import b64encode
from collections.abc import Collection, Sequence
from ipaddress import ip_address, ip_network
from typing import Final, Protocol
from urllib.parse import quote, unquote, urljoin, urlsplit

from msgspec import Struct

from dragoman.config.model import ServerConfig, redact_url
from dragoman.errors import ConfigError
from dragoman.protocol.headers import TOKEN
from dragoman.version import VERSION

__all__ = ["Address", "Headers", "address_of", "configured_headers", "proxy_for", "tls_context"]

log: Final = logging.getLogger("dragoman")

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SECURE: Final = {"ws": "http", "wss": "https"}
_UNSAFE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

# Sending these twice, or with another value, would break the request or the protocol.
_OURS: Final = frozenset(
    {
        "connection",
        "content-length",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_PARAMETER: Final = "mcp-param-"


class Headers(Protocol):
    """The headers of an HTTP answer; names in any case."""

    def get(self, key: str, /, default: str) -> str:
        """Give the first value."""
        ...

    def getall(self, key: str, /, default: Sequence[str]) -> Sequence[str]:
        """Give all values."""
        ...


class Address(Struct, frozen=True):
    """Where a server is.

    ``origin`` is scheme (http or https), host and port as a URL without path, ``target`` the path and query as they go
    into a request, ``authorization`` the header's value for the user and password that the URL named, if any.
    """

    origin: str
    target: str
    authorization: str | None = None

    def joined(self, reference: str) -> Address | None:
        """Give the address that a reference (of a redirect, an endpoint event) leads to from here; None for rubbish."""
        try:
            return _address(urljoin(self.origin + self.target, reference.strip()))
        except ValueError:
            return None


def address_of(config: ServerConfig) -> Address:
    """Give the address of a configured server.

    Raises:
        ConfigError: the URL can't be used.
    """
    url = config.url or ""
    try:
        return _address(url)
    except ValueError as error:
        raise ConfigError(f"url: {redact_url(url)!r} is not usable ({error})", server=config.name) from None


def _address(url: str) -> Address:
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if parts.scheme not in _PORTS:
        raise ValueError("its scheme is none of http, https, ws and wss")
    if not host or _UNSAFE.search(host) or " " in host:
        raise ValueError("it names no host")
    if not host.isascii():
        from yarl import URL  # it knows the rules of international names, and is seldom needed

        host = URL.build(scheme="http", host=host).raw_host or ""
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port in (None, _PORTS[parts.scheme]) else f"{shown}:{port}"
    target = quote(parts.path or "/", safe="%/:@!$&'()*+,;=~")
    if parts.query:
        target += "?" + quote(parts.query, safe="%/:@!$&'()*+,;=~?")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"
    return Address(f"{_SECURE.get(parts.scheme, parts.scheme)}://{authority}", target, authorization)


def configured_headers(config: ServerConfig, address: Address, *, settled: Collection[str]) -> dict[str, str]:
    """Give the headers that every request carries because the configuration says so.

    ``settled`` names (in lower case) what the transport itself always sets, such as ``accept``: other people's
    configuration files often repeat these, so they are left out with a warning.

    Raises:
        ConfigError: a header can't be sent, or is the protocol's own. It names the header, never its value.
    """
    headers: dict[str, str] = {}
    for name, value in config.headers.items():
        lower = name.lower()
        if not TOKEN.fullmatch(name):
            raise ConfigError(f"headers: {name!a} is not a header's name", server=config.name)
        if _UNSAFE.search(value) or value != value.strip():
            problem = "has a line break, a control character or a blank at its begin or end"
            raise ConfigError(f"headers: the value of {name} {problem}", server=config.name)
        if lower in _OURS or lower.startswith(_PARAMETER):
            hint = "Remove it; protocol_version pins a version." if lower == "mcp-protocol-version" else "Remove it."
            raise ConfigError(f"headers: {name} is set by the protocol itself", server=config.name, hint=hint)
        if lower in settled:
            log.warning("%s: the configured header %s is left out: the transport sets it", config.name, name)
            continue
        headers[name] = value
    names = {name.lower() for name in headers}
    if "user-agent" not in names:
        headers["User-Agent"] = f"dragoman/{VERSION}"
    if address.authorization is not None and "authorization" not in names:
        headers["Authorization"] = address.authorization
    return headers


def tls_context(config: ServerConfig) -> ssl.SSLContext | None:
    """Give the TLS settings to use, or None for the usual ones. It reads the configured files.

    A ``ca_file`` stands in place of the system's authorities, as with other tools.

    Raises:
        ConfigError: a file can't be read or is no certificate or key; the text names the setting.
    """
    tls = config.tls
    if tls.verify and tls.ca_file is None and tls.cert_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ValueError) as error:
        raise _tls_error(config, "ca_file", error) from None
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file is not None:
        try:
            # A key that needs a passphrase fails here, rather than asking for it on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
        except (OSError, ValueError) as error:
            raise _tls_error(config, "cert_file", error) from None
    return context


def _tls_error(config: ServerConfig, key: str, error: Exception) -> ConfigError:
    told = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return ConfigError(f"tls.{key}: can't be used ({told})", server=config.name)


def proxy_for(config: ServerConfig, address: Address) -> str | None:
    """Give the proxy's URL, from the configuration or else the environment (``HTTPS_PROXY``, ``NO_PROXY`` …).

    Raises:
        ConfigError: it is of a kind that is not supported.
    """
    proxy, told, hint = config.proxy, "proxy", None
    if proxy is None and config.trust_env:
        scheme = urlsplit(address.origin).scheme
        told = next((name for name in (f"{scheme}_proxy", "all_proxy") if _environment(name)), "")
        proxy = _environment(told) if told and not _passes_by(address) else None
        hint = "It comes from the environment; trust_env=False leaves that aside."
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        usable = urlsplit(proxy).scheme in ("http", "https") and bool(urlsplit(proxy).hostname)
    except ValueError:
        usable = False
    if not usable:
        told = f"{told}: {redact_url(proxy)!r} is no proxy of the kinds http:// and https://"
        raise ConfigError(told, server=config.name, hint=hint)
    return proxy


def _environment(name: str) -> str:
    found = os.environ.get(name, "")
    if not found and not (name == "http_proxy" and "REQUEST_METHOD" in os.environ):
        # Under CGI, HTTP_PROXY is what a client sent as the header Proxy.
        found = os.environ.get(name.upper(), "")
    return found.strip()


def _passes_by(address: Address) -> bool:
    """Whether ``NO_PROXY`` names the address: a host, a domain, either with a port, a network, or ``*``."""
    parts = urlsplit(address.origin)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    for entry in _environment("no_proxy").lower().split(","):
        name = entry.strip().removeprefix("*").lstrip(".")
        if not name:
            if entry.strip() == "*":
                return True
            continue
        if host in (name, f"[{name}]") or f"{host}:{port}" == name:
            return True
        if host.endswith(f".{name}") or f"{host}:{port}".endswith(f".{name}") or _within(host, name):
            return True
    return False


def _within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
