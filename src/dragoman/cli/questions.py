"""Puts a server's questions to the person at the terminal: forms field by field, pages with their whole address.

Without a terminal every question is declined, and that is said. Nothing is sent before the person saw all of it,
and what was typed before a question appeared is no answer to it.
Source: 2026-07-28 client/elicitation.
"""

from __future__ import annotations

import asyncio
import webbrowser
from typing import Any, Final, NamedTuple

from dragoman.cli.coercion import Misfit
from dragoman.cli.forms import Field, fields_of
from dragoman.cli.keyboard import Keyboard
from dragoman.cli.plain import one_line, one_word, safe, wrapped
from dragoman.cli.schemas import Json
from dragoman.cli.screen import Screen
from dragoman.cli.visits import Visit, examined
from dragoman.errors import DragomanError
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult
from dragoman.protocol.jsonrpc import encode

__all__ = ["answer"]

_DECLINE: Final = "/decline"
_CANCEL: Final = "/cancel"
_CLEAR: Final = "/clear"
_SHORT: Final = 3


class _Option(NamedTuple):
    """One of the answers to choose from: its name, how it is told, and the words that mean it."""

    name: str
    told: str
    words: tuple[str, ...]


_YES: Final = _Option("yes", "yes (y)", ("yes", "y"))
_EDIT: Final = _Option("edit", "edit (e)", ("edit", "e"))
_OPEN: Final = _Option("open", "open it in the browser (o)", ("open", "o", "yes", "y"))
_VISITED: Final = _Option("visited", "visited it myself (v)", ("visited", "v"))
_DECLINED: Final = _Option("decline", "decline (d)", ("decline", "d", "no", "n"))
_CANCELLED: Final = _Option("cancel", "cancel (c)", ("cancel", "c"))


class _Ended(Exception):
    """The person ended the questions with this answer."""

    def __init__(self, result: ElicitationResult) -> None:
        super().__init__(result.action)
        self.result = result


async def answer(screen: Screen, keyboard: Keyboard, request: ElicitationRequest, server: str) -> ElicitationResult:
    """Ask and give the answer."""
    if not screen.is_attended:
        told = f"{one_line(server)} asks: {one_line(request.message)} (declined: there is no terminal to ask at)"
        screen.note(told, "yellow")
        return ElicitationResult("decline")
    try:
        if request.mode == "url":
            return await _Questions(screen, keyboard).visit(request, server)
        return await _Questions(screen, keyboard).form(request, server)
    except _Ended as ended:
        return ended.result


