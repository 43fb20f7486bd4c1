"""Which transport a name in the settings stands for."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from dragoman.config.model import ServerConfig
from dragoman.errors import ConfigError
from dragoman.transports.registry import ENTRY_POINTS, create

PLUGIN = """
class Pigeon:
    kind = "pigeon"

    def __init__(self, config):
        self.config = config

nothing = None
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a distribution that registers transports, good and bad ones."""
    (tmp_path / "pigeons.py").write_text(PLUGIN)
    metadata = tmp_path / "pigeons-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    entries = ("pigeon = pigeons:Pigeon", "owl = owls:Owl", "dove = pigeons:nothing", "stdio = pigeons:Pigeon")
    (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n" + "\n".join(entries) + "\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"command": "server"}, "stdio"),
        ({"url": "https://example.com/mcp"}, "streamable_http"),
        ({"url": "https://example.com/sse", "transport": "sse"}, "sse"),
        ({"url": "wss://example.com/mcp"}, "websocket"),
    ],
)
def test_each_transport_of_ours_is_found_by_its_name(settings: dict[str, str], kind: str) -> None:
    """What the configuration infers is what is made."""
    assert create(ServerConfig(**settings)).kind == kind  # pyright: ignore[reportArgumentType]


def test_another_distributions_transport_is_found_by_its_entry_point(plugin: Path) -> None:
    """It gets the configuration, and its module is imported only then."""
    config = ServerConfig(name="loft", transport="pigeon", extra={"loft": "north"})
    assert "pigeons" not in sys.modules
    transport = create(config)
    assert transport.kind == "pigeon"
    assert vars(transport)["config"] is config
    sys.modules.pop("pigeons")


def test_a_transport_of_ours_can_not_be_replaced(plugin: Path) -> None:
    """An entry point of the same name is passed over."""
    assert create(ServerConfig(command="server")).kind == "stdio"


def test_an_unknown_name_is_answered_with_all_names_and_the_nearest(plugin: Path) -> None:
    """Those of other distributions count."""
    with pytest.raises(ConfigError) as caught:
        create(ServerConfig(name="loft", transport="pidgeon"))
    assert str(caught.value) == (
        "loft: transport: 'pidgeon' is unknown; there are dove, owl, pigeon, sse, stdio, streamable_http, websocket."
        " Did you mean 'pigeon'?"
    )


@pytest.mark.parametrize(("name", "why"), [("owl", "No module named 'owls'"), ("dove", "it is not callable")])
def test_a_broken_plug_in_is_an_error_that_names_its_distribution(plugin: Path, name: str, why: str) -> None:
    """Whatever goes wrong in it, the user learns which one to mend."""
    with pytest.raises(ConfigError) as caught:
        create(ServerConfig(transport=name))
    assert why in str(caught.value)
    assert "of pigeons" in str(caught.value)
    sys.modules.pop("pigeons", None)
