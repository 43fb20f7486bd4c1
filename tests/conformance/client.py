"""The program that the conformance suite tests: a client that meets a server it knows nothing of and tries everything.

Written over Dragoman's public names only, with no knowledge of what the suite expects. The suite gives the server's
address as the last argument and, in the environment, the scenario's name, its data and the revision to speak.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from dragoman import DragomanError, Server, ServerConfig, connect
from dragoman.errors import ServerError
from dragoman.protocol.interaction import ElicitationRequest, ElicitationResult, SamplingRequest, SamplingResult
from dragoman.protocol.types import Prompt, PromptReference, Tool

DEEPEST: Final = 6
"""How far into a schema values are made; recursive schemas end there."""

PLAIN: Final[dict[str, Any]] = {
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "null": None,
}

FORMATS: Final = {
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "date": "2026-07-28",
    "date-time": "2026-07-28T00:00:00Z",
}


def value_for(schema: Any, root: Any, depth: int = 0) -> Any:
    """Make one value that fits `schema`: its default or a named value where there is one, else the plainest."""
    told = cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
    if depth > DEEPEST:
        return None
    if "$ref" in told:
        return value_for(local_reference(told["$ref"], root), root, depth + 1)
    for key in ("const", "default"):
        if key in told:
            return told[key]
    for key in ("enum", "examples"):
        if told.get(key):
            return told[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if told.get(key) and "type" not in told:
            return value_for(told[key][0], root, depth + 1)
    return value_of_type(told, root, depth)


def value_of_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    """Make a value of the type that `schema` names, the first if it names several."""
    types: Any = schema.get("type", "object" if "properties" in schema else "string")
    kind: str = types if isinstance(types, str) else types[0]
    if kind == "object":
        members: dict[str, Any] = schema.get("properties") or {}
        return {name: value_for(member, root, depth + 1) for name, member in members.items()}
    if kind == "array":
        return [value_for(schema.get("items") or {}, root, depth + 1)] * max(schema.get("minItems", 1), 1)
    if kind == "string":
        text = FORMATS.get(schema.get("format", ""), "text")
        return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
    return schema.get("minimum", PLAIN[kind])


def local_reference(reference: str, root: Any) -> dict[str, Any]:
    """Follow a reference within the schema; one that leads outside is never fetched and allows anything."""
    if not reference.startswith("#/"):
        return {}
    target = root
    for step in reference[2:].split("/"):
        target = target.get(step.replace("~1", "/").replace("~0", "~"), {})
    return target


async def answer_form(request: ElicitationRequest, context: object) -> ElicitationResult:
    """Accept every question, with the defaults that its form gives and made-up values for the rest."""
    if request.requested_schema is None:
        return ElicitationResult(action="accept")
    return ElicitationResult(action="accept", content=value_for(request.requested_schema, request.requested_schema))


async def answer_prompt(request: SamplingRequest, context: object) -> SamplingResult:
    """Stand in for a model."""
    return SamplingResult(model="none", content="An answer.", stop_reason="endTurn")


async def attempt(what: str, work: Awaitable[object]) -> None:
    """Do one thing with the server; that the server refuses it is told, and is no reason to stop."""
    try:
        await work
    except ServerError as refusal:
        print(f"{what}: {refusal}", file=sys.stderr)


async def explore(server: Server, data: Mapping[str, Any]) -> None:
    """List all that the server offers, call every tool (all at once), read every resource, get every prompt."""
    offers = server.capabilities
    if offers.tools is not None:
        tools = await server.list_tools()
        told: list[Mapping[str, Any]] = data.get("toolCalls") or [
            {"name": tool.name, "arguments": value_for(tool.input_schema, tool.input_schema)} for tool in tools
        ]
        calls = (attempt(call["name"], server.call_tool(call["name"], call["arguments"])) for call in told)
        await asyncio.gather(*calls)
    if offers.resources is not None:
        await attempt("resource templates", server.list_resource_templates())
        for resource in await server.list_resources():
            await attempt(resource.uri, server.read_resource(resource.uri))
    if offers.prompts is not None:
        for prompt in await server.list_prompts():
            await attempt(prompt.name, server.get_prompt(prompt.name, {each.name: "text" for each in prompt.arguments}))
            await complete(server, prompt)


async def complete(server: Server, prompt: Prompt) -> None:
    """Ask for suggestions for each of the prompt's arguments."""
    if server.capabilities.completions is not None:
        for argument in prompt.arguments:
            await attempt(prompt.name, server.complete(PromptReference(prompt.name), argument.name, ""))


async def hand_schemas_back(server: Server, data: Mapping[str, Any]) -> None:
    """Give each tool that takes a ``schema`` the input schemas of the others, as they were listed."""
    tools = await server.list_tools()
    takers: list[Tool] = [tool for tool in tools if "schema" in tool.input_schema.get("properties", {})]
    for taker in takers:
        for other in (tool for tool in tools if tool.name != taker.name):
            await attempt(taker.name, server.call_tool(taker.name, {"schema": other.input_schema}))


ACTIVITIES: Final[dict[str, Callable[[Server, Mapping[str, Any]], Awaitable[None]]]] = {
    "json-schema-2020-12-preservation": hand_schemas_back,
}
"""Scenarios whose description asks the client for something special."""


async def meet(url: str, environment: Mapping[str, str]) -> None:
    """Connect as the environment says and do what the scenario asks for."""
    scenario = environment.get("MCP_CONFORMANCE_SCENARIO", "")
    data: dict[str, Any] = json.loads(environment.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    version = environment.get("MCP_CONFORMANCE_PROTOCOL_VERSION")
    config = ServerConfig(name=scenario, url=url, protocol_version=version or None, timeout=20)
    roots = [Path.cwd().as_uri()]
    async with connect(config, sampling=answer_prompt, elicitation=answer_form, roots=roots) as server:
        await ACTIVITIES.get(scenario, explore)(server, data)


def main() -> int:
    """Run, and give the exit status: 0 when the conversation went well."""
    try:
        asyncio.run(meet(sys.argv[-1], os.environ))
    except DragomanError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
