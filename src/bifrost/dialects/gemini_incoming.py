"""What a Gemini caller asks for, in the gateway's own words: OpenAI's with its extensions.

Everything is read in full, and what has not the shape it should have is refused with its place. What these words have no
place for is named as lost, for whoever is asked in them. Sources: Google, Gemini API reference, "Generating content",
"Counting tokens" and "Embeddings", 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.fields import Losses
from bifrost.dialects.gemini_contents_in import read_contents, read_system, words_of
from bifrost.dialects.gemini_reading import (
    Object,
    camel,
    lose_unknown,
    message,
    one_or_many,
    required,
)
from bifrost.dialects.gemini_schema_in import json_schema
from bifrost.dialects.value_shape import (
    MAX_WHOLE,
    boolean,
    choice,
    list_of,
    number,
    obj,
    text,
    whole,
    written,
)
from bifrost.errors import BadRequest
from bifrost.schema.call import Names, RawMembers

__all__ = [
    "CONFIG",
    "NAMES",
    "Incoming",
    "decoded",
    "read_count",
    "read_embed",
    "read_embed_batch",
    "read_generate",
    "thoughts_wanted",
]


@attrs.frozen
class Incoming:
    """A request in OpenAI's words: ``members`` are raw. ``lost`` names what they have no place for."""

    members: RawMembers = attrs.field(repr=False)
    lost: tuple[str, ...] = ()
    max_output_tokens: int | None = None


KNOWN = frozenset(
    [
        "contents",
        "systemInstruction",
        "generationConfig",
        "tools",
        "toolConfig",
        "safetySettings",
        "cachedContent",
        "labels",
        "model",
    ]
)

KEPT = {"safetySettings": "safety_settings", "cachedContent": "cached_content", "labels": "labels"}
"""Members of nobody's but Gemini's, by their names among the gateway's words."""

Read = Callable[[Mapping[str, Any], str, str], object]


def _texts(source: Mapping[str, Any], name: str, place: str) -> list[str]:
    found: list[str] = []
    for item, where in list_of(source[name], f"{place}.{name}"):
        if not isinstance(item, str):
            raise BadRequest(f"{where} must be a string", param=where)
        found.append(item)
    return found


def _words(source: Mapping[str, Any], name: str, place: str) -> list[str]:
    return [item.lower() for item in _texts(source, name, place)]


def _count(source: Mapping[str, Any], name: str, place: str) -> float | None:
    """A number; Google's SDK writes those that are whole with a point, and not every upstream takes that."""
    value = number(source, name, place)
    # Beyond this a float is no count of anything, and as an integer it could not be written.
    if value is None or not float(value).is_integer() or abs(value) > MAX_WHOLE:
        return value
    return int(value)


SETTINGS: Mapping[str, tuple[str, Read]] = {
    "maxOutputTokens": ("max_completion_tokens", whole),
    "temperature": ("temperature", number),
    "topP": ("top_p", number),
    "topK": ("top_k", _count),
    "stopSequences": ("stop", _texts),
    "seed": ("seed", whole),
    "candidateCount": ("n", whole),
    "presencePenalty": ("presence_penalty", number),
    "frequencyPenalty": ("frequency_penalty", number),
    "responseLogprobs": ("logprobs", boolean),
    "logprobs": ("top_logprobs", whole),
    "responseModalities": ("modalities", _words),
}
"""What ``generationConfig`` says in one word, with its name here and how it is read."""

NAMES: Names = MappingProxyType(
    {
        **{ours: f"generationConfig.{name}" for name, (ours, _) in SETTINGS.items()},
        **{ours: name for name, ours in KEPT.items()},
        "max_tokens": "generationConfig.maxOutputTokens",
        "dimensions": "outputDimensionality",
        "input": "content",
        "messages": "contents",
        "reasoning": "generationConfig.thinkingConfig",
        "response_format": "generationConfig.responseSchema",
        "tool_choice": "toolConfig",
    }
)
"""What Gemini calls otherwise, by OpenAI's names."""

FORMATS = frozenset(
    {
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "_responseJsonSchema",
    }
)

ONLY_TEXT = ["text"]

CONFIG = "generationConfig"

MODES = {
    "MODE_UNSPECIFIED": "auto",
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "required",
    "NONE": "none",
}

MAX_REQUESTS = 10_000
"""Texts to be embedded in one request."""