class _Questions:
    def __init__(self, screen: Screen, keyboard: Keyboard) -> None:
        self._screen = screen
        self._style = screen.err_style
        self._keyboard = keyboard

    async def form(self, request: ElicitationRequest, server: str) -> ElicitationResult:
        """Ask field by field, then show all and let it be sent, changed or refused."""
        self._keyboard.forget()
        self._head(f"{one_line(server)} asks", request.message)
        fields = fields_of(request.requested_schema or {})
        if fields:
            self._note(f"({_DECLINE} says no, {_CANCEL} or Ctrl-D puts it off)", "dim")
        if any(not field.required for field in fields):
            self._note(
                f"(an empty line takes what stands in brackets, or leaves the field out; {_CLEAR} forgets it)", "dim"
            )
        answers: dict[str, Any] = {}
        while True:
            for number, field in enumerate(fields, start=1):
                place = f"{number} of {len(fields)} · " if len(fields) > _SHORT else ""
                value = await self._field(field, answers.get(field.name, field.default), place)
                if value is None:
                    answers.pop(field.name, None)
                else:
                    answers[field.name] = value
            problem = _problem(request.requested_schema, answers)
            if problem:
                self._note(f"That does not fit yet: {problem}.", "red")
            elif await self._review(server, fields, answers):
                return ElicitationResult("accept", answers)

    async def visit(self, request: ElicitationRequest, server: str) -> ElicitationResult:
        """Show the address with its host marked, and open it only if the person says so."""
        self._keyboard.forget()
        self._head(f"{one_line(server)} wants you to visit a page", request.message)
        visit = examined(request.url or "")
        before, host = one_word(visit.before), one_word(visit.host)
        if _breaks(len(before) + 2, len(host), self._screen.err_width):
            before += "\n  "
        self._screen.complain(f"\n  {before}{self._style(host, 'bold', 'yellow')}{one_word(visit.after)}\n")
        if host:
            gap = "\n  " if _breaks(len("  Host: "), len(host), self._screen.err_width) else " "
            self._screen.complain(f"  {self._style('Host:', 'dim')}{gap}{self._style(host, 'bold')}")
        for warning in visit.warnings:
            self._note(f"Careful: {warning}.", "red")
        return await self._consent(request, visit)

    async def _consent(self, request: ElicitationRequest, visit: Visit) -> ElicitationResult:
        can = (_OPEN, _VISITED, _DECLINED, _CANCELLED) if visit.can_open else (_DECLINED, _CANCELLED)
        while True:
            match await self._choice("", can):
                case "open":
                    if await asyncio.to_thread(webbrowser.open, request.url or ""):
                        return ElicitationResult("accept")
                    self._note("No browser could be started: open it by hand.", "red")
                case "visited":
                    return ElicitationResult("accept")
                case _:
                    return ElicitationResult("decline")

    def _head(self, title: str, message: str) -> None:
        first, *rest = wrapped(f"? {title}", self._screen.err_width)
        self._screen.complain(self._style("?", "cyan", "bold") + self._style(first.removeprefix("?"), "bold"))
        for line in rest:
            self._screen.complain(self._style(f"  {line}", "bold"))
        for line in wrapped(safe(message).strip(), self._screen.err_width, "  "):
            self._screen.complain(line)

    def _note(self, text: str, colour: str) -> None:
        """Say something below the question, broken between words."""
        for line in wrapped(safe(text), self._screen.err_width, "  "):
            self._screen.complain(self._style(line, colour))

    async def _field(self, field: Field, default: Json, place: str) -> Json:
        """Ask one field until the answer fits; None leaves it out."""
        if field.description:
            self._note(one_line(field.description), "dim")
        for number, choice in enumerate(field.choices, start=1):
            self._screen.complain(f"  {self._style(f'{number:3})', 'dim')} {one_line(choice.title)}")
        while True:
            text = await self._ask(self._prompt(field, default, place))
            if text.strip() == _DECLINE:
                raise _Ended(ElicitationResult("decline"))
            if text.strip() == _CLEAR and not field.required:
                return field.default
            if not text.strip() and (default is not None or not field.required):
                return default
            try:
                if text.strip() in ("", _CLEAR):
                    raise Misfit("is needed")
                return field.read(text)
            except Misfit as misfit:
                told = str(misfit).partition(", not ")[0]
                self._note(f"That {told}.", "red")

    def _prompt(self, field: Field, default: Json, place: str) -> str:
        title = self._style(one_line(field.title), "cyan")
        notes = [one_line(field.kind)] if field.kind else []
        if not field.required:
            notes.append("may be left out")
        told = f" ({', '.join(notes)})" if notes else ""
        shown = f" [{one_line(field.shown(default))}]" if default is not None else ""
        if len(f"  {place}{one_line(field.title)}{told}{shown}: ") > self._screen.err_width:
            self._note(told.strip(), "dim")
            told = ""
        return f"  {self._style(place, 'dim')}{title}{self._style(told, 'dim')}{shown}: "

    async def _review(self, server: str, fields: list[Field], answers: dict[str, Any]) -> bool:
        """Show what would be sent; True to send it, False to go through it again."""
        self._keyboard.forget()
        width = max((len(one_line(field.title)) for field in fields), default=0)
        if fields:
            self._screen.complain("")
            self._screen.complain(self._style(f"  This would go to {one_line(server)}:", "dim"))
        for field in fields:
            value = one_line(field.shown(answers[field.name])) if field.name in answers else self._style("—", "dim")
            self._screen.complain(f"    {one_line(field.title):<{width}}  {value}")
        can = (_YES, _EDIT, _DECLINED, _CANCELLED) if fields else (_YES, _DECLINED, _CANCELLED)
        chosen = await self._choice("Send it? " if fields else "", can)
        if chosen == "decline":
            raise _Ended(ElicitationResult("decline"))
        return chosen == "yes"

    async def _choice(self, question: str, options: tuple[_Option, ...]) -> str:
        """Ask until one of the options is named, whole or by its letter: nothing is guessed from a beginning."""
        told = question + ", ".join(option.told for option in options)
        while True:
            *above, last = wrapped(told, self._screen.err_width - len(": "), "  ")
            for line in above:
                self._screen.complain(self._style(line, "cyan"))
            word = (await self._ask(f"{self._style(last, 'cyan')}: ")).strip().lower().removeprefix("/")
            name = next((option.name for option in options if word in option.words), "")
            if name == "cancel":
                raise _Ended(ElicitationResult("cancel"))
            if name:
                return name
            accepted = ", ".join(f"{option.name} or {option.name[0]}" for option in options)
            self._note(f"Nothing is done yet. Type one of these: {accepted}.", "red")

    async def _ask(self, prompt: str) -> str:
        self._screen.ask(prompt)
        text = await self._keyboard.line()
        self._screen.answered()
        if text is None:
            self._screen.complain("")
        if text is None or text.strip() == _CANCEL:
            raise _Ended(ElicitationResult("cancel"))
        return text


def _breaks(start: int, length: int, width: int) -> bool:
    """Whether a word that begins in this column would be broken by the terminal, and would not on a line of its own."""
    return start % width + length > width >= length + len("  ")


def _problem(schema: dict[str, Any] | None, answers: dict[str, Any]) -> str:
    """Tell what the whole form lacks against its schema; empty if it fits or the schema can't be used."""
    from dragoman.schema.validation import Validator

    try:
        found = Validator(encode(schema or {})).problem(encode(answers))
    except DragomanError:
        return ""
    return "" if found is None else one_line(found.text).rstrip(".")
