"""What a server is and how to reach it, as frozen values that are checked once."""

from __future__ import annotations

from dragoman.config.model import ServerConfig

__all__ = ["ServerConfig"]
