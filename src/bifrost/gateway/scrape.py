"""What is gathered for a scrape: whatever metrics do not count themselves is asked of pools and stores."""

from __future__ import annotations

import attrs

from bifrost.gateway.kept import Kept
from bifrost.gateway.log_store import LogStore
from bifrost.gateway.pools import Pools
from bifrost.observe.prometheus import Metrics

__all__ = ["Scrape"]


@attrs.frozen(eq=False)
class Scrape:
    """Takes a bounded time: whoever does not tell in time is left out."""

    metrics: Metrics
    pools: Pools
    log_store: LogStore | None
    kept: Kept | None

    async def render(self, accept: str) -> tuple[bytes, str]:
        """A body for that ``Accept`` value, and its content type."""
        views = await self.pools.views()
        store = None if self.kept is None else self.kept.view
        jobs = None if self.log_store is None else await self.log_store.view()
        return self.metrics.render(views, accept, jobs, store)
