"""A streamed chat answer told as the events of the Responses API.

Source: OpenAI API reference, "Responses streaming events", 2026-11.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bridge_output import MAX_KEPT, Event, Output, OutputTooLarge, stem_of
from bifrost.dialects.bridge_response import Ending, Envelope, carried, ending_of
from bifrost.errors import GatewayError, UpstreamError
from bifrost.schema.call import RawMembers

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.dialects.hub import Object

__all__ = ["ResponsesTeller"]


@attrs.define(eq=False)
class ResponsesTeller:
    """Chat chunks in, Responses events out. Implements ``Teller``. ``members`` are the Responses request's, to be echoed.

    ``response.created`` and ``response.in_progress`` go before the first event of any stream; the last event has the
    whole Response with its usage, so it waits for the stream's end. Of several choices the first to come counts. The
    output is kept for the last event, up to ``MAX_KEPT`` characters; more is an error.
    """

    facts: AnswerFacts
    members: RawMembers = attrs.field(repr=False)
    count: int = attrs.field(default=0, init=False)
    _last_s: float = attrs.field(init=False)
    """When the last event was, or the sending."""
    _envelope: Envelope | None = attrs.field(default=None, init=False)
    _output: Output = attrs.field(init=False)
    _choice: Any = attrs.field(default=None, init=False)
    """The index of the choice that counts."""
    _ending: Ending = attrs.field(factory=lambda: ending_of(None), init=False)
    _carried: dict[str, bytes] = attrs.field(factory=dict, init=False)
    """Members of the upstream that go into the Response as they are."""
    _once: bytes = attrs.field(default=b"", init=False)
    """What the next event has in its ``extra_fields``, and no other: the raw echo of the chunk that it is of."""
    _extra: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last_s = self.facts.sent_s
        self._extra = b",%b" % extra_fields.begin(self.facts)

    def tell(
        self, chunk: Object, raw: bytes, now_s: float, out: list[bytes]
    ) -> GatewayError | None:
        if self.facts.raw_response:
            self._once = b',"raw_response":%b' % json.dumps_str(raw.decode("utf-8", "replace"))
        self._begin(chunk, raw, now_s, out)
        self._carried.update(carried(chunk))
        try:
            self._take_choices(chunk["choices"], now_s, out)
        except OutputTooLarge as error:
            return UpstreamError(f"Error reading stream: {error}")
        return None

    def _take_choices(self, choices: list[dict[str, Any]], now_s: float, out: list[bytes]) -> None:
        tell = self._teller(now_s, out)
        if self._choice is None:
            self._choice = _index(choices[0])
        for choice in choices:
            if _index(choice) != self._choice:
                continue
            delta, reason = choice.get("delta"), choice.get("finish_reason")
            if isinstance(delta, dict):
                self._output.take(delta, choice.get("logprobs"), tell)
            if reason is not None:
                self._ending = ending_of(reason)
                self._output.finish(tell, is_incomplete=self._ending.status != "completed")

    def _begin(self, head: Object, data: bytes, now_s: float, out: list[bytes]) -> Envelope:
        """The envelope; before anything else its first two tellings go out."""
        if self._envelope is not None:
            return self._envelope
        seed = repr(self.facts.sent_s).encode() + data
        spare_id = f"resp_{hashlib.sha256(seed).hexdigest()[:24]}"
        envelope = Envelope.of(head, self.facts.model_requested, self.members, spare_id)
        self._envelope = envelope
        self._output = Output(stem_of(envelope.id), MAX_KEPT)
        response = b'"response":%b' % envelope.encode("in_progress")
        self._write("created", response, now_s, out)
        self._write("in_progress", response, now_s, out)
        return envelope

    def finish(self, head: Object, usage: bytes, now_s: float, out: list[bytes]) -> None:
        envelope = self._begin(head, b"", now_s, out)
        is_incomplete = self._ending.status != "completed"
        self._output.finish(self._teller(now_s, out), is_incomplete=is_incomplete)
        response = envelope.encode(
            self._ending.status,
            output=json.dumps(self._output.items),
            usage=usage,
            ending=self._ending,
            told=self._carried,
        )
        self._last_s = self.facts.sent_s  # The last event tells how long it took in all.
        self._once = extra_fields.rest(self.facts, None)
        self._write(self._ending.status, b'"response":%b' % response, now_s, out)

    def _teller(self, now_s: float, out: list[bytes]) -> Callable[[Event], None]:
        def tell(event: Event) -> None:
            name, members = event
            self._write(name, json.dumps(members)[1:-1], now_s, out)

        return tell

    def _write(self, name: str, members: bytes, now_s: float, out: list[bytes]) -> None:
        """One event of type ``name`` (after ``response.``) and its ``members``, numbered and with ``extra_fields``."""
        extra = b""
        if self.facts.send_extra_fields:
            latency_ms = extra_fields.milliseconds(self._last_s, now_s)
            extra = b'%b%d,"chunk_index":%d%b}' % (
                self._extra,
                latency_ms,
                self.count,
                self._once,
            )
        kind = f"response.{name}"
        head = (json.dumps(kind), self.count, members, extra)
        out.append(sse.event_frame(kind, b'{"type":%b,"sequence_number":%d,%b%b}' % head))
        self.count += 1
        self._last_s = now_s
        self._once = b""


def _index(choice: dict[str, Any]) -> object:
    return choice.get("index") or 0
