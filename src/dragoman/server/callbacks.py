"""The client's side of the conversation: who samples, asks people, names roots, and hears log lines.

It turns a server's question into a call of the user's handler and the handler's value into the protocol's result.
Server-to-client requests and multi round-trip questions come through the same `Callbacks.answer`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from msgspec import Raw, Struct

from dragoman.errors import DragomanError, InvalidResult
from dragoman.protocol.interaction import (
    ElicitationRequest,
    ElicitationResult,
    Root,
    SamplingRequest,
    SamplingResult,
)
from dragoman.protocol.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, encode
from dragoman.protocol.kept import decode
from dragoman.protocol.metadata import Offers
from dragoman.protocol.types import LogMessage

R = TypeVar("R", SamplingResult, ElicitationResult)

__all__ = ["Callbacks", "ElicitationHandler", "QuestionContext", "Refusal", "Roots", "SamplingHandler"]

log: Final = logging.getLogger("dragoman")


class QuestionContext(Struct, frozen=True):
    """Who asks: the ``server``'s name, the ``method`` it asks by, and during which of our requests.

    ``during`` is that request's method, or None where the protocol does not tell.
    """

    server: str
    method: str
    during: str | None = None


class SamplingHandler(Protocol):
    """Lets a model continue a server's conversation."""

    def __call__(self, request: SamplingRequest, context: QuestionContext, /) -> Awaitable[SamplingResult]:
        """Give the model's answer to ``request``."""
        ...


class ElicitationHandler(Protocol):
    """Asks a person what a server wants to know."""

    def __call__(self, request: ElicitationRequest, context: QuestionContext, /) -> Awaitable[ElicitationResult]:
        """Give the person's answer to ``request``."""
        ...


Roots: TypeAlias = "Sequence[Root | str | Path] | Callable[[], Awaitable[Sequence[Root | str | Path]]]"


class Refusal(Exception):
    """A question that can't be answered: becomes a JSON-RPC error, or fails the round it came with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Callbacks(Struct, frozen=True, kw_only=True):
    """The user's handlers. A handler that is None is not offered to servers."""

    sampling: SamplingHandler | None = None
    elicitation: ElicitationHandler | None = None
    roots: Roots | None = None
    on_log: Callable[[LogMessage], Any] | None = None
    on_notification: Callable[[str, dict[str, Any]], Any] | None = None
    on_message: Callable[[str, bytes], Any] | None = None

    def offers(self) -> Offers:
        """Give what may be told to servers as capabilities."""
        return Offers(
            sampling=self.sampling is not None,
            sampling_tools=self.sampling is not None,
            elicitation_form=self.elicitation is not None,
            elicitation_url=self.elicitation is not None,
            roots=self.roots is not None,
        )

    async def answer(self, params: Raw, context: QuestionContext) -> bytes:
        """Give the result object for one question of a server, as JSON.

        Raises:
            Refusal: nobody is there to answer, the question is malformed, or the handler failed.
        """
        try:
            match context.method:
                case "ping":
                    return b"{}"
                case "sampling/createMessage" if self.sampling is not None:
                    return await self._sample(self.sampling, params, context)
                case "elicitation/create" if self.elicitation is not None:
                    return await self._elicit(self.elicitation, params, context)
                case "roots/list" if self.roots is not None:
                    return await self._list_roots(self.roots)
                case _:
                    raise Refusal(METHOD_NOT_FOUND, f"this client does not answer {context.method}")
        except Refusal:
            raise
        except InvalidResult as error:
            raise Refusal(INVALID_PARAMS, error.what) from error
        except Exception as error:
            log.exception("%s: the handler of %s failed", context.server, context.method)
            raise Refusal(INTERNAL_ERROR, f"the client's handler failed ({type(error).__name__})") from error

    async def _sample(self, handler: SamplingHandler, params: Raw, context: QuestionContext) -> bytes:
        request = decode(SamplingRequest, params, "the sampling request")
        result = await _given(handler(request, context), SamplingResult, "sampling")
        return encode(result.to_wire())

    async def _elicit(self, handler: ElicitationHandler, params: Raw, context: QuestionContext) -> bytes:
        request = decode(ElicitationRequest, params, "the elicitation request")
        if request.mode not in ("form", "url"):
            raise Refusal(INVALID_PARAMS, f"this client knows no elicitation of mode {request.mode}")
        result = await _given(handler(request, context), ElicitationResult, "elicitation")
        if result.action != "accept" or request.mode == "url":
            return encode({"action": result.action})
        content = _with_defaults(dict(result.content or {}), request.requested_schema)
        _check_content(content, request)
        return encode({"action": "accept", "content": content})

    async def _list_roots(self, roots: Roots) -> bytes:
        listed = await roots() if callable(roots) else roots
        return encode({"roots": [_root(entry) for entry in listed]})


async def _given(value: object, kind: type[R], what: str) -> R:
    """Give what a handler gave; that it is a plain function is no matter, that it gives something else is."""
    given = await value if inspect.isawaitable(value) else value
    if not isinstance(given, kind):
        raise TypeError(f"the {what} handler gave a {type(given).__name__} and not a {kind.__name__}")
    return given


def _root(entry: Root | str | Path) -> Root:
    if isinstance(entry, Root):
        return entry
    if isinstance(entry, str) and "://" in entry:
        return Root(entry)
    return Root(Path(entry).absolute().as_uri())


def _with_defaults(content: dict[str, Any], schema: dict[str, Any] | None) -> dict[str, Any]:
    properties: Any = (schema or {}).get("properties")
    if isinstance(properties, dict):
        for name, entry in cast("dict[str, Any]", properties).items():
            if name not in content and isinstance(entry, dict) and "default" in entry:
                content[name] = entry["default"]
    return content


def _check_content(content: dict[str, Any], request: ElicitationRequest) -> None:
    from dragoman.schema.validation import Validator

    if request.requested_schema is None:
        return
    try:
        problem = Validator(encode(request.requested_schema)).problem(encode(content))
    except DragomanError as error:
        raise Refusal(INVALID_PARAMS, f"the requested schema is unusable: {error.what}") from error
    if problem is not None:
        raise Refusal(INVALID_PARAMS, f"the answer does not fit the requested schema: {problem.text}")


async def settle(value: object) -> None:
    """Wait for what a handler gave, if it is awaitable."""
    if inspect.isawaitable(value):
        await value
