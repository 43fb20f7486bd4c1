"""What every module of the repository keeps to, beyond what ruff, pyright and import-linter can see."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib

from tests.parts import ROOT
from tests.repository import committed, dotted, imported, modules, relative

WALL = 600
"""Lines that no module passes."""

CODE = ("src", "tests", "bench", "docs_src", "examples", "tools", "web")

PURE = {"auth", "cache", "config", "errors", "events", "model", "policy", "protocol", "schema"}
"""The parts of the package that hold no I/O, no clock and no async."""

LIBRARIES = {
    "aiohappyeyeballs": {"transports"},
    "aiohttp": {"gateway", "samples", "testing", "transports"},
    "click": {"cli", "demo"},
    "httptools": {"transports"},
    "jsonschema_rs": {"schema"},
    "keyring": {"config"},
    "msgspec": None,
    "opentelemetry": {"telemetry"},
    "prometheus_client": {"telemetry"},
    "rich": {"cli", "demo"},
    "structlog": {"telemetry"},
    "tenacity": {"hub"},
    "yaml": {"config"},
    "yarl": {"transports"},
}
"""Each library that the package may import, and the parts of the package that may; None is all."""

HEAVY = {
    "aiohttp",
    "fastmcp",
    "jsonschema_rs",
    "mcp",
    "opentelemetry",
    "prometheus_client",
    "pydantic",
    "rich",
    "sqlalchemy",
    "structlog",
    "yaml",
    "yarl",
}
"""What `import dragoman` must not bring along."""


def test_no_module_passes_the_wall() -> None:
    """A module of more than 600 lines holds more than one concept."""
    sizes = {
        relative(path): path.read_bytes().count(b"\n")
        for path in modules(*CODE, suffixes=(".py", ".pyi", ".ts", ".tsx"))
    }
    assert {name: lines for name, lines in sizes.items() if lines > WALL} == {}


def test_every_module_opens_with_a_docstring() -> None:
    """A reader learns what a module is from its first lines."""
    python = modules("src", "tests", "bench", "docs_src", "examples", "tools")
    assert [relative(path) for path in python if not ast.get_docstring(ast.parse(path.read_bytes()))] == []


def test_every_pure_part_is_under_the_pure_contract() -> None:
    """A pure part that comes to be is added to the contract that keeps it pure."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (each for each in configuration["contracts"] if each["id"] == "pure")
    present = {name for path in modules("src") if (name := _part(dotted(path))) in PURE}
    assert present <= {_part(name) for name in contract["source_modules"]}


def test_each_library_stays_in_its_part() -> None:
    """A foreign library is known to the parts that are there for it, and is a declared one."""
    strays: list[str] = []
    for path in modules("src"):
        for name in imported(path) - sys.stdlib_module_names - {"dragoman"}:
            allowed = LIBRARIES.get(name, set())
            if allowed is not None and _part(dotted(path)) not in allowed:
                strays.append(f"{relative(path)} imports {name}")
    assert strays == []


def test_samples_know_nothing_of_the_package() -> None:
    """The bundled servers are peers, not parts: they would otherwise agree with our own mistakes."""
    samples = [path for path in modules("src") if _part(dotted(path)) == "samples"]
    assert [relative(path) for path in samples if "dragoman" in imported(path)] == []


def test_importing_the_package_is_light() -> None:
    """`import dragoman` loads no library that a user of another part pays for."""
    program = "import sys, dragoman; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_there_is_something_to_check() -> None:
    """The list of committed files is not empty, or each test here would pass for nothing."""
    assert relative(ROOT / "pyproject.toml") in map(relative, committed())


def _part(name: str) -> str:
    """The part of the package that the module `name` belongs to; empty for the root itself."""
    return name.split(".")[1] if "." in name else ""
