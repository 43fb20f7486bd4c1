"""Two clients with one face: Dragoman and the official SDK's, each carrying out steps and telling what came of them.

An outcome is JSON: the members of the result that the protocol defines, or an error's code. Used by
`test_same_answers.py` with the steps of `script.py`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import mcp_types as types
from mcp.client.client import Client as SdkClient
from mcp.client.context import ClientRequestContext
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, FileUrl

import dragoman
from dragoman import Server, ServerConfig
from dragoman.errors import ServerError
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult, SamplingRequest, SamplingResult
from dragoman.protocol.kept import Kept
from dragoman.protocol.types import Progress, PromptReference, ResourceReference
from dragoman.server.callbacks import QuestionContext
from tests.differential.script import Step

ANSWER = {"dish": "fish", "spoons": 2}
THOUGHT = "an answer"
ROOT = "file:///srv"


class Client(Protocol):
    """Does one step and gives the result as JSON, or raises what its side raises for an error answer."""

    async def list_tools(self) -> Any: ...
    async def list_resources(self) -> Any: ...
    async def list_resource_templates(self) -> Any: ...
    async def list_prompts(self) -> Any: ...
    async def ping(self) -> Any: ...
    async def call(self, name: str, arguments: dict[str, Any]) -> Any: ...
    async def echo_large(self, character: str, count: int) -> Any: ...
    async def read(self, uri: str) -> Any: ...
    async def prompt(self, name: str, arguments: dict[str, str]) -> Any: ...
    async def complete(self, ref: str, argument: str, value: str) -> Any: ...
    async def request(self, method: str, params: dict[str, Any]) -> Any: ...


async def outcome(client: Client, step: Step) -> Any:
    """What came of one step: ``{"result": …}`` or ``{"error": code}``."""
    what, arguments = step
    try:
        return {"result": pruned(await getattr(client, what)(**arguments))}
    except ServerError as error:
        return {"error": error.rpc_code}
    except MCPError as error:
        return {"error": error.code}


def pruned(value: Any) -> Any:
    """The value without what the SDK's client can't give back: members that are null, and a result's own type."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: pruned(member) for key, member in members.items() if member is not None and key != "resultType"}
    if isinstance(value, list):
        entries = cast("list[Any]", value)
        return [pruned(entry) for entry in entries]
    return value


