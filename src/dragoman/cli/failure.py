"""Errors as a person at the command line reads them: what happened, where, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, cast

from dragoman.cli.exit_codes import BUG, INTERRUPTED, NOBODY_READS, OUTPUT_LOST, exit_status
from dragoman.cli.plain import one_line, safe
from dragoman.cli.screen import OutputLost, Screen, drop_output
from dragoman.errors import (
    ConfigError,
    DragomanError,
    HttpError,
    MessageTooLarge,
    RequestTimeout,
    UrlElicitationRequired,
    UsageError,
    VersionMismatch,
)

__all__ = ["guarded", "report", "report_bug"]

_LONGEST_WHAT: Final = 2000
_LAST_LINES: Final = 12
_LONGEST_BODY: Final = 300
_LONGEST_SAME: Final = 40


def guarded(screen: Screen, work: Callable[[], int], *, debug: bool) -> int:
    """Do the work of a command and give its exit status, whatever happens."""
    try:
        status = work()
        screen.flush()
    except DragomanError as error:
        report(screen, error, debug=debug)
        return exit_status(error)
    except BrokenPipeError:
        drop_output(sys.stdout)
        return NOBODY_READS
    except OutputLost as error:
        return report_lost_output(error)
    except KeyboardInterrupt:
        if not screen.is_interrupted:
            screen.complain(screen.err_style("interrupted", "dim"))
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a person should not have to read a traceback
        report_bug(screen, error, debug=debug)
        return BUG
    return status


def report_lost_output(error: OutputLost) -> int:
    """Tell that the result could not be written, and give the exit status for that."""
    drop_output(sys.stdout)
    _complain(Screen(), f"the output can't be written ({error}).")
    return OUTPUT_LOST


def report(screen: Screen, error: DragomanError, *, debug: bool = False) -> None:
    """Tell of an error on stderr."""
    if debug and not isinstance(error, UsageError | ConfigError):
        screen.complain(screen.err_style(_trace(error, chain=False), "dim"))
    place = f"{one_line(error.server)}: " if error.server else ""
    what = _told(error).rstrip(".")
    hint = one_line(_hint(error))
    _complain(screen, f"{place}{what}. {hint}".rstrip())
    for line in _details(error):
        screen.complain(screen.err_style(f"  {line}", "dim"))


def report_bug(screen: Screen, error: BaseException, *, debug: bool) -> None:
    """Tell of a failure that this program did not foresee."""
    if debug:
        screen.complain(screen.err_style(_trace(error), "dim"))
    told = f"{type(error).__name__}: {one_line(str(error))}"
    again = "Please report it." if debug else "Please report it, with what --debug shows."
    _complain(screen, f"unforeseen, and so a bug: {safe(told)}. {again}")


def _complain(screen: Screen, told: str) -> None:
    """Say it in one paragraph, broken between words on a terminal."""
    paragraph = f"dragoman: {told}"
    if screen.err_is_terminal:
        import textwrap

        lines = textwrap.wrap(paragraph, max(screen.err_width, 20), break_long_words=False, break_on_hyphens=False)
        paragraph = "\n".join(lines)
    screen.complain(screen.err_style("dragoman:", "red", "bold") + paragraph.removeprefix("dragoman:"))


def _trace(error: BaseException, *, chain: bool = True) -> str:
    import traceback

    return "".join(traceback.format_exception(error, chain=chain)).rstrip()


def _hint(error: DragomanError) -> str:
    """The library's hint, in the words of the command line where they differ."""
    match error:
        case RequestTimeout() if error.what.startswith("task "):
            return (
                "Give it more time with --set max_timeout=SECONDS (--timeout does not bound a task); it goes on there."
            )
        case RequestTimeout(method="connect"):
            return "Give it more time with --connect-timeout, or look whether it is stuck."
        case RequestTimeout():
            return "Give it more time with --timeout, or look whether the server is stuck."
        case VersionMismatch():
            return (
                f"Leave --protocol-version out, or update the server (it speaks {', '.join(error.supported) or '?'})."
            )
        case MessageTooLarge():
            return "If you expect that much, allow it: --set max_message_bytes=BYTES."
        case _:
            return error.hint


def _told(error: DragomanError) -> str:
    """Tell what happened, without the body, which stands below."""
    what = one_line(error.what[:_LONGEST_WHAT])
    body = one_line(error.body)[:_LONGEST_SAME] if isinstance(error, HttpError) else ""
    return what.partition(f": {body}")[0] if body else what


def _details(error: DragomanError) -> list[str]:
    """What the server itself had to say: its stderr, its HTTP body, the pages that it wants visited."""
    lines: list[str] = []
    if isinstance(error, HttpError):
        body = one_line(error.body)
        if body:
            lines.append(f"it said: {body[:_LONGEST_BODY]}{'…' if len(body) > _LONGEST_BODY else ''}")
        if error.retry_after is not None:
            lines.append(f"it asks to wait {error.retry_after:g} s")
    if isinstance(error, UrlElicitationRequired):
        lines += [f"it wants you to visit: {one_line(url)}" for url in _pages(error.data)]
    words = error.stderr.strip("\r\n").splitlines()
    if words:
        lines.append("its last words on stderr:")
        lines += [f"| {safe(line.expandtabs().rstrip())}" for line in words[-_LAST_LINES:]]
    return lines


def _pages(data: object) -> list[str]:
    asked = cast("dict[str, Any]", data).get("elicitations") if isinstance(data, dict) else None
    entries = cast("list[Any]", asked) if isinstance(asked, list) else []
    objects = [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
    return [str(entry["url"]) for entry in objects if "url" in entry]
