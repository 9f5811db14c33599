"""What an answer in OpenAI's words is called in Gemini's: why it ended, what it used, what was said, thought and called.

Everything here takes whatever JSON an upstream may send. Source: Google, Gemini API reference, "GenerateContentResponse",
2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.codecs.data_uri import split_data_uri
from bifrost.dialects.bridge_reading import (
    Saying,
    annotations_of,
    logprobs_of,
    sayings_of,
    thoughts_of,
)
from bifrost.dialects.gemini_signatures import NONE_NEEDED, OF_CALL, OF_TEXT, split_id
from bifrost.dialects.gemini_thoughts import wrapped
from bifrost.dialects.openai_usage import read_usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Called",
    "call_parts",
    "citations_of",
    "details_of",
    "finish_of",
    "logprobs_result",
    "media_parts",
    "said_parts",
    "usage_of",
]

Object = dict[str, Any]

FINISH_REASONS: Mapping[str, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "content_filter": "SAFETY",
}
"""Those that Gemini has no word for are ``OTHER``; its own, in capitals, stay."""

MALFORMED = "MALFORMED_FUNCTION_CALL"

MODALITIES = {"text_tokens": "TEXT", "image_tokens": "IMAGE", "audio_tokens": "AUDIO"}

MAX_SHOWN = 1000
"""Characters of arguments that are no object, which are told with the failure."""


@attrs.frozen(kw_only=True)
class Called:
    """One tool call, whole."""

    id: str
    name: str
    arguments: str


def finish_of(reason: object) -> str:
    """``finish_reason`` in Gemini's words; none is ``STOP``."""
    if not isinstance(reason, str) or not reason:
        return "STOP"
    told = FINISH_REASONS.get(reason)
    if told is not None:
        return told
    is_own = reason.isascii() and reason.isupper() and len(reason) <= 64
    return reason if is_own else "OTHER"


def usage_of(usage: object) -> Object | None:
    """``usageMetadata``: what was thought is not among the candidates' tokens. ``None`` if nothing is known."""
    counts = read_usage(json.dumps(usage)) if isinstance(usage, dict) else None
    if counts is None or not isinstance(usage, dict):
        return None
    thought = min(counts.reasoning_tokens, counts.completion_tokens)
    told: Object = {
        "promptTokenCount": counts.prompt_tokens,
        "candidatesTokenCount": counts.completion_tokens - thought,
        "totalTokenCount": counts.total_tokens,
    }
    if thought:
        told["thoughtsTokenCount"] = thought
    if counts.cached_read_tokens:
        told["cachedContentTokenCount"] = counts.cached_read_tokens
    for name, ours in (
        ("prompt", "prompt_tokens_details"),
        ("candidates", "completion_tokens_details"),
    ):
        if modalities := _modalities(usage.get(ours)):
            told[f"{name}TokensDetails"] = modalities
    return told


def _modalities(details: object) -> list[Object]:
    if not isinstance(details, dict):
        return []
    return [
        {"modality": modality, "tokenCount": count}
        for name, modality in MODALITIES.items()
        if type(count := details.get(name)) is int and count > 0
    ]


def said_parts(message: Object, *, thoughts: bool) -> Iterator[Object]:
    """The texts of a message or delta; what was thought only where ``thoughts`` are wanted."""
    if thoughts:
        yield from (
            {"text": each.text, "thought": True} for each in thoughts_of(message) if each.text
        )
    for saying, text in sayings_of(message):
        if saying is not Saying.REASONING:
            yield {"text": text}
        elif thoughts:
            yield {"text": text, "thought": True}


def media_parts(message: Object, sound: str = "audio/wav") -> Iterator[Object]:
    """Pictures and sound of a message or delta; sound comes without its type, which is ``sound``."""
    for part in (*_objects(message.get("content")), *_objects(message.get("images"))):
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        if isinstance(url, str) and url:
            yield _picture(url)
    audio = message.get("audio")
    data = audio.get("data") if isinstance(audio, dict) else None
    if isinstance(data, str) and data:
        yield {"inlineData": {"mimeType": sound, "data": data}}


