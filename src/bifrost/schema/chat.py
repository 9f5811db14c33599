"""A chat request taken apart: what every dialect but OpenAI's own is told from.

The words are OpenAI's with the gateway's extensions (prompt cache marks, documents, reasoning blocks). Nothing here knows
how any provider says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs

from bifrost.values import frozen

__all__ = [
    "Audio",
    "CachePoint",
    "ChatRequest",
    "Document",
    "Image",
    "Inline",
    "Message",
    "Part",
    "Reasoning",
    "ReasoningDetail",
    "Refusal",
    "ResponseFormat",
    "Role",
    "Text",
    "Tool",
    "ToolCall",
    "ToolChoice",
]

Json = Mapping[str, Any]
"""A JSON object, members in the order in which they came."""

Role = Literal["system", "user", "assistant", "tool"]
"""``developer`` is read as ``system``."""


@frozen
class Inline:
    """Bytes in the request itself: ``data`` is base64 as it came, ``media_type`` as the data URI names it, or empty."""

    media_type: str
    data: str = attrs.field(repr=False)


@frozen(kw_only=True)
class Text:
    """Words. ``cache_control`` is a prompt cache mark, as it came."""

    text: str
    cache_control: Json | None = None


@frozen(kw_only=True)
class Image:
    """A picture, in the request (``inline``) or at an http(s) ``url``; one of the two is set."""

    url: str = ""
    inline: Inline | None = None
    detail: str | None = None
    cache_control: Json | None = None


@frozen(kw_only=True)
class Audio:
    """Sound: base64 ``data`` in ``format`` (``wav``, ``mp3``)."""

    data: str = attrs.field(repr=False)
    format: str = ""


@frozen(kw_only=True)
class Document:
    """A file: in the request (``inline``, or ``text`` where it is plain text), at a ``url``, or known by ``file_id``."""

    inline: Inline | None = None
    text: str | None = None
    url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    citations: Json | None = None
    cache_control: Json | None = None


@frozen
class Refusal:
    """The assistant's words when it would not."""

    text: str


@frozen
class CachePoint:
    """Bedrock's prompt cache mark, a part by itself."""

    raw: Json


Part = Text | Image | Audio | Document | Refusal | CachePoint


@frozen(kw_only=True)
class ToolCall:
    """A tool the assistant called. ``arguments`` is JSON in a string, as it came; of a custom tool any text."""

    id: str
    name: str
    arguments: str
    is_custom: bool = False


@frozen(kw_only=True)
class ReasoningDetail:
    """A block of thinking, to be sent back as it came.

    ``kind`` is ``reasoning.text`` (``text``, ``signature``), ``reasoning.encrypted`` (``data``) or
    ``reasoning.summary``; ``raw`` has everything.
    """

    kind: str
    text: str = ""
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    raw: Json = attrs.field(factory=lambda: MappingProxyType({}), repr=False)


@frozen(kw_only=True)
class Message:
    """One message. Content that came as a string is one ``Text``; ``None`` and ``""`` are no parts."""

    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    reasoning_details: tuple[ReasoningDetail, ...] = ()
    place: str = ""
    """Where it is in the request, for errors: ``messages[3]``."""

    @property
    def text(self) -> str:
        """Its words, one text after another."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@frozen(kw_only=True)
class Tool:
    """A function the model may call. ``parameters`` is a JSON schema in the order of its keys, ``None`` if none came."""

    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None
    cache_control: Json | None = None


@frozen
class ToolChoice:
    """Which tool is to be called. ``names`` are those of ``function`` (one) and ``allowed`` (with ``is_required``)."""

    mode: Literal["auto", "none", "required", "function", "allowed", "custom"]
    names: tuple[str, ...] = ()
    is_required: bool = False


@frozen(kw_only=True)
class ResponseFormat:
    """Which form the answer is to have; ``schema`` is set for ``json_schema``."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Json | None = None
    strict: bool | None = None


@frozen(kw_only=True)
class Reasoning:
    """How much is to be thought.

    ``effort`` is ``none``, ``minimal``, ``low``, … or a provider's own word; ``max_tokens`` is a budget, or -1 for as
    much as the model likes. ``is_off``: not at all.
    """

    effort: str | None = None
    max_tokens: int | None = None
    is_off: bool = False


@frozen(kw_only=True)
class ChatRequest:
    """A chat request. ``members`` are all its top-level members that are not null, decoded, by the names they came with.

    What has an attribute of its own is read from there; what has none is taken from ``members`` (``top_k``, say).
    ``extras`` are those of ``extra_params``.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    other_tools: tuple[Json, ...] = ()
    """Tools that are no functions, as they came."""
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    """``None``: nothing was said of it."""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    members: Json = attrs.field(factory=lambda: MappingProxyType({}), repr=False)
    extras: Json = attrs.field(factory=lambda: MappingProxyType({}), repr=False)

    def extra(self, name: str) -> Any:  # noqa: ANN401  a JSON value
        """A parameter that OpenAI has not, given at the top or in ``extra_params``; ``None`` if it is not there."""
        value = self.members.get(name)
        return self.extras.get(name) if value is None else value
