"""A request of Anthropic's Messages API in the words of OpenAI's chat API, for upstreams that do not speak Anthropic's.

What has a word there gets it; other members keep their names, so that whoever is asked either knows them or names them as
lost. Nothing of a newer kind is refused here: an upstream of Anthropic's own dialect gets the request as it came.
Sources: Anthropic API reference, "Messages" and "Count message tokens", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_blocks import MARK, Turn, content_of, read_turn
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
from bifrost.schema.call import Names, RawMembers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.dialects.anthropic_blocks import Lose

__all__ = ["NAMES", "Incoming", "read_messages"]

SAID_ELSEWHERE = b'"..."'
"""The text of a user's message that has none: no provider takes an empty one."""

CHOICES: Mapping[str, bytes] = {"auto": b'"auto"', "any": b'"required"', "none": b'"none"'}

FUNCTION_MEMBERS = {"description": "description", "input_schema": "parameters", "strict": "strict"}

TOOL_MEMBERS = frozenset({"type", "name", MARK, *FUNCTION_MEMBERS})

TIERS: Mapping[bytes, bytes] = {b'"standard_only"': b'"default"'}


NAMES: Names = MappingProxyType(
    {
        "max_completion_tokens": "max_tokens",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "reasoning": "thinking",
        "response_format": "output_config.format",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
    }
)
"""What Messages call otherwise than chat."""


@attrs.frozen
class Incoming:
    """``members`` in the words of chat, and the names of what they have no word for."""

    members: RawMembers
    lost: tuple[str, ...]


def read_messages(request: RawMembers) -> Incoming:
    """What ``request``, the members of a Messages body, asks for. Raises BadRequest with the place."""
    reading = _Reading(dict(request))
    try:
        return reading.incoming()
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error


@attrs.define(eq=False)
class _Reading:
    """One request, whose members are taken out as they are read."""

    left: dict[str, bytes]
    told: dict[str, bytes] = attrs.field(factory=dict)
    lost: dict[str, None] = attrs.field(factory=dict)

    def incoming(self) -> Incoming:
        self.left = {name: raw for name, raw in self.left.items() if raw != NULL}
        if "model" in self.left:
            self.told["model"] = self.left.pop("model")
        self.told["messages"] = self._messages()
        for name, read in READERS.items():
            if name in self.left:
                read(self, self.left.pop(name))
        self._reasoning()
        # A name that chat gives another meaning to was said in chat's own words, and these count.
        return Incoming({**self.told, **self.left}, tuple(self.lost))

    def lose(self, name: str) -> None:
        self.lost[name] = None

    def _messages(self) -> bytes:
        raw = self.left.pop("messages", b"[]")
        items = array(raw, "messages")
        if not items:
            refuse("messages", "must have at least one message")
        system = self.left.pop("system", None)
        told = [] if system is None else list(_system(system, "system", self.lose))
        for index, item in enumerate(items):
            told += _message(item, f"messages[{index}]", self.lose)
        return json.join_array(told)

    # The members, each under the name that it has in chat.

    def limit(self, raw: bytes) -> None:
        self.told["max_completion_tokens"] = raw

    def stop(self, raw: bytes) -> None:
        if array(raw, "stop_sequences"):
            self.told["stop"] = raw

    def tier(self, raw: bytes) -> None:
        self.told["service_tier"] = TIERS.get(raw, raw)

    def user(self, raw: bytes) -> None:
        told = members(raw, "metadata")
        for name in told:
            if name == "user_id":
                self.told["user"] = required_text(told, name, "metadata")
            else:
                self.lose(f"metadata.{name}")

    def tools(self, raw: bytes) -> None:
        items = array(raw, "tools")
        if items:
            told = [_tool(item, f"tools[{n}]", self.lose) for n, item in enumerate(items)]
            self.told["tools"] = json.join_array(told)

    def tool_choice(self, raw: bytes) -> None:
        choice = members(raw, "tool_choice")
        kind = text_or_none(choice, "type", "tool_choice") or ""
        if kind == "tool":
            name = json.join_object({"name": required_text(choice, "name", "tool_choice")})
            self.told["tool_choice"] = b'{"type":"function","function":%b}' % name
        elif kind in CHOICES:
            self.told["tool_choice"] = CHOICES[kind]
        else:
            self.lose(f"tool_choice.{kind}")
        if choice.get("disable_parallel_tool_use") == b"true":
            self.told["parallel_tool_calls"] = b"false"

    def format(self, raw: bytes, place: str = "output_format") -> None:
        form = members(raw, place)
        if text_or_none(form, "type", place) != "json_schema":
            self.lose(place)
            return
        told = {"name": b'"response"', "schema": given(form, "schema", place)}
        schema = json.join_object(told)
        self.told["response_format"] = b'{"type":"json_schema","json_schema":%b}' % schema

    def _reasoning(self) -> None:
        """``thinking`` and ``output_config``, which say together how much is thought."""
        wish = self._output_config()
        if "thinking" in self.left:
            wish = self._thinking(wish)
        if wish:
            self.told["reasoning"] = json.join_object(wish)

    def _output_config(self) -> dict[str, bytes]:
        raw = self.left.pop("output_config", None)
        config = {} if raw is None else members(raw, "output_config")
        if "format" in config:
            self.format(config.pop("format"), "output_config.format")
        wish = {"effort": config.pop("effort")} if "effort" in config else {}
        for name in config:
            self.lose(f"output_config.{name}")
        return wish

    def _thinking(self, wish: dict[str, bytes]) -> dict[str, bytes]:
        thinking = members(self.left.pop("thinking"), "thinking")
        kind = text_or_none(thinking, "type", "thinking")
        if "display" in thinking:
            self.lose("thinking.display")
        if kind == "disabled":
            if wish:
                self.lose("output_config.effort")
            return {"enabled": b"false"}
        if kind == "enabled":
            return {**wish, "max_tokens": given(thinking, "budget_tokens", "thinking")}
        if kind != "adaptive":
            self.lose(f"thinking.{kind}")
            return wish
        return wish or {"max_tokens": b"-1"}


