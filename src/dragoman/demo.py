"""A tour of what this client does, on the sample servers that come along: `dragoman demo`, `python -m dragoman.demo`.

Each stop shows the command line that does the same, does it through the library, and checks what came. It exits with
1 if anything is off. Nothing beyond this machine is contacted, and nothing is left running.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import click

from dragoman.cli.colouring import laid_out
from dragoman.cli.failure import guarded
from dragoman.cli.plain import one_line, size_text
from dragoman.cli.screen import Screen
from dragoman.cli.status import StatusLine
from dragoman.config.model import ServerConfig
from dragoman.errors import DragomanError, RequestTimeout, ServerError
from dragoman.protocol.changes import ResourcesChanged
from dragoman.protocol.content import EmbeddedResource, ImageContent
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult
from dragoman.protocol.types import Progress, PromptReference
from dragoman.server.callbacks import QuestionContext
from dragoman.server.connect import connect
from dragoman.server.server import Server

__all__ = ["command", "main"]

_CLOCK: Final = (sys.executable, "-m", "dragoman.samples.clock")
_NOTES: Final = (sys.executable, "-m", "dragoman.samples.notes", "--http", "0")
_START_SECONDS: Final = 10.0
_WIDTH: Final = 76


class DemoFailed(DragomanError):
    """Something came that should not have; the tour ends."""

    code = "demo.failed"
    default_hint = "Please report it, with all that the tour printed."


class _Tour:
    """Tells the stops one by one, and counts what was checked."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.status = StatusLine(screen)
        self.checks = 0

    def part(self, title: str) -> None:
        line = "─" if self._screen.draws else "-"
        self._screen.print()
        head = f"{line * 2} {title} "
        self._screen.print_styled(self._screen.style(head + line * (_WIDTH - len(head)), "bold"))

    def stop(self, what: str, command: str = "") -> None:
        self._screen.print()
        self._screen.print_styled(self._screen.style(what, "bold"))
        if command:
            program, _, rest = command.partition(" ")
            rest = rest.replace("python -m", f"{_found('python')} -m")
            self._screen.print_styled(self._screen.style(f"$ {_found(program)} {rest}", "cyan"))

    def show(self, text: str) -> None:
        for line in text.splitlines():
            self._screen.print(f"  {line}")

    def show_value(self, value: object) -> None:
        for line in laid_out(self._screen, value).splitlines():
            self._screen.print_styled(f"  {line}")

    def check(self, fits: bool, expected: str) -> None:  # noqa: FBT001 - reads like assert
        self.checks += 1
        if not fits:
            raise DemoFailed(f"expected {expected}")


@click.command()
@click.option("--no-color", is_flag=True, help="No colours (NO_COLOR does the same).")
def command(*, no_color: bool = False) -> int:
    """Take a tour on the sample servers that come along: every main job, checked as it goes."""
    screen = Screen(colour=not no_color)
    return guarded(screen, lambda: asyncio.run(_take(screen)), debug=False)


def main() -> None:
    """Run the tour and exit with its status.

    Raises:
        SystemExit: always.
    """
    sys.exit(command(standalone_mode=False))


async def _take(screen: Screen) -> int:
    begun = time.perf_counter()
    tour = _Tour(screen)
    screen.print("Two small servers come along with dragoman. This tour talks to both.")
    await _visit_clock(tour)
    await _visit_notes(tour)
    took = time.perf_counter() - begun
    screen.print()
    screen.print_styled(screen.style(f"All well: {tour.checks} checks in {took:.1f} s.", "green", "bold"))
    screen.print("Next: dragoman --help, or docs/tutorial/first-call.md.")
    return 0


async def _visit_clock(tour: _Tour) -> None:
    target = '-s "python -m dragoman.samples.clock"'
    tour.part("the clock, a program on this machine (stdio)")
    tour.stop("Connect, and see what it is", f"dragoman info {target}")
    async with connect(ServerConfig(command=_CLOCK[0], args=_CLOCK[1:], name="clock")) as clock:
        tour.show(f"{clock.info.title} {clock.info.version}, protocol {clock.protocol_version} ({clock.era} era)")
        tour.check(clock.info.name == "clock", "the clock's own name")
        await _list(tour, clock, target)
        await _call(tour, clock, target)
        await _meet_errors(tour, clock, target)
    tour.check(not clock.is_connected, "a closed connection")
    tour.stop("Close it")
    tour.show("its stdin was closed, and its process has ended")


async def _list(tour: _Tour, clock: Server, target: str) -> None:
    tour.stop("List its tools", f"dragoman tools {target}")
    tools = await clock.list_tools()
    for tool in tools:
        tour.show(f"{tool.name:<10} {one_line(tool.description or '')}")
    tour.check({"now", "countdown", "face"} <= {tool.name for tool in tools}, "the clock's tools")


async def _call(tour: _Tour, clock: Server, target: str) -> None:
    tour.stop("Call one; the answer is text and structure", f"dragoman call now offset_hours=2 {target}")
    result = await clock.call_tool("now", {"offset_hours": 2})
    tour.show(result.text)
    tour.show_value(result.structured)
    tour.check("weekday" in result.structured, "a structured time")

    tour.stop("Call one that takes its time, and hear how far it is", f"dragoman call countdown steps=8 {target}")
    heard: list[Progress] = []

    def hear(progress: Progress) -> None:
        heard.append(progress)
        tour.status.progress(progress)

    with tour.status.waiting("counting down"):
        result = await clock.call_tool("countdown", {"steps": 8, "pause": 0.1}, on_progress=hear)
    tour.show(f"{len(heard)} reports of progress, then: {result.text}")
    tour.check([one.progress for one in heard] == list(range(9)), "every report of progress, in order")

    tour.stop("Get a picture; the command saves it to a file", f"dragoman call face hour=10 minute=8 {target}")
    result = await clock.call_tool("face", {"hour": 10, "minute": 8})
    pictures = [block for block in result.content if isinstance(block, ImageContent)]
    tour.check(len(pictures) == 1 and pictures[0].decoded().startswith(b"\x89PNG"), "one PNG")
    tour.show(f"{pictures[0].mime_type}, {size_text(len(pictures[0].decoded()))}")


