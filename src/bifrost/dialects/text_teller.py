"""Completions told in OpenAI's own dialect, of an upstream that spoke another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.dialects.chat_teller import ChatTeller

if TYPE_CHECKING:
    from bifrost.dialects.hub import Object

__all__ = ["TextTeller"]


@attrs.define(eq=False)
class TextTeller(ChatTeller):
    """As ``ChatTeller``, in chunks of text: of a delta nothing is told but its ``content``."""

    def _put(
        self, chunk: Object, once: bytes, since_s: float, now_s: float, out: list[bytes]
    ) -> None:
        choices = [_told(choice) for choice in chunk["choices"]]
        told = {**chunk, "object": "text_completion", "choices": choices}
        super()._put(told, once, since_s, now_s, out)


def _told(choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "index": choice["index"],
        "text": choice["delta"].get("content") or "",
        "logprobs": choice.get("logprobs"),
        "finish_reason": choice["finish_reason"],
    }