READERS: Mapping[str, Callable[[_Reading, bytes], None]] = {
    "max_tokens": _Reading.limit,
    "stop_sequences": _Reading.stop,
    "service_tier": _Reading.tier,
    "metadata": _Reading.user,
    "tools": _Reading.tools,
    "tool_choice": _Reading.tool_choice,
    "output_format": lambda reading, raw: reading.format(raw),
}
"""Members that chat says otherwise."""


def _system(content: bytes, place: str, lose: Lose) -> list[bytes]:
    turn = read_turn(content, place, lose)
    if turn.calls or turn.results or turn.details:
        refuse(place, "must have nothing but text")
    if not turn.parts:
        return []
    return [json.join_object({"role": b'"system"', "content": content_of(turn.parts)})]


def _message(raw: bytes, place: str, lose: Lose) -> list[bytes]:
    """The messages of chat that one message becomes: results of tools are messages of their own there."""
    message = members(raw, place)
    content = given(message, "content", place)
    role = text_or_none(message, "role", place)
    if role == "system":
        return _system(content, f"{place}.content", lose)
    if role not in {"user", "assistant"}:
        refuse(f"{place}.role", "must be one of user, assistant")
    turn = read_turn(content, f"{place}.content", lose)
    return _user(turn, place) if role == "user" else _assistant(turn, place)


def _user(turn: Turn, place: str) -> list[bytes]:
    if turn.calls or turn.details:
        refuse(place, "is a user's, and has what only an assistant says")
    if turn.results and not turn.parts:
        return turn.results
    content = content_of(turn.parts) if turn.parts else SAID_ELSEWHERE
    return [*turn.results, json.join_object({"role": b'"user"', "content": content})]


def _assistant(turn: Turn, place: str) -> list[bytes]:
    if turn.results:
        refuse(place, "is an assistant's, and has what only a user says")
    message = {"role": b'"assistant"', "content": content_of(turn.parts) if turn.parts else NULL}
    if turn.details:
        message["reasoning_details"] = json.join_array(turn.details)
    if turn.calls:
        message["tool_calls"] = json.join_array(turn.calls)
    return [json.join_object(message)] if turn.parts or len(message) > 2 else []


def _tool(raw: bytes, place: str, lose: Lose) -> bytes:
    """A function; a tool that the provider has itself stays as it came."""
    tool = members(raw, place)
    if text_or_none(tool, "type", place) not in {None, "custom"}:
        return raw
    function = {"name": required_text(tool, "name", place)}
    for name, ours in FUNCTION_MEMBERS.items():
        if name in tool:
            function[ours] = tool[name]
    told = {"type": b'"function"', "function": json.join_object(function)}
    if MARK in tool:
        told[MARK] = tool[MARK]
    for name in tool:
        if name not in TOOL_MEMBERS:
            lose(f"tools.{name}")
    return json.join_object(told)
