"""A chat request in Gemini's dialect: ``generateContent``, and the counting of its tokens.

Source: Gemini API reference, "GenerateContent" and "Tokens"; Google, "Function calling", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.dialects.bridge_request import responses_to_chat
from bifrost.dialects.chat_request import read_chat
from bifrost.dialects.fields import Losses, sealed
from bifrost.dialects.gemini_contents import Contents
from bifrost.dialects.gemini_fields import FIELDS, USED
from bifrost.dialects.gemini_schema import json_schema
from bifrost.dialects.gemini_thinking import thinking_config, thinks
from bifrost.dialects.gemini_tools import put_tools
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.value_shape import boolean, list_of, number, whole, written
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = ["encode_chat", "encode_count", "encode_flat_count"]

Object = dict[str, Any]

NUMBERS = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
)

MAX_STOPS = 5
MAX_CANDIDATES = 8
MAX_LOGPROBS = 20

MODALITIES = {"text": "TEXT", "image": "IMAGE", "audio": "AUDIO"}

AS_THEY_COME = (
    ("safety_settings", "safetySettings"),
    ("cached_content", "cachedContent"),
    ("labels", "labels"),
)


def encode_chat(call: Call, model: str, provider: str) -> Encoded:
    """The body of ``generateContent`` for ``model``. Raises BadRequest."""
    request = read_chat(call.members)
    losses = Losses()
    body = _content(request, model, losses)
    _put(body, "generationConfig", _config(request, model, losses))
    for name, there in AS_THEY_COME:
        _put(body, there, request.extra(name))
    return sealed(body, request, losses, call, provider, fields=FIELDS, used=USED)


def _content(request: ChatRequest, model: str, losses: Losses) -> Object:
    """What is read by the model: messages and tools."""
    contents = Contents(model, losses)
    contents.put(request.messages)
    body: Object = {"contents": contents.said}
    _put(body, "systemInstruction", contents.system)
    put_tools(request, model, body, losses)
    return body


def encode_count(call: Call, model: str, provider: str) -> Encoded:
    """The body of Gemini's ``countTokens``, for a request of Responses or of chat. Raises BadRequest."""
    body, lost = _counted(call, model, provider)
    whole = {"model": f"models/{model.removeprefix('models/')}", **body}
    return Encoded(written({"generateContentRequest": whole}), lost)


def encode_flat_count(call: Call, model: str, provider: str) -> Encoded:
    """The same as Vertex has it."""
    body, lost = _counted(call, model, provider)
    return Encoded(written(body), lost)


def _counted(call: Call, model: str, provider: str) -> tuple[Object, tuple[str, ...]]:
    """Only what is lost of messages and tools is named: nothing else has tokens."""
    losses = Losses()
    members = call.members
    if "messages" not in members:
        members = responses_to_chat(members, keeps_reasoning=True, keeps_tools=True).members
    body = _content(read_chat(members), model, losses)
    refuse_loss(losses.names, call, provider)
    return body, tuple(losses.names)


def _put(body: Object, name: str, value: object) -> None:
    if value not in (None, {}, []):
        body[name] = value


def _config(request: ChatRequest, model: str, losses: Losses) -> Object:
    config: Object = {}
    for name, there in NUMBERS:
        _put(config, there, number(request.members, name))
    _put(config, "topK", number({"top_k": request.extra("top_k")}, "top_k"))
    _put(config, "seed", whole(request.members, "seed"))
    _put(config, "maxOutputTokens", request.max_tokens)
    _put_stops(config, request)
    _put_candidates(config, request)
    _put_logprobs(config, request)
    _put_modalities(config, request, losses)
    _put_format(config, request, losses)
    _put_thinking(config, request, model, losses)
    return config


def _put_stops(config: Object, request: ChatRequest) -> None:
    if len(request.stop) > MAX_STOPS:
        raise BadRequest(f"stop must have at most {MAX_STOPS} items for Gemini", param="stop")
    _put(config, "stopSequences", list(request.stop))


def _put_candidates(config: Object, request: ChatRequest) -> None:
    count = whole(request.members, "n")
    if count is None or count == 1:
        return
    if not 1 < count <= MAX_CANDIDATES:
        raise BadRequest(f"n must be between 1 and {MAX_CANDIDATES} for Gemini", param="n")
    config["candidateCount"] = count


def _put_logprobs(config: Object, request: ChatRequest) -> None:
    count = whole(request.members, "top_logprobs") or 0
    if boolean(request.members, "logprobs") or count > 0:
        config["responseLogprobs"] = True
    if count > 0:
        config["logprobs"] = min(count, MAX_LOGPROBS)


def _put_modalities(config: Object, request: ChatRequest, losses: Losses) -> None:
    asked = [item for item, _ in list_of(request.members.get("modalities"), "modalities")]
    known = [MODALITIES[name] for name in asked if isinstance(name, str) and name in MODALITIES]
    if len(known) < len(asked):
        losses.lose("modalities")
    if known != ["TEXT"]:
        _put(config, "responseModalities", known)


def _put_format(config: Object, request: ChatRequest, losses: Losses) -> None:
    wanted = request.response_format
    if wanted is not None and wanted.kind != "text":
        config["responseMimeType"] = "application/json"
    if wanted is not None and wanted.schema:
        place = "response_format.json_schema.schema"
        config["responseJsonSchema"] = json_schema(wanted.schema, losses, place)
    _put(config, "responseMimeType", request.extra("response_mime_type"))
    _put(config, "responseJsonSchema", request.extra("response_json_schema"))


def _put_thinking(config: Object, request: ChatRequest, model: str, losses: Losses) -> None:
    reasoning = request.reasoning
    if reasoning is None:
        return
    if thinks(model):
        config["thinkingConfig"] = thinking_config(model, reasoning, request.max_tokens)
    elif not reasoning.is_off:
        names = ("reasoning", "reasoning_effort", "reasoning_max_tokens")
        losses.lose(*(name for name in names if name in request.members))
