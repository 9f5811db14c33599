"""A stream of OpenAI's chat API told in other words than its own: as Responses, or in the dialect of a foreign caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.hub import Teller
from bifrost.dialects.openai_stream import NO_RAW, Chunk, OpenAIStream

if TYPE_CHECKING:
    from bifrost.dialects.hub import Object
    from bifrost.errors import GatewayError

__all__ = ["ToldStream"]


@attrs.define(eq=False)
class ToldStream(OpenAIStream):
    """Hands every chunk to ``teller``. What ends a stream, and what is no chunk: see ``OpenAIStream``."""

    teller: Teller
    _heard: bool = attrs.field(default=False, init=False)

    @property
    def _has_come(self) -> bool:
        # Not what went out: some tellers wait for the end before they say a word.
        return self._heard

    def _hand_on(
        self, data: bytes, chunk: Chunk, now_s: float, out: list[bytes]
    ) -> GatewayError | None:
        if chunk.usage is not NO_RAW:
            self._usage.add(bytes(chunk.usage))
        try:
            # Decoded once more, and in full: a relayed chunk never is.
            value = json.loads(data)
        except json.InvalidJSON:
            self.skipped += 1
            return None
        self._heard = True
        error = self.teller.tell({**value, **self._head()}, data, now_s, out)
        self._count = self.teller.count
        return error

    def _finish(self, now_s: float, out: list[bytes]) -> GatewayError | None:
        error = self.teller.finish(self._head(), self._usage.encoded(), now_s, out)
        self._count = self.teller.count
        return error

    def _head(self) -> Object:
        return {"id": self._id, "created": self._created, "model": self._model}
