"""Calls as predictions of Replicate's: what a model is asked goes into ``input``, under names that are each model's own.

Sources: Replicate HTTP API reference, "Create a prediction", and the schemas of its language and image models, 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.chat_request import read_chat
from bifrost.dialects.fields import OURS, Losses, dropped, mapped, sealed
from bifrost.dialects.openai_edit import merge_extra
from bifrost.dialects.picture_edit import read_edit
from bifrost.dialects.plain_request import read_plain
from bifrost.dialects.value_shape import text
from bifrost.errors import BadRequest
from bifrost.schema.chat import Image, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bifrost.dialects.fields import Field
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest, Message

__all__ = [
    "EDIT_FIELDS",
    "FIELDS",
    "IMAGE_FIELDS",
    "VERSION",
    "encode_chat",
    "encode_edit",
    "encode_image",
    "encode_text",
]

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "audio": dropped(),
        "frequency_penalty": mapped("input.frequency_penalty"),
        "logit_bias": dropped(),
        "logprobs": dropped(),
        "max_completion_tokens": mapped("input.max_tokens", "OpenAI's: `max_completion_tokens`"),
        "max_tokens": mapped("input.max_tokens", "OpenAI's: `max_completion_tokens`"),
        "metadata": dropped(),
        "modalities": dropped(),
        "n": dropped(),
        "parallel_tool_calls": dropped(),
        "prediction": dropped(),
        "presence_penalty": mapped("input.presence_penalty"),
        "prompt": mapped("input.prompt"),
        "prompt_cache_key": dropped(),
        "prompt_cache_retention": dropped(),
        "reasoning": mapped("input.reasoning_effort", "a budget is dropped"),
        "reasoning_effort": mapped("input.reasoning_effort"),
        "reasoning_max_tokens": dropped(),
        "response_format": dropped(),
        "safety_identifier": dropped(),
        "seed": mapped("input.seed"),
        "service_tier": dropped(),
        "stop": dropped(),
        "store": dropped(),
        "temperature": mapped("input.temperature"),
        "tool_choice": dropped(),
        "tools": dropped(),
        "top_logprobs": dropped(),
        "top_p": mapped("input.top_p"),
        "user": dropped(),
        "verbosity": dropped(),
        "web_search_options": dropped(),
    }
)
"""Of chat and completions. What is in no table goes into ``input`` as it came."""

IMAGE_FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "n": mapped("input.num_outputs"),
        "partial_images": dropped(),
        "prompt": mapped("input.prompt"),
        "response_format": mapped("", "`url`; what comes as a data URI is `b64_json` all the same"),
        "user": dropped(),
    }
)
"""Of pictures; likewise."""

EDIT_FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "image": mapped("input.image", "or whatever the model calls it"),
        "images": mapped("input.image", "in JSON"),
        "mask": mapped("input.mask"),
        **IMAGE_FIELDS,
    }
)
"""Of pictures that are to be changed."""

PICTURES: tuple[tuple[str, str, bool], ...] = (
    ("flux-kontext", "input_image", False),
    ("flux-2", "input_images", True),
    ("gpt-image", "input_images", True),
    ("nano-banana", "image_input", True),
    ("seedream", "image_input", True),
    ("qwen-image-edit-plus", "image", True),
)
"""What models whose names have this in them call the pictures that they are given, and whether they take several."""

OTHERS_PICTURE = ("image", False)

VERSION = re.compile(r"(?:.*:)?([0-9a-f]{64})")
"""A model that is named by its version, by itself or behind a colon."""

SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")

WITHOUT_SYSTEM = ("deepseek-ai/",)
"""Owners whose models have no ``system_prompt``: the system's words begin the prompt."""

TURN = "\n\n"


def encode_chat(call: Call, model: str, provider: str) -> Encoded:
    """The prediction of a chat. Raises BadRequest."""
    request = read_chat(call.members)
    losses = Losses()
    is_openais = model.startswith("openai/")
    told = _as_messages(call) if is_openais else _as_prompt(request, model, losses)
    limit = "max_completion_tokens" if is_openais else "max_tokens"
    if request.max_tokens is not None:
        told[limit] = request.max_tokens
    told |= _given(request, SAMPLING)
    reasoning = request.reasoning
    if reasoning is not None:
        if reasoning.effort is not None:
            told["reasoning_effort"] = reasoning.effort
        if reasoning.max_tokens is not None and "reasoning_max_tokens" not in request.members:
            losses.lose("reasoning.max_tokens")
    return _sealed(told, request, losses, call, model, provider, FIELDS)


