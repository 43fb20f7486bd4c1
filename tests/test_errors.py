"""The error tree: what every error of the library promises to whoever meets it."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import pytest

from dragoman import errors
from dragoman.errors import (
    HTTP_ERRORS,
    RPC_ERRORS,
    ConfigError,
    ConnectionLost,
    DragomanError,
    HttpError,
    InvalidParams,
    ResourceNotFound,
    ServerError,
    ServerExited,
    VersionMismatch,
)

ALL: list[type[DragomanError]] = [getattr(errors, name) for name in errors.__all__]

CODES = {
    "AccessDenied": "auth.denied",
    "AmbiguousName": "usage.ambiguous",
    "CannotConnect": "connect.failed",
    "CommandNotFound": "config.command_not_found",
    "ConfigError": "config.invalid",
    "ConnectionClosed": "connection.closed",
    "ConnectionLost": "connection.lost",
    "DragomanError": "dragoman",
    "HandshakeFailed": "connect.handshake",
    "HttpError": "http.status",
    "InvalidArguments": "usage.arguments",
    "InvalidParams": "server.invalid_params",
    "InvalidResult": "protocol.invalid_result",
    "LoginRequired": "auth.login_required",
    "MalformedMessage": "protocol.malformed",
    "MessageTooLarge": "protocol.too_large",
    "MethodNotFound": "server.method_not_found",
    "NotSupported": "usage.not_supported",
    "OutcomeUnknown": "call.outcome_unknown",
    "ProtocolError": "protocol",
    "RateLimited": "http.rate_limited",
    "RequestTimeout": "call.timeout",
    "ResourceNotFound": "server.resource_not_found",
    "ServerError": "server.error",
    "ServerExited": "connect.exited",
    "ServerNotReady": "connect.not_ready",
    "SessionExpired": "connection.session_expired",
    "TaskFailed": "task.failed",
    "ToolDisabled": "usage.tool_disabled",
    "TooManyRounds": "protocol.too_many_rounds",
    "Unavailable": "http.unavailable",
    "UnknownName": "usage.unknown_name",
    "UnknownResultType": "protocol.result_type",
    "MissingCapability": "server.missing_capability",
    "UrlElicitationRequired": "server.url_elicitation_required",
    "UsageError": "usage",
    "VersionMismatch": "connect.version",
}
"""What scripts and the gateway key on. A line here is never changed, only added."""

FIELDS: dict[str, Any] = {
    "body": "<html>",
    "candidates": ("a.echo", "b.echo"),
    "challenges": ("Bearer",),
    "data": {"uri": "file:///a"},
    "excerpt": "half a l",
    "file": "dragoman.yaml",
    "key": "servers.files.comand",
    "limit": 4096,
    "line": 3,
    "method": "tools/call",
    "name": "ehco",
    "nearest": ("a.echo",),
    "others": (),
    "path": "/a/b",
    "result_type": "riddle",
    "retry_after": 2.5,
    "retry_in": 4.0,
    "returncode": -9,
    "rounds": 10,
    "rpc_code": -32602,
    "rpc_message": "no such thing",
    "state": "waiting",
    "status": "failed",
    "stderr": "Segmentation fault",
    "supported": ("2027-01-01",),
    "task_id": "t-1",
    "timeout": 1.5,
    "tool": "echo",
}
"""A value for each field that some kind of error has beside the text, the server and the hint."""


def fields(kind: type[DragomanError]) -> dict[str, Any]:
    """A value for each field of that kind beside text, server and hint."""
    names = inspect.signature(kind).parameters.keys() - {"what", "server", "hint"}
    return {name: 418 if (name, issubclass(kind, HttpError)) == ("status", True) else FIELDS[name] for name in names}


def made(kind: type[DragomanError], *, server: str | None = None, hint: str | None = None) -> DragomanError:
    """An error of that kind with every field filled in."""
    return kind("it went wrong", server=server, hint=hint, **fields(kind))


def test_every_error_is_exported() -> None:
    """A user can catch each kind by its name."""
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, DragomanError)
    }
    assert set(errors.__all__) == defined


def test_codes_stay_what_they_are() -> None:
    """A script that keys on a code goes on working."""
    assert {kind.__name__: kind.code for kind in ALL} == CODES


def test_no_two_errors_share_a_code() -> None:
    """A code names one kind of error."""
    assert len({kind.code for kind in ALL}) == len(ALL)


def test_the_docstring_draws_the_tree_that_the_classes_form() -> None:
    """A reader of the module's first lines sees how errors are caught together."""
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)", line)
        if match:
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            drawn[match[2]] = above[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__mro__[1].__name__ for kind in ALL}


