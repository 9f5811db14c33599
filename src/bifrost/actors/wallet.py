"""The short-lived tokens that a pool lends, by their source. Part of its book: they survive its crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.actors.messages import TokenLacking, TokenRefreshed
from bifrost.policy.token_sources import TokenSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.config.secret import Token

__all__ = ["Wallet"]

AWAIT_S = 1.0
"""When to ask again for a token that is being fetched: nobody knows when it comes."""


@attrs.define(eq=False)
class Wallet:
    """What was heard of each source last. Times are on trio's clock."""

    _tokens: dict[TokenSource, TokenRefreshed] = attrs.field(factory=dict, init=False)
    _lacking: dict[TokenSource, float] = attrs.field(factory=dict, init=False)

    def hear(self, news: TokenRefreshed | TokenLacking) -> None:
        """Take ``news`` down. A token stays good when the next one cannot be had."""
        if isinstance(news, TokenRefreshed):
            self._tokens[news.source] = news
            self._lacking.pop(news.source, None)
        else:
            self._lacking[news.source] = news.until_s

    def token(self, source: TokenSource) -> Token | None:
        """The latest of ``source``, good or not."""
        held = self._tokens.get(source)
        return None if held is None else held.token

    def closed_until(self, source: TokenSource, now_s: float) -> float:
        """When to ask again for a token of ``source``: 0.0 for now, infinite where asking is no use."""
        held = self._tokens.get(source)
        if held is not None and now_s < held.expires_s:
            return 0.0
        return max(self._lacking.get(source, 0.0), now_s + AWAIT_S)

    def keep(self, sources: Iterable[TokenSource]) -> None:
        """Forget what is of none of ``sources``."""
        kept = frozenset(sources)
        for known in (self._tokens, self._lacking):
            for source in [source for source in known if source not in kept]:
                del known[source]