def read_generate(members: RawMembers) -> Incoming:
    """A ``generateContent`` request as a chat. Raises BadRequest."""
    return _chat(decoded(members))


def read_count(members: RawMembers) -> Incoming:
    """A ``countTokens`` request as the chat whose tokens are to be counted. Raises BadRequest."""
    source = decoded(members)
    whole_request = source.get("generateContentRequest")
    if whole_request is not None:
        return _chat(message(whole_request, "generateContentRequest"))
    return _chat(source)


def thoughts_wanted(members: RawMembers) -> bool:
    """Whether a ``generateContent`` request asks to be shown what the model thinks. It is one that was read before."""
    # Nothing else is looked at: there may be pictures.
    config = decoded({n: raw for n, raw in members.items() if camel(n) == CONFIG}).get(CONFIG, {})
    thinking = message(config, CONFIG).get("thinkingConfig", {})
    return message(thinking, "").get("includeThoughts") is True


def decoded(members: RawMembers) -> Object:
    """The members of a request in Google's first spelling, without what is null. Raises BadRequest."""
    try:
        return {camel(name): json.loads(raw) for name, raw in members.items() if raw != b"null"}
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error


def _chat(source: Object) -> Incoming:
    losses = Losses()
    losses.lose(*(name for name, said in source.items() if name not in KNOWN and said))
    if not source.get("contents"):
        raise BadRequest("contents is required", param="contents")
    messages = read_contents(source["contents"], losses)
    if not messages:
        raise BadRequest("contents says nothing", param="contents")
    system = read_system(source.get("systemInstruction", ""))
    if system:
        messages.insert(0, {"role": "system", "content": system})
    told: Object = {"messages": messages}
    told |= _config(message(source.get(CONFIG, {}), CONFIG), losses)
    told |= _tools(source, losses)
    told |= {KEPT[name]: source[name] for name in KEPT if source.get(name)}
    limit = told.get("max_completion_tokens")
    return Incoming(_raw(told), tuple(losses.names), limit if limit and limit > 0 else None)


def _raw(told: Object) -> RawMembers:
    return {name: written(value) for name, value in told.items()}


def _config(config: Object, losses: Losses) -> Object:
    told: Object = {}
    for name, (ours, read) in SETTINGS.items():
        if name in config:
            told[ours] = read(config, name, CONFIG)
    if told.get("modalities") in ([], ONLY_TEXT):
        del told["modalities"]
    told |= _format(config)
    if "thinkingConfig" in config:
        told |= _thinking(message(config["thinkingConfig"], f"{CONFIG}.thinkingConfig"), losses)
    known = {*SETTINGS, *FORMATS, "thinkingConfig"}
    lose_unknown(config, known, CONFIG, losses)
    return told


