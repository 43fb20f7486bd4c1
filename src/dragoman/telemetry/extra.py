"""The words for a library that is not installed. Its neighbours load theirs only when somebody wants them."""

from __future__ import annotations

from dragoman.errors import ConfigError

__all__ = ["missing"]


def missing(library: str, wanted_by: str) -> ConfigError:
    """Give the error for ``wanted_by`` (a class) without the distribution ``library``."""
    return ConfigError(
        f"{wanted_by} needs {library}, which is not installed",
        hint='Run: pip install "dragoman[telemetry]"',
    )
