"""Answers told in the words of InvokeModel, of upstreams that are not Bedrock: as the model would that the body is for.

Source: AWS, Amazon Bedrock user guide, "Inference request parameters and response fields for foundation models", 2026-11.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_telling import tell_message
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bedrock_telling import (
    ConverseTeller,
    InvokeTeller,
    event_frame,
    tell_converse,
)
from bifrost.dialects.cohere_telling import tell_embed
from bifrost.dialects.extra_fields import milliseconds
from bifrost.dialects.hub import Object
from bifrost.dialects.invoke_forms import Form, form_of
from bifrost.dialects.invoke_text import METRICS
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.hub import Answer, Teller
    from bifrost.errors import GatewayError

__all__ = [
    "invoke_teller",
    "tell_invoked",
    "tell_invoked_embedding",
    "tell_invoked_rerank",
    "tell_invoked_text",
    "tell_ranking",
    "text_teller",
]


def _form(facts: AnswerFacts) -> Form:
    """In whose words the body was, and is to be answered."""
    members = {} if facts.native is None else facts.native.members
    model = json.loads(facts.members.get("model", b'""'))
    return form_of(members, str(model))


def tell_invoked(answer: Answer, facts: AnswerFacts) -> bytes:
    """A message: Anthropic's or Nova's."""
    is_nova = _form(facts) is Form.NOVA
    return tell_converse(answer, facts) if is_nova else tell_message(answer, facts)


def invoke_teller(facts: AnswerFacts) -> Teller:
    """The same for a stream."""
    return NovaTeller(facts) if _form(facts) is Form.NOVA else InvokeTeller(facts)


def _chunk(value: object) -> bytes:
    told = base64.b64encode(json.dumps(value)).decode()
    return event_frame("chunk", json.dumps({"bytes": told}))


@attrs.define(eq=False)
class NovaTeller(ConverseTeller):
    """Events of Converse in the frames of ``InvokeModelWithResponseStream``. Implements ``Teller``."""

    def _put(self, kind: str, value: Object) -> None:
        self._out.append(_chunk({kind: value}))
        self.count += 1


# Completions.


@attrs.frozen(kw_only=True)
class Said:
    """A text, or a piece of one. ``finish`` is OpenAI's word for its end, ``None`` where it goes on."""

    text: str
    finish: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    is_whole: bool


Words = MappingProxyType[str, str]

TITANS: Words = MappingProxyType({"length": "LENGTH", "content_filter": "CONTENT_FILTERED"})
COMMANDS: Words = MappingProxyType({"length": "MAX_TOKENS", "content_filter": "ERROR_TOXIC"})
CLAUDES: Words = MappingProxyType({"length": "max_tokens"})


def _reason(said: Said, words: Words, spare: str) -> str | None:
    return None if said.finish is None else words.get(said.finish, spare)


def _titan(said: Said) -> Object:
    reason = _reason(said, TITANS, "FINISH")
    result = {"outputText": said.text, "completionReason": reason}
    if said.is_whole:
        tokens = {"tokenCount": said.completion_tokens or 0}
        return {"inputTextTokenCount": said.prompt_tokens or 0, "results": [{**tokens, **result}]}
    counts = {
        "inputTextTokenCount": said.prompt_tokens,
        "totalOutputTextTokenCount": said.completion_tokens,
    }
    return {"index": 0, **result, **counts}


def _llama(said: Said) -> Object:
    return {
        "generation": said.text,
        "prompt_token_count": said.prompt_tokens,
        "generation_token_count": said.completion_tokens,
        "stop_reason": _reason(said, MappingProxyType({"length": "length"}), "stop"),
    }


def _mistral(said: Said) -> Object:
    reason = _reason(said, MappingProxyType({"length": "length"}), "stop")
    return {"outputs": [{"text": said.text, "stop_reason": reason}]}


def _command(said: Said) -> Object:
    reason = _reason(said, COMMANDS, "COMPLETE")
    if said.is_whole:
        return {"generations": [{"text": said.text, "finish_reason": reason}]}
    ended = {"is_finished": True, "finish_reason": reason} if reason else {"is_finished": False}
    return {"text": said.text, **ended}


def _claude(said: Said) -> Object:
    reason = _reason(said, CLAUDES, "stop_sequence")
    return {"type": "completion", "completion": said.text, "stop_reason": reason, "stop": None}


TEXTS: Mapping[Form, Callable[[Said], Object]] = MappingProxyType(
    {
        Form.TITAN: _titan,
        Form.LLAMA: _llama,
        Form.MISTRAL: _mistral,
        Form.COMMAND: _command,
        Form.CLAUDE: _claude,
    }
)


def _tokens(usage: object, name: str) -> int | None:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int else None


