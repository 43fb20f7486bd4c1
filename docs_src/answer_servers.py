"""Handlers for what servers ask: forms, pages to visit, a model's answer, the places to work in."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from dragoman import connect
from dragoman.protocol.content import TextContent
from dragoman.protocol.interaction import (
    ElicitationRequest,
    ElicitationResult,
    Root,
    SamplingRequest,
    SamplingResult,
)
from dragoman.server.callbacks import QuestionContext


async def form(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Ask for each field; here the answers are always the same."""
    print(f"{context.server} asks: {request.message}")
    answers: dict[str, Any] = {}
    for name, schema in (request.requested_schema or {}).get("properties", {}).items():
        if schema["type"] == "boolean":
            answers[name] = True
    return ElicitationResult("accept", answers)


async def page(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """Show the whole address with its host marked, and open it only after a yes."""
    host = urlsplit(request.url or "").hostname
    print(f"{context.server} wants you to visit {request.url} (the host is {host}): {request.message}")
    return ElicitationResult("accept")


async def ask_person(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
    """One handler gets both kinds."""
    return await (page if request.mode == "url" else form)(request, context)


async def sample(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
    """Let a model answer; this one only repeats what it was asked."""
    print(f"{context.server} asks for at most {request.max_tokens} tokens")
    asked = request.messages[-1].content[0]
    text = asked.text if isinstance(asked, TextContent) else "nothing"
    return SamplingResult(model="parrot", content=f"You said: {text}", stop_reason="endTurn")


async def project() -> list[Root]:
    """Name the roots anew each time a server wants to know."""
    return [Root("file:///srv/project", name="Project")]


async def main() -> None:
    """Offer the form handler to the sample server, and all of them to one that asks for everything."""
    async with connect("python -m dragoman.samples.notes", name="notes", elicitation=form) as notes:
        print((await notes.call_tool("delete_note", {"title": "shopping"})).text)

    target = "python docs_src/asking_server.py"
    async with connect(target, name="asker", elicitation=ask_person, sampling=sample, roots=project) as asker:
        for tool in ("sign_up", "think", "look_around"):
            print((await asker.call_tool(tool)).text)


if __name__ == "__main__":
    asyncio.run(main())
