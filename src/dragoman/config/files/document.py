"""Configuration files as trees: which syntax a text is written in, and the bounds that hold for all of them.

Pure: `loading` reads the bytes, `json_syntax`, `yaml_syntax` and `toml_syntax` each read one syntax.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import structs

from dragoman.config.files.json_syntax import parse_json
from dragoman.config.files.node import Node
from dragoman.config.files.toml_syntax import parse_toml
from dragoman.config.files.yaml_syntax import parse_yaml
from dragoman.errors import ConfigError

__all__ = ["MAX_FILE_BYTES", "SUFFIXES", "decoded", "parse_document"]

MAX_FILE_BYTES: Final = 4 * 1024 * 1024

#: Endings of file names, and how such files are read.
SUFFIXES: Final[dict[str, Callable[[str], Node]]] = {
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
    ".toml": parse_toml,
    ".json": parse_json,
    ".jsonc": parse_json,
    ".json5": parse_json,
}


def decoded(data: bytes, name: str = "") -> str:
    """Give the text of a file: UTF-8, with or without a byte order mark, lines ended in any way.

    Raises:
        ConfigError: it is longer than `MAX_FILE_BYTES`, or is not UTF-8.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"the file is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB", file=name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        told = "the file is written in UTF-16" if wide else "the file is not written in UTF-8"
        raise ConfigError(told, file=name, line=line, hint="Save it as UTF-8.") from None
    return text.replace("\r\n", "\n")


def parse_document(text: str, name: str = "") -> Node:
    """Give the tree of a text. The ending of ``name`` tells its syntax; a name without one of ours is looked into.

    Raises:
        ConfigError: it can't be read; with ``file``, ``line`` and ``key``.
    """
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    dot = name.rfind(".")
    read = SUFFIXES.get(name[dot:].lower()) if dot >= 0 else None
    try:
        root = (read or _guessed(text))(text)
        if not isinstance(root.value, dict):
            what = f"the file holds {'nothing' if root.value is None else root.kind}, and a mapping is expected"
            raise ConfigError(what, line=root.line, hint='A configuration looks like {"mcpServers": {…}}.')
    except ConfigError as error:
        error.file = name
        raise
    return root if root.line is not None else structs.replace(root, line=1)


def _guessed(text: str) -> Callable[[str], Node]:
    start = text.lstrip()
    if start.startswith(("{", "//", "/*")):
        return parse_json
    lines = [line for line in start.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    first = lines[0].strip() if lines else ""
    if first.startswith("[") and first.endswith("]"):
        return parse_toml
    return parse_toml if "=" in first and ":" not in first.partition("=")[0] else parse_yaml
