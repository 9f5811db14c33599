"""A streamed chat answer told as the events of Anthropic's Messages API.

Blocks follow one another: each is begun, told and ended before the next. Chat's tool calls may grow side by side, so the first
that is not whole yet is told as it grows and the others wait. Source: Anthropic API reference, "Streaming messages", 2026-11.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects.anthropic_words import (
    Object,
    StopReason,
    Thought,
    said_in,
    stop_of,
    thoughts_of,
    usage_of,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bridge_reading import CallDelta, Saying, call_deltas
from bifrost.dialects.openai_stream import sound
from bifrost.errors import GatewayError, UpstreamError

__all__ = ["MAX_KEPT", "AnthropicTeller"]

MAX_KEPT = 32 * 1024 * 1024
"""Characters of a stream that may wait for their turn, or be kept to see whether a tool's arguments are whole."""

BLOCK_KEPT = 512
"""What a block is counted as besides its text."""


class BadAnswer(ValueError):
    """What cannot be told: more than ``MAX_KEPT``, or out of its order."""


@attrs.define(eq=False)
class _Block:
    """A block being said. ``head`` is its ``content_block``, ``waiting`` are deltas that are not told yet."""

    kind: str
    head: Object
    key: object = None
    """Of a tool call or of a block of thinking: what its further deltas are known by."""
    waiting: list[Object] = attrs.field(factory=list)
    arguments: list[str] = attrs.field(factory=list)
    """All of a tool's, for they have to be whole before another block may follow."""
    is_begun: bool = False
    is_signed: bool = False
    is_ended: bool = False

    def is_whole(self) -> bool:
        """Whether nothing more can come of it once something else has begun."""
        if self.kind != "tool_use":
            return True
        try:
            return isinstance(json.loads("".join(self.arguments)), dict)
        except json.InvalidJSON:
            return False


