"""Callers who speak Gemini's dialect to an upstream that does: requests and answers as they came.

Only the names of models inside of a request are replaced; answers are read for usage, errors and their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.base import PlainAnswer, Progress
from bifrost.dialects.gemini_answer import blocked, read_object
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_parts import listed, mapping, usage_of
from bifrost.dialects.gemini_stream import MAX_CANDIDATES, read_event, wanted_candidates
from bifrost.dialects.openai_edit import Encoded
from bifrost.dialects.openai_usage import read_usage
from bifrost.dialects.sse_stream import CUT_SHORT, SSEStream
from bifrost.errors import BadRequest, GatewayError, NetworkError, UpstreamError
from bifrost.record import Usage

if TYPE_CHECKING:
    from typing import Any

    from bifrost.codecs import sse
    from bifrost.dialects.base import AnswerFacts
    from bifrost.schema.call import Call, Native

__all__ = [
    "GeminiRelay",
    "encode_native",
    "encode_native_count",
    "encode_native_flat_count",
    "relay",
]


def encode_native(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  the path has the model
    """The body as the caller said it."""
    native = _native(call)
    members = {name: raw for name, raw in native.members.items() if name != "model"}
    return Encoded(json.join_object(members))


def encode_native_count(call: Call, model: str, provider: str) -> Encoded:
    """As ``encode_native``; the request to be counted may be in it whole, with a model's name of its own."""
    sent = encode_native(call, model, provider)
    inner = _inner(sent)
    if inner is None:
        return sent
    name = f"models/{model.removeprefix('models/')}"
    request = json.join_object({**inner, "model": json.dumps(name)})
    return attrs.evolve(sent, body=json.join_object({"generateContentRequest": request}))


def encode_native_flat_count(call: Call, model: str, provider: str) -> Encoded:
    """The same for Vertex, which wants what is to be counted at the top."""
    sent = encode_native(call, model, provider)
    inner = _inner(sent)
    if inner is None:
        return sent
    members = {name: raw for name, raw in inner.items() if name != "model"}
    return attrs.evolve(sent, body=json.join_object(members))


def _inner(sent: Encoded) -> dict[str, bytes] | None:
    """The request within a request to count; ``None`` if there is none. Raises BadRequest."""
    request = json.split_object(sent.body).get("generateContentRequest")
    try:
        return None if request is None else json.split_object(request)
    except json.InvalidJSON as error:
        raise BadRequest("generateContentRequest must be an object", cause=str(error)) from None


def _native(call: Call) -> Native:
    if call.native is None:
        raise BadRequest("the request is not in Gemini's dialect")
    return call.native


def relay(body: bytes, facts: AnswerFacts) -> PlainAnswer:
    """A whole answer as it came. Raises UpstreamError if it is no JSON object."""
    told = read_object(body)
    return PlainAnswer(body=body, usage=_usage(told), error=refusal_in(told, facts))


def _usage(told: dict[str, Any]) -> Usage | None:
    counts = usage_of(mapping(told.get("usageMetadata")))
    return read_usage(json.dumps(counts)) if counts else None


@attrs.define(eq=False)
class GeminiRelay(SSEStream):
    """A stream relayed event by event, as each came. Whole when every candidate has told why it finished."""

    _usage: Usage | None = attrs.field(default=None, init=False)
    _finished: dict[int, bool] = attrs.field(factory=dict, init=False)
    """By candidate."""
    _is_blocked: bool = attrs.field(default=False, init=False)

    @property
    def usage(self) -> Usage | None:
        return self._usage

    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:  # noqa: ARG002  others need the time
        out: list[bytes] = []
        for event in events:
            error = self._take(event, out)
            if error is not None:
                self._is_over = True
                return self._progress(out, error)
        return self._progress(out, None)

    def _progress(self, out: list[bytes], error: GatewayError | None) -> Progress:
        self._count += len(out)
        return Progress(b"".join(out), len(out), error)

    def _take(self, event: sse.SSEEvent, out: list[bytes]) -> GatewayError | None:
        told = read_event(event)
        if told is None:
            return self._told_oddly(event.data, is_error=event.is_raw)
        error = refusal_in(told, self.facts)
        if error is not None:
            return error
        self._usage = _usage(told) or self._usage
        self._note(told)
        out.append(b"data: %b\n\n" % json.one_line(event.data))
        return None

    def _note(self, told: dict[str, Any]) -> None:
        """Which candidates there are, and which of them are done."""
        for place, candidate in enumerate(listed(told.get("candidates"))[:MAX_CANDIDATES]):
            index = candidate.get("index")
            index = index if type(index) is int else place
            is_done = bool(candidate.get("finishReason"))
            if index in self._finished or len(self._finished) < MAX_CANDIDATES:
                self._finished[index] = self._finished.get(index, False) or is_done
        if blocked(told):
            self._is_blocked = self._finished[0] = True

    def _at_end(self, progress: Progress, now_s: float) -> Progress:  # noqa: ARG002  others need the time
        is_short = len(self._finished) < wanted_candidates(self.facts) and not self._is_blocked
        if self._finished and not is_short and all(self._finished.values()):
            return attrs.evolve(progress, done=True)
        if not self._count:
            return attrs.evolve(
                progress, error=UpstreamError("empty response received from provider")
            )
        return attrs.evolve(progress, error=NetworkError(CUT_SHORT))
