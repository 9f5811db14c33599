"""The configuration in force, and everybody who has to follow when it is another one, in their order."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import attrs

from bifrost.config.diff import applied, diff
from bifrost.config.settings import Config
from bifrost.gateway.calls import Calls
from bifrost.gateway.pools import Pools
from bifrost.gateway.prices import today
from bifrost.governance.policy import Policy
from bifrost.http.doors import Doors, compile_views
from bifrost.jobs.room import Jobs
from bifrost.management.login import Login
from bifrost.store.base import StoreError
from bifrost.store.keeper import StoreKeeper

if TYPE_CHECKING:
    import trio

    from bifrost.config.diff import ConfigDiff
    from bifrost.management.steward import Compiled
    from bifrost.policy.pricing import Sheet

__all__ = ["ConfigInForce"]


@attrs.define(eq=False, kw_only=True)
class ConfigInForce:
    """Owns ``config``. It is changed by one at a time: by whoever reads the file again, or by the steward, who has a lock.

    ``keeper`` is ``None`` where nothing is kept in a store, ``jobs`` where there are none.
    """

    config: Config
    keeper: StoreKeeper | None
    doors: Doors
    calls: Calls
    login: Login
    jobs: Jobs | None
    pools: Pools
    _wanted: Config = attrs.field(init=False)
    """The configuration with what holds after a restart only."""

    def __attrs_post_init__(self) -> None:
        self._wanted = self.config

    def restart_reasons(self) -> tuple[str, ...]:
        """Names of settings that were changed and hold after a restart only."""
        return diff(self.config, self._wanted).needs_restart

    async def take(self, compiled: Compiled, nursery: trio.Nursery) -> ConfigDiff:
        """Go by another configuration from now on; what is different about it. New pools run in ``nursery``."""
        self._wanted = compiled.config
        change = diff(self.config, compiled.config)
        await self._apply(applied(self.config, compiled.config), change, compiled.policy, nursery)
        return change

    def take_prices(self, sheet: Sheet) -> None:
        """Charge by the operator's own price list from now on."""
        self._go_by(Policy.of(self.config, today(), sheet))

    async def _apply(
        self, fresh: Config, change: ConfigDiff, policy: Policy, nursery: trio.Nursery
    ) -> None:
        governor, books = self.calls.governor, self.calls.books
        if not governor.is_complete and self.keeper is not None:
            latest = self.keeper.latest
            books.open(latest.counters if latest else {})
        if fresh.plugins != self.config.plugins:
            await self.calls.plugins.follow(fresh.plugins)
        books.change(governor.policy.governance, policy.governance, time.time())
        self.config = fresh
        self._go_by(policy)
        governor.is_complete = True
        self.calls.means.client = fresh.client
        with suppress(StoreError):
            # The sessions of who could log in before; while the store is away that waits for it.
            await self.login.change(fresh.auth)
        if self.jobs is not None:
            self.jobs.reconfigure(fresh.client)
        self.calls.models.tell_changed((*change.added, *change.changed, *change.removed))
        await self.pools.follow(fresh, change, nursery)

    def _go_by(self, policy: Policy) -> None:
        self.calls.governor.policy = policy
        self.doors.views = compile_views(self.config, policy.table)
