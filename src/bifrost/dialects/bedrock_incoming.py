"""A request of Bedrock's Converse API in the words of OpenAI's chat API, for upstreams that do not speak Converse.

What chat has no word for is named as lost. Nothing of a newer kind is refused here: Bedrock itself gets the request as it
came. Source: AWS, Amazon Bedrock API reference, "Converse" (API of 2023-09-30), 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.bedrock_blocks_in import Turn, read_turn
from bifrost.dialects.value_shape import choice, list_of, obj, text, written
from bifrost.errors import BadRequest
from bifrost.schema.call import NO_NAMES, Names, RawMembers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Incoming", "read_converse_request", "read_count_request"]

Object = dict[str, Any]


@attrs.frozen
class Incoming:
    """``members`` in the words of chat, and the names of what they have no word for."""

    members: RawMembers
    lost: tuple[str, ...]
    max_tokens: int | None = None
    """The caller's own bound of the output."""
    names: Names = NO_NAMES
    """What the caller calls ``members``, where that is something else."""


def read_converse_request(request: RawMembers, model: str) -> Incoming:
    """What ``request``, the members of a Converse body, asks of ``model``. Raises BadRequest with the place."""
    try:
        given = {name: json.loads(raw) for name, raw in request.items() if raw != b"null"}
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error
    return _Reading(given).incoming(model)


def read_count_request(request: RawMembers, model: str) -> Incoming:
    """The same for a body of CountTokens, which holds a Converse body. Raises BadRequest."""
    try:
        outer = json.split_object(request.get("input", b"{}"))
        inner = json.split_object(outer.get("converse", b"null"))
    except json.InvalidJSON:
        words = "input.converse is required: tokens are counted of a conversation"
        raise BadRequest(words, param="input.converse") from None
    return read_converse_request(inner, model)


@attrs.define(eq=False)
class _Reading:
    """One request, whose members become those of chat."""

    given: Object
    told: Object = attrs.field(factory=dict)
    lost: dict[str, None] = attrs.field(factory=dict)

    def incoming(self, model: str) -> Incoming:
        self.told |= {"model": model, "messages": self._messages()}
        for name, value in self.given.items():
            if name in READERS:
                READERS[name](self, value)
            elif name not in {"system", "messages"}:
                self.lose(name)
        members = {name: written(value) for name, value in self.told.items()}
        limit = self.told.get("max_completion_tokens")
        is_limit = type(limit) is int and limit > 0
        return Incoming(members, tuple(self.lost), limit if is_limit else None, NAMES)

    def lose(self, name: str) -> None:
        self.lost[name] = None

    def _messages(self) -> list[Object]:
        told: list[Object] = []
        system = read_turn(self.given.get("system"), "system", self.lose)
        if system.parts:
            told.append({"role": "system", "content": system.content()})
        for item, place in list_of(self.given.get("messages"), "messages"):
            told += self._message(obj(item, place), place)
        return told

    def _message(self, message: Object, place: str) -> list[Object]:
        role = choice(message, "role", ("user", "assistant", "system"), place)
        turn = read_turn(message.get("content"), f"{place}.content", self.lose)
        if role == "assistant":
            return [_assistant(turn)]
        if turn.calls or turn.details:
            self.lose("messages.content.toolUse" if turn.calls else "messages.content.reasoningContent")  # fmt: skip
        parts = [{"role": role, "content": turn.content()}] if turn.parts else []
        # Chat wants results right behind their calls.
        return [*turn.results, *parts]

    def read_inference(self, value: object) -> None:
        config = obj(value, "inferenceConfig")
        for name, given in config.items():
            if name not in SAMPLING:
                self.lose(f"inferenceConfig.{name}")
            elif given is not None:
                self.told[SAMPLING[name]] = given

    def read_tools(self, value: object) -> None:
        config = obj(value, "toolConfig")
        tools: list[Object] = []
        for item, place in list_of(config.get("tools"), "toolConfig.tools"):
            tool = obj(item, place)
            if "toolSpec" in tool:
                tools.append(_tool(obj(tool["toolSpec"], f"{place}.toolSpec"), place))
            elif "cachePoint" in tool and tools:
                tools[-1]["cache_control"] = {"type": "ephemeral"}
            else:
                self.lose("toolConfig.tools." + "".join(tool))
        if tools:
            self.told["tools"] = tools
            self._choose(config.get("toolChoice"))

    def _choose(self, value: object) -> None:
        match value:
            case None:
                pass
            case {"tool": {"name": str(name)}}:
                self.told["tool_choice"] = {"type": "function", "function": {"name": name}}
            case {"any": dict()}:
                self.told["tool_choice"] = "required"
            case {"auto": dict()}:
                self.told["tool_choice"] = "auto"
            case _:
                place = "toolConfig.toolChoice"
                raise BadRequest(f"{place} must be one of auto, any, tool", param=place)

    def read_tier(self, value: object) -> None:
        tier = text(obj(value, "serviceTier"), "type", "serviceTier")
        if tier is not None:
            self.told["service_tier"] = tier

    def read_output(self, value: object) -> None:
        config = obj(value, "outputConfig")
        effort = text(config, "effort", "outputConfig")
        if effort is not None:
            self.told["reasoning"] = {"effort": effort}
        form = config.get("textFormat")
        if form is not None:
            self.told["response_format"] = _response_format(form)

    def read_additional(self, value: object) -> None:
        fields = obj(value, "additionalModelRequestFields")
        for name, given in fields.items():
            reader = ADDITIONAL.get(name)
            if reader is None or not reader(self.told, given):
                self.lose(f"additionalModelRequestFields.{name}")