class Ours:
    """Dragoman."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def list_tools(self) -> Any:
        return told(await self.server.list_tools())

    async def list_resources(self) -> Any:
        return told(await self.server.list_resources())

    async def list_resource_templates(self) -> Any:
        return told(await self.server.list_resource_templates())

    async def list_prompts(self) -> Any:
        return told(await self.server.list_prompts())

    async def ping(self) -> Any:
        await self.server.ping()

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        heard: list[Progress] = []
        result = await self.server.call_tool(name, arguments, on_progress=heard.append)
        progress = [[each.progress, each.total, each.message] for each in heard]
        content = [json.loads(block.raw) for block in result.content]
        # What the values say is compared, and that they say what the bytes say.
        assert json.loads(result.raw).get("structuredContent") == result.structured
        return {
            "content": content,
            "structured": {"value": result.structured},
            "error": result.is_error,
            "progress": progress,
        }

    async def echo_large(self, character: str, count: int) -> Any:
        return await self.call("echo", {"text": character * count})

    async def read(self, uri: str) -> Any:
        return told((await self.server.read_resource(uri)).contents)

    async def prompt(self, name: str, arguments: dict[str, str]) -> Any:
        result = await self.server.get_prompt(name, arguments)
        return {"description": result.description, "messages": told(result.messages)}

    async def complete(self, ref: str, argument: str, value: str) -> Any:
        kind, _, target = ref.partition(":")
        reference = PromptReference(target) if kind == "prompt" else ResourceReference(target)
        found = await self.server.complete(reference, argument, value, context={"settled": "yes"})
        return {"values": list(found.values), "total": found.total, "more": found.has_more}

    async def request(self, method: str, params: dict[str, Any]) -> Any:
        return json.loads(await self.server.request(method, params))


class Theirs:
    """The official SDK's client."""

    def __init__(self, client: SdkClient) -> None:
        self.client = client

    async def list_tools(self) -> Any:
        return dumped((await self.client.list_tools()).tools)

    async def list_resources(self) -> Any:
        return dumped((await self.client.list_resources()).resources)

    async def list_resource_templates(self) -> Any:
        return dumped((await self.client.list_resource_templates()).resource_templates)

    async def list_prompts(self) -> Any:
        return dumped((await self.client.list_prompts()).prompts)

    async def ping(self) -> Any:
        if self.client.protocol_version < "2026":
            await self.client.session.send_request(types.PingRequest(), types.EmptyResult)

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        heard: list[list[Any]] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            heard.append([progress, total, message])

        result = await self.client.call_tool(name, arguments, progress_callback=on_progress)
        return {
            "content": dumped(result.content),
            "structured": {"value": result.structured_content},
            "error": result.is_error,
            "progress": heard,
        }

    async def echo_large(self, character: str, count: int) -> Any:
        return await self.call("echo", {"text": character * count})

    async def read(self, uri: str) -> Any:
        return dumped((await self.client.read_resource(uri)).contents)

    async def prompt(self, name: str, arguments: dict[str, str]) -> Any:
        result = await self.client.get_prompt(name, arguments)
        return {"description": result.description, "messages": dumped(result.messages)}

    async def complete(self, ref: str, argument: str, value: str) -> Any:
        kind, _, target = ref.partition(":")
        reference = (
            types.PromptReference(type="ref/prompt", name=target)
            if kind == "prompt"
            else types.ResourceTemplateReference(type="ref/resource", uri=target)
        )
        found = await self.client.complete(reference, {"name": argument, "value": value}, {"settled": "yes"})
        completion = found.completion
        return {"values": completion.values, "total": completion.total, "more": bool(completion.has_more)}

    async def request(self, method: str, params: dict[str, Any]) -> Any:
        asked = types.Request[dict[str, Any], str](method=method, params=params)
        result = await self.client.session.send_request(asked, types.Result)
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def told(values: Sequence[Kept]) -> list[Any]:
    """The bytes that Dragoman's values came from, as JSON."""
    return [json.loads(value.raw) for value in values]


def dumped(values: Sequence[BaseModel]) -> list[Any]:
    """The SDK's values as JSON."""
    return [value.model_dump(mode="json", by_alias=True, exclude_none=True) for value in values]


@asynccontextmanager
async def ours(config: ServerConfig) -> AsyncGenerator[Client]:
    """Dragoman, connected."""

    async def elicit(request: ElicitationRequest, context: QuestionContext) -> ElicitationResult:
        return ElicitationResult("accept", ANSWER)

    async def sample(request: SamplingRequest, context: QuestionContext) -> SamplingResult:
        return SamplingResult(model="parrot", content=THOUGHT)

    async with dragoman.connect(config, elicitation=elicit, sampling=sample, roots=[ROOT]) as server:
        yield Ours(server)


@asynccontextmanager
async def theirs(config: ServerConfig) -> AsyncGenerator[Client]:
    """The official client, connected to the same server in the same era."""

    async def elicit(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content=dict(ANSWER))

    async def sample(
        context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        text = types.TextContent(type="text", text=THOUGHT)
        return types.CreateMessageResult(role="assistant", model="parrot", content=text)

    async def roots(context: ClientRequestContext) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri=FileUrl(ROOT))])

    version = config.protocol_version or ""
    target = config.url or StdioServerParameters(command=config.command or "", args=list(config.args), cwd=config.cwd)
    client = SdkClient(
        target,
        mode=version if version >= "2026" else "legacy",
        elicitation_callback=elicit,
        sampling_callback=sample,
        list_roots_callback=roots,
        cache=None,
    )
    async with client:
        yield Theirs(client)
