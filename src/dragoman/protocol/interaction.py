"""What servers ask of the client's side: sampling, elicitation and roots, and the answers to them.

Pure values. The same ones serve server-to-client requests (handshake era) and ``inputRequests`` (stateless era).
Source: 2025-11-25 and 2026-07-28 client/sampling, client/elicitation, client/roots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Raw, Struct, field

from dragoman.protocol.content import Content, decode_content
from dragoman.protocol.kept import Kept, decode_list

__all__ = [
    "ElicitationRequest",
    "ElicitationResult",
    "Root",
    "SamplingMessage",
    "SamplingRequest",
    "SamplingResult",
]


class Root(Struct, frozen=True, omit_defaults=True):
    """A place that the server may work in: a ``file://`` URI and a name for people."""

    uri: str
    name: str | None = None


class SamplingMessage(Kept):
    """One message of the conversation that a model is asked to continue."""

    role: str
    content_raw: Raw = field(name="content")

    @property
    def content(self) -> list[Content]:
        """What is said; a single block comes as a list of one."""
        if bytes(self.content_raw).lstrip().startswith(b"["):
            return [decode_content(block) for block in decode_list(self.content_raw, "a sampling message")]
        return [decode_content(self.content_raw)]


class SamplingRequest(Kept):
    """A server's wish that the client's model continues a conversation."""

    messages: tuple[SamplingMessage, ...]
    max_tokens: int | None = None
    system_prompt: str | None = None
    temperature: float | None = None
    stop_sequences: tuple[str, ...] | None = None
    include_context: str | None = None
    model_preferences: dict[str, Any] | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    tool_choice: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class SamplingResult(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A model's answer. ``content`` is text, or content blocks as the protocol writes them."""

    model: str
    content: str | Mapping[str, Any] | list[Mapping[str, Any]]
    stop_reason: str | None = None
    role: str = "assistant"

    def to_wire(self) -> dict[str, Any]:
        """Give the protocol's result object."""
        content = {"type": "text", "text": self.content} if isinstance(self.content, str) else self.content
        wire: dict[str, Any] = {"role": self.role, "content": content, "model": self.model}
        if self.stop_reason is not None:
            wire["stopReason"] = self.stop_reason
        return wire


class ElicitationRequest(Kept):
    """A server's question to a person. ``mode``: ``form`` (see ``requested_schema``) or ``url`` (a page to visit)."""

    message: str
    mode: str = "form"
    requested_schema: dict[str, Any] | None = None
    url: str | None = None
    elicitation_id: str | None = None


ElicitationAction: TypeAlias = Literal["accept", "decline", "cancel"]


class ElicitationResult(Struct, frozen=True, omit_defaults=True):
    """A person's answer: ``accept`` with the form's ``content``, ``decline`` (no), or ``cancel`` (not now)."""

    action: ElicitationAction
    content: Mapping[str, Any] | None = None
