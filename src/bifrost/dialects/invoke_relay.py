"""InvokeModel's callers to Bedrock itself: bodies and answers go as they came, and are read for their usage and their end.

Source: AWS, Amazon Bedrock API reference, "InvokeModel" and "InvokeModelWithResponseStream", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_reading import UsageMaxima
from bifrost.dialects.base import PlainAnswer
from bifrost.dialects.bedrock_fields import Family, family_of
from bifrost.dialects.bedrock_frames import PassedFrames
from bifrost.dialects.bedrock_words import openai_usage
from bifrost.dialects.hub import Object
from bifrost.dialects.invoke_text import METRICS, counted, invoked_object, unpacked
from bifrost.dialects.openai_edit import Encoded
from bifrost.dialects.openai_usage import read_usage

if TYPE_CHECKING:
    from bifrost.codecs.eventstream import Frame
    from bifrost.dialects.base import AnswerFacts
    from bifrost.record import Usage
    from bifrost.schema.call import Call

__all__ = ["RelayedChunks", "encode_invoked", "relay_invoked"]

ENDS = ("message_stop", "messageStop", "metadata")
"""Of chunks that are events: the last."""

REASONS = ("stop_reason", "completionReason", "finish_reason")
"""Of chunks that are pieces: what the last of them has."""


CLAUDES_VERSION = b'"bedrock-2023-05-31"'
"""The only one there is, and Claude wants it."""


def encode_invoked(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  a NativeCoder's
    """What a caller of InvokeModel said, as he said it; of Claude's version, which never changes, he may say nothing."""
    members = dict({} if call.native is None else call.native.members)
    if "messages" in members and family_of(model) is Family.CLAUDE:
        members.setdefault("anthropic_version", CLAUDES_VERSION)
    return Encoded(json.join_object(members))


def relay_invoked(body: bytes, facts: AnswerFacts) -> PlainAnswer:
    """A 2xx ``body`` as it came, and its usage. Raises UpstreamError if it is no JSON object."""
    value = invoked_object(body)
    usage = _usage_in(value) or counted(value, facts)
    return PlainAnswer(body=body, usage=_read(usage))


def _usage_in(value: Object) -> Object:
    """Of a message, Anthropic's or Nova's: what was cached is told there only."""
    usage = value.get("usage")
    if not isinstance(usage, dict):
        return {}
    maxima = UsageMaxima()
    maxima.add(usage)
    return maxima.openai() or (openai_usage(usage) if "inputTokens" in usage else {})


def _read(usage: Object) -> Usage | None:
    return read_usage(json.dumps(usage)) if usage else None


@attrs.define(eq=False)
class RelayedChunks(PassedFrames):
    """Frames as they came. The last has metrics; without any, a stream has ended that says why."""

    _usage: Object = attrs.field(factory=dict, init=False)

    @property
    def usage(self) -> Usage | None:
        return _read(self._usage)

    def _read(self, frame: Frame) -> None:
        value = unpacked(frame)
        if isinstance(value, dict):
            self._read_chunk(value)

    def _read_chunk(self, value: Object) -> None:
        self._has_ended |= _is_last(value)
        metrics = value.get(METRICS)
        if isinstance(metrics, dict):
            self._usage = _of_metrics(metrics)
            self._is_over = True


def _is_last(value: Object) -> bool:
    pieces = [value]
    for name in ("outputs", "generations", "choices"):
        items = value.get(name)
        pieces += [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []  # fmt: skip
    if any(piece.get(reason) is not None for piece in pieces for reason in REASONS):
        return True
    return value.get("type") in ENDS or any(name in value for name in ENDS)


def _of_metrics(metrics: Object) -> Object:
    """Usage as the metrics have it: there too the prompt is without what was cached."""
    names = {
        "inputTokenCount": "inputTokens",
        "outputTokenCount": "outputTokens",
        "cacheReadInputTokenCount": "cacheReadInputTokens",
        "cacheWriteInputTokenCount": "cacheWriteInputTokens",
    }
    return openai_usage({to: metrics[name] for name, to in names.items() if name in metrics})