def _completed(choice: Object) -> str:
    """The text of a choice, of a completion or of a chat; whole or a piece."""
    inner = choice.get("message") or choice.get("delta")
    told = choice.get("text", inner.get("content") if isinstance(inner, dict) else None)
    return told if isinstance(told, str) else ""


def tell_invoked_text(answer: Answer, facts: AnswerFacts) -> bytes:
    """A completion. The first choice counts: these models know no others."""
    choices = answer.value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    usage = answer.value.get("usage")
    said = Said(
        text=_completed(choice),
        finish=choice.get("finish_reason") or "stop",
        prompt_tokens=_tokens(usage, "prompt_tokens"),
        completion_tokens=_tokens(usage, "completion_tokens"),
        is_whole=True,
    )
    return json.dumps(TEXTS[_form(facts)](said))


@attrs.define(eq=False)
class InvokedTextTeller:
    """Pieces of a completion in, chunks of the model's own out; the last has the metrics. Implements ``Teller``."""

    facts: AnswerFacts
    tell_piece: Callable[[Said], Object]
    count: int = attrs.field(default=0, init=False)
    _finish: str | None = attrs.field(default=None, init=False)

    def tell(
        self,
        chunk: Object,
        raw: bytes,  # noqa: ARG002  there is no place for it
        now_s: float,  # noqa: ARG002  a Teller's
        out: list[bytes],
    ) -> GatewayError | None:
        choice = chunk["choices"][0]
        self._finish = choice.get("finish_reason") or self._finish
        text = _completed(choice)
        if text:
            self._put(self._said(text, None, None), {}, out)
        return None

    def finish(
        self,
        head: Object,  # noqa: ARG002  there is no place for it
        usage: bytes,
        now_s: float,
        out: list[bytes],
    ) -> GatewayError | None:
        told = json.loads(usage)
        last = self._said("", self._finish or "stop", told)
        metrics = {
            "inputTokenCount": last.prompt_tokens or 0,
            "outputTokenCount": last.completion_tokens or 0,
            "invocationLatency": milliseconds(self.facts.sent_s, now_s),
        }
        self._put(last, {METRICS: metrics}, out)
        return None

    def _said(self, text: str, finish: str | None, usage: object) -> Said:
        return Said(
            text=text,
            finish=finish,
            prompt_tokens=_tokens(usage, "prompt_tokens"),
            completion_tokens=_tokens(usage, "completion_tokens"),
            is_whole=False,
        )

    def _put(self, said: Said, more: Object, out: list[bytes]) -> None:
        out.append(_chunk({**self.tell_piece(said), **more}))
        self.count += 1


def text_teller(facts: AnswerFacts) -> Teller:
    """The teller of a completion that is streamed."""
    return InvokedTextTeller(facts, TEXTS[_form(facts)])


# Embeddings and ranking.


def tell_invoked_embedding(answer: Answer, facts: AnswerFacts) -> bytes:
    """Titan's one embedding, or Cohere's many. Raises UpstreamError."""
    told = json.loads(tell_embed(answer, facts))
    native = {} if facts.native is None else facts.native.members
    if _form(facts) is Form.COHERE_EMBED:
        return _cohere_embeddings(told, native)
    vectors = told["embeddings"].get("float") or []
    if not vectors:
        raise UpstreamError("failed to unmarshal response from provider API", cause="no embeddings")
    embedding = {"embedding": vectors[0]}
    if native.get("embeddingTypes", b"null") != b"null":
        embedding["embeddingsByType"] = {"float": vectors[0]}
    count = _tokens(answer.value.get("usage"), "prompt_tokens")
    return json.dumps({**embedding, "inputTextTokenCount": count or 0})


def _cohere_embeddings(told: Object, native: Mapping[str, bytes]) -> bytes:
    """As Cohere's models on Bedrock have it: a bare list where no types were asked for."""
    if native.get("embedding_types", b"null") == b"null":
        floats = told["embeddings"].get("float")
        told |= {"embeddings": floats, "response_type": "embeddings_floats"}
    return json.dumps({name: value for name, value in told.items() if name != "meta"})


def tell_invoked_rerank(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    """The ranking, as Cohere's and Amazon's models have it."""
    return json.dumps({"results": _ranked(answer, "relevance_score")})


def tell_ranking(answer: Answer, facts: AnswerFacts) -> bytes:  # noqa: ARG001  a Telling's
    """The same as Rerank has it, which is an API of its own."""
    return json.dumps({"results": _ranked(answer, "relevanceScore")})


def _ranked(answer: Answer, score: str) -> list[Object]:
    results = answer.value.get("results")
    items = results if isinstance(results, list) else []
    return [
        {"index": item.get("index"), score: item.get("relevance_score")}
        for item in items
        if isinstance(item, dict)
    ]
