"""The application's own settings, which stand in the same file as the servers."""

from __future__ import annotations

import msgspec

from dragoman import HubConfig
from dragoman.errors import ConfigError


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the briefing is about.

    ``cities`` are hours ahead of UTC by name, ``tag`` marks the notes to read, ``tea_steps`` is how long tea takes,
    ``follow`` is the note whose changes make a new briefing, and ``follow_server`` the server that has it.
    """

    cities: dict[str, float] = {}
    tag: str = ""
    tea_steps: int = 3
    follow: str = ""
    follow_server: str = ""

    @classmethod
    def of(cls, config: HubConfig) -> Settings:
        """Give the settings that a configuration holds beside its servers.

        Raises:
            ConfigError: they can't be used.
        """
        try:
            return msgspec.convert(config.extra.get("briefing", {}), cls)
        except msgspec.ValidationError as error:
            raise ConfigError(str(error), key="briefing", file=config.sources[0] if config.sources else "") from error