async def _meet_errors(tour: _Tour, clock: Server, target: str) -> None:
    tour.stop("A tool that fails says so in its result (exit status 1)", f"dragoman call face hour:=25 {target}")
    result = await clock.call_tool("face", {"hour": 25})
    tour.show(result.text)
    tour.check(result.is_error, "a result with isError")

    tour.stop("A request that fails raises (exit status 1)", f"dragoman read clock://nothing {target}")
    try:
        await clock.read_resource("clock://nothing")
    except ServerError as error:
        tour.show(f"{type(error).__name__}: {error}")
        tour.check(error.rpc_code in (-32002, -32602), "the code for a resource that is not there")
    else:
        tour.check(fits=False, expected="an error for a resource that is not there")

    tour.stop("Waiting has an end (exit status 4)", f"dragoman call countdown steps=9 pause=9 --timeout 0.3 {target}")
    try:
        await clock.call_tool("countdown", {"steps": 9, "pause": 9}, timeout=0.3)
    except RequestTimeout as error:
        tour.show(f"{type(error).__name__}: {error}")
        tour.check(clock.is_connected, "a connection that outlives a time-out")
    else:
        tour.check(fits=False, expected="a time-out")


async def _visit_notes(tour: _Tour) -> None:
    tour.part("the notes, a server behind an address (Streamable HTTP)")
    tour.stop("Start it, then connect by its URL", "python -m dragoman.samples.notes --http 8321")
    async with _notes_at() as url:
        target = "-s http://127.0.0.1:8321/mcp"
        async with connect(url, name="notes", elicitation=_SaysYes(tour)) as notes:
            tour.show(f"{notes.info.title} {notes.info.version} over {notes.transport_kind}")
            tour.check(notes.transport_kind == "streamable_http", "Streamable HTTP")
            await _write(tour, notes, target)
            await _use(tour, notes, target)
            await _delete(tour, notes, target)


async def _write(tour: _Tour, notes: Server, target: str) -> None:
    text = "add_note title=tour text='It works.' tags=demo tags=today"
    tour.stop("Write a note, and hear of the change", f"dragoman call {text} {target}")
    async with notes.listen(resources=True) as changes:
        arguments = {"title": "tour", "text": "It works.", "tags": ["demo", "today"]}
        result = await notes.call_tool("add_note", arguments)
        tour.show(result.text)
        change = await asyncio.wait_for(anext(aiter(changes)), _START_SECONDS)
    tour.show(f"heard: {type(change).__name__}")
    tour.check(isinstance(change, ResourcesChanged), "the news of a new resource")


async def _use(tour: _Tour, notes: Server, target: str) -> None:
    tour.stop("Read it back as a resource", f"dragoman read note:///tour {target}")
    read = await notes.read_resource("note:///tour")
    tour.show(read.text)
    tour.check(read.text == "It works.", "the note as it was written")

    tour.stop("Complete an argument", f"dragoman complete title=t --prompt summarize {target}")
    suggested = await notes.complete(PromptReference("summarize"), "title", "t")
    tour.show(" ".join(suggested.values))
    tour.check(suggested.values == ("tour",), "the one title that begins with t")

    tour.stop("Fill in a prompt", f"dragoman prompt summarize title=tour style=rhyming {target}")
    prompt = await notes.get_prompt("summarize", {"title": "tour", "style": "rhyming"})
    for message in prompt.messages:
        said = message.content
        text = said.resource.text if isinstance(said, EmbeddedResource) else getattr(said, "text", "")
        tour.show(f"{message.role}: {text}")
    tour.check(len(prompt.messages) == 2, "two messages")


async def _delete(tour: _Tour, notes: Server, target: str) -> None:
    tour.stop(
        "A server may ask first; at a terminal you would be asked", f"dragoman call delete_note title=tour {target}"
    )
    before = tour.checks
    result = await notes.call_tool("delete_note", {"title": "tour"})
    tour.show(result.text)
    tour.check(tour.checks == before + 1 and "Deleted" in result.text, "a question, then the deletion")


class _SaysYes:
    """Answers the deletion's question as a person would who means it."""

    def __init__(self, tour: _Tour) -> None:
        self._tour = tour

    async def __call__(self, request: ElicitationRequest, context: QuestionContext, /) -> ElicitationResult:
        self._tour.show(f"{context.server} asks: {one_line(request.message)} The tour says yes.")
        self._tour.check(request.requested_schema is not None, "a form")
        return ElicitationResult("accept", {"delete": True})


def _found(program: str) -> str:
    """Give what to type for a program of this environment: its name if that finds it, else its path."""
    path = Path(sys.executable).with_name(program)
    found = shutil.which(program)
    if found is not None and Path(found).resolve() == path.resolve():
        return program
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@contextlib.asynccontextmanager
async def _notes_at() -> AsyncGenerator[str]:
    """Run the notes over HTTP on a free port; give the address."""
    process = await asyncio.create_subprocess_exec(
        *_NOTES, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        if process.stdout is None:
            raise DemoFailed("the notes have no stdout")
        line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
        yield line.decode().split()[-1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


if __name__ == "__main__":
    main()
