"""Three more servers from npm, each with its own state, over stdio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dragoman
from dragoman import ServerConfig
from dragoman.protocol.content import ImageContent
from tests import parts
from tests.real.waiting import until

pytestmark = pytest.mark.external("npm")


async def test_the_filesystem_server_works_where_it_is_told(tmp_path: Path) -> None:
    """Files are written, read, listed and found; outside of its directory it refuses."""
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n")
    async with dragoman.connect([*parts.npm_program("server-filesystem"), str(tmp_path)]) as server:
        tools = {tool.name: tool for tool in await server.list_tools()}
        assert {"read_text_file", "write_file", "list_directory", "search_files", "directory_tree"} <= tools.keys()
        assert tools["read_text_file"].annotations is not None
        assert tools["read_text_file"].annotations.read_only_hint is True
        note = str(tmp_path / "nöte.txt")
        await server.call_tool("write_file", {"path": note, "content": "first\nsecond\n"})
        assert (await server.call_tool("read_text_file", {"path": note, "head": 1})).text == "first"
        assert "[FILE] nöte.txt" in (await server.call_tool("list_directory", {"path": str(tmp_path)})).text
        picture = await server.call_tool("read_media_file", {"path": str(tmp_path / "picture.png")})
        assert [block.decoded() for block in picture.content if isinstance(block, ImageContent)] == [b"\x89PNG\r\n"]
        refused = await server.call_tool("read_text_file", {"path": "/etc/passwd"})
        assert refused.is_error
    assert Path(note).read_text() == "first\nsecond\n"


@pytest.mark.requirement("ROOTS-1")
async def test_the_filesystem_server_takes_its_directories_from_roots(tmp_path: Path) -> None:
    """Roots that the client tells replace what the command line said, and can change."""
    (one := tmp_path / "one").mkdir()
    (two := tmp_path / "two").mkdir()
    roots = [one]

    async def places() -> list[Path]:
        return roots

    async with dragoman.connect([*parts.npm_program("server-filesystem"), str(tmp_path)], roots=places) as server:

        async def only(directory: Path) -> bool:
            told = await server.call_tool("list_allowed_directories")
            return told.text.splitlines()[1:] == [str(directory)]

        await until(lambda: only(one))
        roots[:] = [two]
        await server.roots_changed()
        await until(lambda: only(two))


async def test_the_memory_server_remembers(tmp_path: Path) -> None:
    """What one connection told, the next finds again."""
    command = parts.npm_program("server-memory")
    config = ServerConfig(
        command=command[0], args=tuple(command[1:]), env={"MEMORY_FILE_PATH": str(tmp_path / "memory.jsonl")}
    )
    entity = {"name": "Ada", "entityType": "person", "observations": ["wrote the first program"]}
    async with dragoman.connect(config) as server:
        created = await server.call_tool("create_entities", {"entities": [entity]})
        assert not created.is_error
    async with dragoman.connect(config) as server:
        graph = await server.call_tool("read_graph")
        assert json.loads(graph.text)["entities"] == [entity]
        assert graph.structured == json.loads(graph.text)
        found = await server.call_tool("search_nodes", {"query": "program"})
        assert [each["name"] for each in found.structured["entities"]] == ["Ada"]


async def test_the_thinking_server_keeps_count() -> None:
    """Its one tool checks its arguments and answers with a structured count."""
    thought = {"thought": "Hm.", "thoughtNumber": 1, "totalThoughts": 2, "nextThoughtNeeded": True}
    async with dragoman.connect(parts.npm_program("server-sequential-thinking")) as server:
        [tool] = await server.list_tools()
        first = await server.call_tool(tool.name, thought)
        assert first.structured["thoughtHistoryLength"] == 1
        second = await server.call_tool(tool.name, {**thought, "thoughtNumber": 2, "nextThoughtNeeded": False})
        assert second.structured["thoughtHistoryLength"] == 2
        assert (await server.call_tool(tool.name, {"thought": "Hm."})).is_error