SAMPLING: Mapping[str, str] = MappingProxyType(
    {
        "maxTokens": "max_completion_tokens",
        "temperature": "temperature",
        "topP": "top_p",
        "stopSequences": "stop",
    }
)

NAMES: Names = MappingProxyType(
    {
        **{to: f"inferenceConfig.{name}" for name, to in SAMPLING.items()},
        "max_tokens": "inferenceConfig.maxTokens",
        "reasoning": "additionalModelRequestFields",
        "response_format": "outputConfig.textFormat",
        "service_tier": "serviceTier",
        "tool_choice": "toolConfig.toolChoice",
        "tools": "toolConfig.tools",
        "top_k": "additionalModelRequestFields.top_k",
    }
)
"""What Converse calls otherwise than chat."""

READERS: Mapping[str, Callable[[_Reading, object], None]] = MappingProxyType(
    {
        "inferenceConfig": _Reading.read_inference,
        "toolConfig": _Reading.read_tools,
        "serviceTier": _Reading.read_tier,
        "outputConfig": _Reading.read_output,
        "additionalModelRequestFields": _Reading.read_additional,
    }
)


def _assistant(turn: Turn) -> Object:
    told: Object = {"role": "assistant", "content": turn.content() if turn.parts else None}
    if turn.details:
        told["reasoning"] = "\n".join(d["text"] for d in turn.details if d.get("text"))
        told["reasoning_details"] = turn.details
    if turn.calls:
        told["tool_calls"] = turn.calls
    return told


def _tool(spec: Object, place: str) -> Object:
    where = f"{place}.toolSpec"
    name = text(spec, "name", where)
    if not name:
        raise BadRequest(f"{where}.name is required", param=f"{where}.name")
    function: Object = {"name": name}
    for member in ("description", "strict"):
        if spec.get(member) is not None:
            function[member] = spec[member]
    schema = obj(spec.get("inputSchema") or {}, f"{where}.inputSchema").get("json")
    if schema is not None:
        function["parameters"] = obj(schema, f"{where}.inputSchema.json")
    return {"type": "function", "function": function}


def _response_format(form: object) -> Object:
    match form:
        case {"structure": {"jsonSchema": {"schema": str(schema)} as told}}:
            try:
                value = obj(
                    json.loads(schema), "outputConfig.textFormat.structure.jsonSchema.schema"
                )
            except json.InvalidJSON:
                value = None
            if value is not None:
                named = {"name": told.get("name") or "answer", "schema": value}
                if isinstance(told.get("description"), str):
                    named["description"] = told["description"]
                return {"type": "json_schema", "json_schema": named}
        case _:
            pass
    place = "outputConfig.textFormat"
    raise BadRequest(f"{place} must hold a JSON schema", param=place)


# What the families of models call thinking.


def _thinking(told: Object, value: object) -> bool:
    match value:
        case {"type": "disabled"}:
            told["reasoning"] = {"enabled": False}
        case {"type": "enabled", "budget_tokens": int(budget)}:
            told["reasoning"] = {"max_tokens": budget}
        case {"type": "enabled"} | {"type": "adaptive"}:
            told["reasoning"] = {"enabled": True, **told.get("reasoning", {})}
        case _:
            return False
    return True


def _effort(told: Object, value: object) -> bool:
    match value:
        case {"effort": str(effort)}:
            told["reasoning"] = {**told.get("reasoning", {}), "effort": effort}
        case _:
            return False
    return True


def _nova(told: Object, value: object) -> bool:
    match value:
        case {"type": "enabled", "maxReasoningEffort": str(effort)}:
            told["reasoning"] = {"effort": effort}
        case {"type": "disabled"}:
            told["reasoning"] = {"enabled": False}
        case _:
            return False
    return True


def _nova_sampling(told: Object, value: object) -> bool:
    match value:
        case {"topK": int(top_k)}:
            told["top_k"] = top_k
        case _:
            return False
    return True


def _top_k(told: Object, value: object) -> bool:
    told["top_k"] = value
    return True


ADDITIONAL: Mapping[str, Callable[[Object, object], bool]] = MappingProxyType(
    {
        "thinking": _thinking,
        "reasoning_config": _thinking,
        "output_config": _effort,
        "reasoningConfig": _nova,
        "reasoning_effort": lambda told, value: _effort(told, {"effort": value}),
        "inferenceConfig": _nova_sampling,
        "top_k": _top_k,
    }
)
"""Members of ``additionalModelRequestFields`` that chat has a word for; each says whether it understood."""
