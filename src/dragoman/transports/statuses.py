"""HTTP statuses that stand in place of an answer: redirects, which are followed within the origin, and refusals.

A redirect of a POST: 301, 302, 307 and 308 repeat it at the other path (browsers make a GET of 301 and 302, which no
MCP server could answer); 303 says that it was done and has its result elsewhere, which is an error here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import structs

from dragoman.config.model import ServerConfig
from dragoman.errors import HTTP_ERRORS, HttpError
from dragoman.protocol.headers import retry_after
from dragoman.protocol.jsonrpc import excerpt
from dragoman.transports.network import Address
from dragoman.transports.request import Request

if TYPE_CHECKING:
    from dragoman.transports.answer import Answer

__all__ = ["TOLD_BYTES", "follow", "refusal", "status_error"]

TOLD_BYTES: Final = 64 * 1024
"""Bytes of a body that is read for people, or read off for the connection's sake."""

_BODY_CHARACTERS: Final = 2_000
_SHOWN_BYTES: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PERMANENT: Final = frozenset({301, 308})
_MAX_REDIRECTS: Final = 5


async def follow(
    config: ServerConfig,
    address: Address,
    request: Request,
    answer: Answer,
    send: Callable[[Request], Awaitable[Answer]],
) -> tuple[Answer, Address]:
    """Follow the redirects that begin with ``answer``, which was given to ``request`` at ``address``.

    Give the answer that is no redirect, and the address to use from now on: another one if all of them were permanent.

    Raises:
        HttpError: one leads to another origin, or can't be followed. Nothing was sent to another origin.
    """
    lasting = here = address
    for _ in range(_MAX_REDIRECTS):
        if answer.status not in _REDIRECTS:
            return answer, lasting
        there = here.joined(answer.header("Location"))
        if there is None or there.origin != address.origin or answer.status == 303:
            raise _not_followed(config, address, answer, there)
        if answer.status in _PERMANENT and lasting is here:
            lasting = there
        here = there
        await answer.beginning(TOLD_BYTES)
        answer = await send(structs.replace(request, target=there.target))
    if answer.status not in _REDIRECTS:
        return answer, lasting
    raise _not_followed(config, address, answer, None)


def _not_followed(config: ServerConfig, address: Address, answer: Answer, there: Address | None) -> HttpError:
    what = f"{answer.label} was redirected (HTTP {answer.status}), which was not followed"
    hint = "Correct the address."
    if there is not None and there.origin != address.origin:
        what = f"{what}: it leads to another origin, {there.origin}"
        hint = "If you trust that origin, give its address instead."
    return refusal(config, answer, b"", what=what, hint=hint)


def refusal(
    config: ServerConfig, answer: Answer, body: bytes, *, what: str | None = None, hint: str | None = None
) -> HttpError:
    """Give the error for an answer's status, and close the answer. ``body`` is what has been read of its body."""
    answer.close()
    if what is None:
        what = f"{answer.label} was answered with HTTP {answer.status} {answer.reason}".rstrip()
        shown = excerpt(body.strip(), _SHOWN_BYTES)
        if shown and not shown.startswith("<"):
            what = f"{what}: {shown}"
    waiting, challenges = answer.header("Retry-After"), answer.headers.getall("WWW-Authenticate", ())
    return status_error(config, what, answer.status, waiting, challenges, body=body, hint=hint)


def status_error(
    config: ServerConfig,
    what: str,
    status: int,
    waiting: str,
    challenges: Sequence[str],
    *,
    body: bytes = b"",
    hint: str | None = None,
) -> HttpError:
    """Give the error for a status; ``waiting`` and ``challenges`` are ``Retry-After`` and ``WWW-Authenticate``."""
    return HTTP_ERRORS.get(status, HttpError)(
        what,
        status=status,
        body=body[: 4 * _BODY_CHARACTERS].decode("utf-8", "replace")[:_BODY_CHARACTERS],
        retry_after=retry_after(waiting, time.time()),
        challenges=challenges,
        server=config.name,
        hint=hint,
    )
