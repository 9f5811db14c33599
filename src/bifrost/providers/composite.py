"""A provider that speaks several dialects: an adapter for each, and one of them for all that no model decides on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import attrs

from bifrost.config.settings import ProviderSettings
from bifrost.providers.base import Adapter

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings
    from bifrost.dialects.base import AnswerFacts, StreamDecoder
    from bifrost.errors import GatewayError
    from bifrost.providers.base import Headers, PlainAnswer, RateHint
    from bifrost.schema.call import Operation

__all__ = ["Composite"]


@attrs.frozen(kw_only=True)
class Composite(ABC):
    """The half of an ``Adapter`` that reads what comes back.

    An answer is read by the part that asked; errors, limits and lists of models by ``main``.
    """

    settings: ProviderSettings
    main: Adapter

    @abstractmethod
    def _of(self, facts: AnswerFacts) -> Adapter:
        """The part that asked."""

    @property
    def name(self) -> str:
        return self.settings.name

    def decode_plain(self, body: bytes, facts: AnswerFacts) -> PlainAnswer:
        return self._of(facts).decode_plain(body, facts)

    def answers_in_bytes(
        self, operation: Operation, content_type: bytes, *, stream: bool = False
    ) -> bool:
        return self.main.answers_in_bytes(operation, content_type, stream=stream)

    def stream_decoder(self, facts: AnswerFacts) -> StreamDecoder:
        return self._of(facts).stream_decoder(facts)

    def decode_error(
        self,
        status: int,
        headers: Headers,
        body: bytes,
        key: KeySettings,
        *,
        now_unix_s: float | None = None,
        raw: bool = False,
    ) -> GatewayError:
        return self.main.decode_error(status, headers, body, key, now_unix_s=now_unix_s, raw=raw)

    def rate_hint(self, headers: Headers, now_unix_s: float) -> RateHint:
        return self.main.rate_hint(headers, now_unix_s)

    def decode_models(self, body: bytes) -> tuple[dict[str, object], ...]:
        return self.main.decode_models(body)