def encode_text(call: Call, model: str, provider: str) -> Encoded:
    """The prediction of a completion. Raises BadRequest."""
    request = read_plain(call.members)
    told = {"prompt": _prompt(request), **_given(request, ("max_tokens", *SAMPLING))}
    return _sealed(told, request, Losses(), call, model, provider, FIELDS)


def encode_image(call: Call, model: str, provider: str) -> Encoded:
    """The prediction of a picture. Raises BadRequest."""
    request = read_plain(call.members)
    losses = Losses()
    told = {"prompt": _prompt(request), **_counted(request, losses)}
    return _sealed(told, request, losses, call, model, provider, IMAGE_FIELDS)


def encode_edit(call: Call, model: str, provider: str) -> Encoded:
    """The prediction of a picture made of others. Raises BadRequest."""
    edit = read_edit(call)
    request, losses = edit.request, Losses()
    told: dict[str, Any] = _given(request, ("prompt",)) | _counted(request, losses)
    name, takes_several = _called(model)
    if not edit.images:
        raise BadRequest("at least one image is required", param="image")
    if len(edit.images) > 1 and not takes_several:
        raise BadRequest(f"{model} takes one image", param="image")
    told[name] = list(edit.images) if takes_several else edit.images[0]
    if edit.mask is not None:
        told["mask"] = edit.mask
    return edit.sealed(_sealed(told, request, losses, call, model, provider, EDIT_FIELDS))


def _called(model: str) -> tuple[str, bool]:
    """What ``model`` calls a picture that it is given, and whether it takes several."""
    found = ((name, several) for part, name, several in PICTURES if part in model)
    return next(found, OTHERS_PICTURE)


def _counted(request: ChatRequest, losses: Losses) -> dict[str, Any]:
    """How many pictures are wanted. They come by their addresses: base64 is lost."""
    if request.members.get("response_format") == "b64_json":
        losses.lose("response_format")
    wanted = request.members.get("n")
    return {} if wanted is None else {"num_outputs": wanted}


def _prompt(request: ChatRequest) -> Any:  # noqa: ANN401  a JSON value
    return text(request.members, "prompt")


def _given(request: ChatRequest, names: Iterable[str]) -> dict[str, Any]:
    found = {name: request.members.get(name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _as_messages(call: Call) -> dict[str, Any]:
    """OpenAI's own models are asked in its own messages."""
    return {"messages": json.loads(call.members["messages"])}


def _as_prompt(request: ChatRequest, model: str, losses: Losses) -> dict[str, Any]:
    """All turns as one text; the system's words apart, and pictures."""
    takes_system = not model.startswith(WITHOUT_SYSTEM)
    system = [m for m in request.messages if m.role == "system" and takes_system]
    others = [m for m in request.messages if m.role != "system" or not takes_system]
    pictures = [picture for message in others for picture in _pictures(message, losses)]
    prompt = TURN.join(filter(None, (message.text for message in others)))
    if not prompt:
        raise BadRequest("messages have no text for replicate", param="messages")
    told: dict[str, Any] = {"prompt": prompt}
    if system:
        told["system_prompt"] = TURN.join(message.text for message in system)
    return {**told, "image_input": pictures} if pictures else told


def _pictures(message: Message, losses: Losses) -> list[str]:
    if message.tool_calls:
        losses.lose("messages.tool_calls")
    found: list[str] = []
    for part in message.parts:
        match part:
            case Image(inline=None, url=url):
                found.append(url)
            case Image(inline=inline) if inline is not None:
                found.append(f"data:{inline.media_type};base64,{inline.data}")
            case Text():
                pass
            case _:
                losses.lose("messages.content")
    return found


def _sealed(
    told: dict[str, Any],
    request: ChatRequest,
    losses: Losses,
    call: Call,
    model: str,
    provider: str,
    fields: Mapping[str, Field],
) -> Encoded:
    """The prediction, with whatever no table knows in its input, over what was made of the rest."""
    own = [name for name in request.members if name not in OURS and name not in fields]
    more = {**{name: request.members[name] for name in own}, **request.extras}
    body: dict[str, object] = {"input": json.loads(merge_extra(json.dumps(told), more))}
    version = VERSION.fullmatch(model)
    if version is not None:
        body["version"] = version[1]
    if call.stream:
        body["stream"] = True
    used = {*own, *request.extras}
    return sealed(body, request, losses, call, provider, fields=fields, used=used)
