"""What becomes of each of many calls: a result or an error, never both, in the order in which they were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar, cast

from msgspec import Struct

from dragoman.errors import DragomanError, UsageError

__all__ = ["AT_ONCE", "Outcome", "ToolCall", "as_call", "gathered"]

#: So many calls of a batch are under way at once, unless the caller says otherwise.
AT_ONCE: Final = 32

T = TypeVar("T")


class ToolCall(Struct, frozen=True):
    """One call of a batch: a tool's name as `Hub.call_tool` takes it, its arguments, its time-out in seconds."""

    name: str
    arguments: Mapping[str, Any] | None = None
    timeout: float | None = None


def as_call(call: ToolCall | tuple[str, Mapping[str, Any] | None]) -> ToolCall:
    """Give a call of a batch, which may be written as a pair of name and arguments.

    Raises:
        UsageError: it is neither.
    """
    given: object = call
    if isinstance(given, tuple):
        parts = cast("tuple[Any, ...]", given)
        given = ToolCall(*parts) if 1 <= len(parts) <= len(ToolCall.__struct_fields__) else given
    if not isinstance(given, ToolCall) or not isinstance(given.name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"a {type(call).__name__} is no call", hint='Write ToolCall("name", {…}), or ("name", {…}).')
    return given


class Outcome(Struct, Generic[T], frozen=True):
    """How one of many went. ``name`` is what was asked for, ``result`` or ``error`` what came of it.

    ``server`` is the server that was asked, where the way of asking tells it: in a broadcast.
    """

    name: str
    result: T | None = None
    error: DragomanError | None = None
    server: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is a result. A tool's own failure is one, with ``is_error``."""
        return self.error is None

    def unwrap(self) -> T:
        """Give the result.

        Raises:
            DragomanError: what came instead.
        """
        if self.error is not None:
            raise self.error
        return self.result  # pyright: ignore[reportReturnType] - without an error there is a result


async def gathered(work: Iterable[tuple[str, Callable[[], Awaitable[T]]]], limit: int) -> list[Outcome[T]]:
    """Do all of it, at most ``limit`` at once, and give an outcome for each, in order.

    Raises:
        UsageError: ``limit`` is less than 1.
    """
    if limit < 1:
        raise UsageError(f"limit: must be at least 1, not {limit}")
    todo = list(work)
    outcomes: list[Outcome[T]] = [Outcome(name) for name, _ in todo]
    numbers = iter(range(len(todo)))

    async def worker() -> None:
        for number in numbers:
            name, begin = todo[number]
            try:
                outcomes[number] = Outcome(name, await begin())
            except DragomanError as error:
                outcomes[number] = Outcome(name, error=error)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(limit, len(todo))):
            group.create_task(worker(), name="dragoman works a batch off")
    return outcomes
