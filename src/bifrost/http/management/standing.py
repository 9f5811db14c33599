"""How providers and keys stand, from their pools and from what was found when their models were listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from bifrost.actors.key_pool import KeyPool
from bifrost.actors.model_book import ModelBook

if TYPE_CHECKING:
    from bifrost.actors.messages import PoolView

__all__ = ["Standing"]

Told = dict[str, object]


@attrs.frozen
class Standing:
    """Asks pools, each for a second at most."""

    pools: Mapping[str, KeyPool]
    book: ModelBook

    async def of_provider(self, provider: str) -> Told:
        """``provider_status``, and of the list of its models ``status`` and ``description``, the last error."""
        is_served = await self._view(provider) is not None
        return {
            "provider_status": "active" if is_served else "error",
            **self._listed(provider, None),
        }

    async def of_key(self, provider: str, key_id: str) -> Told:
        """The key's ``state`` in its pool, ``unknown`` if it is in none, and how its list of models was."""
        view = await self._view(provider)
        keys = {key.id: key.state for key in view.keys} if view is not None else {}
        return {"state": keys.get(key_id, "unknown"), **self._listed(provider, key_id)}

    async def _view(self, provider: str) -> PoolView | None:
        pool = self.pools.get(provider)
        return None if pool is None else await pool.look()

    def _listed(self, provider: str, key_id: str | None) -> Told:
        rows = [row for row in self.book.rows(provider) if key_id is None or row.key_id == key_id]
        failed = [row for row in rows if row.error]
        if not rows:
            return {"status": "unknown", "description": ""}
        if failed:
            return {"status": "list_models_failed", "description": failed[0].error}
        return {"status": "success", "description": ""}
