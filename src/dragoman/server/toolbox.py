"""What is known of a server's tools between calls: which headers mirror arguments, which results can be checked.

It asks nobody: `server.Server` fills it from listings. Schemas are compiled when the first result needs them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from dragoman.errors import InvalidResult, ProtocolError
from dragoman.protocol.headers import ParameterHeader, mirror, parameter_headers
from dragoman.protocol.jsonrpc import printable
from dragoman.protocol.results import ToolResult
from dragoman.protocol.types import Tool

if TYPE_CHECKING:
    from dragoman.schema.validation import Problem, Validator

__all__ = ["Toolbox"]

log: Final = logging.getLogger("dragoman")


class Toolbox:
    """The tools of one server.

    ``mirrors``: arguments go into headers too (stateless HTTP). ``validates``: results are held against schemas.
    ``core_tasks``: calls can be tasks in the shape of 2025-11-25.
    """

    def __init__(self, server: str, *, mirrors: bool, validates: bool, core_tasks: bool = False) -> None:
        self.mirrors = mirrors
        self.validates = validates
        self.core_tasks = core_tasks
        self.filled = False
        self._server = server
        self._tools: dict[str, Tool] = {}
        self._headers: dict[str, tuple[ParameterHeader, ...]] = {}
        self._validators: dict[str, Validator | None] = {}

    def fill(self, tools: Iterable[Tool]) -> tuple[list[Tool], list[str]]:
        """Take a whole listing; give the tools that can be used and what was wrong with the others."""
        kept: list[Tool] = []
        problems: list[str] = []
        headers: dict[str, tuple[ParameterHeader, ...]] = {}
        for tool in tools:
            if self.mirrors and b"x-mcp-header" in bytes(tool.input_schema_raw):
                try:
                    headers[tool.name] = parameter_headers(tool.input_schema)
                except ProtocolError as error:
                    problems.append(printable(f"left out of tools: {tool.name!r}: {error.what}", 500))
                    continue
            kept.append(tool)
        self._tools = {tool.name: tool for tool in kept}
        self._headers = headers
        self._validators = {}
        self.filled = True
        return kept, problems

    def outdate(self) -> None:
        """Take note that the listing is another now: it is fetched again when it is needed."""
        self.filled = False

    def knows(self, name: str) -> bool:
        """Whether the tool was in the last listing."""
        return name in self._tools

    def wants_task(self, name: str) -> bool:
        """Whether the tool can only be called as a task (2025-11-25)."""
        return self.core_tasks and self._task_support(name) == "required"

    def forbids_task(self, name: str) -> bool:
        """Whether the tool must not be called as a task (2025-11-25); of an unknown one nothing is known."""
        return self.core_tasks and self.knows(name) and self._task_support(name) not in ("optional", "required")

    def _task_support(self, name: str) -> object:
        tool = self._tools.get(name)
        return (tool.execution or {}).get("taskSupport") if tool is not None else None

    def headers(self, name: str, arguments: Mapping[str, Any] | None) -> Mapping[str, str] | None:
        """Give the ``Mcp-Param-*`` headers of a call."""
        found = self._headers.get(name)
        return mirror(found, arguments or {}) if found else None

    def problem(self, name: str, result: ToolResult) -> Problem | None:
        """Give what does not fit the tool's output schema (text and path), or None.

        A schema that can't be used is logged once and not held against the result.
        """
        tool = self._tools.get(name)
        if tool is None or tool.output_schema_raw is UNSET or result.is_error:
            return None
        from dragoman.schema.validation import Problem, Validator  # late: most connections never need it

        structured = result.structured_raw
        if structured is None:
            return Problem("it promises structured content and gave none", "")
        if name not in self._validators:
            try:
                self._validators[name] = Validator(bytes(tool.output_schema_raw))
            except InvalidResult as error:
                log.warning(
                    "%s: results of %s are not checked: %s", self._server, printable(name), printable(error.what)
                )
                self._validators[name] = None
        validator = self._validators[name]
        return validator.problem(structured) if validator is not None else None
