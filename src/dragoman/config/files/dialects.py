"""Configuration files of Dragoman and of other hosts: where the servers stand in them, and what else counts.

Pure: a tree of `document` in, a `HubConfig` out. `servers` reads each server. What is wrong is told all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from msgspec import Struct, structs

from dragoman.config.files.conversion import UNSET, Converter, field_types
from dragoman.config.files.interpolate import Input, Values
from dragoman.config.files.keys import NO_DEFAULTS, key_of, near, squashed
from dragoman.config.files.node import Node, Problems
from dragoman.config.files.servers import EnvFiles, Units, read_server
from dragoman.config.hub import Group, HubConfig
from dragoman.config.model import ServerConfig

__all__ = ["Dialect", "dialect_of", "read_hub"]

_ROOTS: Final = {"mcpservers": "mcpServers", "servers": "servers", "mcp.servers": "mcp.servers"}
_OWN: Final = {
    "checkarguments": "check_arguments",
    "defaults": "defaults",
    "groups": "groups",
    "inputs": "inputs",
    "keepcatalogue": "keep_catalogue",
}
_REACHED_BY: Final = frozenset({"command", "url"})
_MOST_SHOWN: Final = 20
_INPUT_TYPES: Final = ("promptString", "pickString", "command")


class Dialect(Struct, frozen=True, kw_only=True):
    """What is known of a file by its name.

    ``milliseconds``: its host counts ``timeout`` so. ``settings``: other things of the host stand in the file, so that
    an unknown key is no mistake there, and a file without servers neither.
    """

    host: str = ""
    milliseconds: bool = False
    settings: bool = False


_DIALECTS: Final = {
    ".mcp.json": Dialect(host="Claude Code", milliseconds=True),
    ".claude.json": Dialect(host="Claude Code", milliseconds=True, settings=True),
    "claude_desktop_config.json": Dialect(host="Claude Desktop", settings=True),
    ".gemini/settings.json": Dialect(host="Gemini CLI", milliseconds=True, settings=True),
    ".kiro/settings/mcp.json": Dialect(host="Kiro", milliseconds=True),
    "kilo.json": Dialect(host="Kilo", milliseconds=True, settings=True),
    "kilo.jsonc": Dialect(host="Kilo", milliseconds=True, settings=True),
    "opencode.json": Dialect(host="OpenCode", milliseconds=True, settings=True),
    "opencode.jsonc": Dialect(host="OpenCode", milliseconds=True, settings=True),
    "settings.json": Dialect(settings=True),
    ".codex/config.toml": Dialect(host="Codex", settings=True),
}


def dialect_of(name: str) -> Dialect:
    """Give what is known of a file by its name and the folders it lies in."""
    path = name.replace("\\", "/")
    for ending, dialect in _DIALECTS.items():
        if path == ending or path.endswith(f"/{ending}"):
            return dialect
    return Dialect()


class _Named(NamedTuple):
    """A server as it stands in the file; an empty name is inferred."""

    name: str
    node: Node


def read_hub(root: Node, values: Values, env_files: EnvFiles, *, file: str = "", dialect: Dialect) -> HubConfig:
    """Give the settings that a tree holds, the names of files not included.

    Raises:
        ConfigError: anything in it is wrong; all problems are told, the first in ``line`` and ``key``.
    """
    problems = Problems(file)
    reading = _Reading(root, problems, values, env_files, dialect)
    config = reading.hub()
    problems.settle()
    return config


class _Reading:
    def __init__(self, root: Node, problems: Problems, values: Values, env_files: EnvFiles, dialect: Dialect) -> None:
        self._root = root
        self._problems = problems
        self._values = values
        self._env_files = env_files
        self._dialect = dialect
        self._own: dict[str, Node] = {}
        self._roots: list[tuple[Node, Units]] = []
        self._extra: dict[str, Any] = {}
        self._inputs: dict[str, Input] = {}
        self._units = Units(dialect.host, dialect.milliseconds)

    def hub(self) -> HubConfig:
        """Read everything; the value counts only if no problem was noted."""
        servers = self._bare()
        if servers is None:
            self._sort()
            servers = self._named()
        self._declare_inputs()
        defaults = self._defaults()
        configs: list[ServerConfig] = []
        for named, units in servers:
            converter = Converter(self._problems, self._values, self._inputs, server=named.name or None)
            node = _completed(named.node, defaults)
            config = read_server(named.name, node, converter, units, self._env_files)
            if config is not None:
                configs.append(config)
        settings = self._settings()
        names = {named.name for named, _ in servers} | {config.name for config in configs}
        groups = self._groups(names)
        if self._problems:
            return HubConfig()
        return HubConfig(servers=tuple(configs), groups=groups, extra=self._extra, **settings)

    def _bare(self) -> list[tuple[_Named, Units]] | None:
        """See whether the file is one server, or servers by name, with nothing around them."""
        members = self._root.members
        if any(_root_of(name) for name in members) or self._dialect.settings:
            return None
        if _is_server(self._root):
            name = members.get("name")
            called = name.value if name is not None and isinstance(name.value, str) else ""
            rest = {key: node for key, node in members.items() if key != "name"}
            return [(_Named(called, structs.replace(self._root, value=rest)), self._units)]
        if members and all(_is_server(node) for node in members.values()):
            return [(_Named(name, node), self._units) for name, node in members.items()]
        return None

    def _sort(self) -> None:
        for written, node in self._root.members.items():
            squash = squashed(written)
            if _root_of(written):
                self._roots.append((node, self._units))
            elif squash == "mcp" and isinstance(node.value, dict) and self._nested(node):
                continue
            elif squash in _OWN and not (self._dialect.settings and squash != "inputs"):
                self._own[_OWN[squash]] = node
            elif not (self._dialect.settings or self._problems.many) and (right := _meant(written)):
                self._fail("is no part of a configuration", node, f"Did you mean {right!r}?")
            else:
                self._extra[written] = node.plain()
        if not self._roots and self._root.members and not self._dialect.settings and not self._problems:
            hint = 'Put the servers below "mcpServers" or "servers": {"mcpServers": {"NAME": {"command": "…"}}}.'
            self._problems.add("the file names no servers", Node(None, self._root.line), hint=hint)

    def _nested(self, node: Node) -> bool:
        """Take servers below ``mcp``: directly, as Kilo and OpenCode write, or one level deeper, as VS Code does."""
        inner = [child for name, child in node.members.items() if _root_of(name)]
        if inner:
            self._roots += ((child, self._units) for child in inner)
            if "inputs" in node.members:
                self._own["inputs"] = node.members["inputs"]
        elif node.members and all(_is_server(child) for child in node.members.values()):
            self._roots.append((node, Units(self._dialect.host or "Kilo", milliseconds=True)))
        return bool(inner) or bool(self._roots and self._roots[-1][0] is node)

    def _fail(self, what: str, at: Node, hint: str | None = None) -> None:
        self._problems.add(what, at, hint=hint)

    def _named(self) -> list[tuple[_Named, Units]]:
        found: dict[str, tuple[_Named, Units]] = {}
        for root, units in self._roots:
            for named in self._each(root):
                if named.name in found:
                    first = found[named.name][0].node.line
                    where = "" if first is None else f", first in line {first}"
                    self._fail(f"is the name of two servers{where}", named.node, "Give one of them another name.")
                found.setdefault(named.name, (named, units))
        return list(found.values())

    def _each(self, root: Node) -> Iterator[_Named]:
        """Give the servers below a root: by name, or as a list of mappings that name themselves."""
        if isinstance(root.value, dict):
            for name, node in root.value.items():
                if name.strip():
                    yield _Named(name, node)
                else:
                    self._fail("a server has no name", node, "Write its name before the colon.")
        elif isinstance(root.value, list):
            for item in root.value:
                name = item.members.get("name")
                if name is None or not isinstance(name.value, str) or not name.value.strip():
                    self._fail("a server in a list needs a name", item, 'Write "name": "…" into it.')
                    continue
                rest = {key: node for key, node in item.members.items() if key != "name"}
                yield _Named(name.value, structs.replace(item, value=rest))
        elif root.value is not None:
            self._fail(f"must be a mapping of names to servers, not {root.kind}", root, 'Write {"NAME": {…}}.')

    def _declare_inputs(self) -> None:
        node = self._own.get("inputs")
        if node is None:
            return
        if not isinstance(node.value, list):
            self._fail(f"must be a list, not {node.kind}", node, 'Write [{"type": "promptString", "id": "…"}].')
            return
        for item in node.value:
            declared = self._declared(item)
            if declared is not None:
                if declared.id in self._inputs:
                    self._fail("has an id that another input has", item, "Give it another id.")
                self._inputs[declared.id] = declared

    def _declared(self, item: Node) -> Input | None:
        if not isinstance(item.value, dict):
            self._fail(f"must be a mapping, not {item.kind}", item, 'Write {"type": "promptString", "id": "…"}.')
            return None
        held = item.value
        name = held.get("id")
        if name is None or not isinstance(name.value, str) or not name.value:
            self._fail("an input needs an id", item if name is None else name, 'Write "id": "token".')
            return None
        form = held.get("type", item)
        if "type" in held and form.value not in _INPUT_TYPES:
            right = near(str(form.value), _INPUT_TYPES) or "promptString"
            self._fail("is no type of input", form, f"Did you mean {right!r}?")
        options = held.get("options", Node([])).items
        default = held.get("default")
        description = held.get("description")
        return Input(
            id=name.value,
            description=description.text if description is not None else "",
            password="password" in held and held["password"].value is True,
            default=default.text if default is not None and default.value is not None else None,
            options=tuple(option.members.get("value", option).text for option in options),
        )

    def _defaults(self) -> dict[str, Node]:
        """Give the settings that hold for every server that does not say otherwise, by field."""
        node = self._own.get("defaults")
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self._fail(f"must be a mapping of settings, not {node.kind}", node, 'Write {"timeout": 30}.')
            return {}
        found: dict[str, Node] = {}
        for written, child in node.value.items():
            known = key_of(written)
            if known is not None and known[0] in NO_DEFAULTS:
                self._fail("belongs to one server", child, "Move it into that server.")
            else:
                found[written] = child
        return found

    def _settings(self) -> dict[str, Any]:
        converter = Converter(self._problems, self._values, self._inputs)
        types = field_types(HubConfig)
        found = {
            key: converter.convert(node, types[key])
            for key, node in self._own.items()
            if key in ("keep_catalogue", "check_arguments")
        }
        return {key: value for key, value in found.items() if value is not UNSET}

    def _groups(self, names: set[str]) -> dict[str, Group]:
        node = self._own.get("groups")
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self._fail(f"must be a mapping of names to groups, not {node.kind}", node, 'Write {"NAME": ["SERVER"]}.')
            return {}
        converter = Converter(self._problems, self._values, self._inputs)
        found: dict[str, Group] = {}
        for name, child in node.value.items():
            if name in names:
                self._fail("is a server's name, too", child, "Give the group another name.")
            whole = child
            if isinstance(child.value, list):
                whole = Node({"servers": child}, child.line, child.key)
            if isinstance(whole.value, dict) and "servers" not in whole.value:
                self._fail("a group needs at least one server", child, 'Write {"servers": ["NAME"]}.')
                continue
            group = converter.struct(whole, Group)
            if isinstance(group, Group):
                found[name] = group
                self._check_members(whole.members["servers"], names)
        return found

    def _check_members(self, servers: Node, names: set[str]) -> None:
        for item in servers.items:
            if item.text not in names:
                right = None if self._problems.many else near(item.text, names)
                hint = f"Did you mean {right!r}?" if right else _known(names)
                self._fail("names a server that is not there", item, hint)


def _known(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_MOST_SHOWN])
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return f"The servers are {shown}{more}."


def _root_of(written: str) -> str | None:
    return _ROOTS.get(squashed(written))


def _is_server(node: Node) -> bool:
    known = (key_of(name) for name in node.members)
    return any(found is not None and found[0] in _REACHED_BY for found in known)


def _meant(written: str) -> str | None:
    """Give the right spelling of a part of the file that is nearly known."""
    if written.startswith(("_", "x-", "$", "//", "#")):
        return None
    known = {**_ROOTS, **_OWN}
    found = near(squashed(written), known)
    return known[found] if found is not None else None


def _completed(node: Node, defaults: dict[str, Node]) -> Node:
    """Give a server with the defaults that it does not set itself. Mappings are joined, and its own members win."""
    if not defaults or not isinstance(node.value, dict):
        return node
    members = dict(node.value)
    own = {(key_of(name) or (name, ""))[0]: name for name in members}
    if "enabled" in own or "disabled" in own:
        own.setdefault("enabled", "")
        own.setdefault("disabled", "")
    for written, default in defaults.items():
        field = (key_of(written) or (written, ""))[0]
        if field not in own:
            members[written] = default
        elif (name := own[field]) and isinstance(default.value, dict) and isinstance(members[name].value, dict):
            joined = {**default.value, **members[name].members}
            members[name] = structs.replace(members[name], value=joined)
    return structs.replace(node, value=members)
