"""Streams of Replicate's predictions: of texts, told to a ``Conversation``, and of pictures, told as OpenAI's events.

Source: Replicate, "Streaming output", 2026-11: ``output`` has plain text or an address, ``logs`` what the model writes beside
it, ``error`` is JSON, and ``done`` ends every stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.base import Progress
from bifrost.dialects.foreign_stream import ForeignStream
from bifrost.dialects.hub import Conversation
from bifrost.dialects.replicate_answer import (
    logged_usage,
    picture,
    pictures_of,
    read_prediction,
    text_of,
    usage_of,
)
from bifrost.dialects.sse_stream import CUT_SHORT, SSEStream
from bifrost.errors import GatewayError, NetworkError, UpstreamError
from bifrost.record import Usage
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Object, Teller

__all__ = ["PictureStream", "PredictionStream", "as_stream"]

WHOLE = "prediction"
"""An event of the gateway's own: a prediction that was waited for, for its model has no stream."""

COMPLETED = {
    Operation.IMAGE: "image_generation.completed",
    Operation.IMAGE_EDIT: "image_edit.completed",
}

MAX_LOGS = 16 * 1024
"""Characters kept of what a model writes; its counts of tokens stand at the end."""


def as_stream(body: bytes) -> bytes:
    """The finished prediction ``body`` as a stream that the decoders here read."""
    return sse.event_frame(WHOLE, json.one_line(body))


@attrs.define(eq=False)
class PredictionStream(ForeignStream):
    """A text in the making. Events that are not known are passed over."""

    _logs: str = attrs.field(default="", init=False)

    @classmethod
    def of(cls, facts: AnswerFacts, teller: Teller) -> PredictionStream:
        conversation = Conversation(facts, teller)
        # The stream does not say whose it is; chunks of one answer have one id all the same.
        conversation.begin(id=f"replicate-{int(facts.sent_unix_s * 1e6):x}")
        return cls(facts, conversation)

    def _read(self, event: sse.SSEEvent, now_s: float) -> None:
        data = event.data.decode("utf-8", "replace")
        match event.event:
            case "output":
                if data:
                    self.conversation.say({"content": data}, now_s, raw=event.data)
            case "logs":
                self._logs = f"{self._logs}{data}\n"[-MAX_LOGS:]
            case "done":
                self._end(event.data, now_s)
            case "prediction":
                self._whole(event.data, now_s)
            case kind:
                is_error = kind == "error" or event.is_raw
                self.conversation.fail(self._told_oddly(event.data, is_error=is_error))

    def _end(self, data: bytes, now_s: float) -> None:
        if _reason(data) == "error":
            self.conversation.fail(UpstreamError("the prediction failed"))
        usage = logged_usage(self._logs)
        if usage:
            self.conversation.count_tokens(usage)
        self._stop(now_s)

    def _whole(self, body: bytes, now_s: float) -> None:
        value, error = _prediction(body, self.facts)
        self.conversation.fail(error)
        self.conversation.begin(id=str(value.get("id", "")) or None)
        text, usage = text_of(value.get("output")), usage_of(value)
        if usage:
            self.conversation.count_tokens(usage)
        self.conversation.say({"content": text}, now_s, raw=body)
        self._stop(now_s)

    def _stop(self, now_s: float) -> None:
        self.conversation.say({}, now_s, finish_reason="stop")
        self.conversation.end(now_s)


@attrs.define(eq=False)
class PictureStream(SSEStream):
    """Pictures, each told when it is there, as the last of OpenAI's events of one: Replicate shows none half made.

    ``url`` stands in place of ``b64_json`` where that is what came.
    """

    usage: Usage | None = attrs.field(default=None, init=False)
    _extra: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._extra = extra_fields.begin(self.facts)

    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:
        out: list[bytes] = []
        error: GatewayError | None = None
        for event in events:
            error = self._take(event, now_s, out)
            if error is not None or self._is_over:
                self._is_over = True
                return Progress(b"".join(out), len(out), error, done=error is None)
        return Progress(b"".join(out), len(out))

    def _take(self, event: sse.SSEEvent, now_s: float, out: list[bytes]) -> GatewayError | None:
        match event.event:
            case "output":
                out.append(self._frame(picture(event.data.decode("utf-8", "replace")), now_s))
            case "done":
                return self._ended(_reason(event.data))
            case "prediction":
                value, error = _prediction(event.data, self.facts)
                if error is not None:
                    return error
                out.extend(self._frame(one, now_s) for one in pictures_of(value.get("output")))
                return self._ended(None)
            case "logs":
                pass
            case kind:
                return self._told_oddly(event.data, is_error=kind == "error" or event.is_raw)
        return None

    def _ended(self, reason: object) -> GatewayError | None:
        self._is_over = True
        if reason == "error":
            return UpstreamError("the prediction failed")
        return None if self._count else UpstreamError("empty response received from provider")

    def _at_end(self, progress: Progress, now_s: float) -> Progress:  # noqa: ARG002  others need the time
        return attrs.evolve(progress, error=NetworkError(CUT_SHORT))

    def _frame(self, one: Object, now_s: float) -> bytes:
        kind = COMPLETED[self.facts.operation]
        data = json.dumps({"type": kind, "created_at": int(self.facts.sent_unix_s), **one})
        if self.facts.send_extra_fields:
            latency_ms = extra_fields.milliseconds(self._last_s, now_s)
            once = b"" if self._count else extra_fields.rest(self.facts, None)
            extra = b'%b%d,"chunk_index":%d%b}' % (self._extra, latency_ms, self._count, once)
            data = json.splice(data, extra)
        self._count += 1
        self._last_s = now_s
        return sse.event_frame(kind, data)


def _prediction(body: bytes, facts: AnswerFacts) -> tuple[dict[str, Any], GatewayError | None]:
    """As ``read_prediction``; inside a stream nothing is raised."""
    try:
        return read_prediction(body, facts)
    except UpstreamError as error:
        return {}, error


def _reason(data: bytes) -> object:
    """Why a stream is over: ``canceled``, ``error``, or nothing."""
    try:
        value = json.loads(data)
    except json.InvalidJSON:
        return None
    return value.get("reason") if isinstance(value, dict) else None
