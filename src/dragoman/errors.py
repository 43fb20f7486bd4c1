"""Every error that a user of Dragoman can meet, split by what the caller can do about it.

Pure values: they know no transport and no session. Whoever meets a foreign exception converts it to one of these.

    DragomanError
    ├── ConfigError                 fix the configuration; ``file``, ``line`` and ``key`` tell where
    │   └── CommandNotFound
    ├── UsageError                  fix the call
    │   ├── InvalidArguments        the arguments can't be sent as they are
    │   ├── UnknownName             no server, tool, resource or prompt of that name; the nearest are told
    │   ├── AmbiguousName           several servers have it; ``candidates`` are their full names
    │   ├── ToolDisabled            the configuration switches this tool off
    │   └── NotSupported            this server, era or transport lacks the feature
    ├── CannotConnect               no conversation came about: look at the server
    │   ├── ServerNotReady          the hub knows that it is away; nothing was sent
    │   ├── ServerExited            its process ended; the last lines of stderr are told
    │   ├── HandshakeFailed
    │   └── VersionMismatch
    ├── ConnectionLost              the conversation broke; nothing of yours was under way: retry
    │   ├── ConnectionClosed        you closed it
    │   └── SessionExpired          the server dropped the HTTP session; the connection begins a new one by itself
    ├── OutcomeUnknown              the request was sent, its answer was lost: look before you retry
    ├── RequestTimeout              no answer in time: give more time or look at the server
    ├── HttpError                   an HTTP status instead of an answer
    │   ├── LoginRequired           401
    │   ├── AccessDenied            403
    │   ├── RateLimited             429, with ``retry_after``
    │   └── Unavailable             502, 503 and 504, with ``retry_after``
    ├── ServerError                 the server answered with a JSON-RPC error
    │   ├── MethodNotFound
    │   ├── InvalidParams
    │   │   └── ResourceNotFound
    │   ├── UrlElicitationRequired
    │   └── MissingCapability       it wants something of this side that nobody offers
    ├── TaskFailed                  a task ended without a result
    └── ProtocolError               the server broke the protocol: report it to its makers
        ├── MalformedMessage
        ├── MessageTooLarge
        ├── UnknownResultType
        ├── InvalidResult           the result does not fit its schema
        └── TooManyRounds           it asked for input again and again
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

__all__ = [
    "AccessDenied",
    "AmbiguousName",
    "CannotConnect",
    "CommandNotFound",
    "ConfigError",
    "ConnectionClosed",
    "ConnectionLost",
    "DragomanError",
    "HandshakeFailed",
    "HttpError",
    "InvalidArguments",
    "InvalidParams",
    "InvalidResult",
    "LoginRequired",
    "MalformedMessage",
    "MessageTooLarge",
    "MethodNotFound",
    "MissingCapability",
    "NotSupported",
    "OutcomeUnknown",
    "ProtocolError",
    "RateLimited",
    "RequestTimeout",
    "ResourceNotFound",
    "ServerError",
    "ServerExited",
    "ServerNotReady",
    "SessionExpired",
    "TaskFailed",
    "TooManyRounds",
    "ToolDisabled",
    "Unavailable",
    "UnknownName",
    "UnknownResultType",
    "UrlElicitationRequired",
    "UsageError",
    "VersionMismatch",
]


#: Characters of stderr that an error's text shows; ``stderr`` itself holds all that was kept.
_STDERR_SHOWN: Final = 2000


class DragomanError(Exception):
    """The root of all errors.

    ``what`` tells what happened, ``server`` where (a server's name), ``hint`` what to do. The text is built from
    the three, so a handler can also show them apart. ``code`` is stable: scripts and the gateway key on it.
    ``stderr`` is the last text that a stdio server wrote there, where it helps to understand; it ends the text.
    """

    code: ClassVar[str] = "dragoman"
    default_hint: ClassVar[str] = ""

    def __init__(self, what: str, *, server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.server = server
        self.hint = self.default_hint if hint is None else hint
        self.stderr = ""

    def __str__(self) -> str:
        place = f"{self.server}: " if self.server else ""
        advice = f" {self.hint}" if self.hint else ""
        tail = self.stderr.strip()[-_STDERR_SHOWN:]
        words = f"\nIts last words on stderr:\n{tail}" if tail else ""
        return f"{place}{self.what.rstrip('.')}.{advice}{words}"

    def __reduce__(self) -> tuple[Any, ...]:
        # The builtin way calls the class with positional arguments only, which most kinds here do not take.
        return _revive, (type(self), self.args), self.__dict__.copy()


def _revive(kind: type[DragomanError], arguments: tuple[object, ...]) -> DragomanError:
    """Give the error that was pickled or copied; its fields follow as state."""
    return kind.__new__(kind, *arguments)


class ConfigError(DragomanError):
    """The configuration can't be used; nothing was started.

    ``file`` is the path of the file it was read from (empty: it was given in code), ``line`` the line in it, from 1
    (None: not known), ``key`` the dotted path of the key, as in ``mcpServers.files.timeout``. ``others`` are further
    errors in the same file; the text tells them, too.
    """

    code = "config.invalid"

    def __init__(
        self,
        what: str,
        *,
        file: str = "",
        line: int | None = None,
        key: str = "",
        server: str | None = None,
        hint: str | None = None,
        others: Sequence[ConfigError] = (),
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.file = file
        self.line = line
        self.key = key
        self.others = tuple(others)

    def __str__(self) -> str:
        key = "" if not self.key or self.what.startswith(f"{self.key}: ") else f"{self.key}: "
        if not self.file and not key:
            told = super().__str__()
        else:
            place = self.file if self.line is None else f"{self.file or 'line'}{':' if self.file else ' '}{self.line}"
            advice = f" {self.hint}" if self.hint else ""
            told = f"{place + ': ' if place else ''}{key}{self.what.rstrip('.')}.{advice}"
        return "\n".join((told, *map(str, self.others)))


class CommandNotFound(ConfigError):
    """The server's command is not on this machine."""

    code = "config.command_not_found"
    default_hint = "Install it, or correct the command in the configuration."


class UsageError(DragomanError):
    """The call itself can't be made; nothing was sent."""

    code = "usage"


class InvalidArguments(UsageError):
    """The arguments do not fit the tool's input schema, or can't be written as JSON or into a header; nothing was sent.

    `Server.call_tool` does not hold arguments against the schema: servers do. The hub and the command line do.
    ``path`` is a JSON pointer to the offending value, or empty.
    """

    code = "usage.arguments"

    def __init__(self, what: str, *, path: str = "", server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, server=server, hint=hint)
        self.path = path


class UnknownName(UsageError):
    """Nothing of that name is known. ``name`` is what was asked for, ``nearest`` the names most like it, best first."""

    code = "usage.unknown_name"

    def __init__(
        self,
        what: str,
        *,
        name: str = "",
        nearest: Sequence[str] = (),
        server: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.name = name
        self.nearest = tuple(nearest)


class AmbiguousName(UsageError):
    """Several servers have what was asked for. ``name`` is what was asked for, ``candidates`` the full names."""

    code = "usage.ambiguous"

    def __init__(
        self,
        what: str,
        *,
        name: str = "",
        candidates: Sequence[str] = (),
        server: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.name = name
        self.candidates = tuple(candidates)


class ToolDisabled(UsageError):
    """The configuration switches this tool off (``disabled_tools``). ``tool`` is its name on its server."""

    code = "usage.tool_disabled"
    default_hint = "Take it out of disabled_tools if it should be called."

    def __init__(self, what: str, *, tool: str = "", server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, server=server, hint=hint)
        self.tool = tool


class NotSupported(UsageError):
    """The server, its era or the transport does not offer what was asked for."""

    code = "usage.not_supported"


class CannotConnect(DragomanError):
    """No conversation with the server came about."""

    code = "connect.failed"
    default_hint = "Check that the server runs and that its address is right."


class ServerNotReady(CannotConnect):
    """The hub knows that the server can't be asked now, and has sent it nothing.

    ``state`` is the server's state (``waiting``, ``needs_login``, ``failed``, ``stopped``, ``disabled``), ``retry_in``
    the seconds until the hub tries again by itself (None: it does not). The error behind it is the ``__cause__``.
    """

    code = "connect.not_ready"
    default_hint = "See hub.status() for the reason."

    def __init__(
        self,
        what: str,
        *,
        state: str = "",
        retry_in: float | None = None,
        server: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.state = state
        self.retry_in = retry_in


class ServerExited(CannotConnect):
    """The server's process ended before or during the handshake.

    ``returncode`` is its exit status (negative: the signal that ended it), ``stderr`` the last text it wrote there.
    """

    code = "connect.exited"
    default_hint = "Run the command by hand to see why."

    def __init__(
        self,
        what: str,
        *,
        returncode: int | None = None,
        stderr: str = "",
        server: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.returncode = returncode
        self.stderr = stderr


class HandshakeFailed(CannotConnect):
    """The server is there, but did not answer the opening of the conversation as any revision tells."""

    code = "connect.handshake"
    default_hint = "Check that it is an MCP server; a pin to one protocol version may help."


class VersionMismatch(CannotConnect):
    """The server and this client share no protocol version. ``supported`` lists the server's."""

    code = "connect.version"
    default_hint = "Update the server, or remove the version pin."

    def __init__(
        self, what: str, *, supported: Sequence[str] = (), server: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.supported = tuple(supported)


class ConnectionLost(DragomanError):
    """The connection broke and the request had not been sent: it is safe to try again.

    ``stderr`` holds the last text a stdio server wrote there.
    """

    code = "connection.lost"
    default_hint = "Connect again and retry; the request was not sent."

    def __init__(self, what: str, *, stderr: str = "", server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, server=server, hint=hint)
        self.stderr = stderr


class ConnectionClosed(ConnectionLost):
    """The connection was closed on this side."""

    code = "connection.closed"
    default_hint = "Open a new connection."


class SessionExpired(ConnectionLost):
    """404 to a request within an HTTP session: the server has dropped the session and did not process the request."""

    code = "connection.session_expired"


class OutcomeUnknown(DragomanError):
    """The request was sent and its answer was lost: the server may or may not have done the work.

    It is never replayed silently. ``method`` is the request's method, ``stderr`` the last text of a stdio server.
    """

    code = "call.outcome_unknown"
    default_hint = "It may have taken effect: check before you repeat it."

    def __init__(
        self, what: str, *, method: str = "", stderr: str = "", server: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.method = method
        self.stderr = stderr


class RequestTimeout(DragomanError):
    """No answer came in time; the server was told to stop. ``timeout`` is in seconds."""

    code = "call.timeout"
    default_hint = "Give it more time (timeout=…), or look whether the server is stuck."

    def __init__(
        self, what: str, *, timeout: float = 0.0, method: str = "", server: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.timeout = timeout
        self.method = method


class HttpError(DragomanError):
    """The server answered with an HTTP status that carries no protocol answer.

    ``status`` is the HTTP status, ``body`` the first 2,000 characters of what came with it, ``retry_after`` the
    seconds that the server asked to wait (None: it did not say), ``challenges`` the ``WWW-Authenticate`` headers.
    """

    code = "http.status"
    default_hint = "Check the address, and what the server's own log tells."

    def __init__(
        self,
        what: str,
        *,
        status: int,
        body: str = "",
        retry_after: float | None = None,
        challenges: Sequence[str] = (),
        server: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.status = status
        self.body = body
        self.retry_after = retry_after
        self.challenges = tuple(challenges)


class LoginRequired(HttpError):
    """401: the server wants to know who asks."""

    code = "auth.login_required"
    default_hint = "Log in, or give credentials in the server's headers."


class AccessDenied(HttpError):
    """403: the credentials do not allow this."""

    code = "auth.denied"
    default_hint = "Ask for access, or use other credentials."


class RateLimited(HttpError):
    """429: too many requests; wait ``retry_after`` seconds."""

    code = "http.rate_limited"
    default_hint = "Wait, then try again."


class Unavailable(HttpError):
    """502, 503 or 504: the server can't answer now."""

    code = "http.unavailable"
    default_hint = "Try again later."


class ServerError(DragomanError):
    """The server answered the request with a JSON-RPC error.

    ``rpc_code``, ``rpc_message`` and ``data`` are the error object's members.
    """

    code = "server.error"
    default_hint = "The server's own log may tell more."

    def __init__(
        self,
        what: str,
        *,
        rpc_code: int,
        rpc_message: str = "",
        data: object = None,
        method: str = "",
        server: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.rpc_code = rpc_code
        self.rpc_message = rpc_message
        self.data = data
        self.method = method


class MethodNotFound(ServerError):
    """-32601: the server does not know the method."""

    code = "server.method_not_found"
    default_hint = "See in its capabilities what it offers."


class InvalidParams(ServerError):
    """-32602: the server refuses the parameters (an unknown tool counts as one)."""

    code = "server.invalid_params"
    default_hint = "Compare names and arguments with what it lists."


class ResourceNotFound(InvalidParams):
    """The resource is not there: -32002 before 2026-07-28, -32602 since."""

    code = "server.resource_not_found"


class UrlElicitationRequired(ServerError):
    """-32042: the server wants the user to visit pages before it goes on. ``data`` lists them."""

    code = "server.url_elicitation_required"
    default_hint = "Open the addresses it names, then call again."


class MissingCapability(ServerError):
    """-32021: the server needs a capability that this client did not offer. ``data`` names it."""

    code = "server.missing_capability"
    default_hint = "Give connect() a handler for what it needs (sampling=, elicitation=, roots=)."


class TaskFailed(DragomanError):
    """A task ended ``failed`` or ``cancelled``, or the server forgot it. ``task_id`` names it, ``status`` tells how."""

    code = "task.failed"

    def __init__(
        self, what: str, *, task_id: str, status: str, server: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, server=server, hint=hint)
        self.task_id = task_id
        self.status = status


class ProtocolError(DragomanError):
    """The server broke the protocol; only the request concerned fails."""

    code = "protocol"
    default_hint = "Report it to the server's makers."


class MalformedMessage(ProtocolError):
    """What came is no JSON-RPC message. ``excerpt`` holds its first 200 bytes, made printable."""

    code = "protocol.malformed"

    def __init__(self, what: str, *, excerpt: str = "", server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, server=server, hint=hint)
        self.excerpt = excerpt


class MessageTooLarge(ProtocolError):
    """A message went over ``limit`` bytes and was dropped."""

    code = "protocol.too_large"
    default_hint = "Raise max_message_bytes for this server if you expect results of that size."

    def __init__(self, what: str, *, limit: int, server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, server=server, hint=hint)
        self.limit = limit


class UnknownResultType(ProtocolError):
    """The result has a ``resultType`` that this client does not know. ``result_type`` is it."""

    code = "protocol.result_type"

    def __init__(self, what: str, *, result_type: str, server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, server=server, hint=hint)
        self.result_type = result_type


class InvalidResult(ProtocolError):
    """The result does not fit the specification, or not the tool's own output schema. ``path`` is a JSON pointer.

    ``result`` is the tool's result that does not fit its schema: what the tool did is done all the same.
    """

    code = "protocol.invalid_result"
    result: object = None

    def __init__(self, what: str, *, path: str = "", server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, server=server, hint=hint)
        self.path = path


class TooManyRounds(ProtocolError):
    """The server asked for input more often than the bound allows. ``rounds`` is the bound."""

    code = "protocol.too_many_rounds"

    def __init__(self, what: str, *, rounds: int, server: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, server=server, hint=hint)
        self.rounds = rounds


#: HTTP statuses with an error class of their own; the rest are plain ``HttpError``.
HTTP_ERRORS: Mapping[int, type[HttpError]] = {
    401: LoginRequired,
    403: AccessDenied,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}

#: JSON-RPC codes with an error class of their own; the rest are plain ``ServerError``.
RPC_ERRORS: Mapping[int, type[ServerError]] = {
    -32601: MethodNotFound,
    -32602: InvalidParams,
    -32002: ResourceNotFound,
    -32042: UrlElicitationRequired,
    -32021: MissingCapability,
}
