"""What OpenAI's chat completions refuse of a request, as far as it can be seen from without.

The members of messages are those of the official SDK's types; the rules are written after the public API reference and its
error messages, 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from openai.types import chat
from openai.types.chat import completion_create_params as params

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["complaint"]

TOP = {
    *params.CompletionCreateParamsNonStreaming.__annotations__,
    *params.CompletionCreateParamsStreaming.__annotations__,
}

MESSAGES: dict[str, Any] = {
    "system": chat.ChatCompletionSystemMessageParam,
    "developer": chat.ChatCompletionDeveloperMessageParam,
    "user": chat.ChatCompletionUserMessageParam,
    "assistant": chat.ChatCompletionAssistantMessageParam,
    "tool": chat.ChatCompletionToolMessageParam,
}

PARTS = {"user": {"text", "image_url", "input_audio", "file"}, "assistant": {"text", "refusal"}}
ANSWERED = {"annotations"}
"""What is in answers and not among the SDK's parameters, but taken back."""

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
PICTURE = re.compile(r"https?://.+|data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+=*")


def complaint(body: dict[str, Any]) -> str | None:
    """Why the request ``body`` is refused with 400; ``None`` if it is not."""
    return next(_faults(body), None)


def _faults(body: dict[str, Any]) -> Iterator[str]:
    for name in ("model", "messages"):
        if not body.get(name):
            yield f"you must provide a {name} parameter"
            return
    for name in body.keys() - TOP:
        yield f"Unrecognized request argument supplied: {name}"
    for name in body.keys() & {"tool_choice", "parallel_tool_calls"}:
        if not body.get("tools"):
            yield f"'{name}' is only allowed when 'tools' are specified."
    if "stream_options" in body and not body.get("stream"):
        yield "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    if body["model"].startswith("gpt-5") and "max_tokens" in body:
        yield "Unsupported parameter: 'max_tokens' is not supported with this model."
    for tool in body.get("tools", ()):
        if tool["type"] != "function" or not NAME.fullmatch(tool["function"]["name"]):
            yield "Invalid 'tools'"
    for n, message in enumerate(body["messages"]):
        yield from _faults_of_message(message, f"messages[{n}]")
    yield from _faults_of_order(body["messages"])


def _faults_of_message(message: dict[str, Any], place: str) -> Iterator[str]:
    role = message.get("role")
    shape = MESSAGES.get(str(role))
    if shape is None:
        yield f"Invalid value: '{role}' at '{place}.role'."
        return
    if odd := message.keys() - shape.__annotations__.keys() - ANSWERED:
        yield f"Additional properties are not allowed ({min(odd)!r} was unexpected) - '{place}'"
    if missing := shape.__required_keys__ - message.keys():
        yield f"Missing required parameter: '{place}.{min(missing)}'."
    for call in message.get("tool_calls") or ():
        if call.keys() != {"id", "type", "function"} or not isinstance(call["function"]["arguments"], str):  # fmt: skip
            yield f"Invalid type for '{place}.tool_calls'"
    if message.get("content") is None and not message.get("tool_calls"):
        yield f"Invalid value for 'content': expected a string, got null. '{place}'"
    if isinstance(message.get("content"), list):
        for part in message["content"]:
            yield from _faults_of_part(part, PARTS.get(str(role), {"text"}), place)


def _faults_of_part(part: dict[str, Any], kinds: set[str], place: str) -> Iterator[str]:
    if part.get("type") not in kinds:
        yield f"Invalid value: '{part.get('type')}' at '{place}.content'."
    elif part.keys() != {"type", part["type"]}:
        yield f"Unknown parameter in '{place}.content'."
    elif part["type"] == "image_url" and not PICTURE.fullmatch(part["image_url"]["url"]):
        yield "You uploaded an unsupported image."


def _faults_of_order(messages: list[Any]) -> Iterator[str]:
    """Each call has its result right after it, and each result its call right before."""
    open_calls: set[str] = set()
    for message in messages:
        if message.get("role") == "tool":
            if message["tool_call_id"] not in open_calls:
                yield "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            break
        open_calls = {call["id"] for call in message.get("tool_calls") or ()}
    if open_calls:
        yield "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
