"""A basic client: one server, its tools, a call, a resource, a prompt, and what happens when a call is wrong."""

from __future__ import annotations

import asyncio

from dragoman import DragomanError, connect


async def main() -> None:
    """Use everything that a server can offer, once."""
    async with connect("python -m dragoman.samples.notes", name="notes") as notes:
        print(f"{notes.info.title} {notes.info.version}: {notes.instructions}")
        for tool in await notes.list_tools():
            print(f"- {tool.name}: {tool.description}")

        kept = await notes.call_tool("add_note", {"title": "tea", "text": "Darjeeling is out."})
        print(kept.text)
        found = await notes.call_tool("find_notes", {"text": "darjeeling"})
        print(found.structured["notes"][0]["title"])

        for resource in await notes.list_resources():
            print(f"{resource.uri}: {(await notes.read_resource(resource.uri)).text}")
        prompt = await notes.get_prompt("summarize", {"title": "tea", "style": "rhyming"})
        print(f"a prompt of {len(prompt.messages)} messages: {prompt.description}")

        # A tool that fails says so in its result; what goes wrong on the way to it is an exception.
        failed = await notes.call_tool("delete_note", {"title": "coffee"})
        print(f"failed: {failed.is_error}, {failed.text}")
        try:
            await notes.read_resource("note:///coffee")
        except DragomanError as error:
            print(f"{error.code}: {error}")


if __name__ == "__main__":
    asyncio.run(main())