def _picture(url: str) -> Object:
    try:
        inline = split_data_uri(url)
    except ValueError:
        inline = None
    if inline is None:
        return {"fileData": {"mimeType": "image/*", "fileUri": url}}
    return {"inlineData": {"mimeType": inline[0] or "image/png", "data": inline[1]}}


def details_of(message: Object) -> list[Object]:
    """Blocks of thinking in a message or delta."""
    return [*_objects(message.get("reasoning_details"))]


def _objects(items: object) -> Iterator[Object]:
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def call_parts(calls: list[Called], details: list[Object]) -> tuple[list[Object], str]:
    """The parts of function calls with the signatures that are to come back; and what could not be told of them.

    A signature of Gemini's own goes with its call. Other blocks of thinking that need to come back go, all together, with
    the first call that has none, or in a part of their own.
    """
    own = {str(detail.get("id")): detail["data"] for detail in details if _is_own(detail)}
    others = [detail for detail in details if not _is_own(detail)]
    spare = wrapped(others) if any(map(_must_return, others)) else own.get(OF_TEXT, "")
    parts: list[Object] = []
    failure = ""
    for call in calls:
        args = _args(call.arguments)
        if args is None:
            failure = f"Malformed function call: {call.name}({call.arguments[:MAX_SHOWN]})"
            continue
        call_id, hung = split_id(call.id)
        told: Object = {"functionCall": {"id": call_id, "name": call.name, "args": args}}
        signature = own.get(f"{OF_CALL}{call_id}") or hung
        if not signature:
            signature, spare = spare, ""
        parts.append({**told, "thoughtSignature": signature} if signature else told)
    if spare:
        parts.append({"text": "", "thoughtSignature": spare})
    if parts and not any("thoughtSignature" in part for part in parts):
        # With Google's word for it the conversation can go on with Gemini 3, which wants one at the first call.
        parts[0]["thoughtSignature"] = NONE_NEEDED
    return parts, failure


def _is_own(detail: Object) -> bool:
    """Whether it is a signature of Gemini's own."""
    name, data = detail.get("id"), detail.get("data")
    if not isinstance(name, str) or not isinstance(data, str) or not data:
        return False
    return name == OF_TEXT or name.startswith(OF_CALL)


def _must_return(detail: Object) -> bool:
    """Whether its provider knows a block of thinking again: it has a signature, or is a secret of it."""
    return bool(detail.get("signature") or detail.get("data"))


def _args(arguments: str) -> object:
    """A call's arguments as they came, key for key; ``None`` if they are no object. No text at all is no arguments."""
    if not arguments.strip():
        return {}
    raw = arguments.encode("utf-8", "replace")
    try:
        args = json.loads(raw)
        return json.verbatim(json.compact(raw)) if isinstance(args, dict) else None
    except json.InvalidJSON:
        return None


def citations_of(message: Object) -> Object | None:
    """``citationMetadata`` of a message's citations of URLs."""
    sources = [
        {
            "startIndex": cited["start_index"],
            "endIndex": cited["end_index"],
            "uri": cited["url"],
            "title": cited["title"],
        }
        for cited in annotations_of(message)
    ]
    return {"citationSources": sources} if sources else None


def logprobs_result(choice: Object) -> Object:
    """``logprobsResult`` of a choice or of a part of it; empty if there is nothing to tell."""
    told = logprobs_of(choice.get("logprobs"))
    if not told:
        return {}
    result: Object = {"chosenCandidates": [_candidate(item) for item in told]}
    if any(item["top_logprobs"] for item in told):
        result["topCandidates"] = [
            {"candidates": [*map(_candidate, item["top_logprobs"])]} for item in told
        ]
    return {"logprobsResult": result}


def _candidate(item: Object) -> Object:
    return {"token": item["token"], "logProbability": item["logprob"]}
