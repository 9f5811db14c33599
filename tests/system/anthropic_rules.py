"""What Anthropic's Messages API refuses of a request, as far as it can be seen from without.

The shapes of blocks are those of the official SDK's types; the rules are written after the public API reference and its
error messages, 2026-11.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from anthropic.types import message_create_params as params
from anthropic.types.document_block_param import DocumentBlockParam
from anthropic.types.image_block_param import ImageBlockParam
from anthropic.types.redacted_thinking_block_param import RedactedThinkingBlockParam
from anthropic.types.text_block_param import TextBlockParam
from anthropic.types.thinking_block_param import ThinkingBlockParam
from anthropic.types.tool_param import ToolParam
from anthropic.types.tool_result_block_param import ToolResultBlockParam
from anthropic.types.tool_use_block_param import ToolUseBlockParam

__all__ = ["complaint", "signature_of"]

BLOCKS: dict[str, Any] = {
    "text": TextBlockParam,
    "image": ImageBlockParam,
    "document": DocumentBlockParam,
    "thinking": ThinkingBlockParam,
    "redacted_thinking": RedactedThinkingBlockParam,
    "tool_use": ToolUseBlockParam,
    "tool_result": ToolResultBlockParam,
}

TOP = {
    *params.MessageCreateParamsStreaming.__annotations__,
    *params.MessageCreateParamsBase.__annotations__,
    "temperature",
    "top_p",
    "top_k",
    "context_management",
    "mcp_servers",
}
"""The last ones are of API version 2023-06-01, and of features to be tried."""

OF_ROLE = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use"},
}
ID = re.compile(r"[a-zA-Z0-9_-]+")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
THINKING = {"thinking", "redacted_thinking"}
CONSTRAINTS = {"minimum", "maximum", "minLength", "maxLength", "pattern", "oneOf", "multipleOf"}


class Refused(Exception):
    pass


def signature_of(thought: str) -> str:
    """The signature that this API gives a thinking block, and wants back."""
    return "EqQB" + hashlib.sha256(thought.encode()).hexdigest() + "/+=="


def complaint(body: Any) -> str | None:
    """Why the request ``body`` is refused with 400; ``None`` if it is not."""
    try:
        _check(body)
    except Refused as refusal:
        return str(refusal)
    return None


def refuse_if(is_wrong: object, text: str) -> None:
    if is_wrong:
        raise Refused(text)


def _check(body: Any) -> None:
    for name in ("model", "max_tokens", "messages"):
        refuse_if(name not in body, f"{name}: Field required")
    for name in body:
        refuse_if(name not in TOP, f"{name}: Extra inputs are not permitted")
    refuse_if(not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1, "max_tokens: bad")
    for block in body["system"] if isinstance(body.get("system"), list) else ():
        _check_block(block, "system", {"text"})
    _check_messages(body["messages"])
    for n, tool in enumerate(body.get("tools", ())):
        _check_tool(tool, f"tools.{n}")
    _check_choice(body)
    _check_thinking(body)
    both = "temperature" in body and "top_p" in body
    refuse_if(both, "`temperature` and `top_p` cannot both be specified for this model.")
    refuse_if(not 0 <= body.get("temperature", 1) <= 1, "temperature: range: 0..1")
    for stop in body.get("stop_sequences", ()):
        refuse_if(not stop.strip(), "stop_sequences: each must contain non-whitespace")
    refuse_if(set(body.get("metadata", ())) - {"user_id"}, "metadata: Extra inputs")
    refuse_if(body.get("service_tier") not in {None, "auto", "standard_only"}, "service_tier: bad")
    form = body.get("output_config", {}).get("format")
    if form is not None:
        refuse_if(set(form) != {"type", "schema"}, "output_config.format: Extra inputs")
        _check_schema(form["schema"])


def _check_shape(value: Any, shape: Any, place: str) -> None:
    refuse_if(not isinstance(value, dict), f"{place}: Input should be an object")
    for name in value:
        refuse_if(
            name not in shape.__annotations__, f"{place}.{name}: Extra inputs are not permitted"
        )
    for name in shape.__required_keys__:
        refuse_if(name not in value, f"{place}.{name}: Field required")


def _check_block(block: Any, place: str, kinds: set[str]) -> None:
    kind = block.get("type")
    refuse_if(kind not in kinds, f"{place}: {kind} is not permitted here")
    _check_shape(block, BLOCKS[kind], f"{place}.{kind}")
    match block:
        case {"type": "text", "text": text}:
            refuse_if(not text.strip(), "text content blocks must contain non-whitespace text")
        case {"type": "thinking", "thinking": thought, "signature": signature}:
            wrong = signature != signature_of(thought)
            refuse_if(wrong, f"{place}: Invalid `signature` in `thinking` block")
        case {"type": "redacted_thinking", "data": data}:
            refuse_if(not data.startswith("Redacted"), f"{place}: Invalid `data`")
        case {"type": "tool_use"}:
            refuse_if(not ID.fullmatch(block["id"]), f"{place}.id: String should match pattern")
            refuse_if(not isinstance(block["input"], dict), f"{place}.input: should be an object")
        case {"type": "tool_result", "content": list(content)}:
            for inner in content:
                _check_block(inner, f"{place}.content", {"text", "image", "document"})
        case {"type": "image" | "document", "source": source}:
            _check_source(source, place)
        case _:
            pass


SOURCES = {
    "base64": {"media_type", "data"},
    "url": {"url"},
    "text": {"media_type", "data"},
    "file": {"file_id"},
}


def _check_source(source: Any, place: str) -> None:
    wanted = SOURCES.get(source.get("type"))
    refuse_if(wanted is None or set(source) != {"type", *(wanted or ())}, f"{place}.source: wrong")


def _check_messages(messages: Any) -> None:
    refuse_if(not messages, "messages: at least one message is required")
    asked: set[str] = set()
    role = None
    for n, message in enumerate(messages):
        place = f"messages.{n}"
        refuse_if(set(message) != {"role", "content"}, f"{place}: Extra inputs are not permitted")
        refuse_if(message["role"] not in OF_ROLE, f"{place}.role: bad")
        refuse_if(message["role"] == role, f"{place}: roles must alternate")
        role, blocks = message["role"], message["content"]
        refuse_if(not blocks, f"{place}: content must not be empty")
        for block in blocks:
            _check_block(block, place, OF_ROLE[role])
        kinds = [block["type"] == "tool_result" for block in blocks]
        refuse_if(kinds != sorted(kinds, reverse=True), f"{place}: tool_result blocks come first")
        answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        missing, odd = asked - answered, answered - asked
        refuse_if(
            missing, f"{place}: `tool_use` ids were found without `tool_result` blocks: {missing}"
        )
        refuse_if(odd, f"{place}: unexpected `tool_use_id` found in `tool_result` blocks: {odd}")
        asked = {block["id"] for block in blocks if block["type"] == "tool_use"}
    refuse_if(asked, "messages: `tool_use` without `tool_result`")
    last = messages[-1]["content"][-1]
    ends = messages[-1]["role"] == "assistant" and last.get("text", "x") != last.get("text", "x").rstrip()  # fmt: skip
    refuse_if(ends, "messages: final assistant content cannot end with trailing whitespace")


def _check_tool(tool: Any, place: str) -> None:
    if tool.get("type") not in {None, "custom"}:
        return
    _check_shape(tool, ToolParam, place)
    refuse_if(not NAME.fullmatch(tool["name"]), f"{place}.name: String should match pattern")
    wrong = tool["input_schema"].get("type") != "object"
    refuse_if(wrong, f"{place}.input_schema.type: Input should be 'object'")


def _check_choice(body: Any) -> None:
    choice = body.get("tool_choice")
    if choice is None:
        return
    refuse_if(not body.get("tools"), "tool_choice may only be specified while providing tools")
    refuse_if(set(choice) - {"type", "name", "disable_parallel_tool_use"}, "tool_choice: Extra")
    names = {tool["name"] for tool in body["tools"]}
    refuse_if(choice.get("name") not in {None, *names}, "tool_choice.name: not found")
    is_none = choice["type"] == "none" and "disable_parallel_tool_use" in choice
    refuse_if(is_none, "tool_choice.disable_parallel_tool_use: Extra inputs are not permitted")


def _check_thinking(body: Any) -> None:
    thinking = body.get("thinking", {})
    if thinking.get("type") not in {"enabled", "adaptive"}:
        return
    forced = body.get("tool_choice", {}).get("type") in {"any", "tool"}
    refuse_if(forced, "Thinking may not be enabled when tool_choice forces tool use.")
    refuse_if(body.get("temperature", 1) != 1, "`temperature` may only be set to 1")
    refuse_if(body.get("top_p", 1) < 0.95, "`top_p` must be greater than or equal to 0.95")
    refuse_if("top_k" in body, "`top_k` must be unset when thinking is enabled.")
    if thinking["type"] == "adaptive":
        refuse_if(set(thinking) - {"type", "display"}, "thinking.adaptive: Extra inputs")
        return
    budget = thinking["budget_tokens"]
    refuse_if(budget < 1024, "thinking.enabled.budget_tokens: should be at least 1024")
    refuse_if(body["max_tokens"] <= budget, "`max_tokens` must be greater than the budget")
    if body["messages"][-1]["content"][0]["type"] == "tool_result":
        found = body["messages"][-2]["content"][0]["type"]
        refuse_if(found not in THINKING, f"Expected `thinking`, but found `{found}`.")


def _check_schema(schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    refuse_if(set(schema) & CONSTRAINTS, f"output_config.format.schema: {schema} not supported")
    refuse_if(isinstance(schema.get("type"), list), "output_config.format.schema: type list")
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        refuse_if(not closed, "For 'object' type, 'additionalProperties' must be explicitly false")
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    for one in (*inner, *schema.get("anyOf", ()), schema.get("items")):
        _check_schema(one)