@attrs.define(eq=False)
class AnthropicTeller:
    """Chat chunks in, Messages events out. Implements ``Teller``.

    ``message_start`` goes before the first event of any stream, with counts of zero: what was used is known at the end only,
    and ``message_delta`` tells it. Of several choices the first to come counts. What waits is bounded by ``MAX_KEPT``; more
    is an error.
    """

    facts: AnswerFacts
    max_kept: int = MAX_KEPT
    count: int = attrs.field(default=0, init=False)
    _has_begun: bool = attrs.field(default=False, init=False)
    _seed: str = attrs.field(default="", init=False)
    _choice: object = attrs.field(default=None, init=False)
    """The index of the choice that counts."""
    _last: Object = attrs.field(factory=dict, init=False)
    """That choice as it was when it had a finish reason."""
    _tier: object = attrs.field(default=None, init=False)
    _blocks: deque[_Block] = attrs.field(factory=deque, init=False)
    """Those that are not ended. The first is being told."""
    _calls: dict[object, _Block] = attrs.field(factory=dict, init=False)
    _last_call: object = attrs.field(default=None, init=False)
    _told: int = attrs.field(default=0, init=False)
    """Blocks that are ended."""
    _kept: int = attrs.field(default=0, init=False)
    _out: list[bytes] = attrs.field(factory=list, init=False)

    def tell(
        self,
        chunk: Object,
        raw: bytes,
        now_s: float,  # noqa: ARG002  Messages have no word for it
        out: list[bytes],
    ) -> GatewayError | None:
        self._out = out
        self._begin(chunk, raw)
        self._tier = chunk.get("service_tier") or self._tier
        choices = [choice for choice in chunk["choices"] if isinstance(choice, dict)]
        if self._choice is None and choices:
            self._choice = _index(choices[0])
        try:
            for choice in choices:
                if _index(choice) == self._choice:
                    self._take(choice)
        except BadAnswer as error:
            return UpstreamError(f"Error reading stream: {error}")
        return None

    def finish(
        self,
        head: Object,
        usage: bytes,
        now_s: float,  # noqa: ARG002  as above
        out: list[bytes],
    ) -> None:
        self._end_blocks(head, out)
        reason: StopReason = stop_of(self._last, has_tools=bool(self._calls))
        self._write(
            "message_delta",
            delta={"stop_reason": reason[0], "stop_sequence": reason[1]},
            usage=usage_of(json.loads(usage), self._tier),
        )
        self._write("message_stop")

    def _end_blocks(self, head: Object, out: list[bytes]) -> None:
        """Tell what is still waiting, and that it is all."""
        self._out = out
        self._begin(head, b"")
        while self._blocks:
            self._end_first()

    def _begin(self, head: Object, raw: bytes) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        seed = repr(self.facts.sent_s).encode() + raw
        self._seed = hashlib.sha256(seed).hexdigest()[:24]
        message: Object = {
            "id": sound(head.get("id"), "") or f"msg_{self._seed}",
            "type": "message",
            "role": "assistant",
            "model": sound(head.get("model"), "") or self.facts.model_requested,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(None),
        }
        self._write("message_start", message=message)

    def _take(self, choice: Object) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            for thought in thoughts_of(delta):
                self._think(thought)
            for saying, text in said_in(delta):
                kind = "thinking" if saying is Saying.REASONING else "text"
                self._say(kind, text)
            for call in call_deltas(delta):
                self._call(call)
        if choice.get("finish_reason") is not None:
            self._last = choice

    # What is said.

    def _say(self, kind: str, text: str, key: int | None = None) -> None:
        """``kind`` is of the block, and the member's name that has its text."""
        block = self._going_on(kind, key)
        self._add(block, {"type": f"{kind}_delta", kind: text}, len(text))

    def _think(self, thought: Thought) -> None:
        if thought.data:
            head = {"type": "redacted_thinking", "data": thought.data}
            self._open(_Block("redacted_thinking", head))
            return
        if thought.text:
            self._say("thinking", thought.text, thought.key)
        if thought.signature:
            block = self._going_on("thinking", thought.key)
            block.is_signed = True
            told = {"type": "signature_delta", "signature": thought.signature}
            self._add(block, told, len(thought.signature))

    def _going_on(self, kind: str, key: int | None) -> _Block:
        """The block that is being said, if it is of this kind and this key; else a new one."""
        block = self._blocks[-1] if self._blocks else None
        is_same = block is not None and (block.key == key or None in {block.key, key})
        if block is None or not is_same or block.kind != kind or block.is_signed:
            head = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
            return self._open(_Block(kind, head, key))
        block.key = key if block.key is None else block.key
        return block

    # What is called.

    def _call(self, delta: CallDelta) -> None:
        key = self._key(delta)
        block = self._calls.get(key)
        if block is None:
            number = len(self._calls)
            head = {"type": "tool_use", "id": delta.id or f"toolu_{self._seed}{number}"}
            block = self._open(_Block("tool_use", {**head, "name": "", "input": {}}, key))
            self._calls[key] = block
        self._last_call = key
        if not block.is_begun:
            block.head["name"] = delta.name or block.head["name"]
        if block.is_ended:
            if delta.text.strip():
                raise BadAnswer("a tool call went on after its arguments were whole")
            return
        block.arguments.append(delta.text)
        self._keep(len(delta.text))
        told = {"type": "input_json_delta", "partial_json": delta.text}
        self._add(block, told, len(delta.text))

    def _key(self, delta: CallDelta) -> object:
        """By index; without one a new id begins a new call, and what has neither goes on with the last."""
        if delta.index is not None:
            return delta.index
        return delta.id or self._last_call

    # Blocks, one after another.

    def _open(self, block: _Block) -> _Block:
        """Put ``block`` behind the others, and end those before it that are whole."""
        self._keep(BLOCK_KEPT)
        self._blocks.append(block)
        self._advance()
        return block

    def _advance(self) -> None:
        while len(self._blocks) > 1 and self._blocks[0].is_whole():
            self._end_first()
        self._flush(self._blocks[0])

    def _add(self, block: _Block, delta: Object, size: int) -> None:
        if size:
            block.waiting.append(delta)
        if block is self._blocks[0]:
            self._flush(block)
        else:
            self._keep(size)

    def _flush(self, block: _Block) -> None:
        """Tell what waits of the first block; of a tool nothing, before its name is known."""
        if block.kind == "tool_use" and not block.head["name"]:
            return
        if not block.is_begun:
            block.is_begun = True
            self._write("content_block_start", index=self._told, content_block=block.head)
        for delta in block.waiting:
            self._write("content_block_delta", index=self._told, delta=delta)
        block.waiting.clear()

    def _end_first(self) -> None:
        block = self._blocks.popleft()
        block.is_ended = True
        if block.kind == "tool_use" and not block.head["name"]:
            return  # Nobody can call what has no name.
        self._flush(block)
        self._write("content_block_stop", index=self._told)
        self._told += 1
        block.arguments.clear()

    def _keep(self, size: int) -> None:
        self._kept += size
        if self._kept > self.max_kept:
            raise BadAnswer(f"answer exceeds {self.max_kept} characters")

    def _write(self, kind: str, **members: Any) -> None:  # noqa: ANN401  JSON values
        self._out.append(sse.event_frame(kind, json.dumps({"type": kind, **members})))
        self.count += 1


def _index(choice: Object) -> object:
    return choice.get("index") or 0