def _format(config: Object) -> Object:
    """Which form the answer is to have. One of Gemini's own (an enumeration, say) keeps its own words."""
    place = f"{CONFIG}.responseSchema"
    kind = (text(config, "responseMimeType", CONFIG) or "").lower()
    schema = config.get("responseJsonSchema", config.get("_responseJsonSchema"))
    if schema is None and "responseSchema" in config:
        schema = json_schema(config["responseSchema"], place)
    elif schema is not None:
        schema = obj(schema, f"{CONFIG}.responseJsonSchema")
    if kind == "application/json":
        if schema is None:
            return {"response_format": {"type": "json_object"}}
        named = {"name": "response", "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    told: Object = {} if kind in {"", "text/plain"} else {"response_mime_type": kind}
    return told if schema is None else {**told, "response_json_schema": schema}


def _thinking(thinking: Object, losses: Losses) -> Object:
    place = f"{CONFIG}.thinkingConfig"
    known = ("includeThoughts", "thinkingBudget", "thinkingLevel")
    lose_unknown(thinking, known, place, losses)
    boolean(thinking, "includeThoughts", place)
    budget = whole(thinking, "thinkingBudget", place)
    level = (text(thinking, "thinkingLevel", place) or "").lower()
    told: Object = {}
    if level and level != "thinking_level_unspecified":
        told["effort"] = level
    if budget == 0:
        told = {"enabled": False}
    elif budget is not None:
        told["max_tokens"] = budget
    return {"reasoning": told} if told else {}


def _tools(source: Object, losses: Losses) -> Object:
    functions: list[Object] = []
    others: list[Object] = []
    for item, place in one_or_many(source.get("tools"), "tools"):
        for name, said in message(item, place).items():
            if name == "functionDeclarations":
                functions += [_function(*each, losses) for each in list_of(said, f"{place}.{name}")]
            else:
                others.append(_other(_snake(name), obj(said, f"{place}.{name}")))
    told: Object = {"tools": [*functions, *others]} if functions or others else {}
    names = [function["function"]["name"] for function in functions]
    return told | _choice(source.get("toolConfig"), names, losses)


def _other(name: str, config: Object) -> Object:
    """A tool of Google's own."""
    return {"type": name, name: config} if config else {"type": name}


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def _function(value: object, place: str, losses: Losses) -> Object:
    source = message(value, place)
    known = ("name", "description", "parameters", "parametersJsonSchema")
    lose_unknown(source, known, "tools.functionDeclarations", losses)
    told: Object = {"name": required(source, "name", place)}
    description = text(source, "description", place)
    if description is not None:
        told["description"] = description
    if "parametersJsonSchema" in source:
        told["parameters"] = obj(source["parametersJsonSchema"], f"{place}.parametersJsonSchema")
    elif "parameters" in source:
        told["parameters"] = json_schema(source["parameters"], f"{place}.parameters")
    return {"type": "function", "function": told}


def _choice(value: object, functions: list[str], losses: Losses) -> Object:
    """Which function is to be called; without functions there is nothing to choose from."""
    if value is None:
        return {}
    place = "toolConfig.functionCallingConfig"
    source = message(value, "toolConfig")
    lose_unknown(source, ("functionCallingConfig",), "toolConfig", losses)
    config = message(source.get("functionCallingConfig", {}), place)
    lose_unknown(config, ("mode", "allowedFunctionNames"), place, losses)
    mode = MODES[choice({"mode": "AUTO", **config}, "mode", MODES, place)]
    names = (
        _texts(config, "allowedFunctionNames", place) if "allowedFunctionNames" in config else []
    )
    for name in names:
        if name not in functions:
            where = f"{place}.allowedFunctionNames"
            raise BadRequest(f"{where} names no declared function: {name[:64]!r}", param=where)
    if not functions or not config:
        return {}
    return {"tool_choice": _chosen(mode, names)}


def _chosen(mode: str, names: list[str]) -> object:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    if mode == "none" or not names:
        return mode
    if mode == "required" and len(names) == 1:
        return tools[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def read_embed(members: RawMembers) -> Incoming:
    """An ``embedContent`` request: its input is one text. Raises BadRequest."""
    losses = Losses()
    said, wishes = _embed(decoded(members), "", losses)
    return Incoming(_raw({"input": said, **wishes}), tuple(losses.names))


def read_embed_batch(members: RawMembers) -> Incoming:
    """A ``batchEmbedContents`` request: its input is a list of texts. Raises BadRequest."""
    losses = Losses()
    source = decoded(members)
    losses.lose(*(name for name in source if name not in {"requests", "model"}))
    texts: list[str] = []
    wishes: list[Object] = []
    for item, place in list_of(source.get("requests"), "requests"):
        said, wish = _embed(message(item, place), f"{place}.", losses)
        texts.append(said)
        wishes.append(wish)
    if not texts:
        raise BadRequest("requests is required", param="requests")
    if len(texts) > MAX_REQUESTS:
        raise BadRequest(f"requests must have at most {MAX_REQUESTS} items", param="requests")
    if any(wish != wishes[0] for wish in wishes):
        raise BadRequest("requests must all ask for the same kind of embedding", param="requests")
    return Incoming(_raw({"input": texts, **wishes[0]}), tuple(losses.names))


def _embed(source: Object, place: str, losses: Losses) -> tuple[str, Object]:
    """The text of one request, and what kind of embedding is wanted."""
    known = ("model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig")
    losses.lose(*(name for name in source if name not in known))
    if "content" not in source:
        raise BadRequest(f"{place}content is required", param=f"{place}content")
    words = words_of(source["content"], f"{place}content")
    if not words:
        raise BadRequest(f"{place}content must have text", param=f"{place}content")
    config = message(source.get("embedContentConfig", {}), f"{place}embedContentConfig")
    lose_unknown(config, known, "embedContentConfig", losses)
    asked = {**config, **source}
    told = {
        "dimensions": whole(asked, "outputDimensionality", place.rstrip(".")),
        "task_type": text(asked, "taskType", place.rstrip(".")),
        "title": text(asked, "title", place.rstrip(".")),
    }
    return words, {name: value for name, value in told.items() if value is not None}
