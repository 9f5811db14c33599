"""Mistral's streamed transcripts as OpenAI's.

Source: Mistral API reference, "Create streaming transcription", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.openai_events import EventStreamDecoder

if TYPE_CHECKING:
    from bifrost.codecs import sse
    from bifrost.errors import GatewayError

__all__ = ["MistralTranscript"]


@attrs.define(eq=False)
class MistralTranscript(EventStreamDecoder):
    """Each event becomes OpenAI's of the same meaning; the language, which has none, goes into the last."""

    _language: Any = attrs.field(default=None, init=False)
    _segments: int = attrs.field(default=0, init=False)

    def _take(self, event: sse.SSEEvent, now_s: float, out: list[bytes]) -> GatewayError | None:
        value = _decoded(event.data)
        told = None if value is None else self._told_as(value, value.get("type") or event.event)
        if told is None:
            return super()._take(event, now_s, out)
        if not told:
            return None
        return super()._take(event._replace(event=None, data=json.dumps(told)), now_s, out)

    def _told_as(self, value: dict[str, Any], kind: object) -> dict[str, Any] | None:
        """The event of OpenAI's; an empty one for what is kept for later, ``None`` for what is none of Mistral's own."""
        match kind:
            case "transcription.language":
                self._language = value.get("audio_language")
                return {}
            case "transcription.text.delta":
                return {"type": "transcript.text.delta", "delta": value.get("text", "")}
            case "transcription.segment":
                self._segments += 1
                names = ("text", "start", "end")
                return {
                    "type": "transcript.text.segment",
                    "id": f"seg_{self._segments - 1}",
                    **{name: value.get(name) for name in names},
                    "speaker": value.get("speaker_id") or "",
                }
            case "transcription.done":
                language = value.get("language") or self._language
                return {**value, "type": "transcript.text.done", "language": language}
            case _:
                return None


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except json.InvalidJSON:
        return None
    return value if isinstance(value, dict) else None