@pytest.mark.parametrize("kind", ALL)
def test_the_text_says_where_what_and_what_to_do(kind: type[DragomanError]) -> None:
    """Whoever reads only the message knows the server (or the file, line and key), the fault and the next step."""
    place = "dragoman.yaml:3: servers.files.comand" if issubclass(kind, ConfigError) else "files"
    assert str(made(kind, server="files", hint="Try this.")).startswith(f"{place}: it went wrong. Try this.")


@pytest.mark.parametrize("kind", ALL)
def test_a_kind_gives_its_own_hint_unless_told_another(kind: type[DragomanError]) -> None:
    """The hint that fits most cases is there without being asked for, and can be left out."""
    assert made(kind).hint == kind.default_hint
    assert made(kind, hint="").hint == ""
    assert kind.default_hint in str(made(kind))


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_pickling(kind: type[DragomanError]) -> None:
    """An error crosses from a worker process to its caller with all that it knows."""
    error = made(kind, server="files")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.args == error.args


@pytest.mark.parametrize("kind", ALL)
def test_an_error_can_be_copied(kind: type[DragomanError]) -> None:
    """A copy can be given another server's name without changing the first."""
    error = made(kind, server="files")
    again = copy.copy(error)
    again.server = "mail"
    assert type(again) is kind
    assert error.server == "files"
    assert str(again) == str(error).replace("files: ", "mail: ")


@pytest.mark.parametrize("kind", ALL)
def test_fields_are_kept_as_given(kind: type[DragomanError]) -> None:
    """What an error is told, a handler can read."""
    error = made(kind)
    told = fields(kind)
    assert {name: getattr(error, name) for name in told} == told


def test_last_words_end_the_text() -> None:
    """A crash is diagnosed from its message alone."""
    error = ServerExited("it ended with status 1", stderr="Traceback\nKeyError: 'TOKEN'\n", server="files")
    assert str(error).endswith("\nIts last words on stderr:\nTraceback\nKeyError: 'TOKEN'")


def test_last_words_in_the_text_are_bounded() -> None:
    """A server that floods stderr does not flood the log of whoever prints the error; all of it stays in the field."""
    error = ConnectionLost("it broke", stderr="x" * 65536 + "the end")
    assert str(error).endswith("the end")
    assert len(str(error)) < 10_000
    assert len(error.stderr) == 65543


def test_without_last_words_there_is_no_empty_section() -> None:
    """Silence is not quoted."""
    assert "stderr" not in str(ConnectionLost("it broke", stderr=" \n"))


def test_a_full_stop_is_not_doubled() -> None:
    """A text that is already a sentence stays one."""
    assert str(DragomanError("It broke.", hint="Look.")) == "It broke. Look."


def test_an_error_without_a_server_names_none() -> None:
    """What belongs to no server does not begin with a colon."""
    assert str(DragomanError("it broke")) == "it broke."


@pytest.mark.parametrize("status", HTTP_ERRORS)
def test_each_status_has_the_error_that_tells_what_to_do(status: int) -> None:
    """The table gives kinds of HTTP errors only."""
    assert issubclass(HTTP_ERRORS[status], HttpError)


@pytest.mark.parametrize("code", RPC_ERRORS)
def test_each_rpc_code_has_a_kind_of_server_error(code: int) -> None:
    """The table gives kinds of server errors only."""
    assert issubclass(RPC_ERRORS[code], ServerError)


def test_a_missing_resource_is_caught_under_both_of_its_codes() -> None:
    """-32002 before 2026-07-28 and -32602 since: one ``except`` catches both."""
    assert issubclass(RPC_ERRORS[-32002], ResourceNotFound)
    assert issubclass(ResourceNotFound, InvalidParams)
    assert RPC_ERRORS[-32602] is InvalidParams


def test_a_version_mismatch_lists_what_the_server_speaks() -> None:
    """A handler can tell which version to ask for."""
    assert VersionMismatch("none in common", supported=["2027-01-01"]).supported == ("2027-01-01",)
