"""Claude's requests as Vertex takes them: the model is in the path, a version in the body, and some tools are missing.

Source: Google, "Request predictions with Claude models"; Anthropic, "Claude on Vertex AI", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_request import ClaudeHost, encode_messages, encode_native
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call

__all__ = ["encode_claude", "encode_native_claude"]

VERSION = "vertex-2023-10-16"

HOST = ClaudeHost(has_formats=False, version=VERSION, betas_in_body=True)

OURS = frozenset({"model", "region", "fallbacks"})
"""What a caller may have said that Vertex refuses in a body."""

MISSING = ("web_fetch", "code_execution", "bash_code_execution", "mcp_toolset")
"""How the types of tools begin that Anthropic runs itself, and Vertex does not."""

SEARCH = "web_search_20250305"
"""The one search that Vertex has; later ones are asked for as this."""


def encode_claude(call: Call, model: str, provider: str) -> Encoded:
    """The body of ``rawPredict`` for a chat ``call``. Raises BadRequest."""
    return _fit(encode_messages(call, model, provider, HOST))


def encode_native_claude(call: Call, model: str, provider: str) -> Encoded:
    """The same for a Messages request, as it came but for what Vertex wants otherwise. Raises BadRequest."""
    return _fit(encode_native(call, model, provider))


def _fit(sent: Encoded) -> Encoded:
    members = json.split_object(sent.body)
    told = {name: raw for name, raw in members.items() if name not in OURS}
    told.setdefault("anthropic_version", json.dumps(VERSION))
    if told.get("mcp_servers", b"null") not in {b"null", b"[]"}:
        raise BadRequest("Claude on Vertex has no mcp_servers", param="mcp_servers")
    if "tools" in told:
        tools = json.loads(told["tools"])
        if isinstance(tools, list):
            told["tools"] = json.dumps([_tool(tool) for tool in tools])
    return attrs.evolve(sent, body=json.join_object(told))


def _tool(tool: Any) -> Any:  # noqa: ANN401  any JSON value
    """``tool``, if Vertex has it. Raises BadRequest."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):
        return tool
    if kind.startswith(MISSING):
        raise BadRequest(f"Claude on Vertex has no tool {kind[:100]}", param="tools")
    return {**tool, "type": SEARCH} if kind.startswith("web_search_") else tool
