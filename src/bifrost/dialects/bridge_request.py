"""A Responses request as a chat request, for a provider that has only chat.

The chat request goes on through ``openai_chat_request.encode_chat``, which knows the provider's quirks; here is nobody's
name. Sources: OpenAI API reference, "Responses" and "Chat completions", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.bridge_input import MARKERS, encode_messages
from bifrost.dialects.bridge_shape import (
    NULL,
    array,
    given,
    members,
    refuse,
    required_text,
    text_or_none,
)
from bifrost.errors import BadRequest
from bifrost.schema.call import RawMembers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Bridged", "responses_to_chat"]

LOGPROBS = "message.output_text.logprobs"

SEALED = "reasoning.encrypted_content"

MADE = frozenset({"messages", "max_completion_tokens", "response_format", "verbosity", "logprobs"})
"""Members of chat that are made of others here, and that a Responses request has no business with."""

REFUSED = {
    "previous_response_id": "this provider stores no responses: send the whole conversation as input",
    "conversation": "this provider stores no conversations: send the whole conversation as input",
    "prompt": "this provider stores no prompts: send instructions and input",
}
"""Without them the call would mean something else."""

LOST = frozenset(
    {
        "access_programs",
        "background_options",
        "context_management",
        "image",
        "max_tool_calls",
    }
)

REASONING = frozenset({"effort", "max_tokens", "enabled"})

TOGETHER = frozenset({"instructions", "tools", "tool_choice", "parallel_tool_calls"})
"""Read where what they belong to is."""

Tools = list[tuple[str, bytes]]
"""Function tools of chat with their names, and other tools that are kept."""

NAMELESS = ""
"""The name of such a tool."""


@attrs.frozen
class Bridged:
    """``members`` of a chat request, ``model`` and ``stream`` among them as they came; what it could not say."""

    members: RawMembers = attrs.field(repr=False)
    dropped: tuple[str, ...] = ()


def responses_to_chat(
    source: RawMembers, *, keeps_reasoning: bool = False, keeps_tools: bool = False
) -> Bridged:
    """The members of the Responses request ``source`` as those of a chat request; unknown ones pass as they are.

    An encoder of another dialect than OpenAI's may want more than OpenAI's chat has a word for: ``keeps_reasoning`` makes
    sealed reasoning ``reasoning_details``, ``keeps_tools`` leaves tools that are no functions as they are.

    Raises BadRequest for what has not the shape it should have, and for what chat cannot do without changing what the
    call means: stored state, background work, items of other tools.
    """
    try:
        return _Bridge(source, keeps_reasoning, keeps_tools).build()
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error


@attrs.define(eq=False)
class _Bridge:
    """One request on its way: ``_chat`` is what it has become so far."""

    _source: RawMembers
    _keeps_reasoning: bool = False
    _keeps_tools: bool = False
    _chat: dict[str, bytes] = attrs.field(factory=dict, init=False)
    _dropped: list[str] = attrs.field(factory=list, init=False)

    def build(self) -> Bridged:
        if self._source.get("input", NULL) == NULL:
            refuse("input", "is required")
        for name, raw in self._source.items():
            edit = EDITS.get(name)
            if edit is None:
                self._pass(name, raw)
            elif raw != NULL:
                edit(self, raw)
        self._put_tools()
        self._put_logprobs()
        self._put_leftovers()
        return Bridged(self._chat, tuple(self._dropped))

    def _lose(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)

    def _pass(self, name: str, raw: bytes) -> None:
        if name in REFUSED:
            if raw != NULL:
                raise BadRequest(f"{name} cannot be served: {REFUSED[name]}", param=name)
        elif name in LOST:
            if raw != NULL:
                self._lose(name)
        elif name not in MADE and name not in TOGETHER:
            self._chat[name] = raw

    def _put_leftovers(self) -> None:
        """Chat's own names in a Responses request: as they came, where nothing of ours took the place."""
        for name, raw in self._source.items():
            if name not in MADE:
                continue
            if name != "messages" and name not in self._chat:
                self._chat[name] = raw
            else:
                self._lose(name)

    def put_messages(self, raw: bytes) -> None:
        instructions = self._source.get("instructions", NULL)
        if instructions != NULL and not instructions.startswith(b'"'):
            refuse("instructions", "must be a string")
        system = None if instructions == NULL else instructions
        self._chat["messages"] = encode_messages(
            raw, system, self._lose, keeps_reasoning=self._keeps_reasoning
        )

    def put_max_tokens(self, raw: bytes) -> None:
        if type(json.loads(raw)) is not int:
            refuse("max_output_tokens", "must be an integer")
        self._chat["max_completion_tokens"] = raw

    def put_reasoning(self, raw: bytes) -> None:
        inner = members(raw, "reasoning")
        text_or_none(inner, "effort", "reasoning")
        kept = {name: value for name, value in inner.items() if name in REASONING}
        for name in inner:
            if name not in kept:
                self._lose(f"reasoning.{name}")
        if kept:
            self._chat["reasoning"] = json.join_object(kept)

    def put_text(self, raw: bytes) -> None:
        inner = members(raw, "text")
        if "format" in inner:
            self._put_format(members(inner.pop("format"), "text.format"))
        if "verbosity" in inner:
            self._chat["verbosity"] = inner.pop("verbosity")
        for name in inner:
            self._lose(f"text.{name}")

    def _put_format(self, inner: dict[str, bytes]) -> None:
        kind = text_or_none(inner, "type", "text.format")
        match kind:
            case "text":
                return
            case "json_object":
                self._chat["response_format"] = b'{"type":"json_object"}'
            case "json_schema":
                required_text(inner, "name", "text.format")
                members(given(inner, "schema", "text.format"), "text.format.schema")
                schema = json.join_object({n: v for n, v in inner.items() if n != "type"})
                self._chat["response_format"] = b'{"type":"json_schema","json_schema":%b}' % schema
            case _:
                refuse("text.format.type", "must be one of text, json_object, json_schema")

    def put_include(self, raw: bytes) -> None:
        for index, item in enumerate(array(raw, "include")):
            name = json.loads(item)
            if not isinstance(name, str):
                refuse(f"include[{index}]", "must be a string")
            if name == LOGPROBS:
                self._chat["logprobs"] = b"true"
            elif name != SEALED or not self._keeps_reasoning:
                self._lose(f"include.{name[:100]}")

    def check_background(self, raw: bytes) -> None:
        if raw == b"true":
            text = "background cannot be served: this provider answers while the caller waits"
            raise BadRequest(text, param="background")
        if raw != b"false":
            refuse("background", "must be a boolean")

    def lose_truncation(self, raw: bytes) -> None:
        if raw != b'"disabled"':  # which is what chat does
            self._lose("truncation")

    def _put_logprobs(self) -> None:
        """Chat wants a switch beside the number; a 0 without the switch asks for nothing."""
        top = self._chat.get("top_logprobs", NULL)
        if "logprobs" in self._chat or top == NULL:
            return
        if top == b"0":
            del self._chat["top_logprobs"]
        elif "logprobs" not in self._source:
            self._chat["logprobs"] = b"true"

    def _put_tools(self) -> None:
        """Tools, and what is said of them, which chat takes only together."""
        raw = self._source.get("tools", NULL)
        tools = self._read_tools(raw) if raw != NULL else []
        choice = self._source.get("tool_choice", NULL)
        if choice != NULL:
            tools = self._choose(choice, tools)
        if not tools:
            self._chat.pop("tool_choice", None)
            return
        self._chat["tools"] = json.join_array([tool for _, tool in tools])
        parallel = self._source.get("parallel_tool_calls", NULL)
        if parallel != NULL:
            self._chat["parallel_tool_calls"] = parallel

    def _read_tools(self, raw: bytes) -> Tools:
        """The function tools; all others are named as lost, unless they are kept."""
        tools: Tools = []
        for index, item in enumerate(array(raw, "tools")):
            place = f"tools[{index}]"
            tool = members(item, place)
            kind = json.loads(required_text(tool, "type", place))
            if kind != "function":
                if self._keeps_tools:
                    tools.append((NAMELESS, item))
                else:
                    self._lose(f"tools.{kind[:100]}")
                continue
            name = json.loads(required_text(tool, "name", place))
            tools.append((name, self._encode_tool(tool)))
        return tools

    def _encode_tool(self, tool: dict[str, bytes]) -> bytes:
        function: dict[str, bytes] = {}
        outer = {"type": b'"function"', "function": b""}
        for name, raw in tool.items():
            if name in {"name", "description", "parameters", "strict"}:
                function[name] = raw
            elif name in MARKERS:
                outer[name] = raw
            elif name != "type":
                self._lose(f"tools.{name}")
        outer["function"] = json.join_object(function)
        return json.join_object(outer)

    def _choose(self, raw: bytes, tools: Tools) -> Tools:
        """Put ``tool_choice``; the tools that remain."""
        if raw.startswith(b'"'):
            if not tools and raw not in {b'"auto"', b'"none"'}:
                self._lose("tool_choice")
            self._chat["tool_choice"] = raw
            return tools
        choice = members(raw, "tool_choice")
        kind = json.loads(required_text(choice, "type", "tool_choice"))
        if kind == "allowed_tools":
            return self._allow(choice, tools)
        name = text_or_none(choice, "name", "tool_choice")
        if kind == "function" and name is None:
            refuse("tool_choice.name", "is required")
        if kind != "function" or name not in dict(tools):
            self._lose("tool_choice")
        else:
            chosen = {"type": b'"function"', "function": json.join_object({"name": choice["name"]})}
            self._chat["tool_choice"] = json.join_object(chosen)
        return tools

    def _allow(self, choice: dict[str, bytes], tools: Tools) -> Tools:
        """Of the tools only the allowed ones: every provider of chat understands that, hardly one the choice itself."""
        mode = text_or_none(choice, "mode", "tool_choice")
        if mode not in {"auto", "required"}:
            refuse("tool_choice.mode", "must be one of auto, required")
        names = self._allowed_names(given(choice, "tools", "tool_choice"))
        allowed = [(name, raw) for name, raw in tools if name in names]
        if not allowed:
            self._lose("tool_choice")
        for kind in (_kind(raw) for name, raw in tools if name == NAMELESS):
            self._lose(f"tools.{kind}")
        self._chat["tool_choice"] = json.dumps(mode)
        return allowed

    def _allowed_names(self, raw: bytes) -> set[str]:
        names: set[str] = set()
        for index, item in enumerate(array(raw, "tool_choice.tools")):
            place = f"tool_choice.tools[{index}]"
            tool = members(item, place)
            if text_or_none(tool, "type", place) == "function":
                names.add(json.loads(required_text(tool, "name", place)))
        return names


def _kind(tool: bytes) -> str:
    return str(json.loads(json.split_object(tool)["type"]))[:100]


EDITS: Mapping[str, Callable[[_Bridge, bytes], None]] = {
    "input": _Bridge.put_messages,
    "max_output_tokens": _Bridge.put_max_tokens,
    "reasoning": _Bridge.put_reasoning,
    "text": _Bridge.put_text,
    "include": _Bridge.put_include,
    "background": _Bridge.check_background,
    "truncation": _Bridge.lose_truncation,
}
