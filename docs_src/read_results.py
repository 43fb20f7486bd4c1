"""The parts of a tool's result, and everything else that a server offers besides tools."""

from __future__ import annotations

import asyncio
import json

from dragoman import connect
from dragoman.protocol.content import ImageContent, TextContent
from dragoman.protocol.types import PromptReference, ResourceReference


async def main() -> None:
    """Look at one result, then at resources, prompts and completions."""
    async with connect("python -m dragoman.samples.clock", name="clock") as clock:
        result = await clock.call_tool("face", {"hour": 10, "minute": 8})
        for block in result.content:
            if isinstance(block, TextContent):
                print(block.text)
            elif isinstance(block, ImageContent):
                print(block.mime_type, len(block.decoded()), "bytes")
        print(sorted(json.loads(result.raw)))
        print(sorted((await clock.call_tool("now")).structured))

    async with connect("python -m dragoman.samples.notes", name="notes") as notes:
        for resource in await notes.list_resources():
            print(resource.uri, resource.mime_type, resource.size)
        print((await notes.read_resource("note:///shopping")).text)
        prompt = await notes.get_prompt("summarize", {"title": "shopping"})
        print([message.role for message in prompt.messages])
        print((await notes.complete(PromptReference("summarize"), "style", "r")).values)
        print((await notes.complete(ResourceReference("note:///{title}"), "title", "s")).values)
        listed = json.loads(await notes.request("tools/list"))
        print([tool["name"] for tool in listed["tools"]])


if __name__ == "__main__":
    asyncio.run(main())
