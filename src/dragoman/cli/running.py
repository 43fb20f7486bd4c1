"""A command's conversation: connect, do the work, close, and answer to signals meanwhile.

Whatever happens, the server is told and its process is gone when this is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Generator
from types import FrameType
from typing import Final, NamedTuple

from dragoman.cli.exit_codes import signal_status
from dragoman.cli.keyboard import Keyboard
from dragoman.cli.options import Desk, Settings
from dragoman.cli.plain import one_line
from dragoman.cli.screen import Screen
from dragoman.cli.status import StatusLine
from dragoman.cli.targets import configured
from dragoman.config.model import ServerConfig
from dragoman.errors import DragomanError
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult
from dragoman.protocol.types import LogMessage
from dragoman.server.callbacks import QuestionContext
from dragoman.server.connect import connect
from dragoman.server.server import Server

__all__ = ["Talk", "converse"]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)
_LONGEST_SHOWN: Final = 4000
_COLOURS: Final = {"warning": "yellow", "error": "red", "critical": "red", "alert": "red", "emergency": "red"}


class Talk(NamedTuple):
    """What a command's work has at hand while it is connected."""

    server: Server
    screen: Screen
    status: StatusLine
    settings: Settings


def converse(desk: Desk, work: Callable[[Talk], Awaitable[int]]) -> int:
    """Connect to the server, do the work and give the exit status that it gives.

    Raises:
        DragomanError: whatever went wrong.
        KeyboardInterrupt: the user interrupted; the request under way was cancelled at the server.
    """
    config = configured(desk.settings.reach)
    stopped: list[int] = []
    try:
        return asyncio.run(_stoppable(_conversation(desk, config, work), stopped, _Farewell(desk.screen, config)))
    except asyncio.CancelledError:
        if not stopped:
            raise
        return signal_status(stopped[0])
    except DragomanError as error:
        from dragoman.cli.advice import for_server

        advice = for_server(error, config, named_transport=desk.settings.reach.transport is not None)
        error.hint = error.hint if advice is None else advice
        raise


class _Farewell:
    """Says at once that an interruption was heard: what is ended then may take its time."""

    def __init__(self, screen: Screen, config: ServerConfig) -> None:
        self._screen = screen
        self._what = "closing the connection" if config.command is None else "ending the server"

    @contextlib.contextmanager
    def said(self) -> Generator[None]:
        """Say it to the first interruption within the block; asyncio's own handling comes next."""
        loop, next_one = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)
        if not callable(next_one):
            yield
            return

        def heard(number: int, frame: FrameType | None) -> None:
            if not self._screen.is_interrupted:
                self._screen.is_interrupted = True
                loop.call_soon_threadsafe(self._say)
            next_one(number, frame)

        signal.signal(signal.SIGINT, heard)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, next_one)

    def _say(self) -> None:
        told = f"interrupted; {self._what} (Ctrl-C again: at once)"
        self._screen.complain(self._screen.err_style(told, "dim"))


async def _stoppable(work: Awaitable[int], stopped: list[int], farewell: _Farewell) -> int:
    """Let the polite signals end the work as an interruption does."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(number: int) -> None:
        stopped.append(number)
        if task is not None:
            task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    with farewell.said():
        return await work


async def _conversation(desk: Desk, config: ServerConfig, work: Callable[[Talk], Awaitable[int]]) -> int:
    settings, screen = desk
    status = StatusLine(screen)
    _tell_of_logging(screen, debug=settings.debug)
    with status.waiting(f"connecting to {one_line(config.name)}"):
        server = await connect(
            config,
            elicitation=_Asking(screen, status),
            roots=settings.roots or None,
            on_log=lambda line: _show_log(screen, line),
            on_message=(lambda way, data: _show_message(screen, way, data)) if settings.debug else None,
        )
    try:
        if settings.log_level is not None and server.capabilities.logging is not None:
            await server.set_log_level(settings.log_level)
        return await work(Talk(server, screen, status, settings))
    finally:
        with status.waiting(f"closing {one_line(config.name)}"):
            await server.aclose()
        if settings.debug:
            _show_stderr(screen, server.last_words())


class _Asking:
    """Answers a server's questions; the part that talks to a person is loaded with the first one."""

    def __init__(self, screen: Screen, status: StatusLine) -> None:
        self._screen = screen
        self._status = status
        self._keyboard = Keyboard()
        self._turn = asyncio.Lock()

    async def __call__(self, request: ElicitationRequest, context: QuestionContext, /) -> ElicitationResult:
        from dragoman.cli.questions import answer

        async with self._turn:
            with self._status.paused():
                return await answer(self._screen, self._keyboard, request, context.server)


def _show_log(screen: Screen, line: LogMessage) -> None:
    logger = f"{one_line(line.logger)}: " if line.logger else ""
    if isinstance(line.data, str):
        told = line.data
    else:
        import json

        told = json.dumps(line.data, ensure_ascii=False)
    level = one_line(line.level)
    screen.note(f"[{level}] {logger}{one_line(told)[:_LONGEST_SHOWN]}", _COLOURS.get(level, "dim"))


def _show_message(screen: Screen, way: str, data: bytes) -> None:
    text = one_line(data[:_LONGEST_SHOWN].decode("utf-8", "backslashreplace"))
    rest = f" … ({len(data)} bytes)" if len(data) > _LONGEST_SHOWN else ""
    screen.complain(screen.err_style(f"{'→' if way == 'out' else '←'} {text}{rest}", "dim"))


def _show_stderr(screen: Screen, words: str) -> None:
    for line in words.splitlines():
        screen.complain(screen.err_style(f"| {one_line(line)}", "dim"))


class _ScreenHandler(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.complain(self._screen.err_style(f"# {one_line(record.getMessage())}", "dim"))


def _tell_of_logging(screen: Screen, *, debug: bool) -> None:
    """Show the library's own log lines when debugging only; what matters of them is told otherwise."""
    logger = logging.getLogger("dragoman")
    logger.propagate = False
    if debug:
        logger.setLevel(logging.DEBUG)
    logger.handlers = [_ScreenHandler(screen) if debug else logging.NullHandler()]
