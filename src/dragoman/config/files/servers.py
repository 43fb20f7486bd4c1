"""One server of a file, in any host's words, made into a `ServerConfig`.

Pure: files of variables are read by whoever gives `Sources`. `keys` knows the words, `conversion` the values.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Final

from msgspec import Struct

from dragoman.config.files.conversion import UNSET, Converter, field_types
from dragoman.config.files.interpolate import LookupFailed, has_reference
from dragoman.config.files.keys import TRANSPORTS, key_of, meant, near, squashed
from dragoman.config.files.node import Node, child_key
from dragoman.config.model import ServerConfig
from dragoman.errors import ConfigError

__all__ = ["EnvFiles", "Units", "read_server"]

#: Reads a file of variables by the path that the configuration names; raises `LookupFailed`.
EnvFiles = Callable[[str], dict[str, str]]

_MERGED: Final = frozenset({"auto_approve", "disabled_tools"})
_EXPANDED: Final = frozenset({"auth", "oauth"})
_TIMES: Final = frozenset({"timeout", "max_timeout", "connect_timeout", "idle_timeout", "health_interval"})
_LONGEST: Final = 3600.0
_UNKNOWN_URL: Final = "https://unset.invalid/"
_COMMAND_HINT: Final = 'Write {"command": "PROGRAM", "args": [...]} or {"url": "https://…"}.'


class Units(Struct, frozen=True):
    """How a host counts: whether its ``timeout`` is in milliseconds, as its name tells."""

    host: str = ""
    milliseconds: bool = False


class _Entry(Struct, frozen=True):
    """One key of a server that is known: what it means here, as what, and where it stands."""

    field: str
    treatment: str
    written: str
    node: Node


def read_server(name: str, node: Node, converter: Converter, units: Units, env_files: EnvFiles) -> ServerConfig | None:
    """Give a server's settings; None, with problems noted, when something in it is wrong. An empty name is inferred."""
    if not isinstance(node.value, dict):
        converter.fail(f"must be a mapping that tells a server, not {node.kind}", node, _COMMAND_HINT)
        return None
    return _Reading(name, node, converter, units, env_files).config()


