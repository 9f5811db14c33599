"""What the tests of Gemini's dialect share: calls, facts, and Google's own types as a judge of requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
from google.genai import types

from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.gemini_request import encode_chat
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Target

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Encoded

__all__ = [
    "FACTS",
    "PNG",
    "SIGNATURE",
    "call_of",
    "judge",
    "judge_prediction",
    "native_of",
    "said",
    "sent",
]

PNG = "iVBORw0KGgo="
SIGNATURE = "c2lnbmF0dXJlLW9mLWdlbWluaT8/Pw=="
HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]

FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="gemini",
    model_requested="gemini-2.5-flash",
    sent_s=0.0,
    sent_unix_s=1_790_000_000.0,
    received_s=1.0,
)


def call_of(members: dict[str, Any], operation: Operation = Operation.CHAT, **caller: Any) -> Call:
    raw = {name: json.dumps(value).encode() for name, value in members.items()}
    target = Target("gemini", "m")
    return Call(
        id="1",
        operation=operation,
        stream=False,
        target=target,
        members=raw,
        caller=Caller(**caller),
    )


def native_of(members: dict[str, Any], operation: Operation = Operation.CHAT) -> Call:
    raw = {name: json.dumps(value).encode() for name, value in members.items()}
    return attrs.evolve(call_of({}, operation), native=Native(dialect=Dialect.GEMINI, members=raw))


def sent(model: str = "gemini-2.5-flash", **members: Any) -> Encoded:
    members.setdefault("messages", HI)
    caller = members.pop("caller", {})
    return encode_chat(call_of(members, **caller), model, "gemini")


def said(model: str = "gemini-2.5-flash", **members: Any) -> Any:
    """The body that is sent, after Google's own types have taken it."""
    body = json.loads(sent(model, **members).body)
    judge(body)
    return body


def judge(body: dict[str, Any]) -> None:
    """Fail if the official SDK knows no such member, or would not send such a value."""
    for content in (*body["contents"], *filter(None, [body.get("systemInstruction")])):
        types.Content.model_validate(content)
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    if "toolConfig" in body:
        types.ToolConfig.model_validate(body["toolConfig"])
    config = dict(body.get("generationConfig", {}))
    # The SDK has it in the configuration of the call only.
    types.ImageConfig.model_validate(config.pop("imageConfig", {}))
    types.GenerationConfig.model_validate(config)
    known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
    assert set(body) <= known | {"safetySettings", "cachedContent", "labels"}


PREDICTED = {
    "sampleCount": "number_of_images",
    "sampleImageSize": "image_size",
    "safetySetting": "safety_filter_level",
}
"""What is called otherwise on the wire than in the SDK."""


def judge_prediction(body: dict[str, Any]) -> None:
    """The same for a request to Imagen."""
    assert set(body) == {"instances", "parameters"}
    [instance] = body["instances"]
    assert set(instance) == {"prompt"}
    assert isinstance(instance["prompt"], str)
    config = {PREDICTED.get(name, name): value for name, value in body["parameters"].items()}
    output = config.pop("outputOptions", {})
    types.GenerateImagesConfig.model_validate(config)
    types.ImageConfigImageOutputOptions.model_validate(output)
