"""A streamed chat answer told in the events of Cohere's API.

Source: Cohere API reference, "Chat with Streaming" v2, 2026-11.
"""

from __future__ import annotations

import hashlib

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bridge_reading import CallDelta, call_deltas
from bifrost.dialects.cohere_shape import Object, items_of, object_at, text_at
from bifrost.dialects.cohere_words import (
    Voice,
    citations_of,
    logprobs_told,
    reason_told,
    spoken,
    usage_told,
)

__all__ = ["CohereTeller"]


@attrs.define(eq=False)
class CohereTeller:
    """``message-start`` the first, ``message-end`` with the usage the last. Implements ``Teller``.

    One block or tool call is open at a time; each has an index, and an end before the next begins. Of several choices the
    first to come counts.
    """

    facts: AnswerFacts
    count: int = attrs.field(default=0, init=False)
    _has_begun: bool = attrs.field(default=False, init=False)
    _choice: object = attrs.field(default=None, init=False)
    """The index of the choice that counts."""
    _stem: str = attrs.field(default="", init=False)
    _blocks: int = attrs.field(default=0, init=False)
    """How many of content have begun."""
    _open: Voice | None = attrs.field(default=None, init=False)
    """In which voice the open block is."""
    _calls: int = attrs.field(default=0, init=False)
    """How many tool calls have begun."""
    _called: object = attrs.field(default=None, init=False)
    """The upstream's index of the open call, or its id."""
    _has_arguments: bool = attrs.field(default=False, init=False)
    _citations: int = attrs.field(default=0, init=False)
    _reason: object = attrs.field(default=None, init=False)

    def tell(self, chunk: Object, raw: bytes, now_s: float, out: list[bytes]) -> None:  # noqa: ARG002  a Teller's
        self._begin(chunk, raw, out)
        for choice in items_of(chunk.get("choices")):
            index = choice.get("index", 0)
            self._choice = index if self._choice is None else self._choice
            if index == self._choice:
                self._take(choice, out)

    def finish(self, head: Object, usage: bytes, now_s: float, out: list[bytes]) -> None:  # noqa: ARG002  a Teller's
        self._begin(head, b"", out)
        self._close_block(out)
        self._close_call(out)
        delta: Object = {"finish_reason": reason_told(self._reason, has_tools=self._calls > 0)}
        delta["usage"] = usage_told(json.loads(usage))
        self._put(out, "message-end", delta=delta)
        out.append(sse.DONE)

    def _begin(self, head: Object, raw: bytes, out: list[bytes]) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        self._stem = text_at(head, "id") or hashlib.sha256(raw).hexdigest()[:32]
        message = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        self._put(out, "message-start", id=self._stem, delta={"message": message})

    def _take(self, choice: Object, out: list[bytes]) -> None:
        delta = object_at(choice, "delta")
        logprobs = logprobs_told(choice.get("logprobs"))
        for voice, text in spoken(delta):
            if voice is Voice.PLAN:
                self._put(out, "tool-plan-delta", delta={"message": {"tool_plan": text}})
            else:
                self._say(voice, text, logprobs, out)
        for call in call_deltas(delta):
            self._call(call, out)
        for citation in citations_of(delta):
            self._cite(citation, out)
        self._reason = choice.get("finish_reason") or self._reason

    def _say(self, voice: Voice, text: str, logprobs: list[Object], out: list[bytes]) -> None:
        name = voice.value
        if self._open is not voice:
            self._close_block(out)
            self._open = voice
            content = {"type": name, name: ""}
            self._put(out, "content-start", self._blocks, delta={"message": {"content": content}})
            self._blocks += 1
        told: Object = {"delta": {"message": {"content": {name: text}}}}
        if voice is Voice.TEXT and logprobs:
            told["logprobs"] = _joined(logprobs)
        self._put(out, "content-delta", self._blocks - 1, **told)

    def _close_block(self, out: list[bytes]) -> None:
        if self._open is not None:
            self._open = None
            self._put(out, "content-end", self._blocks - 1)

    def _call(self, call: CallDelta, out: list[bytes]) -> None:
        key = call.id if call.index is None else call.index
        is_new = bool(call.name or call.id) and key != self._called
        if is_new or not self._calls:
            self._close_block(out)
            self._close_call(out)
            self._called = key
            function = {"name": call.name, "arguments": ""}
            told = {
                "id": call.id or f"{self._stem}_{self._calls}",
                "type": "function",
                "function": function,
            }
            self._put(out, "tool-call-start", self._calls, delta={"message": {"tool_calls": told}})
            self._calls += 1
        if call.text:
            self._argue(call.text, out)

    def _argue(self, text: str, out: list[bytes]) -> None:
        self._has_arguments = True
        told = {"tool_calls": {"function": {"arguments": text}}}
        self._put(out, "tool-call-delta", self._calls - 1, delta={"message": told})

    def _close_call(self, out: list[bytes]) -> None:
        if self._called is None:
            return
        if not self._has_arguments:
            self._argue("{}", out)
        self._called, self._has_arguments = None, False
        self._put(out, "tool-call-end", self._calls - 1)

    def _cite(self, citation: Object, out: list[bytes]) -> None:
        told = {"message": {"citations": citation}}
        self._put(out, "citation-start", self._citations, delta=told)
        self._put(out, "citation-end", self._citations)
        self._citations += 1

    def _put(self, out: list[bytes], kind: str, index: int | None = None, **told: object) -> None:
        place = {} if index is None else {"index": index}
        out.append(sse.event_frame(kind, json.dumps({"type": kind, **place, **told})))
        self.count += 1


def _joined(logprobs: list[Object]) -> Object:
    """An event has one item: that of all its tokens."""
    return {
        "text": "".join(item["text"] for item in logprobs),
        "token_ids": [],
        "logprobs": [value for item in logprobs for value in item["logprobs"]],
    }
