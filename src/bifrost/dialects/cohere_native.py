"""Cohere's callers to Cohere's upstream: requests and answers go as they came, and are read for their usage only."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects.base import PlainAnswer, Progress
from bifrost.dialects.cohere_shape import object_at, opened, refusal, text_at, usage_of
from bifrost.dialects.openai_edit import Encoded
from bifrost.dialects.openai_errors import Told, told_error
from bifrost.dialects.openai_usage import read_usage
from bifrost.dialects.scrub import scrubber
from bifrost.dialects.sse_stream import CUT_SHORT, SSEStream
from bifrost.errors import NetworkError, UpstreamError
from bifrost.record import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.dialects.base import AnswerFacts
    from bifrost.schema.call import Call

__all__ = ["CohereRelay", "encode_native", "relay_holding"]


def encode_native(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  a NativeCoder's
    """The caller's own body, for ``model``."""
    members = {} if call.native is None else dict(call.native.members)
    members["model"] = json.dumps_str(model)
    return Encoded(json.join_object(members))


def relay_holding(member: str) -> Callable[[bytes, AnswerFacts], PlainAnswer]:
    """Relays a whole 2xx body that should hold ``member``."""
    return partial(_relay, holds=member)


def _relay(body: bytes, facts: AnswerFacts, *, holds: str) -> PlainAnswer:
    value = opened(body)
    error = refusal(value, body, facts, holds)
    if error is not None:
        return PlainAnswer(body=body, error=error)
    return PlainAnswer(body=body, usage=_usage(value.get("usage") or value.get("meta")))


def _usage(told: object) -> Usage | None:
    usage = usage_of(told)
    return read_usage(json.dumps(usage)) if usage else None


@attrs.define(eq=False)
class CohereRelay(SSEStream):
    """A stream as it came. Its end is ``message-end``; one that tells of an error there is a failure."""

    _usage: Usage | None = attrs.field(default=None, init=False)

    @property
    def usage(self) -> Usage | None:
        return self._usage

    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:  # noqa: ARG002  a decoder's
        out: list[bytes] = []
        for event in events:
            if event.is_raw or event.event == "error":
                self._is_over = True
                error = self._told_oddly(event.data, is_error=True)
                return Progress(b"".join(out), len(out), error)
            kind = event.event or _kind(event.data)
            if kind == "message-end":
                return self._end(event, out)
            if event.data.strip() == b"[DONE]":
                continue
            out.append(_frame(event))
        self._count += len(out)
        return Progress(b"".join(out), len(out))

    def _end(self, event: sse.SSEEvent, out: list[bytes]) -> Progress:
        self._is_over = True
        delta = object_at(_decoded(event.data), "delta")
        self._usage = _usage(delta.get("usage"))
        message = text_at(delta, "error")
        if message:
            error = told_error(Told(message=message), None, scrubber(self.facts.key))
            return Progress(b"".join(out), len(out), error)
        out += [_frame(event), sse.DONE]
        return Progress(b"".join(out), len(out) - 1, done=True)

    def _at_end(self, progress: Progress, now_s: float) -> Progress:  # noqa: ARG002  a decoder's
        nothing = UpstreamError("empty response received from provider")
        error = NetworkError(CUT_SHORT) if self._count else nothing
        return attrs.evolve(progress, error=error)


def _frame(event: sse.SSEEvent) -> bytes:
    return sse.event_frame(event.event, event.data) if event.event else sse.data_frame(event.data)


def _decoded(data: bytes) -> object:
    try:
        value: object = json.loads(data)
    except json.InvalidJSON:
        return None
    return value


def _kind(data: bytes) -> str:
    return text_at(object_at(_decoded(data)), "type")
