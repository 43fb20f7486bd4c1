"""What a server is and what it lists, told to people: openings, tools, resources, prompts."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from dragoman.cli.coercion import nearest
from dragoman.cli.listings import Column, show_facts, show_table
from dragoman.cli.plain import gist, one_line, shortened, wrapped
from dragoman.cli.schemas import Schema, as_schema, described, properties, required
from dragoman.cli.screen import Screen
from dragoman.errors import DragomanError, InvalidParams, MethodNotFound, ServerError, UsageError
from dragoman.protocol.jsonrpc import encode
from dragoman.protocol.types import Prompt, Resource, ResourceTemplate, Tool, ToolAnnotations
from dragoman.server.server import Server

__all__ = [
    "joined",
    "opening_json",
    "picked",
    "show_opening",
    "show_prompt",
    "show_prompts",
    "show_resources",
    "show_tool",
    "show_tools",
    "tell_nearest",
    "tell_problems",
]


_LONGEST_DEFAULT: Final = 24


class _Listed(Protocol):
    name: str

    @property
    def raw(self) -> bytes: ...


L = TypeVar("L", bound=_Listed)


def joined(member: str, entries: Iterable[Any]) -> bytes:
    """Give a listing's result object: every entry as the server wrote it."""
    return b'{"%b":[%b]}' % (member.encode(), b",".join(entry.raw for entry in entries))


def picked(listed: Sequence[L], names: Sequence[str], kind: str, server: str) -> list[L]:
    """Give the entries of these names, or all if there are no names.

    Raises:
        UsageError: there is none of a name; the nearest one is told.
    """
    if not names:
        return list(listed)
    by_name = {entry.name: entry for entry in listed}
    for name in names:
        if name not in by_name:
            near = nearest(name, list(by_name))
            guess = f"Did you mean {near!r}? " if near else ""
            raise UsageError(
                f"there is no {kind} {name!r}", server=server, hint=f"{guess}`dragoman {kind}s` lists what there is."
            )
    return [by_name[name] for name in names]


async def tell_nearest(
    error: ServerError, name: str, kind: str, list_all: Callable[[], Awaitable[Sequence[_Listed]]]
) -> None:
    """Put the nearest name into the hint of a server's refusal, if what was asked for is none that it lists."""
    if not isinstance(error, InvalidParams | MethodNotFound):
        return
    with contextlib.suppress(DragomanError):
        names = [entry.name for entry in await list_all()]
        if name not in names:
            near = nearest(name, names)
            guess = f"Did you mean {near!r}? " if near else ""
            error.hint = f"{guess}`dragoman {kind}s` lists what there is."


def tell_problems(screen: Screen, server: Server) -> None:
    """Say what was left out of listings because it was broken."""
    for problem in server.problems:
        screen.note(f"{one_line(server.name)}: {one_line(problem)}", "yellow")


def opening_json(server: Server) -> bytes:
    """Give the opening in the shape of an `InitializeResult`, its parts as the server wrote them."""
    told = b'{"protocolVersion":%b,"capabilities":%b,"serverInfo":%b'
    told %= (encode(server.protocol_version), server.capabilities.raw, server.info.raw)
    return told + (b',"instructions":%b}' % encode(server.instructions) if server.instructions is not None else b"}")


def show_opening(screen: Screen, server: Server) -> None:
    """Show what a server is."""
    info, offered = server.info, as_schema(_decoded(server.capabilities.raw))
    title = one_line(info.title or info.name or server.name)
    if screen.is_terminal:
        version = screen.style(f" {one_line(info.version)}", "dim") if info.version else ""
        screen.print_styled(screen.style(title, "bold") + version)
    show_facts(
        screen,
        [
            ("name", info.name),
            ("title", "" if screen.is_terminal else info.title or ""),
            ("version", "" if screen.is_terminal else info.version),
            ("description", info.description or ""),
            ("website", info.website_url or ""),
            ("protocol", f"{server.protocol_version} ({server.era} era)"),
            ("transport", server.transport_kind),
            ("offers", ", ".join(_offers(offered))),
        ],
    )
    if server.instructions:
        screen.print_styled(screen.style("instructions", "dim") if screen.is_terminal else _plain_text(server))
        if screen.is_terminal:
            screen.print("\n".join(wrapped(server.instructions.strip(), screen.width, "  ")))


def _plain_text(server: Server) -> str:
    return f"instructions\t{one_line(server.instructions or '')}"


def _offers(capabilities: Schema) -> list[str]:
    """Tell capabilities in words: their names, and the settings among them that are on."""
    told: list[str] = []
    for name, value in capabilities.items():
        if name in ("extensions", "experimental"):
            told += list(as_schema(value))
            continue
        on = [key for key, setting in as_schema(value).items() if setting not in (False, None)]
        told.append(f"{name} ({', '.join(on)})" if on else name)
    return told


def _about(screen: Screen, text: str | None) -> str:
    """A description as a listing has room for it: the gist on a terminal, all of it on one line elsewhere."""
    return gist(text or "") if screen.is_terminal else one_line(text or "")


def show_tools(screen: Screen, tools: Sequence[Tool]) -> None:
    """Show the tools, one a line."""
    columns = (Column("Tool", "bold"), Column("Arguments", "cyan"), Column("What it does", wide=True))
    rows = [(tool.name, _signature(tool), _about(screen, tool.description or tool.title)) for tool in tools]
    count = f"{len(tools)} tool{'' if len(tools) == 1 else 's'}"
    show_table(screen, columns, rows, f"{count} · `dragoman tools NAME` shows one in full" if tools else "No tools.")


