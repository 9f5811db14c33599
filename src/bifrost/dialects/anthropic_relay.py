"""Answers of Anthropic's API on their way to callers who speak it themselves: nothing is changed, usage and ends are seen.

Source: Anthropic API reference, "Messages" and "Streaming Messages", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects.anthropic_errors import error_in
from bifrost.dialects.anthropic_reading import UsageMaxima
from bifrost.dialects.base import PlainAnswer, Progress
from bifrost.dialects.openai_answer import BOM, checked
from bifrost.dialects.openai_usage import read_usage
from bifrost.dialects.sse_stream import CUT_SHORT, SSEStream
from bifrost.errors import NetworkError, UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.errors import GatewayError
    from bifrost.record import Usage

__all__ = ["RelayStream", "relay_answer"]


def relay_answer(body: bytes, facts: AnswerFacts) -> PlainAnswer:
    """A 2xx ``body`` as it came, and its usage. Raises UpstreamError if it is no JSON object."""
    body = body.removeprefix(BOM)
    members = checked(body, json.split_object)
    if members.get("type") == b'"error"':
        return PlainAnswer(body=body, error=error_in(body, facts.key))
    usage = UsageMaxima()
    usage.add(json.loads(members.get("usage", b"null")))
    return PlainAnswer(body=body, usage=_usage(usage))


def _usage(usage: UsageMaxima) -> Usage | None:
    told = usage.openai()
    return read_usage(json.dumps(told)) if told else None


@attrs.define(eq=False)
class RelayStream(SSEStream):
    """Events as they came, pings too. It ends with ``message_stop``; an ``error`` ends it as one."""

    _maxima: UsageMaxima = attrs.field(factory=UsageMaxima, init=False)

    @property
    def usage(self) -> Usage | None:
        return _usage(self._maxima)

    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:  # noqa: ARG002  a stream's
        out: list[bytes] = []
        before = self._count
        error = None
        for event in events:
            error = self._take(event, out)
            if self._is_over:
                break
        is_done = self._is_over and error is None
        return Progress(b"".join(out), self._count - before, error, done=is_done)

    def _take(self, event: sse.SSEEvent, out: list[bytes]) -> GatewayError | None:
        value = _read(event.data)
        kind = value.get("type") or event.event
        if kind == "error":
            self._is_over = True
            return error_in(event.data, self.facts.key)
        if not isinstance(kind, str) or not kind.isidentifier():
            return None
        self._note(value, kind)
        # Pings are no part of the answer: before its first event another upstream may still be asked.
        if kind != "ping" or self._count:
            out.append(sse.event_frame(kind, event.data))
            self._count += 1
        return None

    def _note(self, value: dict[str, Any], kind: str) -> None:
        if kind == "message_start" and isinstance(value.get("message"), dict):
            self._maxima.add(value["message"].get("usage"))
        elif kind == "message_delta":
            self._maxima.add(value.get("usage"))
        elif kind == "message_stop":
            self._is_over = True

    def _at_end(self, progress: Progress, now_s: float) -> Progress:  # noqa: ARG002  a stream's
        if not self._count:
            error: GatewayError = UpstreamError("empty response received from provider")
        else:
            error = NetworkError(CUT_SHORT)
        return attrs.evolve(progress, error=error)


def _read(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except json.InvalidJSON:
        return {}
    return value if isinstance(value, dict) else {}
