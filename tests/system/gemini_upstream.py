"""An upstream as strict as Gemini: what it would refuse is refused, and the rest answered as a test wishes.

Rules after Google, "Function calling" and "Thought signatures", and refusals that were told of, 2026-11.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from google.genai import types
from pydantic import ValidationError

from system.upstream import plain, status, stream

if TYPE_CHECKING:
    import trio

    from system.upstream import Behaviour, Received

__all__ = ["answer", "complaint", "complaint_of_imagen", "predicting", "strict", "strict_stream"]

KNOWN = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent", "labels"}
)  # fmt: skip


def answer(*parts: Any, reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """A ``GenerateContentResponse`` of one candidate."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-x",
        "responseId": "r1",
        **more,
    }


def complaint(body: dict[str, Any], model: str) -> str | None:
    """What Gemini would find wrong with a request for ``model``."""
    unknown = set(body) - KNOWN
    if unknown:
        return f"Unknown name {min(unknown)!r}: Cannot find field."
    try:
        for content in (*body["contents"], *filter(None, [body.get("systemInstruction")])):
            types.Content.model_validate(content)
        for tool in body.get("tools", ()):
            types.Tool.model_validate(tool)
        config = dict(body.get("generationConfig", {}))
        types.ImageConfig.model_validate(config.pop("imageConfig", {}))
        types.GenerationConfig.model_validate(config)
        types.ToolConfig.model_validate(body.get("toolConfig", {}))
    except ValidationError as error:
        return f"Invalid JSON payload received: {error}"
    return _order(body["contents"]) or _signed(body["contents"], model)


def _order(contents: list[Any]) -> str | None:
    """Calls after a user's turn or results; results right after their calls, as many."""
    calls: list[str] = []
    before = ""
    if not contents:
        return "contents is not specified"
    for content in contents:
        parts = content["parts"]
        if not parts:
            return "contents.parts must not be empty."
        asked = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
        told = [part["functionResponse"]["name"] for part in parts if "functionResponse" in part]
        if sorted(told) != sorted(calls):
            return "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
        if asked and (content["role"] != "model" or before != "user"):
            return "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
        if told and content["role"] != "user":
            return "Please use a valid role: user, model."
        calls, before = asked, content["role"]
    return "The last call has no response." if calls else None


def _signed(contents: list[Any], model: str) -> str | None:
    """From Gemini 3 on the first call of each turn has its signature."""
    if re.match(r"gemini-[3-9]", model) is None:
        return None
    for content in contents:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None and not first.get("thoughtSignature"):
            return "Function call is missing a thought_signature in functionCall parts."
    return None


def _refusal(text: str) -> Behaviour:
    error = {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}
    return status(400, {"error": error})


def _checked(then: Behaviour) -> Behaviour:
    async def behave(conn: trio.SocketStream, received: Received) -> None:
        found = re.search(r"/([^/:]+):\w+", received.path)
        wrong = complaint(received.json, found[1] if found else "")
        await (then if wrong is None else _refusal(wrong))(conn, received)

    return behave


def strict(told: dict[str, Any]) -> Behaviour:
    """Answer ``told``, if Gemini would have answered at all."""
    return _checked(plain(told))


def strict_stream(events: list[dict[str, Any]]) -> Behaviour:
    """The same for a stream, which has no end marker."""
    return _checked(stream(json.loads(json.dumps(events)), done=False))


PREDICTED = frozenset(
    {"sampleCount", "aspectRatio", "sampleImageSize", "includeRaiReason", "outputOptions", "personGeneration", "seed", "negativePrompt", "language", "enhancePrompt", "addWatermark", "guidanceScale", "safetySetting"}
)  # fmt: skip


def complaint_of_imagen(body: dict[str, Any]) -> str | None:
    """What Imagen would find wrong with a request."""
    match body:
        case {"instances": [{"prompt": str(prompt)}], "parameters": dict(asked)} if prompt:
            unknown = set(asked) - PREDICTED
            if unknown:
                return f"Unknown parameter {min(unknown)!r}"
            if not 1 <= asked.get("sampleCount", 4) <= 4:
                return "sampleCount must be between 1 and 4, inclusive."
            if asked.get("aspectRatio", "1:1") not in {"1:1", "3:4", "4:3", "9:16", "16:9"}:
                return "aspectRatio is not supported."
            return None
        case _:
            return "Invalid instances."


def predicting(told: dict[str, Any]) -> Behaviour:
    """Answer ``told``, if Imagen would have answered at all."""

    async def behave(conn: trio.SocketStream, received: Received) -> None:
        wrong = complaint_of_imagen(received.json)
        await (plain(told) if wrong is None else _refusal(wrong))(conn, received)

    return behave
