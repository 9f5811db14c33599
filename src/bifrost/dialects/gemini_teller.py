"""A streamed chat answer told as Gemini streams: every event is a response of its own.

Source: Google, Gemini API reference, "streamGenerateContent", 2026-11.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bridge_reading import CallDelta, call_deltas
from bifrost.dialects.gemini_telling import shows_thoughts
from bifrost.dialects.gemini_words import (
    MALFORMED,
    Called,
    call_parts,
    citations_of,
    details_of,
    finish_of,
    logprobs_result,
    media_parts,
    said_parts,
    usage_of,
)
from bifrost.dialects.hub import Object
from bifrost.dialects.openai_stream import sound
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from bifrost.errors import GatewayError

__all__ = ["MAX_KEPT", "GeminiTeller"]

MAX_KEPT = 32 * 1024 * 1024
"""Characters that wait for the last event: of calls, and of thinking that has to come back."""


@attrs.define(eq=False)
class _Call:
    """A tool call that is growing."""

    id: str = ""
    name: str = ""
    pieces: list[str] = attrs.field(factory=list)

    def take(self, delta: CallDelta) -> None:
        self.id = self.id or delta.id
        self.name = self.name or delta.name
        self.pieces.append(delta.text)

    def is_other(self, delta: CallDelta) -> bool:
        """Whether ``delta``, which came with this one's index, begins another."""
        if not delta.name or not self.name:
            return False
        return delta.id not in {"", self.id} or delta.name != self.name


@attrs.define(eq=False)
class _Choice:
    """What of one choice waits for the last event."""

    calls: list[_Call] = attrs.field(factory=list)
    details: dict[int, Object] = attrs.field(factory=dict)
    """By their index; a text comes in pieces."""
    annotations: list[object] = attrs.field(factory=list)
    finish_reason: object = None
    _by_index: dict[int, _Call] = attrs.field(factory=dict)
    _by_id: dict[str, _Call] = attrs.field(factory=dict)

    def call(self, delta: CallDelta) -> None:
        call = self._known(delta)
        if call is None:
            call = _Call()
            self.calls.append(call)
        if delta.index is not None:
            self._by_index[delta.index] = call
        if delta.id:
            self._by_id[delta.id] = call
        call.take(delta)

    def _known(self, delta: CallDelta) -> _Call | None:
        """The call by index, by id, or else the latest; ``None`` if ``delta`` begins one.

        Servers have been seen to give all calls one index, to send the id with every delta, to make up another id for
        each, and to send neither: so it is the name that tells whether a call begins.
        """
        by_id = self._by_id.get(delta.id)
        if delta.index is not None:
            call = self._by_index.get(delta.index)
            return None if call is None or (call is not by_id and call.is_other(delta)) else call
        if by_id is not None or delta.name or not self.calls:
            return by_id
        return self.calls[-1]

    def think(self, detail: Object) -> None:
        given = detail.get("index")
        index = given if type(given) is int else len(self.details)
        known = self.details.setdefault(index, {})
        text = detail.get("text")
        if isinstance(text, str):
            detail = {**detail, "text": f"{known.get('text', '')}{text}"}
        known.update({name: value for name, value in detail.items() if value is not None})


@attrs.define(eq=False)
class GeminiTeller:
    """Chat chunks in, ``data: <GenerateContentResponse>`` out. Implements ``Teller``.

    A text goes out as it comes. Calls, which Gemini has whole, wait for the last event, as do the reason of the end and
    the usage; of what waits there are at most ``MAX_KEPT`` characters, more is an error.
    """

    facts: AnswerFacts
    count: int = attrs.field(default=0, init=False)
    _choices: dict[int, _Choice] = attrs.field(factory=dict, init=False)
    _kept: int = attrs.field(default=0, init=False)
    _thoughts: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thoughts = shows_thoughts(self.facts)

    def tell(
        self,
        chunk: Object,
        raw: bytes,  # noqa: ARG002  a Teller's
        now_s: float,  # noqa: ARG002  a Teller's
        out: list[bytes],
    ) -> GatewayError | None:
        candidates = [
            candidate
            for choice in chunk["choices"]
            if isinstance(choice, dict) and (candidate := self._taken(choice)) is not None
        ]
        if candidates:
            self._put({"candidates": candidates, **self._head(chunk)}, out)
        if self._kept > MAX_KEPT:
            return UpstreamError("Error reading stream: the answer is too long to be translated")
        return None

    def _taken(self, choice: Object) -> Object | None:
        """What of a piece of a choice goes out at once."""
        index = choice.get("index")
        index = index if type(index) is int else 0
        kept = self._choices.setdefault(index, _Choice())
        if choice.get("finish_reason") is not None:
            kept.finish_reason = choice["finish_reason"]
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return None
        self._keep(kept, delta)
        parts = [*said_parts(delta, thoughts=self._thoughts), *media_parts(delta)]
        logprobs = logprobs_result(choice)
        if not parts and not logprobs:
            return None
        return {**_content(parts), "index": index, **logprobs}

    def _keep(self, kept: _Choice, delta: Object) -> None:
        for call in call_deltas(delta):
            kept.call(call)
            self._kept += len(call.text) + len(call.name) + len(call.id) + 1
        for detail in details_of(delta):
            kept.think(detail)
            self._kept += len(json.dumps(detail))
        annotations = delta.get("annotations")
        if isinstance(annotations, list):
            kept.annotations += annotations
            self._kept += len(json.dumps(annotations))

    def finish(self, head: Object, usage: bytes, now_s: float, out: list[bytes]) -> None:  # noqa: ARG002  a Teller's
        named = self._head(head)
        self._choices.setdefault(0, _Choice())
        told: Object = {
            "candidates": [
                _ended(index, kept, named["responseId"])
                for index, kept in sorted(self._choices.items())
            ],
        }
        counted = usage_of(json.loads(usage))
        if counted is not None:
            told["usageMetadata"] = counted
        self._put({**told, **named}, out)

    def _head(self, chunk: Object) -> Object:
        model = sound(chunk.get("model"), "") or self.facts.model_requested
        return {"modelVersion": model, "responseId": sound(chunk.get("id"), "") or self._spare_id()}

    def _spare_id(self) -> str:
        return hashlib.sha256(repr(self.facts.sent_unix_s).encode()).hexdigest()[:24]

    def _put(self, response: Object, out: list[bytes]) -> None:
        out.append(b"data: %b\n\n" % json.dumps(response))
        self.count += 1


def _ended(index: int, kept: _Choice, stem: str) -> Object:
    """The last of a candidate: its calls, and why it ended."""
    calls = [
        Called(
            id=call.id or f"call_{stem}_{number}", name=call.name, arguments="".join(call.pieces)
        )
        for number, call in enumerate(kept.calls)
        if call.name
    ]
    details = [detail for _, detail in sorted(kept.details.items())]
    parts, failure = call_parts(calls, details)
    told = {
        **_content(parts),
        "finishReason": MALFORMED if failure else finish_of(kept.finish_reason),
        "index": index,
    }
    if failure:
        told["finishMessage"] = failure
    citations = citations_of({"annotations": kept.annotations})
    return told if citations is None else {**told, "citationMetadata": citations}


def _content(parts: list[Object]) -> Object:
    """Never without a part: SDKs keep no turn in mind that has none."""
    return {"content": {"parts": parts or [{"text": ""}], "role": "model"}}
