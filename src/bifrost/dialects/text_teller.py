"""Completions told in OpenAI's own dialect, of an upstream that spoke another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json, sse
from bifrost.dialects import extra_fields
from bifrost.dialects.chat_teller import ChatTeller

if TYPE_CHECKING:
    from bifrost.dialects.hub import Object

__all__ = ["TextTeller"]

KIND = {"object": "text_completion"}


@attrs.define(eq=False)
class TextTeller(ChatTeller):
    """As ``ChatTeller``, with texts in place of deltas. Implements ``Teller``."""

    def tell(self, chunk: Object, raw: bytes, now_s: float, out: list[bytes]) -> None:
        choices = [_choice(choice) for choice in chunk["choices"]]
        super().tell({**chunk, **KIND, "choices": choices}, raw, now_s, out)

    def finish(self, head: Object, usage: bytes, now_s: float, out: list[bytes]) -> None:
        closing = {**head, **KIND, "choices": [_choice({})], "usage": json.loads(usage)}
        self._put(closing, extra_fields.rest(self.facts, None), self.facts.sent_s, now_s, out)
        out.append(sse.DONE)


def _choice(choice: Object) -> Object:
    return {
        "index": choice.get("index", 0),
        "text": choice.get("delta", {}).get("content") or "",
        "logprobs": None,
        "finish_reason": choice.get("finish_reason"),
    }
