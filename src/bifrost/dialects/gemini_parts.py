"""What Gemini's answers consist of, in OpenAI's words: shared by whole answers and streams.

Everything is read leniently: what has another shape than it should have is passed over. Source: Gemini API reference,
"GenerateContentResponse", 2026-11.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.dialects.gemini_signatures import detail_of, signed_id
from bifrost.dialects.hub import Written, retold_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CandidateReader", "finish_of", "listed", "logprobs_of", "mapping", "usage_of"]

Object = dict[str, Any]

FINISHES: Mapping[str, str] = MappingProxyType(
    {
        "STOP": "stop",
        "OTHER": "stop",
        "MALFORMED_FUNCTION_CALL": "stop",
        "FINISH_REASON_UNSPECIFIED": "stop",
        "MAX_TOKENS": "length",
        "SAFETY": "content_filter",
        "RECITATION": "content_filter",
        "LANGUAGE": "content_filter",
        "BLOCKLIST": "content_filter",
        "PROHIBITED_CONTENT": "content_filter",
        "SPII": "content_filter",
        "IMAGE_SAFETY": "content_filter",
        "IMAGE_PROHIBITED_CONTENT": "content_filter",
        "IMAGE_RECITATION": "content_filter",
        "MODEL_ARMOR": "content_filter",
        "UNEXPECTED_TOOL_CALL": "tool_calls",
    }
)
"""Others are told as they are."""


def mapping(value: object) -> Object:
    """``value``, if it is an object; an empty one else."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Object]:
    """The objects in ``value``, if it is a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


@attrs.define(eq=False)
class CandidateReader:
    """One candidate, read part by part into the deltas of a chat choice.

    ``seed`` is the same for whole and streamed answers: ids of calls that Gemini gave none are made of it.
    """

    seed: str
    calls: int = attrs.field(default=0, init=False)
    """How many there were."""
    reason: str | None = attrs.field(default=None, init=False)
    """Why it ended, as Gemini told it last."""
    _details: int = attrs.field(default=0, init=False)
    _thought: int | None = attrs.field(default=None, init=False)
    """The block that a thought is being added to."""
    _images: int = attrs.field(default=0, init=False)

    def read(self, candidate: Object) -> Object:
        """The delta that ``candidate`` is; empty if it says nothing."""
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason:
            self.reason = reason
        delta: Object = {}
        for part in listed(mapping(candidate.get("content")).get("parts")):
            self._read_part(part, delta)
        annotations = list(_annotations(mapping(candidate.get("groundingMetadata"))))
        if annotations:
            delta["annotations"] = annotations
        return delta

    @property
    def finish(self) -> str | None:
        """OpenAI's word for the end; ``None`` before it."""
        if self.reason is None:
            return None
        told = finish_of(self.reason)
        return "tool_calls" if told == "stop" and self.calls else told

    def _read_part(self, part: Object, delta: Object) -> None:
        signature = _text(part.get("thoughtSignature"))
        if part.get("thought") is True:
            self._think(_text(part.get("text")), signature, delta)
            return
        if isinstance(part.get("functionCall"), dict):
            self._call(part["functionCall"], signature, delta)
            return
        words = _words(part)
        if words:
            delta["content"] = delta.get("content", "") + words
        if isinstance(part.get("inlineData"), dict):
            self._show(part["inlineData"], delta)
        if signature:
            self._detail(detail_of(signature, self._next_detail()), delta)

    def _next_detail(self) -> int:
        self._thought = None
        self._details += 1
        return self._details - 1

    def _detail(self, detail: Object, delta: Object) -> None:
        delta.setdefault("reasoning_details", []).append(detail)

    def _think(self, text: str, signature: str, delta: Object) -> None:
        """A thought; one that goes on in the next part is the same block."""
        if self._thought is None:
            self._thought = self._next_detail()
        detail: Object = {"index": self._thought, "type": "reasoning.text", "text": text}
        if signature:
            detail["signature"] = signature
            self._thought = None
        delta["reasoning"] = delta.get("reasoning", "") + text
        last = delta.get("reasoning_details", [{}])[-1]
        if last.get("index") == detail["index"]:
            last.update(detail, text=last["text"] + text)
        else:
            self._detail(detail, delta)

    def _call(self, call: Object, signature: str, delta: Object) -> None:
        name = _text(call.get("name"))
        bare = _text(call.get("id")) or self._made_id(name)
        args = call.get("args")
        arguments = retold_json(args if isinstance(args, Written) else mapping(args))
        told = {
            "index": self.calls,
            "id": signed_id(bare, signature),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        delta.setdefault("tool_calls", []).append(told)
        self.calls += 1
        if signature:
            self._detail(detail_of(signature, self._next_detail(), bare), delta)

    def _made_id(self, name: str) -> str:
        """Gemini gives not every call an id, and two calls of an answer may be of one function."""
        seed = f"{self.seed} {self.calls} {name}".encode("utf-8", "replace")
        return f"call_{hashlib.sha256(seed).hexdigest()[:24]}"

    def _show(self, data: Object, delta: Object) -> None:
        kind = _text(data.get("mimeType")) or "application/octet-stream"
        content = _text(data.get("data"))
        if not content:
            return
        if kind.startswith("audio/"):
            delta["audio"] = {"id": f"audio_{self.seed}", "data": content, "transcript": ""}
            return
        url = f"data:{kind};base64,{content}"
        image = {"index": self._images, "type": "image_url", "image_url": {"url": url}}
        delta.setdefault("images", []).append(image)
        self._images += 1


def _words(part: Object) -> str:
    """What a part says in words."""
    if isinstance(part.get("functionResponse"), dict):
        response = part["functionResponse"].get("response")
        output = mapping(response).get("output")
        return output if isinstance(output, str) else retold_json(response)
    if isinstance(part.get("executableCode"), dict):
        code = part["executableCode"]
        language = _text(code.get("language")).lower()
        return f"\n```{language}\n{_text(code.get('code')).rstrip()}\n```\n"
    if isinstance(part.get("codeExecutionResult"), dict):
        result = part["codeExecutionResult"]
        prefix = "" if result.get("outcome") in {None, "OUTCOME_OK"} else "Error: "
        return prefix + _text(result.get("output"))
    return _text(part.get("text"))


def _annotations(grounding: Object) -> Iterator[Object]:
    """The pages that an answer rests on, as OpenAI cites them. Places in the text are counted in bytes by Gemini, so none is told."""
    for chunk in listed(grounding.get("groundingChunks")):
        web = mapping(chunk.get("web"))
        if _text(web.get("uri")):
            cited = {"url": web["uri"], "title": _text(web.get("title"))}
            yield {"type": "url_citation", "url_citation": cited}


def finish_of(reason: str) -> str:
    """OpenAI's word for ``reason``; itself, where there is none."""
    return FINISHES.get(reason, reason)


def logprobs_of(candidate: Object) -> Object | None:
    """The logprobs of a candidate, as OpenAI tells them."""
    result = mapping(candidate.get("logprobsResult"))
    chosen = listed(result.get("chosenCandidates"))
    if not chosen:
        return None
    tops = listed(result.get("topCandidates"))
    content = [
        {**_logprob(token), "top_logprobs": _tops(tops[n]) if n < len(tops) else []}
        for n, token in enumerate(chosen)
    ]
    return {"content": content, "refusal": None}


def _tops(top: Object) -> list[Object]:
    return [_logprob(token) for token in listed(top.get("candidates"))]


def _logprob(token: Object) -> Object:
    text = _text(token.get("token"))
    return {
        "token": text,
        "logprob": token.get("logProbability", 0.0),
        "bytes": list(text.encode("utf-8", "replace")),
    }


def usage_of(metadata: Object) -> Object:
    """OpenAI's usage; empty if ``usageMetadata`` has no counts.

    What tools of Google's brought into the prompt is part of it; thoughts are part of the completion.
    """
    if not any(name.endswith("TokenCount") for name in metadata):
        return {}
    prompt = _count(metadata, "promptTokenCount") + _count(metadata, "toolUsePromptTokenCount")
    thoughts = _count(metadata, "thoughtsTokenCount")
    completion = _count(metadata, "candidatesTokenCount") + thoughts
    cached = _count(metadata, "cachedContentTokenCount")
    given: Object = {**_by_modality(metadata, "promptTokensDetails")}
    if cached:
        given |= {"cached_tokens": cached, "cached_read_tokens": cached}
    made: Object = {**_by_modality(metadata, "candidatesTokensDetails")}
    if thoughts:
        made["reasoning_tokens"] = thoughts
    usage: Object = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": _count(metadata, "totalTokenCount") or prompt + completion,
    }
    if given:
        usage["prompt_tokens_details"] = given
    if made:
        usage["completion_tokens_details"] = made
    return usage


MODALITIES = {
    "TEXT": "text_tokens",
    "IMAGE": "image_tokens",
    "AUDIO": "audio_tokens",
    "VIDEO": "video_tokens",
    "DOCUMENT": "document_tokens",
}


def _by_modality(metadata: Object, name: str) -> Object:
    counts: Object = {}
    for detail in listed(metadata.get(name)):
        told = MODALITIES.get(_text(detail.get("modality")))
        if told is not None:
            counts[told] = counts.get(told, 0) + _count(detail, "tokenCount")
    return counts


def _count(source: Object, name: str) -> int:
    value = source.get(name)
    return value if type(value) is int and value >= 0 else 0