def show_tool(screen: Screen, tool: Tool) -> None:
    """Show one tool in full."""
    schema = _schema_of(tool)
    if not screen.is_terminal:
        for line in _tool_lines(tool, schema):
            screen.print(line)
        return
    title = tool.title or (tool.annotations.title if tool.annotations else None)
    screen.print_styled(screen.style(one_line(tool.name), "bold") + (f"  {one_line(title)}" if title else ""))
    if tool.description:
        screen.print("\n".join(wrapped(tool.description.strip(), screen.width)))
    rows = [
        (name, kind, "" if needed else _default_text(entry), str(entry.get("description") or ""))
        for name, entry, kind, needed in _arguments(schema)
    ]
    if rows:
        needed = set(required(schema, schema))
        screen.print()
        table = [
            (row[0], row[1], "required" if row[0] in needed else shortened(row[2], _LONGEST_DEFAULT), row[3])
            for row in rows
        ]
        columns = (Column("Argument", "cyan"), Column("Type"), Column("", "dim"), Column("What it is", wide=True))
        show_table(screen, columns, table, "")
    facts = [("hints", _hints(tool.annotations)), ("result", _result_text(tool))]
    show_facts(screen, facts)


def _tool_lines(tool: Tool, schema: Schema) -> list[str]:
    lines = [f"name\t{one_line(tool.name)}"]
    lines += [f"title\t{one_line(tool.title)}"] if tool.title else []
    lines += [f"description\t{one_line(tool.description)}"] if tool.description else []
    for name, entry, kind, needed in _arguments(schema):
        told = "required" if needed else one_line(_default_text(entry)) or "optional"
        lines.append(f"argument\t{one_line(name)}\t{kind}\t{told}\t{one_line(str(entry.get('description') or ''))}")
    lines += [f"hints\t{_hints(tool.annotations)}"] if _hints(tool.annotations) else []
    return [*lines, f"result\t{_result_text(tool)}"] if _result_text(tool) else lines


def _schema_of(tool: Tool) -> Schema:
    try:
        return tool.input_schema
    except DragomanError:
        return {}


def _signature(tool: Tool) -> str:
    """Tell the arguments in a row: required ones bare, others in brackets."""
    told = [(name, needed) for name, _, _, needed in _arguments(_schema_of(tool))]
    ordered = sorted(told, key=lambda entry: not entry[1])
    return " ".join(name if needed else f"[{name}]" for name, needed in ordered)


def _arguments(schema: Schema) -> list[tuple[str, Schema, str, bool]]:
    needed = set(required(schema, schema))
    return [
        (name, entry, described(entry, schema), name in needed) for name, entry in properties(schema, schema).items()
    ]


def _default_text(entry: Schema) -> str:
    return f"= {encode(entry['default']).decode()}" if "default" in entry else ""


def _hints(annotations: ToolAnnotations | None) -> str:
    """Tell the hints that are given. They are the server's own words."""
    if annotations is None:
        return ""
    told = [
        ("reads only", "changes things", annotations.read_only_hint),
        ("may destroy", "destroys nothing", annotations.destructive_hint),
        ("can be repeated", "is not the same when repeated", annotations.idempotent_hint),
        ("reaches the outside", "stays inside", annotations.open_world_hint),
    ]
    return ", ".join(yes if value else no for yes, no, value in told if value is not None)


def _result_text(tool: Tool) -> str:
    try:
        schema = tool.output_schema
    except DragomanError:
        return ""
    if schema is None:
        return ""
    names = properties(schema, schema)
    return ", ".join(f"{name}: {described(entry, schema)}" for name, entry in names.items()) or described(
        schema, schema
    )


def show_resources(screen: Screen, found: Sequence[Resource], templates: Sequence[ResourceTemplate]) -> None:
    """Show resources, then templates."""
    columns = (Column("Resource", "bold"), Column("Name", "cyan"), Column("Type"), Column("What it is", wide=True))
    rows = [
        (entry.uri, entry.title or entry.name, entry.mime_type or "", _about(screen, entry.description))
        for entry in found
    ]
    patterns = [
        (entry.uri_template, entry.title or entry.name, entry.mime_type or "", _about(screen, entry.description))
        for entry in templates
    ]
    counts = [f"{len(rows)} resource{'' if len(rows) == 1 else 's'}"]
    if patterns:
        counts.append(
            f"{len(patterns)} template{'' if len(patterns) == 1 else 's'} (put a value in place of the braces)"
        )
    show_table(screen, columns, [*rows, *patterns], " · ".join(counts))


def show_prompts(screen: Screen, prompts: Sequence[Prompt]) -> None:
    """Show the prompts, one a line."""
    columns = (Column("Prompt", "bold"), Column("Arguments", "cyan"), Column("What it is for", wide=True))
    rows = [
        (
            prompt.name,
            " ".join(entry.name if entry.required else f"[{entry.name}]" for entry in prompt.arguments),
            _about(screen, prompt.description or prompt.title),
        )
        for prompt in prompts
    ]
    show_table(screen, columns, rows, f"{len(rows)} prompt{'' if len(rows) == 1 else 's'}")


def show_prompt(screen: Screen, prompt: Prompt) -> None:
    """Show one prompt in full."""
    facts = [("name", prompt.name), ("title", prompt.title or ""), ("description", prompt.description or "")]
    for entry in prompt.arguments:
        needed = "required" if entry.required else "optional"
        about = f": {one_line(entry.description)}" if entry.description else ""
        facts.append(("argument", f"{one_line(entry.name)} ({needed}){about}"))
    show_facts(screen, facts)


def _decoded(raw: bytes) -> object:
    from msgspec import json

    return json.decode(raw)
