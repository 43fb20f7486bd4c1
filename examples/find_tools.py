"""A multi-server client that does not know its tools: it finds one by a question, and offers a few to a model."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dragoman import Hub

SERVERS = {"clock": "python -m dragoman.samples.clock", "notes": "python -m dragoman.samples.notes"}


async def answer(hub: Hub, question: str, arguments: dict[str, Any]) -> None:
    """Call whatever tool fits the question best."""
    tool = await hub.find_tool(question)
    if tool is None:
        print(f"{question} Nobody can do that.")
        return
    result = await hub.call_tool(tool.full_name, arguments)
    print(f"{question} [{tool.full_name}] {result.text}")


async def definitions(hub: Hub, question: str) -> list[dict[str, Any]]:
    """Give a few tools as the interfaces of model providers want them; their names are safe with each."""
    return [
        {
            "name": found.entry.model_name,
            "description": found.entry.description,
            "input_schema": found.entry.input_schema,
        }
        for found in await hub.find(question, limit=3)
    ]


async def main() -> None:
    """Ask some questions, then do what a model would want done."""
    async with Hub(SERVERS) as hub:
        for tool in await hub.tools():
            print(f"- {tool.full_name}: {tool.description}")

        await answer(hub, "Keep a note.", {"title": "idea", "text": "Learn the oud."})
        await answer(hub, "Which notes contain a text?", {"text": "oud"})
        await answer(hub, "Count down to zero!", {"steps": 2})
        await answer(hub, "Order a pizza.", {})

        offered = await definitions(hub, "find a note")
        print("offered to a model:", ", ".join(tool["name"] for tool in offered))
        wish = json.loads('{"name": "notes__find_notes", "input": {"tag": "food"}}')  # as a model would answer
        print((await hub.call_tool(wish["name"], wish["input"])).text)


if __name__ == "__main__":
    asyncio.run(main())
