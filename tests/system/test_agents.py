"""Coding agents ask as they do: Codex, Claude Code and Gemini CLI before providers of other dialects, as strict as the real ones.

Their requests are written after what they send (Codex 0.60, Claude Code 2.0, Gemini CLI 0.17; 2026-11): long lists of tools, tools of
their own vendor, thinking, marks for caches, counts of tokens, and histories that hold what came before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from messages_grammar import accumulated, events_of
from system.providers import MODELS, all_of_them

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trio

    from system.process import Gateway

pytestmark = pytest.mark.system

KEY = {"authorization": "Bearer sk-bf-virtual"}
CITY = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "number"}}}
MANY = 60


@pytest.fixture
async def gateway(nursery: trio.Nursery, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with all_of_them(nursery, tmp_path) as it:
        yield it


def foreign_to(provider: str) -> list[str]:
    return [model for model in MODELS if not model.startswith(provider)]


def sse(text: str) -> list[Any]:
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert events, text
    return events


# Codex


def codex(model: str, *items: dict[str, Any]) -> dict[str, Any]:
    patch = {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edits files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "x"'},
    }
    shell = {
        "type": "function",
        "name": "shell",
        "description": "Runs a command.",
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {
                "command": {"type": "array", "items": {"type": "string"}},
                "timeout_ms": {"type": "number", "description": "Milliseconds"},
                "with_escalated_permissions": {"type": "boolean"},
            },
            "required": ["command"],
            "additionalProperties": False,
        },
    }
    mcp = [
        {"type": "function", "name": f"mcp__server__tool_{n}", "strict": False, "parameters": CITY}
        for n in range(MANY)
    ]
    return {
        "model": model,
        "instructions": "You are a coding agent running in the Codex CLI.",
        "input": [
            message("developer", "<permissions>never ask</permissions>"),
            message("user", "<environment_context><cwd>/w</cwd></environment_context>"),
            message("user", "Fix the bug."),
            *items,
        ],
        "tools": [shell, patch, {"type": "web_search", "external_web_access": False}, *mcp],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019a-conversation",
        "text": {"verbosity": "low"},
    }


def message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def as_codex_keeps_it(item: dict[str, Any]) -> dict[str, Any]:
    """It sends no ids of items and no states back."""
    return {name: value for name, value in item.items() if name not in {"id", "status"}}


PATCHED = [
    {"type": "custom_tool_call", "call_id": "call_p", "name": "apply_patch", "input": "*** Begin"},
    {"type": "custom_tool_call_output", "call_id": "call_p", "output": "Done"},
]


@pytest.mark.parametrize("model", foreign_to("openai"))
async def test_codex(gateway: Gateway, model: str) -> None:
    path = "/openai/v1/responses"
    headers = {
        **KEY,
        "user-agent": "codex_cli_rs/0.60.0 (Linux)",
        "originator": "codex_cli_rs",
        "openai-beta": "responses=experimental",
        "conversation_id": "019a",
        "session_id": "019a",
        "accept": "text/event-stream",
    }
    first = await gateway.post(codex(model), path, headers=headers)
    items = sse(first.text)[-1]["response"]["output"]
    [call] = [item for item in items if item["type"] == "function_call"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "exit 0"}
    kept = [as_codex_keeps_it(item) for item in items]
    body = codex(model, *kept, result)
    second = await gateway.post(body, path, headers=headers)
    third = await gateway.post(codex(model, *PATCHED, message("user", "And?")), path, headers=headers)  # fmt: skip

    assert call["name"] == "shell"
    ended = sse(second.text)[-1]
    assert ended["type"] == "response.completed"
    assert "exit 0" in ended["response"]["output"][-1]["content"][0]["text"]
    assert sse(third.text)[-1]["type"] == "response.completed"


# Claude Code


def claude_code(model: str, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    mark = {"type": "ephemeral"}
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **CITY, "additionalProperties": False}  # fmt: skip
    tools = [
        {"name": name, "description": "Does.", "input_schema": schema}
        for name in ("Bash", *(f"mcp__server__tool_{n}" for n in range(MANY)))
    ]
    reminder = {"type": "text", "text": "<system-reminder>Be brief</system-reminder>"}
    asked = {"type": "text", "text": "Fix the bug.", "cache_control": mark}
    return {
        "model": model,
        "system": [
            {"type": "text", "text": "You are Claude Code.", "cache_control": mark},
            {"type": "text", "text": "Here is the environment.", "cache_control": mark},
        ],
        "messages": [{"role": "user", "content": [reminder, asked]}, *messages],
        "tools": [*tools, {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}],
        "thinking": {"type": "enabled", "budget_tokens": 4000},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        **more,
    }


@pytest.mark.parametrize("model", foreign_to("anthropic"))
async def test_claude_code(gateway: Gateway, model: str) -> None:
    path = "/anthropic/v1/messages?beta=true"
    headers = {
        **KEY,
        "user-agent": "claude-cli/2.0.50 (external, cli)",
        "x-app": "cli",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27",
    }
    more: Any = {"max_tokens": 8000, "stream": True, "metadata": {"user_id": "user_0_session_1"}}
    first = await gateway.post(claude_code(model, **more), path, headers=headers)
    said = accumulated(events_of(first.content))
    use = said["content"][-1]
    result = {"type": "tool_result", "tool_use_id": use["id"], "content": "exit 0", "is_error": False}  # fmt: skip
    history: Any = [
        {"role": "assistant", "content": said["content"]},
        {"role": "user", "content": [{**result, "cache_control": {"type": "ephemeral"}}]},
    ]
    second = await gateway.post(claude_code(model, *history, **more), path, headers=headers)
    title = {
        "model": model,
        "max_tokens": 512,
        "stream": True,
        "system": [{"type": "text", "text": "Give a title."}],
        "messages": [{"role": "user", "content": "Fix"}],
        "temperature": 0,
    }
    third = await gateway.post(title, path, headers=headers)

    assert (use["type"], use["name"], said["stop_reason"]) == ("tool_use", "Bash", "tool_use")
    again = accumulated(events_of(second.content))
    assert again["stop_reason"] == "end_turn"
    assert "exit 0" in again["content"][-1]["text"]
    assert accumulated(events_of(third.content))["content"][-1]["text"] == "Hello"


# Gemini CLI


def gemini_cli(*contents: dict[str, Any]) -> dict[str, Any]:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **CITY}
    declared = [
        {"name": name, "description": "Does.", "parametersJsonSchema": schema}
        for name in ("run_shell_command", *(f"tool_{n}" for n in range(MANY)))
    ]
    return {
        "contents": [
            {"role": "user", "parts": [{"text": "This is the Gemini CLI."}]},
            {"role": "model", "parts": [{"text": "Got it. Thanks for the context!"}]},
            {"role": "user", "parts": [{"text": "Fix the bug."}]},
            *contents,
        ],
        "systemInstruction": {"role": "user", "parts": [{"text": "You are a CLI."}]},
        "tools": [{"functionDeclarations": declared}],
        "generationConfig": {
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192},
        },
    }


@pytest.mark.parametrize("model", foreign_to("gemini"))
async def test_gemini_cli(gateway: Gateway, model: str) -> None:
    path = f"/genai/v1beta/models/{model}:streamGenerateContent?alt=sse"
    headers = {"x-goog-api-key": "sk-bf-virtual", "user-agent": "GeminiCLI/0.17.0 (linux; x64)"}

    first = await gateway.post(gemini_cli(), path, headers=headers)
    parts = [part for event in sse(first.text) for part in event["candidates"][0]["content"]["parts"]]  # fmt: skip
    [call] = [part["functionCall"] for part in parts if "functionCall" in part]
    result = {"id": call["id"], "name": call["name"], "response": {"output": "exit 0"}}
    history = [
        {"role": "model", "parts": [part for part in parts if not part.get("thought")]},
        {"role": "user", "parts": [{"functionResponse": result}]},
    ]
    second = await gateway.post(gemini_cli(*history), path, headers=headers)

    assert call["name"] == "run_shell_command"
    text = "".join(part.get("text", "") for event in sse(second.text) for part in event["candidates"][0]["content"]["parts"])  # fmt: skip
    assert "exit 0" in text
    assert sse(second.text)[-1]["candidates"][0]["finishReason"] == "STOP"
