"""What every request says about its sender: the ``_meta`` member of both eras, and the client's capabilities.

Pure. The stateless era repeats version, identity and capabilities on each request; that part is encoded once.
Source: 2026-07-28 basic/index#meta, basic/patterns/progress.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from dragoman.errors import InvalidArguments
from dragoman.protocol.jsonrpc import RequestId, encode
from dragoman.protocol.tasks import TASKS_EXTENSION

__all__ = ["ClientInfo", "Offers", "RequestMetadata"]

_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
_PROGRESS_TOKEN: Final = "progressToken"  # noqa: S105 - a member's name
_OWN: Final = frozenset({_VERSION, _CLIENT_INFO, _CAPABILITIES, _LOG_LEVEL, _PROGRESS_TOKEN})


class ClientInfo(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Who this client says it is."""

    name: str
    version: str
    title: str | None = None
    website_url: str | None = None


class Offers(Struct, frozen=True, kw_only=True):
    """What the client's side can do for servers; each is told only if someone is there to do it."""

    sampling: bool = False
    sampling_tools: bool = False
    elicitation_form: bool = False
    elicitation_url: bool = False
    roots: bool = False
    tasks: bool = True
    extensions: Mapping[str, Any] = {}
    experimental: Mapping[str, Any] = {}

    def capabilities(self, *, stateless: bool) -> dict[str, Any]:
        """Give the ``ClientCapabilities`` object for one era."""
        told: dict[str, Any] = {}
        if self.sampling:
            told["sampling"] = {"tools": {}} if self.sampling_tools else {}
        if self.elicitation_form or self.elicitation_url:
            modes = {"form": self.elicitation_form, "url": self.elicitation_url}
            told["elicitation"] = {mode: {} for mode, offered in modes.items() if offered}
        if self.roots:
            told["roots"] = {} if stateless else {"listChanged": True}
        extensions = dict(self.extensions)
        if self.tasks and stateless:
            extensions.setdefault(TASKS_EXTENSION, {})
        if extensions:
            told["extensions"] = extensions
        if self.experimental:
            told["experimental"] = dict(self.experimental)
        return told


class RequestMetadata:
    """Builds ``_meta`` for requests of one negotiated version.

    ``version`` is None in the handshake era, where requests do not repeat it. ``log_level`` opts in to log lines per
    request in the stateless era; None leaves them off.
    """

    __slots__ = ("_fixed", "log_level", "version")

    def __init__(self, version: str | None, client: ClientInfo, offers: Offers) -> None:
        self.version = version
        self.log_level: str | None = None
        self._fixed = b""
        if version is not None:
            self._fixed = encode(
                {
                    _VERSION: version,
                    _CLIENT_INFO: client,
                    _CAPABILITIES: offers.capabilities(stateless=True),
                }
            )[1:-1]

    def params(self, members: bytes, progress_token: RequestId | None, extra: Mapping[str, Any] | None) -> bytes:
        """Give a request's ``params`` object. ``members`` are its own members as JSON without braces.

        ``extra`` are members of ``_meta`` that the caller wants; those that this client itself speaks for are passed
        over.
        """
        meta = self._fixed
        if progress_token is not None or extra or (self.log_level is not None and meta):
            meta = self._with_more(progress_token, extra)
        if not meta:
            return b"{%b}" % members if members else b""
        return b'{%b,"_meta":{%b}}' % (members, meta) if members else b'{"_meta":{%b}}' % meta

    def _with_more(self, progress_token: RequestId | None, extra: Mapping[str, Any] | None) -> bytes:
        if extra is not None and not isinstance(extra, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise InvalidArguments(f"the metadata is no mapping but a {type(extra).__name__}")
        more: dict[str, Any] = {name: value for name, value in (extra or {}).items() if name not in _OWN}
        if progress_token is not None:
            more[_PROGRESS_TOKEN] = progress_token
        if self.log_level is not None and self._fixed:
            more[_LOG_LEVEL] = self.log_level
        try:
            added = encode(more)[1:-1]
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidArguments(f"the metadata can't be written as JSON ({error})") from None
        return b"%b,%b" % (self._fixed, added) if self._fixed and added else self._fixed or added