class _Reading:
    def __init__(self, name: str, node: Node, converter: Converter, units: Units, env_files: EnvFiles) -> None:
        self._name = name
        self._node = node
        self._converter = converter
        self._units = units
        self._env_files = env_files
        self._entries: dict[str, _Entry] = {}
        self._merged: dict[str, list[_Entry]] = {}
        self._extra: dict[str, Any] = {}
        self._settings: dict[str, Any] = {}
        self._sound = True

    def config(self) -> ServerConfig | None:
        """Sort the keys, convert what they hold, and make the settings of it."""
        self._sort()
        self._switch()
        types = field_types(ServerConfig)
        for field, entries in self._merged.items():
            self._merge(field, entries)
        for field, entry in self._entries.items():
            if field in types and entry.node.value is not None:
                self._take(entry)
        self._name_transport()
        self._read_env_file()
        self._split_command()
        return self._made()

    def _fail(self, what: str, at: Node, hint: str | None = None) -> None:
        self._sound = False
        self._converter.fail(what, at, hint)

    def _sort(self) -> None:
        for written, child in self._node.members.items():
            known = key_of(written)
            if known is None:
                self._unknown(written, child)
                continue
            field, treatment = known
            entry = _Entry(field, treatment, written, child)
            if field in _MERGED:
                self._merged.setdefault(field, []).append(entry)
            elif field in self._entries:
                other = self._entries[field].written
                self._fail(f"says the same as {other!r}", child, "Keep one of the two.")
            else:
                self._entries[field] = entry

    def _unknown(self, written: str, child: Node) -> None:
        if not self._converter.lost and (right := meant(written)) is not None:
            self._fail("is no setting of a server", child, f"Did you mean {right!r}?")
        elif written == "extra" and isinstance(child.value, dict):
            self._extra.update(child.plain())
        else:
            self._extra[written] = self._expanded(child) if squashed(written) in _EXPANDED else child.plain()

    def _expanded(self, node: Node) -> Any:  # noqa: ANN401 - any value that JSON has
        if isinstance(node.value, dict):
            return {name: self._expanded(child) for name, child in node.value.items()}
        if isinstance(node.value, list):
            return [self._expanded(child) for child in node.value]
        if not isinstance(node.value, str):
            return node.value
        text = self._converter.text(node)
        self._sound = self._sound and text is not None
        return text

    def _switch(self) -> None:
        """See whether the server is switched off, before anything of it is looked up."""
        said: set[bool] = set()
        for field in ("disabled", "enabled"):
            entry = self._entries.pop(field, None)
            if entry is None or entry.node.value is None:
                continue
            flag = self._converter.convert(entry.node, field_types(ServerConfig)["disabled"])
            if flag is UNSET:
                self._sound = False
                continue
            said.add(flag is (field == "disabled"))
            if len(said) > 1:
                self._fail("contradicts 'disabled'", entry.node, "Keep one of the two.")
        if said == {True}:
            self._settings["disabled"] = True
            self._converter.quiet = True

    def _take(self, entry: _Entry) -> None:
        node = entry.node
        if entry.field == "command" and isinstance(node.value, list):
            self._take_words(node)
            return
        value = self._converter.convert(node, field_types(ServerConfig)[entry.field])
        if value is UNSET:
            self._sound = self._sound and self._converter.quiet and has_reference(str(node.value))
            return
        if entry.field in _TIMES and isinstance(value, float):
            value = self._seconds(entry, value)
        self._settings[entry.field] = value

    def _seconds(self, entry: _Entry, value: float) -> float:
        if entry.treatment == "ms":
            return value / 1000
        if entry.field == "timeout" and entry.written == "timeout" and self._units.milliseconds:
            return value / 1000
        if (
            entry.field in ("timeout", "connect_timeout")
            and _LONGEST < value < inf
            and "max_timeout" not in self._entries
        ):
            hint = f"Write {value / 1000:g} if milliseconds are meant; else set max_timeout as well."
            self._fail("is longer than an hour; times are in seconds", entry.node, hint)
        return value

    def _take_words(self, node: Node) -> None:
        """Some hosts write the program and its arguments in one list."""
        words = [self._converter.text(item) for item in node.items]
        if None in words:
            self._sound = False
        elif not words:
            self._fail("is empty", node, 'Write ["PROGRAM", "ARGUMENT"].')
        else:
            self._settings["command"], *rest = words
            self._settings["args"] = (*rest, *self._settings.get("args", ()))

    def _merge(self, field: str, entries: list[_Entry]) -> None:
        merged: list[str] = []
        for entry in entries:
            value = self._converter.convert(entry.node, field_types(ServerConfig)[field])
            if value is not UNSET:
                merged += (tool for tool in value if tool not in merged)
            elif entry.node.value is not None:
                self._sound = False
        self._settings[field] = tuple(merged)

    def _name_transport(self) -> None:
        entry = self._entries.get("transport")
        named = self._settings.pop("transport", "")
        url = self._entries.get("url")
        if not named:
            if url is not None and url.treatment == "http":
                self._settings["transport"] = "streamable_http"
            return
        known = TRANSPORTS.get(squashed(named))
        if known is None and entry is not None and (right := near(squashed(named), TRANSPORTS)):
            self._fail("is no transport", entry.node, f"Did you mean {TRANSPORTS[right] or right!r}?")
        self._settings["transport"] = named if known is None else known

    def _read_env_file(self) -> None:
        entry = self._entries.get("env_file")
        if entry is None or entry.node.value is None or self._converter.quiet:
            return
        path = self._converter.text(entry.node)
        if path is None:
            self._sound = False
            return
        try:
            held = self._env_files(path)
        except LookupFailed as error:
            self._fail(error.what, entry.node, error.hint)
        else:
            self._settings["env"] = {**held, **self._settings.get("env", {})}

    def _split_command(self) -> None:
        command = self._settings.get("command", "")
        first, blank, _ = command.strip().partition(" ")
        if blank and not self._settings.get("args") and "/" not in first and "\\" not in first:
            hint = 'Put the program into command and the rest into args: {"command": "npx", "args": ["-y", "…"]}.'
            self._fail("holds a whole command line", self._entries["command"].node, hint)

    def _made(self) -> ServerConfig | None:
        if self._converter.quiet and has_reference(self._settings.get("url", "")):
            # Nobody connects to it: the place that a variable would name need not be known.
            self._settings["url"] = _UNKNOWN_URL
        while True:
            try:
                config = ServerConfig(name=self._name, extra=self._extra, **self._settings)
            except ConfigError as error:
                field = error.key.partition(".")[0]
                # What is only wrong because something else was wrong, and left out, is not told.
                if self._sound or field in self._settings:
                    self._converter.refused(error, self._at(error))
                self._sound = False
                if self._settings.pop(field, None) is None:
                    return None
                # What the other settings say of themselves is told as well: an address that is right takes its place.
                if not self._settings.keys() & {"command", "url"}:
                    self._settings |= {"command": "unset"} if field == "command" else {"url": _UNKNOWN_URL}
            else:
                return config if self._sound else None

    def _at(self, error: ConfigError) -> Node:
        """Give the node that a complaint of the settings is about, also where the file has another word for it."""
        field = error.key.partition(".")[0]
        if (entry := self._entries.get(field)) is not None:
            return entry.node
        key = child_key(self._node.key, field) if field else self._node.key
        return Node(None, self._node.line, key)
